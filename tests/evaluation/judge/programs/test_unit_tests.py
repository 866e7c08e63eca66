"""Tests and program in two processes: what passes between them, and what wins nothing."""

from __future__ import annotations

import time

import pytest

from instruct_scaling.common.records import Constraints
from instruct_scaling.evaluation.judge.programs.task import make_task
from instruct_scaling.evaluation.judge.programs.unit_tests import Verdict, run
from instruct_scaling.evaluation.judge.programs.walls import Walls

ADD = "def add(a, b):\n    return a + b"
TESTS = "assert add(2, 3) == 5\nassert add(-1, 1) == 0"


def verdict(walls, program, tests=TESTS, reference=None, **checks) -> Verdict:
    return run(make_task(Constraints(tests=tests, **checks), reference), program, walls)


def test_a_right_program_passes(walls):
    assert verdict(walls, ADD) == Verdict("passed")


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("def add(a, b):\n    return a - b", "AssertionError"),
        ("def add(a, b)", "SyntaxError"),
        ("x = 1", "NameError: name 'add' is not defined"),
        ("import sys\nsys.exit(0)", "SystemExit: 0"),
        ("def add(a, b):\n    return add(a, b)", "RecursionError"),
        ("def add(a, b):\n    raise StopIteration", "the program raised StopIteration"),
        ("def add(a, b):\n    raise SystemExit(0)", "the program raised SystemExit"),
        ("def add(a, b):\n    import os\n    os._exit(0)", "ended before its tests"),
        ("x = '\ud800'\ndef add(a, b): return 5", "UnicodeEncodeError"),
        ("raise ValueError('two\\nlines')", "ValueError: two"),
    ],
)
def test_a_wrong_program_fails_with_the_reason(walls, program, reason):
    found = verdict(walls, program)
    assert found.end == "failed"
    assert reason in found.detail


@pytest.mark.parametrize(
    "program",
    [
        "class add:\n    def __init__(self, *_): pass\n    def __eq__(self, other): return True",
        "class A(int):\n    def __eq__(self, other): return True\ndef add(a, b): return A(7)",
        "import builtins\nbuiltins.exec = builtins.compile = lambda *a, **k: None",
        "import builtins\nbuiltins.AssertionError = Exception\ndef add(a, b): return 0",
        "import sys\ndef add(a, b):\n    f = sys._getframe()\n    while f:\n"
        "        f.f_locals.clear(); f = f.f_back\n    return 0",
        "import os\nfor f in range(64):\n    try: os.write(f, b'\\0\\0\\0\\1P' * 99)\n"
        "    except OSError: pass\ndef add(a, b): return 0",
        "import sys\nsys.settrace(lambda *a: None)\nsys.modules.clear()\ndef add(a, b): return 0",
    ],
)
def test_what_a_program_does_in_its_own_process_wins_nothing(walls, program):
    assert not verdict(walls, program).passed


