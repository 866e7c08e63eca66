"""The metric judge as a whole, also on the built-in eval set and on a real one."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from instruct_scaling.common.categories import CATEGORIES
from instruct_scaling.common.errors import InputError
from instruct_scaling.common.records import EvalItem
from instruct_scaling.config.judges import MetricJudge, ScorerName
from instruct_scaling.data.synthetic.generate import generate_items
from instruct_scaling.evaluation.judge.judgements import Status
from instruct_scaling.evaluation.judge.metric import (
    DEFAULT_SCORERS,
    SCORERS,
    choose_scorers,
    judge_all,
    judge_version,
)
from instruct_scaling.evaluation.judge.programs import walls
from instruct_scaling.evaluation.judge.programs.walls import Walls
from tests.evaluation.judge.conftest import answer

METRIC = MetricJudge(type="metric")


def judge(pairs, config=METRIC):
    items = {item.id: item for item, _ in pairs}
    answers = [answer(item, text) for item, text in pairs]
    return judge_all(config, "m", items, answers, workers=2)


@pytest.fixture(scope="module")
def synthetic() -> list[EvalItem]:
    return list(generate_items(4, 0))


def test_every_category_has_a_default_scorer():
    assert set(DEFAULT_SCORERS) == set(CATEGORIES)
    assert set(DEFAULT_SCORERS.values()) <= set(SCORERS)


def test_the_config_knows_every_scorer():
    assert set(get_args(ScorerName)) == set(SCORERS)


@pytest.mark.usefixtures("walls")
def test_the_built_in_references_have_full_marks(synthetic):
    judgements, programs = judge([(item, item.reference or "") for item in synthetic])
    assert [row.score for row in judgements] == pytest.approx([1] * len(synthetic))
    assert programs["items"] == sum(item.category == "code" for item in synthetic)
    assert programs["bad_tests"] == programs["needs_same_process"] == []
    assert [row.item for row in judgements] == [item.id for item in synthetic]


@pytest.mark.usefixtures("walls")
def test_the_answers_to_other_items_have_not(synthetic):
    shifted = synthetic[len(synthetic) // 2 :] + synthetic[: len(synthetic) // 2]
    pairs = [(item, other.reference or "") for item, other in zip(synthetic, shifted, strict=True)]
    scores = [row.score for row in judge(pairs)[0]]
    assert all(score is not None and score < 0.5 for score in scores)


@pytest.mark.usefixtures("walls")
def test_empty_answers_are_judged_and_worth_nothing(synthetic):
    assert {row.score for row in judge([(item, "") for item in synthetic])[0]} == {0}


def test_judgements_carry_the_judge_and_one_version(synthetic):
    rows = judge([(item, "x") for item in synthetic[:2]])[0]
    assert {(row.judge, row.repeat, row.status) for row in rows} == {("m", 1, "unparsable")}
    assert len({row.judge_version for row in rows}) == 1


def test_code_is_missing_with_the_reason_where_nothing_keeps_programs_apart(monkeypatch, caplog):
    """Not 0: the machine says nothing of the answer. Everything else is judged."""
    code = EvalItem.make("code", "Add.", reference="x = 1", checks={"tests": "assert x == 1"})
    other = EvalItem.make("math", "1 + 1?", reference="2")
    monkeypatch.setattr(Walls, "problem", lambda *_: "No permissions")
    judgements, programs = judge([(code, "x = 1"), (other, "2")])
    assert [(one.score, one.status) for one in judgements] == [(None, "no_isolation"), (1, "ok")]
    assert "No permissions" in judgements[0].reason
    assert "doctor" in judgements[0].reason
    assert "code stays without a score" in caplog.text
    assert programs is None


def test_unprotected_programs_run_only_if_asked_for_and_never_as_root(monkeypatch):
    item = EvalItem.make("code", "Add.", reference="x = 1", checks={"tests": "assert x == 1"})
    asked = MetricJudge(type="metric", unprotected_programs=True)
    monkeypatch.setattr(Walls, "problem", lambda *_: "No permissions")
    monkeypatch.setattr(walls, "_is_root", lambda: False)
    judgements, programs = judge([(item, "x = 1"), (item, "x = 2")], asked)
    assert [one.score for one in judgements] == [1, 0]
    assert "unprotected" in programs["isolation"]
    monkeypatch.setattr(walls, "_is_root", lambda: True)
    judgements, _ = judge([(item, "x = 1")], asked)
    assert judgements[0].status == "no_isolation"


def test_no_sandbox_without_programs():
    item = EvalItem.make("open_qa", "q", reference="r")
    assert judge([(item, "r")])[1] is None


@pytest.mark.parametrize(
    ("category", "lacking", "status"),
    [("math", "no reference", "no_reference"), ("code", "no unit tests", "no_tests")],
)
def test_an_item_that_cannot_be_scored_stops_or_is_missing(category, lacking, status):
    bare = EvalItem.make(category, "q")
    whole = EvalItem.make("open_qa", "q", reference="r")
    with pytest.raises(InputError) as caught:
        judge([(whole, "r"), (bare, "42")])
    assert f"{bare.id} ({category}) has {lacking}" in str(caught.value)
    assert "1 of 2 items" in str(caught.value)
    assert "on_missing_reference: missing" in str(caught.value)
    lenient = MetricJudge(type="metric", on_missing_reference="missing")
    rows = judge([(whole, "r"), (bare, "42")], lenient)[0]
    assert [(row.score, row.status) for row in rows] == [(1, "ok"), (None, status)]


def test_open_ended_items_need_no_reference():
    item = EvalItem.make("brainstorming", "Ideas for a name day?", language="en")
    text = "Bake a cake, write a poem, plant a tree, call old friends, sing a song, take a walk."
    assert judge([(item, text)])[0][0].score == 1


def test_a_reference_outside_its_labels_is_refused():
    item = EvalItem.make("classification", "q", reference="green", checks={"labels": ["a", "b"]})
    with pytest.raises(InputError, match=f"item {item.id}: reference 'green'"):
        judge([(item, "a")])


def test_scorers_can_be_chosen_by_category():
    config = MetricJudge(type="metric", scorers={"open_qa": "exact_match", "poetry": "fluency"})
    poem = EvalItem.make("poetry", "q", language="en")
    fact = EvalItem.make("open_qa", "q", reference="New York")
    rows = judge([(poem, "Roses are red"), (fact, "in New York")], config)[0]
    assert [row.score for row in rows] == [1, 0]


def test_a_category_of_ones_own_needs_a_choice():
    with pytest.raises(InputError, match="no scorer for the category `poetry`"):
        choose_scorers(["math", "poetry"], {})


def test_the_version_follows_what_decides_a_score():
    scorers = choose_scorers(["math", "open_qa"], {})
    version = judge_version(METRIC, scorers)
    assert judge_version(METRIC, choose_scorers(["open_qa", "math"], {})) == version
    raised = scorers | {"math": replace(scorers["math"], version=99)}
    assert judge_version(METRIC, raised) != version
    exact = choose_scorers(["math", "open_qa"], {"open_qa": "exact_match"})
    assert judge_version(METRIC, exact) != version
    slow = MetricJudge(type="metric", code_timeout_seconds=9)
    assert judge_version(slow, scorers) == version  # no programs, no time limit
    with_code = choose_scorers(["code"], {})
    assert judge_version(slow, with_code) != judge_version(METRIC, with_code)
    large = MetricJudge(type="metric", code_memory_mb=1024)
    assert judge_version(large, with_code) != judge_version(METRIC, with_code)


def test_the_public_belle_set_can_be_judged(real_data):
    """Its references judged against themselves: full marks, or missing with a reason."""
    import json

    from instruct_scaling.common.categories import canonical_category

    pairs = {}
    for line in (real_data / "belle_eval_2023-04.jsonl").read_text("utf-8").splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        category = canonical_category(row["class"])
        assert category is not None
        item = EvalItem.make(category, row["question"], reference=row["std_answer"], language="zh")
        pairs[item.id] = (item, item.reference or row["question"])
    lenient = MetricJudge(type="metric", on_missing_reference="missing")
    rows = judge(list(pairs.values()), lenient)[0]
    statuses = {(pairs[row.item][0].category, row.status) for row in rows}
    lost = {("rewrite", "no_reference"), ("code", "no_tests")}
    # A prompt given back is no answer in the open-ended categories.
    scored = {("generation", "unparsable"), ("brainstorming", "unparsable")}
    assert {pair for pair in statuses if pair[1] != "ok"} == lost | scored
    with_reference = [row.score for row in rows if pairs[row.item][0].reference and row.score]
    assert min(with_reference) == pytest.approx(1)


def test_the_table_of_scorers_is_the_one_in_use(root):
    lines = (root / "docs" / "judging.md").read_text("utf-8").splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:3]] for line in lines if "| `" in line]
    documented = {
        category: scorer.strip("`")
        for categories, scorer in rows
        for category in categories.split(", ")
        if not category.startswith("`") and scorer.strip("`").isidentifier()
    }
    assert documented == DEFAULT_SCORERS


def test_every_scorer_and_status_is_explained(root):
    text = (root / "docs" / "judging.md").read_text("utf-8")
    assert [name for name in (*SCORERS, *get_args(Status)) if f"`{name}`" not in text] == []
