"""Programs that speak on the channel to the tests themselves, or break it."""

WRONG = "def solve(numbers):\n    return 0\n"
# Right where the tests name the result.
GUESSING = (
    "def solve(numbers):\n    return 14 if numbers == [1, 2, 3] else 4 if numbers == [-2] else 0\n"
)
# Writes to every descriptor that it has; the channel is among them.
SAY = (
    WRONG + "import os\ndef say(data):\n    for descriptor in range(64):\n        try:\n"
    "            os.write(descriptor, data)\n        except OSError:\n            pass\n"
    "def frame(letter, content=b''):\n"
    "    return (1 + len(content)).to_bytes(4, 'big') + letter + content\n"
)
# The modules that run in this process, by their last names.
MODULES = (
    "import sys\nOWN = {name.rpartition('.')[2]: module for name, module in sys.modules.items()}\n"
)

PROGRAMS = {
    "verdict_forged": SAY + "say(frame(b'P'))",
    "verdict_forged_often": SAY + "for _ in range(10000):\n    say(frame(b'P'))",
    "verdict_forged_in_a_call": SAY + "def solve(numbers):\n    say(frame(b'P'))\n    os._exit(0)",
    "every_letter": SAY + "for letter in range(256):\n    say(frame(bytes([letter])))",
    "loaded_twice": SAY + "say(frame(b'L'))\nsay(frame(b'L'))",
    "frame_without_end": SAY + "say(b'\\x00\\x10\\x00\\x00L' + b'x' * 1000)\nwhile True: pass",
    "frame_of_absurd_length": SAY + "say(b'\\xff\\xff\\xff\\xff' + b'x' * 1000)",
    "frame_of_no_length": SAY + "say(b'\\x00\\x00\\x00\\x00' * 1000)",
    "frame_of_the_largest_length": SAY + "say(frame(b'L', bytes(17 * 2**20 - 1)))",
    "half_a_length": SAY + "say(b'\\x00')\nos._exit(0)",
    "noise": SAY + "import random\nfor _ in range(1000):\n    say(random.randbytes(1000))",
    "flood_of_bytes": SAY + "while True:\n    say(b'\\x00\\x00\\x00\\x02V\\x00' * 100000)",
    "flood_of_replies": SAY
    + "import threading\ndef flood():\n    while True:\n        say(frame(b'V', b'x'))\n"
    + "threading.Thread(target=flood, daemon=True).start()",
    "swallows_what_it_is_asked": WRONG
    + "import os, threading\ndef swallow(descriptor):\n    while True:\n        try:\n"
    + "            os.read(descriptor, 65536)\n        except OSError:\n            return\n"
    + "for number in range(8):\n"
    + "    threading.Thread(target=swallow, args=(number,), daemon=True).start()",
    "closes_everything": WRONG + "import os\nos.closerange(0, 64)",
    "closes_everything_and_waits": WRONG
    + "import os, time\nos.closerange(0, 64)\nwhile True: pass",
    "exchanges_the_descriptors": WRONG
    + "import os\nfor a in range(3, 8):\n    for b in range(3, 8):\n        try:\n"
    + "            os.dup2(a, b)\n        except OSError:\n            pass",
    "makes_the_channel_not_block": WRONG
    + "import os\nfor descriptor in range(8):\n    try:\n"
    + "        os.set_blocking(descriptor, False)\n    except OSError:\n        pass",
    "names_of_the_tests_replaced": GUESSING
    + MODULES
    + "old = OWN['serve'].defined\nfakes = {'range': lambda *a: []}\n"
    + "OWN['serve'].defined = lambda objects, space, names: old(\n"
    + "    objects, {**space, **fakes}, [*names, *fakes])",
    "builtins_of_the_tests_replaced": GUESSING
    + MODULES
    + "old = OWN['serve'].defined\nfakes = {'__builtins__': {'range': lambda *a: []}}\n"
    + "OWN['serve'].defined = lambda objects, space, names: old(\n"
    + "    objects, {**space, **fakes}, [*names, *fakes])",
    "names_as_no_dict": WRONG
    + MODULES
    + "OWN['serve'].defined = lambda *a: OWN['wire'].Encoder().message([[1, 2, 3]])",
    "names_as_noise": WRONG + MODULES + "OWN['serve'].defined = lambda *a: b'\\xff' * 100000",
    "replies_of_noise": WRONG
    + MODULES
    + "OWN['serve'].answer = lambda *a: (b'V', b'\\xff\\x00' * 50000)",
    "replies_without_content": WRONG + MODULES + "OWN['serve'].answer = lambda *a: (b'V', b'')",
    "replies_are_verdicts": WRONG + MODULES + "OWN['serve'].answer = lambda *a: (b'P', b'')",
    "replies_end_iterators": WRONG + MODULES + "OWN['serve'].answer = lambda *a: (b'S', b'')",
    "replies_are_questions": WRONG + MODULES + "OWN['serve'].answer = lambda *a: (b'C', b'')",
    "replies_are_foreign_handles": WRONG
    + MODULES
    + "wire = OWN['wire']\n"
    + "OWN['serve'].answer = lambda objects, letter, content: (b'V', wire.Encoder(\n"
    + "    lambda value: wire.Handle(value.kind, 10**9)).message([wire.Handle(2, 10**9)]))",
    "bounds_removed": WRONG
    + MODULES
    + "wire = OWN['wire']\nfor name in dir(wire):\n    if name.startswith('MAX'):\n"
    + "        setattr(wire, name, 10**12)\n"
    + "def solve(numbers):\n    return [[0] * 1000 for _ in range(3000)]",
    "depth_without_bound": WRONG
    + MODULES
    + "wire = OWN['wire']\nfor name in dir(wire):\n    if name.startswith('MAX'):\n"
    + "        setattr(wire, name, 10**12)\nsys.setrecursionlimit(10**6)\n"
    + "def solve(numbers):\n    deep = ()\n    for _ in range(5000):\n        deep = (deep,)\n"
    + "    return deep",
    "arguments_changed_in_kind": WRONG
    + MODULES
    + "wire = OWN['wire']\nold = wire.Encoder.message\n"
    + "wire.Encoder.message = lambda self, roots, *known: old(self, roots) * 2",
}
