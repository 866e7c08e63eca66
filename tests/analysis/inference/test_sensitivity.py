"""Under which margins and tails a verdict stays the same."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.inference.contrasts import estimate_contrasts, tail_weights, with_margins, with_tail
from analysis.inference.curves import build_arm_curves
from analysis.inference.score_array import build_score_arrays
from analysis.options import CurveOptions
from analysis.pipeline import analyze
from tests.analysis.score_tables import LADDER, checked

OPTIONS = CurveOptions(fit_draws=50)
EXACT = {"items": 150, "noise": 0.02, "run_sd": 0.001}


def verdict(curve: list[float], options: CurveOptions = OPTIONS, **kwargs: object) -> pd.Series:
    rows = analyze(checked({"math": curve}, **(EXACT | kwargs)), options)["verdicts"]
    return rows.set_index("category").loc["math"]


def parts(text: str) -> dict[str, str]:
    return dict(part.split(": ") for part in text.split("; "))


def test_a_clear_rise_is_one_whatever_the_margins_and_the_tail():
    row = verdict([0.2, 0.3, 0.4, 0.5, 0.6])
    assert row["verdict"] == "improving"
    assert set(parts(row["margin_sensitivity"]).values()) == {"improving"}
    assert set(parts(row["tail_sensitivity"]).values()) == {"improving"}
    assert row["stable"] == "yes"


def test_a_slope_between_half_and_double_the_margin_hangs_on_it():
    """A level of +.015 per doubling: inside .02, outside .01."""
    row = verdict([0.4, 0.5, 0.6, 0.615, 0.63])
    assert row["verdict"] == "plateaued"
    assert parts(row["margin_sensitivity"]) == {"half": "improving", "double": "plateaued"}
    assert row["stable"] == "no"


def test_a_rise_that_ends_with_the_last_scale_hangs_on_the_tail():
    row = verdict([0.3, 0.3, 0.4, 0.5, 0.5])
    assert row["verdict"] == "improving"
    assert parts(row["tail_sensitivity"]) == {"last half": "plateaued", "last quarter": "improving"}


def test_tails_that_hold_the_same_scales_are_one_and_others_are_three():
    doubling, dense = (
        parts(verdict([0.5] * len(scales), scales=scales)["tail_sensitivity"])
        for scales in ((250, 500, 1000), (250, 500, 600, 700, 1000))
    )
    assert set(doubling) == {"last half", "last quarter"}
    assert set(dense) == {"last two scales", "last half", "last quarter"}


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_the_columns_say_what_an_analysis_with_those_margins_says(factor):
    changed = CurveOptions(fit_draws=50, tail_margin=0.02 * factor, range_margin=0.04 * factor)
    name = {0.5: "half", 2.0: "double"}[factor]
    curves = {
        "a": [0.5, 0.51, 0.5, 0.52, 0.51],
        "b": [0.4, 0.5, 0.6, 0.612, 0.63],
        "c": [0.01, 0.012, 0.01, 0.01, 0.011],
        "d": [0.5, 0.53, 0.5, 0.51, 0.52],
    }
    shape = {"items": 60, "noise": 0.03, "run_sd": 0.004}
    usual, other = (
        analyze(checked(curves, **shape), options)["verdicts"] for options in (OPTIONS, changed)
    )
    said = [parts(text)[name] for text in usual["margin_sensitivity"]]
    assert said == other["verdict"].tolist()


def test_no_claim_has_no_sensitivity():
    row = verdict([0.5] * 5, seeds=1)
    assert pd.isna(row["margin_sensitivity"])
    assert pd.isna(row["stable"])


def test_changed_evidence_is_that_of_a_fresh_estimate():
    (array,) = build_score_arrays(checked({"math": [0.5, 0.52, 0.51, 0.53, 0.52]}))
    covariance = build_arm_curves(array, OPTIONS).curves["math"].covariance
    scales = np.array(LADDER)
    usual = estimate_contrasts(covariance, scales, OPTIONS)
    wide = OPTIONS.model_copy(update={"tail_margin": 0.05, "range_margin": 0.1})
    fresh = estimate_contrasts(covariance, scales, wide)
    moved = with_margins(usual, covariance, tail_weights(scales), wide)
    assert (moved.p_level, moved.p_flat) == (fresh.p_level, fresh.p_flat)
    back = with_tail(
        with_tail(usual, covariance, scales, 1, OPTIONS), covariance, scales, 4, OPTIONS
    )
    assert (back.tail, back.rise, back.p_flat) == (usual.tail, usual.rise, usual.p_flat)