VALUES = {
    "tuple": "(1, (2,))",
    "set of tuples": "{(1, 2), (3,)}",
    "nan and infinity": "[float('inf'), -0.0, 1e308]",
    "complex": "1 + 2j",
    "keys that are no text": "{1: 'a', (1, 2): None, 1.5: True}",
    "text with surrogates": "'\\ud83d\\ude00 \\ud800'",
    "long integer": "10 ** 5000",
    "bytes": "b'\\0\\xff'",
    "range": "range(1, 9, 2)",
    "frozenset": "frozenset({1, 2})",
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_plain_data_is_equal_to_itself(walls, value):
    program = f"def same(x): return x\ndef make(): return {value}"
    tests = f"assert make() == same({value}) == {value}\nassert type(make()) is type({value})"
    assert verdict(walls, program, tests) == Verdict("passed")


def test_collections_pass(walls):
    program = (
        "from collections import *\ndef f(words):\n    d = defaultdict(list)\n    d[1].append(2)\n"
        "    return Counter(words), d, deque([1, 2], 2), OrderedDict(b=1, a=2)"
    )
    tests = (
        "from collections import *\nc, d, q, o = f('aab')\n"
        "assert c == {'a': 2, 'b': 1} and c.most_common(1) == [('a', 2)]\n"
        "assert d == {1: [2]} and d[9] == []\nassert q == deque([1, 2]) and q.maxlen == 2\n"
        "assert o == OrderedDict([('b', 1), ('a', 2)]) != OrderedDict([('a', 2), ('b', 1)])"
    )
    assert verdict(walls, program, tests) == Verdict("passed")


def test_arguments_are_written_back_with_their_aliases(walls):
    program = (
        "def fill(grid, seen):\n    grid[0].append(1)\n    grid.append(grid)\n"
        "    seen |= {1}\n    return grid[0]"
    )
    tests = (
        "row = []\ngrid, seen = [row, row], {0}\nresult = fill(grid, seen)\n"
        "assert result is row and row == [1] and grid[1] is row and grid[2] is grid\n"
        "assert seen == {0, 1}"
    )
    assert verdict(walls, program, tests) == Verdict("passed")


def test_generators_are_asked_for_one_value_at_a_time(walls):
    program = "def count(n):\n    while True:\n        n += 1\n        yield n"
    lazy = "import itertools\nassert list(itertools.islice(count(1), 3)) == [2, 3, 4]"
    assert verdict(walls, program, lazy) == Verdict("passed")
    assert verdict(walls, program, "assert 3 in count(0)") == Verdict("passed")
    endless = verdict(walls, program, "assert len(list(count(1))) == 3")
    assert endless.detail == "an iterator of the program gives more than 50000 values"
    passed = "def total(xs): return sum(xs)"
    tests = "assert total(x for x in range(4)) == total(iter([6])) == total(map(int, '123'))"
    assert verdict(walls, passed, tests) == Verdict("passed")


def test_exceptions_come_by_name_with_their_text(walls):
    program = (
        "class Own(ValueError): pass\ndef f(x):\n    if x: raise Own('too ' + x)\n    return {}[x]"
    )
    tests = (
        "try:\n    f('big')\nexcept ValueError as error:\n    assert str(error) == 'too big'\n"
        "else:\n    assert False\n"
        "try:\n    f('')\nexcept KeyError as error:\n    assert error.args == ('',)\n"
        "else:\n    assert False"
    )
    assert verdict(walls, program, tests) == Verdict("passed")


def test_an_exception_that_ends_a_loop_skips_no_test(walls):
    program = "def f(x):\n    raise StopIteration"
    assert not verdict(walls, program, "assert all(map(f, [1, 2]))").passed


@pytest.mark.parametrize(
    "use",
    [
        "assert f()",
        "assert not f()",
        "assert f() == 1",
        "assert f() == f",
        "assert [f()] == [1]",
        "assert 1 in [f()]",
        "assert f() > 0",
        "assert len(f()) == 1",
        "assert str(f()) == 'x'",
        "assert f().ok",
        "assert float(f()) == 1",
        "try:\n    assert f()\nexcept:\n    pass",
        "import copy\ntry:\n    copy.deepcopy(f())\nexcept:\n    pass",
        "assert isinstance(f(), int)",
    ],
)
def test_a_handle_is_equal_to_no_data_and_never_true(walls, use):
    program = (
        "class Any:\n    ok = True\n"
        "    def __bool__(self): return True\n    def __eq__(self, other): return True\n"
        "    def __gt__(self, other): return True\n    def __len__(self): return 1\n"
        "    def __float__(self): return 1.0\n    def __str__(self): return 'x'\n"
        "def f(): return Any()"
    )
    assert verdict(walls, program, use).end == "failed"


def test_objects_of_the_program_go_back_to_it(walls):
    program = (
        "class Node:\n    def __init__(self, value): self.value = value\n"
        "def value(node): return node.value\ndef adder(n): return lambda m: n + m"
    )
    tests = (
        "assert value(Node(3)) == 3\nassert adder(1)(2) == 3\nn = Node(1)\nassert n == n != Node(1)"
    )
    assert verdict(walls, program, tests) == Verdict("passed")


@pytest.mark.parametrize(
    ("tests", "why"),
    [
        ("assert f(int) == 0", "a test passes a type"),
        ("assert f(lambda x: x) == 0", "a test passes a value of type function"),
        ("try:\n    f(int)\nexcept BaseException:\n    pass", "a test passes a type"),
    ],
)
def test_a_test_that_passes_more_than_data_needs_the_same_process(walls, tests, why):
    found = verdict(walls, "def f(x): return 0", tests)
    assert (found.end, found.detail, found.beyond_data) == ("needs_same_process", why, True)
    assert verdict(walls, "def f(x): return 0", tests, same_process=True).passed


def test_methods_need_the_same_process(walls):
    program = "class Stack(list):\n    def push(self, x): self.append(x)\n"
    tests = "s = Stack()\ns.push(1)\nassert s.pop() == 1"
    objects = program.replace("(list)", "").replace("self.append(x)", "self.x = x")
    assert verdict(walls, objects, tests).beyond_data
    whole = f"{objects}    def pop(self): return self.x\n"
    assert verdict(walls, whole, tests, same_process=True) == Verdict("passed")
    assert verdict(walls, objects, tests, same_process=True).end == "failed"


HELPERS = "def double(x):\n    return 2 * x"


def test_helpers_belong_to_the_item(walls):
    tests = "assert half(double(7)) == 7\nassert double(half(6)) == 6"
    right = "def half(x):\n    return x // 2"
    cheat = "def double(x):\n    return x\ndef half(x):\n    return x"
    assert verdict(walls, right, tests, helpers=HELPERS).passed
    assert verdict(walls, "assert double(2) == 4\n" + right, tests, helpers=HELPERS).passed
    assert not verdict(walls, cheat, tests, helpers=HELPERS).passed
    assert not verdict(walls, cheat, tests, helpers=HELPERS, same_process=True).passed
    # It did while they were the program's: this is what such tests see.
    assert verdict(walls, cheat, tests.replace("double(half(6))", "half(double(6))")).passed


def test_built_in_names_are_the_programs_only_if_the_item_asks_for_them(walls):
    tests = "assert sum(10, 15) == 6"
    program = "def sum(a, b):\n    return 6"
    assert verdict(walls, program, tests, reference=program).passed
    cheat = "def add(a, b): return 0\ndef abs(x): return 5\nall = any = lambda *_: True"
    tests = "assert abs(add(2, 3)) == 5\nassert all([False])"
    assert not verdict(walls, cheat, tests, reference=ADD).passed


def test_modules_that_the_tests_use_are_their_own(walls):
    program = "class math:\n    isclose = staticmethod(lambda *a: True)\ndef f(): return 1.0"
    tests = "assert math.isclose(f(), 2.0)"
    assert verdict(walls, program, tests).detail == "AssertionError"
    reference = "from math import isclose as near\ndef f(): return 2.0"
    assert verdict(walls, "def f(): return 2.0", "assert near(f(), 2.0)", reference).passed


@pytest.mark.parametrize(
    "program",
    [
        "import threading\ndef add(a, b):\n    out = []\n"
        "    t = threading.Thread(target=lambda: out.append(a + b))\n"
        "    t.start(); t.join()\n    return out[0]",
        "import asyncio\nasync def slow(a, b):\n    await asyncio.sleep(0)\n    return a + b\n"
        "def add(a, b):\n    return asyncio.run(slow(a, b))",
        "import os\nos.environ['HOW'] = 'x'\ndef add(a, b):\n"
        "    assert os.environ['HOW'] == os.getenv('HOW') == 'x'\n    return a + b",
        "from concurrent.futures import ThreadPoolExecutor as P\ndef add(a, b):\n"
        "    with P(2) as pool:\n        return sum(pool.map(int, [a, b]))",
        "from __future__ import annotations\nimport dataclasses\n@dataclasses.dataclass\n"
        "class Pair:\n    a: int\n    b: int\n"
        "def add(a, b):\n    p = Pair(a, b)\n    return p.a + p.b",
        "print('x' * 10**5)\nimport sys\nsys.stdout.flush()\n" + ADD,
        "def add(a, b):\n    open('x', 'w').write(str(a + b))\n    return int(open('x').read())",
        ADD + "\nif __name__ == '__main__':\n    print(add(int(input()), 1))",
    ],
)
def test_what_correct_programs_do_works(walls, program):
    assert verdict(walls, program) == Verdict("passed")


def test_the_annotations_of_a_program_are_its_own(walls):
    program = "def f(x: int) -> str: ...\ndef kind(): return f.__annotations__['x'] is int"
    assert verdict(walls, program, "assert kind()") == Verdict("passed")


@pytest.mark.slow
@pytest.mark.parametrize("place", ["", "def add(a, b):\n    "])
def test_a_program_that_computes_without_end_is_stopped(walls, place):
    hasty = Walls(1, 256, walls.isolation)
    found = verdict(hasty, f"{place}while True: pass")
    assert (found.end, found.time_out) == ("failed", "cpu")


@pytest.mark.slow
def test_a_program_that_waits_is_stopped_by_the_clock(walls):
    hasty = Walls(1, 256, walls.isolation)
    before = time.monotonic()
    found = verdict(hasty, "import time\ntime.sleep(60)")
    assert (found.end, found.time_out, found.detail) == ("failed", "clock", "stopped after 3 s")
    assert time.monotonic() - before < 20


@pytest.mark.slow
def test_tests_that_a_reply_makes_slow_are_stopped(walls):
    """Objects that share their parts: few bytes, but no end of comparing them."""
    hasty = Walls(1, 256, walls.isolation)
    program = "def f():\n    x = [0]\n    for _ in range(100): x = [x, x]\n    return x"
    found = verdict(hasty, program, "assert f() == f()")
    assert (found.end, found.time_out) == ("failed", "cpu")


def test_too_much_data_is_a_failure(walls):
    found = verdict(walls, "def f(): return 'x' * 2**25", "assert len(f()) == 2**25")
    assert found.end == "failed"
    assert "more than 16777216 bytes" in found.detail
