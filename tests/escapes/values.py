"""Programs whose results lie about what they are or are equal to."""

PROGRAMS = {
    "equal_to_everything": "class All:\n    def __eq__(self, other): return True\n"
    "    def __ne__(self, other): return False\n    def __hash__(self): return 0\n"
    "def solve(numbers):\n    return All()",
    "integer_that_lies": "class Lie(int):\n    def __eq__(self, other): return True\n"
    "    def __ne__(self, other): return False\n    def __hash__(self): return 0\n"
    "    def __index__(self): return 14\n    def __int__(self): return 14\n"
    "def solve(numbers):\n    return Lie(1)",
    "text_that_lies": "class Lie(str):\n    def __eq__(self, other): return True\n"
    "    __hash__ = str.__hash__\ndef solve(numbers):\n    return Lie('')",
    "float_that_lies": "class Lie(float):\n    def __eq__(self, other): return True\n"
    "    def __sub__(self, other): return 0\n    def __abs__(self): return 0\n"
    "def solve(numbers):\n    return Lie('nan')",
    "list_that_lies": "class Lie(list):\n    def __eq__(self, other): return True\n"
    "    def __iter__(self): return iter([14])\n    def __len__(self): return 1\n"
    "def solve(numbers):\n    return Lie()",
    "dict_that_lies": "class Lie(dict):\n    def __eq__(self, other): return True\n"
    "    def __missing__(self, key): return 14\n    def items(self): return [(1, 14)]\n"
    "def solve(numbers):\n    return Lie()",
    "class_that_lies": "class Lie:\n    @property\n    def __class__(self): return int\n"
    "    def __eq__(self, other): return True\n    def __index__(self): return 14\n"
    "def solve(numbers):\n    return Lie()",
    "metaclass_that_lies": "class Meta(type):\n    def __eq__(self, other): return True\n"
    "    def __hash__(self): return 0\n    def __instancecheck__(self, thing): return True\n"
    "class Lie(metaclass=Meta): pass\ndef solve(numbers):\n    return Lie",
    "reflected_comparison": "class Lie:\n    def __eq__(self, other): return NotImplemented\n"
    "    def __getattr__(self, name): return lambda *a: True\n"
    "def solve(numbers):\n    return Lie()",
    "anything_of_mock": "from unittest.mock import ANY\ndef solve(numbers):\n    return ANY",
    "magic_mock": "from unittest.mock import MagicMock\ndef solve(numbers):\n"
    "    mock = MagicMock()\n    mock.__eq__.return_value = True\n    return mock",
    "path_with_state": "class Path:\n    count = 0\n    def __fspath__(self):\n"
    "        Path.count += 1\n        return '.' if Path.count < 2 else '/etc/passwd'\n"
    "def solve(numbers):\n    return len(open(Path()).read())",
    "pickles_itself": "class Lie:\n    def __reduce__(self): return (eval, ('14',))\n"
    "    def __reduce_ex__(self, version): return (eval, ('14',))\n"
    "    def __deepcopy__(self, memo): return 14\ndef solve(numbers):\n    return Lie()",
    "not_a_number": "def solve(numbers):\n    return float('nan')",
    "not_implemented": "def solve(numbers):\n    return NotImplemented",
    "a_function": "def solve(numbers):\n    return solve",
    "an_iterator_that_changes": "def solve(numbers):\n    yield from range(1000)",
    "an_endless_generator": "def solve(numbers):\n    while True:\n        yield 14",
    "an_endless_iterator": "import itertools\ndef solve(numbers):\n    return itertools.count()",
    "a_huge_integer": "def solve(numbers):\n    return 1 << (1 << 30)",
    "an_integer_too_long_to_print": "def solve(numbers):\n    return 10 ** 100000",
    "a_cycle": "def solve(numbers):\n    ring = []\n    ring.append(ring)\n    return ring",
    "a_cycle_through_a_tuple": "def solve(numbers):\n    ring = []\n    pair = (ring, 14)\n"
    "    ring.append(pair)\n    return pair",
    "a_deep_list": "def solve(numbers):\n    deep = []\n    for _ in range(200000):\n"
    "        deep = [deep]\n    return deep",
    "a_deep_dict": "def solve(numbers):\n    deep = {}\n    for _ in range(200000):\n"
    "        deep = {1: deep}\n    return deep",
    "a_wide_list": "def solve(numbers):\n    return [0] * 20_000_000",
    "a_billion_laughs": "def solve(numbers):\n    laugh = ['ha'] * 10\n"
    "    for _ in range(12):\n        laugh = [laugh] * 10\n    return laugh",
    "keys_of_one_hash": "class Key(str):\n    def __hash__(self): return 1\n"
    "def solve(numbers):\n    return {Key(n): n for n in range(3000)}",
    "changes_while_it_is_read": "import threading\ndef solve(numbers):\n"
    "    found = list(range(1000))\n    def change():\n        while True:\n"
    "            found.append(0)\n            found.clear()\n"
    "    threading.Thread(target=change, daemon=True).start()\n    return found",
    "arguments_replaced": "def solve(numbers):\n    numbers[:] = [0] * len(numbers)\n    return 0",
    "arguments_grow": "def solve(numbers):\n    numbers.extend([0] * 10_000_000)\n    return 0",
    "arguments_contain_themselves": "def solve(numbers):\n"
    "    numbers.append(numbers)\n    return 0",
    "arguments_of_objects": "class All:\n    def __eq__(self, other): return True\n"
    "    def __mul__(self, other): return 0\ndef solve(numbers):\n"
    "    numbers[:] = [All() for _ in numbers]\n    return 0",
    "raises_assertion_error": "def solve(numbers):\n    raise AssertionError",
    "raises_stop_iteration": "def solve(numbers):\n    raise StopIteration(14)",
    "raises_its_own_error": "class Quiet(BaseException):\n    def __str__(self): raise Quiet\n"
    "def solve(numbers):\n    raise Quiet",
    "raises_an_endless_chain": "def solve(numbers):\n    error = ValueError()\n"
    "    error.__context__ = error.__cause__ = error\n    raise error",
    "raises_a_huge_text": "def solve(numbers):\n    raise ValueError('x' * 10**8)",
    "text_of_surrogates": "def solve(numbers):\n    return '\\ud800' * 100",
    "recursion": "def solve(numbers):\n    return solve(numbers)",
    "recursion_in_repr": "class Lie:\n    def __repr__(self): return repr(self)\n"
    "    __str__ = __repr__\ndef solve(numbers):\n    raise ValueError(Lie())",
    "finalizer": "class Last:\n    def __del__(self):\n        Last()\ndef solve(numbers):\n"
    "    Last()\n    return 0",
    "context_that_swallows": "import contextlib\n@contextlib.suppress(BaseException)\n"
    "def solve(numbers):\n    assert False",
    "guesses_by_the_arguments": "import random\ndef solve(numbers):\n"
    "    return {0: 0, 1: 4, 3: 14, 10: 285}.get(len(numbers), random.random())",
    "guesses_by_the_count_of_calls": "calls = iter([14, 0, 4, 285])\ndef solve(numbers):\n"
    "    return next(calls, None)",
}
