"""What a prompt gives belongs to the item: imports and functions before the one asked for."""

from __future__ import annotations

import pytest

from instruct_scaling.common.files import write_jsonl
from instruct_scaling.config.evaluation import EvalSet
from instruct_scaling.data.evalset.helpers import helpers_in
from instruct_scaling.data.evalset.stage import build_evalset

GIVEN = "import math\n\ndef double(x):\n    return 2 * x"
ASKED = 'def half(x):\n    """Half of x.\n\n    >>> half(2)\n    1\n    """'


@pytest.mark.parametrize(
    "prompt",
    [
        f"{GIVEN}\n\n\n{ASKED}\n",
        f"{GIVEN}\n\n{ASKED}\n    pass",
        f"{GIVEN}\n\ndef half(x):",
        f"Complete this:\n```python\n{GIVEN}\n\n{ASKED}\n```\nGive the function alone.",
        f"{GIVEN}\n\ndef other(x):\n    ...\n\n{ASKED}",  # asked for as well
    ],
)
def test_helpers_are_what_stands_before_the_function_asked_for(prompt):
    helpers = helpers_in(prompt)
    assert helpers == "import math\n\ndef double(x):\n    return 2 * x"


@pytest.mark.parametrize(
    "prompt",
    [ASKED, "Write a function half(x).", GIVEN, "写函数f(x)，返回x加1。", "", "half", "\0"],
)
def test_other_prompts_give_nothing(prompt):
    assert helpers_in(prompt) is None


def test_the_reader_of_an_eval_set_adds_them_to_items_with_tests(tmp_path):
    prompt = f"{GIVEN}\n\n{ASKED}"
    rows = [
        {"category": "code", "prompt": prompt, "checks": {"tests": "assert half(2) == 1"}},
        {"category": "code", "prompt": prompt + " ", "input": "x", "checks": {"min_chars": 3}},
        {
            "category": "code",
            "prompt": f"{prompt}\n# own",
            "checks": {"tests": "assert half(2) == 1", "helpers": "x = 1", "same_process": True},
        },
    ]
    write_jsonl(tmp_path / "a.jsonl", rows)
    source = {"type": "file", "path": str(tmp_path / "a.jsonl")}
    items, _ = build_evalset(EvalSet(sources=[source]))
    checks = {len(item.checks): item.checks for item in items}
    assert checks[2]["helpers"] == helpers_in(prompt)
    assert checks[1] == {"min_chars": 3}
    assert (checks[3]["helpers"], checks[3]["same_process"]) == ("x = 1", True)
