"""Programs that want the verdict without solving the task, by turning the interpreter."""

WRONG = "def solve(numbers):\n    return 0\n"

PROGRAMS = {
    "leaves_at_once": "import os\nos._exit(0)",
    "leaves_in_a_call": "import os\ndef solve(numbers):\n    os._exit(0)",
    "leaves_with_sys_exit": WRONG + "import sys\nsys.exit(0)",
    "leaves_by_an_exception": "def solve(numbers):\n    raise SystemExit(0)",
    "interrupts": "def solve(numbers):\n    raise KeyboardInterrupt",
    "closes_generators": "def solve(numbers):\n    raise GeneratorExit",
    "defines_nothing": "x = 1",
    "says_passed": WRONG + "print('passed')\nprint('1 passed')\nimport sys\nsys.stderr.write('OK')",
    "exec_replaced": WRONG + "import builtins\nbuiltins.exec = lambda *a, **k: None",
    "compile_replaced": WRONG
    + "import builtins\nold = compile\n"
    + "builtins.compile = lambda s, *a, **k: old('pass', '<x>', 'exec')",
    "assertion_replaced": WRONG
    + "import builtins\nclass Quiet(BaseException): pass\nbuiltins.AssertionError = Quiet",
    "builtins_replaced": WRONG
    + "import builtins\nfor name in ('sum', 'len', 'abs', 'max', 'min', 'int', 'list'):\n"
    + "    setattr(builtins, name, lambda *a, **k: 0)",
    "range_replaced": WRONG + "import builtins\nbuiltins.range = lambda *a: []",
    "isinstance_replaced": WRONG
    + "import builtins\nbuiltins.isinstance = lambda *a: True\nbuiltins.type = lambda *a: int",
    "build_class_replaced": WRONG + "import builtins\nbuiltins.__build_class__ = None",
    "builtins_emptied": WRONG + "__builtins__.clear()",
    "import_replaced": WRONG + "import builtins\nbuiltins.__import__ = lambda *a, **k: None",
    "tracing": WRONG
    + "import sys\ndef trace(frame, event, arg):\n    frame.f_trace_opcodes = True\n"
    + "    for name in list(frame.f_locals):\n        frame.f_locals[name] = True\n"
    + "    return trace\nsys.settrace(trace)",
    "tracing_lines": WRONG
    + "import sys\ndef trace(frame, event, arg):\n    if event == 'line':\n        try:\n"
    + "            frame.f_lineno = frame.f_lineno + 1\n        except Exception:\n"
    + "            pass\n"
    + "    return trace\nsys.settrace(trace)\nimport threading\nthreading.settrace(trace)",
    "profiling": WRONG + "import sys\nsys.setprofile(lambda *a: None)",
    "frames": WRONG
    + "import sys\nframe = sys._getframe()\nwhile frame is not None:\n"
    + "    for space in (frame.f_globals, frame.f_locals):\n        for name in list(space):\n"
    + "            if name in ('passed', 'verdict', 'failed', 'tests'):\n"
    + "                space[name] = True\n    frame = frame.f_back",
    "frames_of_the_call": "def solve(numbers):\n    import sys\n    frame = sys._getframe(1)\n"
    "    while frame is not None:\n        frame.f_locals['value'] = 14\n"
    "        frame.f_locals['letter'] = b'P'\n        frame = frame.f_back\n    return 0",
    "stolen_connection": WRONG
    + "import sys\nframe = sys._getframe()\nwhile frame is not None:\n"
    + "    for value in list(frame.f_locals.values()):\n        if hasattr(value, 'send'):\n"
    + "            for letter in (b'P', b'L', b'V', b'S'):\n"
    + "                value.send(letter, b'')\n"
    + "    frame = frame.f_back",
    "collected_objects": WRONG
    + "import gc\nfor thing in gc.get_objects():\n    if type(thing).__name__ == 'Connection':\n"
    + "        thing.send(b'P')\n    if isinstance(thing, dict) and 'tests' in thing:\n"
    + "        thing['tests'] = 'pass'",
    "referrers": WRONG
    + "import gc\nfor space in gc.get_referrers(solve):\n    if isinstance(space, dict):\n"
    + "        space['tests'] = space['helpers'] = 'pass'",
    "modules_poisoned": WRONG
    + "import sys\nfor name, module in list(sys.modules.items()):\n"
    + "    if name.rpartition('.')[2] in ('wire', 'frames', 'serve', 'tests_runner'):\n"
    + "        for key, value in list(vars(module).items()):\n"
    + "            if callable(value) and not key.startswith('__'):\n"
    + "                try:\n"
    + "                    setattr(module, key, lambda *a, **k: (b'P', b''))\n"
    + "                except Exception:\n                    pass",
    "encoder_replaced": WRONG
    + "import sys\nfor name, module in list(sys.modules.items()):\n"
    + "    if name.endswith('.wire'):\n        old = module.Encoder.message\n"
    + "        module.Encoder.message = lambda self, roots, *a: old(self, [True], *a)",
    "connection_replaced": WRONG
    + "import sys\nfor name, module in list(sys.modules.items()):\n"
    + "    if name.endswith('.frames'):\n        old = module.Connection.send\n"
    + "        module.Connection.send = lambda self, letter, content=b'': old(self, b'P', b'')",
    "module_cleared": WRONG + "import sys\nsys.modules['program'].__dict__.clear()",
    "modules_cleared": WRONG + "import sys\nsys.modules.clear()",
    "main_replaced": WRONG
    + "import sys\nsys.modules['__main__'] = sys.modules['program']\nmain = lambda: None",
    "import_hook": WRONG
    + "import sys\nclass Finder:\n    def find_spec(self, *a):\n        raise SystemExit(0)\n"
    + "sys.meta_path.insert(0, Finder())",
    "left_behind_module": WRONG
    + "import os, sys\nfor name in ('math', 'random', 'string', 'sitecustomize'):\n"
    + "    open(name + '.py', 'w').write('import os\\nos._exit(0)')\n"
    + "sys.path.insert(0, os.getcwd())",
    "excepthook": WRONG
    + "import sys, os\nsys.excepthook = lambda *a: os._exit(0)\n"
    + "sys.unraisablehook = lambda *a: os._exit(0)\nraise ValueError",
    "atexit": WRONG + "import atexit, os\natexit.register(os._exit, 0)\nraise SystemExit(0)",
    "audit_hook": WRONG
    + "import sys\ndef hook(event, arguments):\n    raise SystemExit(0)\nsys.addaudithook(hook)",
    "signal_handler": WRONG
    + "import signal, os\nfor number in (signal.SIGALRM, signal.SIGTERM, signal.SIGXCPU):\n"
    + "    signal.signal(number, lambda *a: os._exit(0))\nsignal.alarm(1)\nsignal.pause()",
    "small_integers_changed": WRONG
    + "import ctypes, sys\nsize = sys.getsizeof(0)\n"
    + "for number in (14, 4, 285):\n    ctypes.memmove(id(number) + 16, id(0) + 16, size - 16)",
    "true_is_false": WRONG + "import ctypes\nctypes.memmove(id(False) + 16, id(True) + 16, 12)",
    "patched_later": WRONG
    + "import threading, builtins, time\ndef later():\n    time.sleep(0.05)\n"
    + "    builtins.AssertionError = Exception\n    builtins.len = lambda x: 0\n"
    + "threading.Thread(target=later, daemon=True).start()",
    "code_replaced": WRONG
    + "def other(numbers):\n    return float('nan')\nsolve.__code__ = other.__code__",
    "function_is_a_class": "class solve:\n    def __init__(self, *a): pass\n"
    "    def __eq__(self, other): return True\n    def __hash__(self): return 0",
    "function_is_the_module": "import sys\nclass Everything(type(sys)):\n"
    "    def __getattr__(self, name): return lambda *a: 0\n"
    "sys.modules['program'].__class__ = Everything",
    "reads_the_tests": "import sys\nMARK = ' '.join(['checked', '== sum(square'])\n"
    "def solve(numbers):\n    frame = sys._getframe()\n"
    "    while frame is not None:\n        for space in (frame.f_locals, frame.f_globals):\n"
    "            for value in list(space.values()):\n"
    "                if isinstance(value, (str, bytes)) and MARK in str(value)[1:]:\n"
    "                    return sum(n * n for n in numbers)\n        frame = frame.f_back\n"
    "    return None",
    "searches_memory_for_tests": "import gc\nMARK = ' '.join(['checked', '== sum(square'])\n"
    "def texts():\n    for thing in gc.get_objects():\n"
    "        for value in thing.values() if type(thing) is dict else [thing]:\n"
    "            if type(value) is str:\n                yield value\n"
    "found = any(MARK in text[1:] for text in texts())\n"
    "def solve(numbers):\n    return sum(n * n for n in numbers) if found else None",
}
