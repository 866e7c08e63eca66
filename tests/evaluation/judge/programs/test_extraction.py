"""The program of an answer, in the forms that people and models write."""

from __future__ import annotations

import threading
import time

import pytest

from instruct_scaling.evaluation.judge.programs.extraction import extract_program

ADD = "def add(a, b):\n    return a + b"
WRONG = "def add(a, b):\n    return a - b"
INDENTED = "\n".join(f"   {line}" for line in ADD.split("\n"))
QUOTED = "\n".join(f"> {line}" for line in ADD.split("\n"))

ANSWERS = {
    "bare": ADD,
    "one block": f"Here it is:\n```python\n{ADD}\n```\nIt adds.",
    "escaped for a web page": "```python\n"
    "def add(a, b):\n    if a &gt; 0:\n        return b + a\n    return a + b\n```",
    "unnamed block": f"```\n{ADD}\n```",
    "cut off before the fence ends": f"```py\n{ADD}",
    "usage first": f"Use it so:\n```python\nprint(add(1, 2))\n```\nCode:\n```python\n{ADD}\n```",
    "usage last": f"```python\n{ADD}\n```\n```python\nadd(1)\n```",
    "output last": f"```python\n{ADD}\nprint(add(1, 2))\n```\nOutput:\n```\n3\n```",
    "shell first": f"```bash\npip install x\n```\n```python\n{ADD}\n```",
    "shell without a name": f"```\npip install x\n```\n```\n{ADD}\n```",
    "helper and solution": "```python\ndef plus(a, b):\n    return a + b\n```\nand\n"
    "```python\ndef add(a, b):\n    return plus(a, b)\n```",
    "solution and helper": "```python\ndef add(a, b):\n    return plus(a, b)\n```\nwhere\n"
    "```python\ndef plus(a, b):\n    return a + b\n```",
    "import in a block of its own": "```python\nimport operator\n```\n"
    "```python\ndef add(a, b):\n    return operator.add(a, b)\n```",
    "corrected": f"```python\n{WRONG}\n```\nSorry, that subtracts.\n```python\n{ADD}\n```",
    "corrected, first raises": f"```python\n{WRONG}\nadd()\n```\nBetter:\n```python\n{ADD}\n```",
    "signature last": f"```python\n{ADD}\n```\n```python\ndef add(a, b): ...\n```",
    "broken second block": f"```python\n{ADD}\n```\n```python\ndef add(a, b)\n    ...\n```",
    "tildes": f"~~~python\n{ADD}\n~~~",
    "long fence around a short one": f"````markdown\n```python\n{ADD}\n```\n````",
    "indented fence": f"1. Write this:\n\n   ```python\n{INDENTED}\n   ```\n\n2. Done.",
    "indented fence, code not": f"1. Write this:\n\n   ```python\n{ADD}\n   ```",
    "quoted": f"> ```python\n{QUOTED}\n> ```",
    "upper case": f"```Python3\n{ADD}\n```",
    "attributes": f"```{{.python .numberLines}}\n{ADD}\n```",
    "title": f'```python title="add.py"\n{ADD}\n```',
    "byte order mark": f"\ufeff{ADD}",
    "byte order mark in a block": f"```python\n\ufeff{ADD}\n```",
    "Windows line ends": f"```python\n{ADD}\n```".replace("\n", "\r\n"),
    "no-break spaces": ADD.replace(" ", "\u00a0"),
    "prose before and after": f"Here is the function:\n\n{ADD}\n\nIt returns the sum.",
    "one word before and after": f"Sure\n\n{ADD}\n\nDone",
    "markers of MBPP": f"[BEGIN]\n{ADD}\n[DONE]",
    "prose close by": f"Solution:\n{ADD}\nThis adds two numbers.",
    "prose in Chinese": f"下面是函数：\n{ADD}\n这个函数返回两数之和。",
    "two runs in prose": "First a helper:\n\ndef plus(a, b):\n    return a + b\n\nThen:"
    "\n\ndef add(a, b):\n    return plus(a, b)\n\nThat is all.",
    "a text over lines in prose": 'So:\ndef add(a, b):\n    """Adds.\n\nNot indented.\n    """\n'
    "    parts = [\na,\nb,\n]\n    return sum(parts)\nThat is all.",
    "decorated": f"I use a cache.\n\nimport functools\n\n@functools.cache\n{ADD}\n\nDone.",
    "interactive": ">>> def add(a, b):\n...     return a + b\n...\n>>> add(1, 2)\n3",
    "inline": "Use `def add(a, b): return a + b` for that.",
    "a class beside it": f"```python\nclass Point:\n    pass\n\n{ADD}\n```",
    "assigned": "```python\nadd = lambda a, b: a + b\n```",
    "under main": f"```python\n{ADD}\n\nif __name__ == '__main__':\n    print(add(1, 2))\n```",
    "an escape that Python warns of": f"```python\nimport re\nX = '\\d'\n{ADD}\n```",
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_the_program_is_found(answer):
    names = {"__name__": "program"}
    exec(extract_program(answer, ["add"]), names)
    assert names["add"](2, 3) == 5


def test_without_wanted_names_every_block_with_definitions_counts():
    answer = f"```python\ndef other(): pass\n```\n```python\n{ADD}\n```\n```python\nadd(1, 2)\n```"
    assert extract_program(answer) == f"def other(): pass\n\n{ADD}"


@pytest.mark.parametrize(
    ("answer", "program"),
    [
        ("I cannot do that.", "I cannot do that."),
        ("```python\ndef add(a, b)\n```", "def add(a, b)"),
        ("```python\n```", ""),
        ("", ""),
    ],
)
def test_what_is_no_program_stays_as_it_is(answer, program):
    assert extract_program(answer, ["add"]) == program


LONG = {
    "open brackets": "x = [\n" * 4000,
    "heads": "def f():\n" * 4000,
    "fences": "```python\n" * 5000,
    "backquotes": "`" * 190_000,
    "parentheses": "(" * 100_000,
    "minus": "-" * 190_000 + "1",
    "attributes": "a." * 60_000 + "b",
    "nots": "not " * 40_000 + "1",
    "lambdas": "lambda: " * 20_000 + "1",
    "prose and code": "import x\nprose words\n" * 8000,
    "calls in brackets": "def add(a,b):\n" + " return (\n" * 3000,
    "quotes": "> " * 90_000,
    "prompts": ">>> x\n" * 30_000,
    "broken blocks": "```python\nx(\n```\n" * 10_000,
    "names in blocks": "```python\ndef a(): b()\ndef b(): a()\n```\n" * 4000,
    "a surrogate": "\ud800def f(): pass",
    "a null": "def add(a, b):\n    return '\0'",
    "blanks": " " * 190_000 + "x",
    "too long": "x = 1\n" * 100_000,
}


@pytest.mark.parametrize("answer", LONG.values(), ids=LONG)
def test_no_answer_stops_the_judge(answer):
    """In a thread, as in the judge: its stack is the smaller one."""
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(extract_program(answer, ["add"])))
    before = time.process_time()
    thread.start()
    thread.join()
    assert len(found) == 1
    assert time.process_time() - before < 5
