"""docs/judging.md names what there is."""

from __future__ import annotations

from typing import get_args

from instruct_scaling.evaluation.judge.outcome import Status
from instruct_scaling.evaluation.judge.scorers import DEFAULT_SCORERS, SCORERS


def test_the_table_of_scorers_is_the_one_in_use(root):
    lines = (root / "docs" / "judging.md").read_text("utf-8").splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:3]] for line in lines if "| `" in line]
    documented = {
        category: scorer.strip("`")
        for categories, scorer in rows
        for category in categories.split(", ")
        if not category.startswith("`")
    }
    assert documented == DEFAULT_SCORERS


def test_every_scorer_and_status_is_explained(root):
    text = (root / "docs" / "judging.md").read_text("utf-8")
    assert [name for name in (*SCORERS, *get_args(Status)) if f"`{name}`" not in text] == []
