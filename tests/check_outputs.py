"""Check what a finished study left: `python -m tests.check_outputs results/STUDY`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd

from instruct_scaling.common.categories import CATEGORIES
from instruct_scaling.evaluation.judge.judgements import ZERO


def check_scores(scores: pd.DataFrame) -> None:
    """Raise AssertionError unless every run answered the same items and scores are honest."""
    answered = scores.groupby(["arm", "scale", "seed", "shots", "judge"]).item.nunique()
    assert answered.nunique() == 1, f"runs differ in the items they answered:\n{answered}"
    assert scores.score.dropna().between(0, 1).all(), "a score lies outside [0, 1]"
    assert scores[scores.status == "ok"].score.notna().all(), "a judgement without a score is ok"
    no_answer = scores.status.isin(ZERO)
    assert (scores[no_answer].score == 0).all(), "no answer, and yet a score above 0"
    failed = ~no_answer & (scores.status != "ok")
    assert scores[failed].score.isna().all(), "a failed judgement has a score"


def check(results: Path) -> None:
    """Raise AssertionError, saying what is wrong, unless the study is whole."""
    scores = pd.read_parquet(results / "tables" / "scores.parquet")
    check_scores(scores)
    assert set(scores.category) == set(CATEGORIES), "a category has no score"
    judged = scores[scores.score.notna()]
    assert len(judged) > 0.9 * len(scores), "more than a tenth of the judgements failed"

    curves = pd.read_csv(results / "tables" / "curves.csv")
    assert set(curves.category) == {*CATEGORIES, "overall"}, "a category has no curve"
    inside = curves.low.le(curves["mean"]) & curves["mean"].le(curves.high)
    assert inside.all(), f"a mean lies outside its interval:\n{curves[~inside]}"

    for train in results.glob("runs/*/n*/s*/train.json"):
        seen = json.loads(train.read_text("utf-8"))
        assert seen["loss"]["last"] < seen["loss"]["first"], f"{train}: the loss did not fall"

    losses = pd.read_csv(results / "tables" / "validation_loss.csv")
    mean = losses[losses.category == "overall"].groupby("fraction").loss.mean()
    assert mean[1.0] < mean[0.0], "the validation loss did not fall"

    drawn = sorted((results / "figures").glob("*.png"))
    assert len(drawn) >= 2, "Figure 1 and the curves were not drawn"
    for figure in drawn:
        assert figure.with_suffix(".csv").exists(), f"{figure} has no table"
    page = (results / "report.html").read_text("utf-8")
    assert page.count("data:image/png;base64,") >= len(drawn), "a figure is not in the report"
    print(f"{results}: {len(scores)} judgements, {len(drawn)} figures, a report; all whole")


if __name__ == "__main__":
    check(Path(sys.argv[1]))
