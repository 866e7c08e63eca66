"""Programs in answers, also against the reference solutions of HumanEval."""

from __future__ import annotations

import gzip
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from instruct_scaling.evaluation.judge.sandbox import Verdict
from instruct_scaling.evaluation.judge.scorers.programs import extract_program, unit_tests

PROGRAM = "def add(a, b):\n    return a + b"
TESTS = "assert add(2, 3) == 5\nassert add(-1, 1) == 0"


@pytest.mark.parametrize(
    "response",
    [
        PROGRAM,
        f"Here it is:\n```python\n{PROGRAM}\n```\nIt adds.",
        f"```\n{PROGRAM}\n```",
        f"```py\n{PROGRAM}",  # cut off before the fence ends
        f"```bash\npip install x\n```\n```python\n{PROGRAM}\n```\n```python\nadd(1)\n```",
        PROGRAM.replace(" ", "\u00a0"),
        PROGRAM.replace("\n", "\r\n"),
        f"{PROGRAM}\n\nif __name__ == '__main__':\n    print(add(int(input()), 1))",
    ],
)
def test_programs_are_found_and_pass(response, sandbox):
    assert unit_tests(response, TESTS, sandbox).score == 1


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ("def add(a, b):\n    return a - b", "AssertionError"),
        ("def add(a, b)", "SyntaxError"),
        ("I cannot do that.", "SyntaxError"),
        ("x = 1", "NameError"),
        ("", "empty program"),
        ("```python\n```", "empty program"),
        ("def add(a, b):\n    return add(a, b)", "RecursionError"),
    ],
)
def test_wrong_programs_score_0_with_the_reason(response, reason, sandbox):
    outcome = unit_tests(response, TESTS, sandbox)
    assert outcome.score == 0
    assert reason in outcome.reason


def test_a_sandbox_that_does_not_start_says_nothing(sandbox, monkeypatch):
    monkeypatch.setattr(type(sandbox), "run", lambda *_: Verdict(False, False, "no room"))
    outcome = unit_tests(PROGRAM, TESTS, sandbox)
    assert (outcome.score, outcome.status, outcome.reason) == (None, "sandbox_error", "no room")


def test_only_the_first_python_block_counts():
    assert extract_program("```python\na\n```\ntext\n```python\nb\n```") == "a"


@pytest.mark.slow
def test_humaneval_solutions_pass_and_broken_ones_fail(real_data, sandbox):
    path = real_data / "HumanEval.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as handle:
        problems = [json.loads(line) for line in handle]

    def passes(problem: dict[str, str], body: str) -> float | None:
        tests = f"{problem['test']}\ncheck({problem['entry_point']})"
        return unit_tests(problem["prompt"] + body, tests, sandbox).score

    with ThreadPoolExecutor(4) as pool:
        right = list(pool.map(lambda p: passes(p, p["canonical_solution"]), problems))
        broken = list(pool.map(lambda p: passes(p, "    return None\n"), problems))
    names = [problem["task_id"] for problem in problems]
    assert [name for name, score in zip(names, right, strict=True) if score != 1] == []
    assert [name for name, score in zip(names, broken, strict=True) if score != 0] == []
