"""Five hundred odd score tables: each ends in tables or in one clear line, without a warning."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from analysis.errors import InputError
from analysis.options import CurveOptions
from analysis.pipeline import analyze
from analysis.scores import check_scores
from analysis.tables import SCHEMAS
from tests.analysis.random_tables import random_table
from tests.analysis.score_tables import LADDER, table

BLOCK = 50


def outcome(scores: pd.DataFrame, options: CurveOptions) -> dict[str, pd.DataFrame] | str:
    """Every table, or the message of an error in the input."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return analyze(check_scores(scores), options)
    except InputError as error:
        return str(error)


@pytest.mark.parametrize("first", range(0, 500, BLOCK))
def test_every_odd_table_ends_in_tables_or_in_one_line(first):
    written = 0
    for seed in range(first, first + BLOCK):
        tables = outcome(*random_table(seed))
        if isinstance(tables, str):
            assert tables.count("\n") <= 1  # what is wrong, and how to fix it
            continue
        written += 1
        assert set(tables) == set(SCHEMAS)
        curves = tables["curves"]
        assert curves["mean"].dropna().between(0, 1).all()
        ends = curves[["low", "high"]].dropna()
        assert ((ends["low"] >= 0) & (ends["low"] <= ends["high"]) & (ends["high"] <= 1)).all()
    assert written > BLOCK / 2


@pytest.mark.parametrize("seed", range(5))
def test_many_flat_noisy_arms_are_fitted_without_an_error(seed):
    """Steep logit lines through noise alone reach .1 at a scale too small for a float."""
    rng = np.random.default_rng(seed)
    scores = table(
        {f"c{number}": [0.5] * 5 for number in range(4)},
        scales=LADDER,
        items=6,
        seeds=2,
        run_sd=0.03,
        arms=tuple(f"a{number}" for number in range(4)),
        seed=seed,
    )
    scores["score"] = np.where(rng.random(len(scores)) < scores["score"], 1.0, 0.0)
    _, options = random_table(0)
    assert len(analyze(check_scores(scores), options)["fits"])


@pytest.mark.parametrize("seed", range(4))
def test_many_arms_near_the_floor_are_judged_without_an_error(seed):
    """Right or wrong at .03: pairs of scales whose scores happen to be the same item by item."""
    rng = np.random.default_rng(seed)
    scores = table({"c": [0.5] * 5}, items=40, arms=tuple(f"a{number}" for number in range(6)))
    scores["score"] = (rng.random(len(scores)) < 0.03).astype(float)
    _, options = random_table(0)
    assert len(analyze(check_scores(scores), options)["verdicts"]) == 12
