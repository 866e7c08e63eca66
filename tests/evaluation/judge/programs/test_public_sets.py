"""HumanEval and MBPP: every reference passes, no empty body does, no helper can be replaced."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from instruct_scaling.common.fetch import location
from instruct_scaling.common.records import checks_of
from instruct_scaling.evaluation.judge.programs.judging import Programs
from instruct_scaling.evaluation.judge.programs.walls import NoIsolation, Walls
from tests.evaluation.judge.programs.public_sets import Problem, humaneval, mbpp

WORKERS = 2
# Time enough for a loaded machine.
SECONDS = 20


@pytest.fixture(scope="module")
def walls() -> Walls:
    try:
        return Walls(SECONDS, 512)
    except NoIsolation as error:
        pytest.skip(f"{error}; {error.fix}")


@pytest.fixture(scope="module")
def problems(real_data) -> list[Problem]:
    return list(humaneval(real_data / "HumanEval.jsonl.gz"))


@pytest.fixture(scope="module")
def mbpp_problems(root) -> list[Problem]:
    folder = Path(os.environ.get("INSTRUCT_SCALING_OFFLINE", root.parent / "shared" / "offline"))
    sources = folder / "sources.csv"
    if not sources.is_file():
        pytest.skip(f"no copies of public sets at {folder} (set INSTRUCT_SCALING_OFFLINE)")
    with sources.open(encoding="utf-8") as handle:
        urls = [row["url"] for row in csv.DictReader(handle) if row["url"].endswith("/mbpp.jsonl")]
    path = folder / location(urls[0]) if urls else None
    if path is None or not path.is_file():
        pytest.skip(f"no mbpp.jsonl at {folder}")
    return list(mbpp(path))


def programs_of(walls: Walls, problems: list[Problem], kept: Path | None = None) -> Programs:
    items = {problem.item.id: (problem.item, checks_of(problem.item)) for problem in problems}
    return Programs(walls, items, WORKERS, kept)


def names(problems: list[Problem], ids) -> set[str]:
    return {problem.name for problem in problems if problem.item.id in ids}


@pytest.mark.slow
def test_humaneval_references_pass_and_empty_bodies_fail(problems, walls):
    programs = programs_of(walls, problems)
    assert len(problems) == 164
    assert names(problems, programs.unusable) == set()  # each reference was run
    answers = {p.name: (p.item.id, f"```python\n{p.empty}```") for p in problems}
    outcomes = dict(programs.judge(answers))
    assert {name for name, outcome in outcomes.items() if outcome.score != 0} == set()


CHEATS = {  # the item's function does nothing, and the prompt's own is made to fit
    "HumanEval/32": "def poly(xs, x):\n    return 0\ndef find_zero(xs):\n    return 1.0",
    "HumanEval/38": "def encode_cyclic(s):\n    return s\ndef decode_cyclic(s):\n    return s",
    "HumanEval/50": "def encode_shift(s):\n    return s\ndef decode_shift(s):\n    return s",
}


def test_wrong_programs_that_replace_the_prompts_helpers_fail(problems, walls):
    chosen = [problem for problem in problems if problem.name in CHEATS]
    programs = programs_of(walls, chosen)
    assert programs.unusable == {}
    wrong = {p.name: (p.item.id, CHEATS[p.name]) for p in chosen}
    assert {name: o.score for name, o in programs.judge(wrong)} == dict.fromkeys(CHEATS, 0)


def test_an_answer_may_leave_out_the_helpers_that_its_prompt_gives(problems, walls):
    chosen = [problem for problem in problems if problem.name in CHEATS]
    programs = programs_of(walls, chosen)
    alone = {}
    for problem in chosen:
        assert problem.item.reference is not None
        asked = problem.item.reference.rindex("\ndef ")
        alone[problem.name] = (problem.item.id, problem.item.reference[asked:])
    assert {outcome.score for _, outcome in programs.judge(alone)} == {1}


@pytest.mark.slow
def test_mbpp_references_pass_but_for_three_that_are_named(mbpp_problems, walls, tmp_path):
    programs = programs_of(walls, mbpp_problems, tmp_path / "kept")
    assert len(mbpp_problems) == 974
    lost = names(mbpp_problems, programs.unusable)
    assert lost == {"MBPP/367", "MBPP/533", "MBPP/927"}
    assert {outcome.status for outcome in programs.unusable.values()} == {"needs_same_process"}
    again = programs_of(walls, mbpp_problems, tmp_path / "kept")  # from what was kept
    assert again.unusable == programs.unusable
