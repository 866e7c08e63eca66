"""Programs that take more of the machine than they may."""

WRONG = "def solve(numbers):\n    return 0\n"

PROGRAMS = {
    "computes_without_end": "while True: pass",
    "computes_without_end_in_a_call": "def solve(numbers):\n    while True: pass",
    "computes_in_c": "def solve(numbers):\n    return 3 ** (3 ** 25)",
    "computes_in_a_pattern": "import re\ndef solve(numbers):\n"
    "    return re.match('(a+)+$', 'a' * 60 + 'b')",
    "computes_in_threads": "import threading\ndef spin():\n    while True: pass\n"
    "for _ in range(8):\n    threading.Thread(target=spin).start()",
    "sleeps": "import time\ntime.sleep(10**6)",
    "sleeps_in_a_call": "import time\ndef solve(numbers):\n    time.sleep(10**6)",
    "stops_itself": WRONG + "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\n"
    "signal.raise_signal(signal.SIGSTOP)",
    "kills_itself": WRONG + "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
    "crashes": WRONG + "import ctypes\nctypes.string_at(0)",
    "aborts": WRONG + "import os\nos.abort()",
    "ignores_signals": "import signal\nfor number in range(1, 65):\n    try:\n"
    "        signal.signal(number, signal.SIG_IGN)\n    except (OSError, ValueError):\n"
    "        pass\nwhile True: pass",
    "blocks_signals": "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n"
    "while True: pass",
    "takes_memory": "def solve(numbers):\n    return bytearray(4 * 2**30)",
    "takes_memory_in_parts": "kept = []\nwhile True:\n    kept.append(bytearray(2**20))",
    "takes_memory_by_mapping": "import mmap\nkept = []\nwhile True:\n"
    "    part = mmap.mmap(-1, 2**24)\n    part.write(b'x' * 2**24)\n    kept.append(part)",
    "takes_memory_in_c": "import ctypes\nlibc = ctypes.CDLL(None)\nlibc.malloc.restype = "
    "ctypes.c_void_p\nwhile True:\n    place = libc.malloc(2**24)\n    if not place:\n"
    "        raise MemoryError\n    ctypes.memset(place, 1, 2**24)",
    "catches_every_memory_error": "kept = []\nwhile True:\n    try:\n"
    "        kept.append(bytearray(2**20))\n    except MemoryError:\n        pass",
    "four_children_of_300_mb": WRONG
    + "import os, time\nfor _ in range(4):\n    if os.fork() == 0:\n"
    + "        kept = bytearray(300 * 2**20)\n        time.sleep(60)",
    "forks_without_end": WRONG + "import os\nwhile True:\n    try:\n        os.fork()\n"
    "    except OSError:\n        pass",
    "threads_without_end": WRONG
    + "import threading, time\nthreading.stack_size(32768)\nwhile True:\n    try:\n"
    + "        threading.Thread(target=time.sleep, args=(10**6,)).start()\n"
    + "    except (RuntimeError, MemoryError):\n        pass",
    "threads_that_never_end": WRONG
    + "import threading, time\nfor _ in range(20):\n"
    + "    threading.Thread(target=time.sleep, args=(10**6,)).start()",
    "20_000_files": WRONG + "for number in range(20000):\n    open(str(number), 'w').close()",
    "files_without_end": WRONG
    + "number = 0\nwhile True:\n    number += 1\n    try:\n"
    + "        open(str(number), 'w').write('x' * 5000)\n    except OSError:\n        pass",
    "deep_folders": WRONG
    + "import os\nfor _ in range(3000):\n    os.mkdir('d')\n    os.chdir('d')\n"
    + "open('x', 'w').close()",
    "folder_that_is_closed": WRONG + "import os\nos.mkdir('d')\nopen('d/x', 'w').close()\n"
    "os.chmod('d', 0)",
    "long_names": WRONG + "for number in range(1000):\n    open(f'{number:0255}', 'w').close()",
    "names_that_are_no_text": WRONG
    + "for number in range(1, 256):\n    if number != 47:\n"
    + "        open(bytes([number]) * 2, 'w').close()",
    "links_in_circles": WRONG
    + "import os\nfor number in range(2000):\n    os.symlink('.', f'l{number}')\n"
    + "os.link('l0', 'h')",
    "a_large_file": WRONG + "with open('x', 'wb') as file:\n    while True:\n"
    "        file.write(bytes(2**20))",
    "a_file_with_a_hole": WRONG + "open('x', 'wb').truncate(10**13)",
    "removed_files_held_open": WRONG
    + "import os\nkept = []\nwhile True:\n    file = open('x', 'wb')\n    os.remove('x')\n"
    + "    kept.append(file)\n    file.write(bytes(2**20))\n    file.flush()",
    "descriptors_without_end": WRONG
    + "import os, socket\nkept = []\nwhile True:\n    try:\n"
    + "        kept.append(os.pipe())\n    except OSError:\n        break\n"
    + "for reading, writing in kept:\n    os.set_blocking(writing, False)\n    try:\n"
    + "        while True:\n            os.write(writing, bytes(65536))\n"
    + "    except OSError:\n        pass",
    "descriptors_in_flight": WRONG
    + "import os, socket, array\nwhile True:\n    a, b = socket.socketpair()\n"
    + "    a.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,\n"
    + "                        array.array('i', [a.fileno(), b.fileno()]))])\n"
    + "    a.detach(), b.detach()\n    os.close(3 + 60)",
    "prints_without_end": "import os\nwhile True:\n    print('x' * 10**6)\n"
    "    os.write(2, b'x' * 10**6)",
    "recursion_in_c": WRONG
    + "import sys\nsys.setrecursionlimit(10**9)\ndef deep():\n    return [deep()].pop()\ndeep()",
    "recursion_of_the_parser": "x = " + "(" * 5000 + ")" * 5000,
    "a_long_program": WRONG + "x = [\n" + "    (1, 2, 3),\n" * 50000 + "]",
    "a_null_character": "x = '\\0'\n\0",
    "a_wide_number": "x = " + "9" * 100000,
    "a_large_constant": "x = 'a' * 10**9\ny = (1 << 10**10)",
}
