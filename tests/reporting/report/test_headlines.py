"""The sentences at the top: only what the tables bear out, with intervals."""

from __future__ import annotations

from typing import Any

import pytest

from analysis.tables import frame
from instruct_scaling.config.study import Study
from instruct_scaling.reporting.report.tables import (
    answer_tables,
    arm_differences,
    curve_tables,
    verdict_tables,
)
from tests.reporting.report.page import rendered, texts

CATEGORIES = ["math", "code", "open_qa"]


def curves(means: dict[str, tuple[float, float]], arms: tuple[str, ...] = ("full",)) -> Any:
    """Curve tables of two scales (0 and 800), every interval 0.1 to either side."""
    rows = [
        {"judge": "m", "arm": arm, "category": category, "scale": scale, "mean": mean}
        | {"low": mean - 0.1, "high": mean + 0.1}
        for arm in arms
        for category, ends in means.items()
        for scale, mean in zip((0, 800), ends, strict=True)
    ]
    return curve_tables(frame("curves", rows), CATEGORIES)


def verdicts(rows: dict[str, dict[str, Any]], arms: tuple[str, ...] = ("full",)) -> Any:
    """Verdict tables with the given cells."""
    cells = [
        {"judge": "m", "arm": arm, "category": category, "ladder": "not shown", **row}
        for arm in arms
        for category, row in rows.items()
    ]
    return verdict_tables(frame("verdicts", cells), CATEGORIES)


@pytest.fixture
def headlines(default_config):
    """The sentences about curves, verdicts and differences between arms."""
    study = Study(**default_config)

    def of(curves, verdicts=(), differences=(), answers=()):
        context = {"curves": curves, "verdicts": verdicts, "differences": differences}
        context["answers"] = answers
        return texts(rendered("headlines.html.j2", study=study, decimals=2, **context), "li")

    return of


def test_overall_names_both_ends_with_intervals(headlines):
    sentences = headlines(curves({"overall": (0.2, 0.6)}))
    assert sentences == [
        "The mean over all categories is 0.60 [0.50, 0.70] at 800 records, against 0.20 "
        "[0.10, 0.30] for the untuned base (90% intervals)."
    ]


def test_one_seed_is_the_first_thing_said_and_nothing_is_claimed(headlines):
    noise = {"noise": "items only; training noise unmeasured", "margin": 0.02}
    row = noise | {"verdict": "undetermined", "rise": 0.2, "rise_low": 0.1, "rise_high": 0.3}
    overall = row | {"tail_slope": 0.05, "tail_low": 0.03, "tail_high": 0.07}
    sentences = headlines(
        curves({"math": (0.2, 0.6), "overall": (0.2, 0.6)}),
        verdicts({"math": row, "overall": overall}),
    )
    assert sentences[0].startswith("One seed: training noise is unmeasured")
    text = " ".join(sentences[1:])
    assert "+0.050 [+0.030, +0.070] per doubling" in text
    for claim in ("erdict", "ladder,", "lies above 0"):
        assert claim not in text


def answers(rows: dict[str, dict[str, Any]], bases: list[dict[str, Any]] = ()) -> Any:
    """Answer tables of one arm with the given cells."""
    key = {"judge": "m", "arm": "full"}
    cells = [key | {"category": name, "margin": 0.04, **row} for name, row in rows.items()]
    compared = [key | {"category": "overall", "which": "sufficient", **row} for row in bases]
    return answer_tables(frame("sufficient", cells), frame("base_comparison", compared), CATEGORIES)


ENOUGH = {
    "math": {"gain_upper": 0.09},
    "code": {"scale": 400, "gain_upper": 0.02},
    "open_qa": {"scale": 400, "gain_upper": 0.03},
    "overall": {"scale": 800, "gain_upper": 0.01, "signal_to_noise": 12.25}
    | {"last_gain": 0.004, "last_low": -0.01, "last_high": 0.018},
}


def test_what_is_enough_is_said_first(headlines):
    bases = [
        {"shots": 0, "scale": 800, "difference": 0.41, "low": 0.35, "high": 0.47},
        {"shots": 5, "scale": 800, "difference": 0.2, "low": 0.14, "high": 0.26},
    ]
    sentences = headlines(curves({"overall": (0.2, 0.6)}), answers=answers(ENOUGH, bases))
    assert sentences[:3] == [
        "400 records are enough for Code and Open QA (the largest scale gains less than 0.04 over "
        "them, 95%); no scale is shown to be enough for Math.",
        "The last doubling of the records gains +0.004 [−0.010, +0.018] over all categories (90% "
        "interval); the rise over the ladder is 12.2 times the standard deviation of a run.",
        "Tuned on 800 records, the mean over all categories differs from that of the untuned base "
        "by +0.41 [+0.35, +0.47], with 5 examples in its prompt by +0.20 [+0.14, +0.26] (90% "
        "intervals, paired by item).",
    ]
    assert sentences[3].startswith("The mean over all categories is 0.60")


def test_with_one_seed_nothing_is_said_to_be_enough(headlines):
    noise = {"noise": "items only; training noise unmeasured"}
    sentences = headlines(
        curves({"overall": (0.2, 0.6)}), verdicts({"overall": noise}), answers=answers(ENOUGH)
    )
    assert sentences[0].startswith("One seed")
    assert "enough" not in " ".join(sentences)


def test_where_nothing_is_shown_nothing_is_enough(headlines):
    rows = {"math": {"gain_upper": 0.09}, "code": {"statement": "no statement for Code: why"}}
    sentences = headlines(curves({"overall": (0.2, 0.6)}), answers=answers(rows))
    assert sentences[0] == "No scale is shown to be enough for Math."


def test_without_verdicts_only_intervals_apart_count(headlines):
    means = {"math": (0.2, 0.41), "code": (0.2, 0.39), "open_qa": (0.9, 0.1)}
    (sentences,) = headlines(curves(means))
    assert sentences == (
        "Comparing the 90% intervals at 800 records and at the base, the first lies above the "
        "other for 1 of 3 categories (Math); it lies below it for 1 of 3 categories (Open QA); it "
        "overlaps with it for 1 of 3 categories (Code)."
    )


def test_verdicts_are_counted_in_a_fixed_order_with_overall_apart(headlines):
    rows = {
        "math": {"verdict": "undetermined", "ladder": "improved"},
        "code": {"verdict": "improving"},
        "open_qa": {"verdict": "undetermined"},
        "overall": {"verdict": "flat", "tail_slope": 0.01, "tail_low": -0.002, "tail_high": 0.015}
        | {"margin": 0.02},
    }
    sentences = headlines(curves(dict.fromkeys(CATEGORIES, (0, 1))), verdicts(rows))
    assert sentences == [
        "Verdicts on 3 categories: improving in 1 (Code); undetermined in 2 (Math, Open QA).",
        "Over the tail of the ladder the mean over all categories changes by +0.010 "
        "[−0.002, +0.015] per doubling of the data (90% interval); verdict: flat at a margin of "
        "0.02.",
        "Over the whole ladder, corrected for the number of categories: improved in 1 (Math); no "
        "change shown in 2 (Code, Open QA).",
    ]


def test_a_slope_without_interval_is_not_claimed(headlines):
    rows = {"overall": {"verdict": "undetermined", "tail_slope": 0.5}}
    sentences = headlines(curves({"overall": (0.2, 0.6)}), verdicts(rows))
    assert len(sentences) == 1
    assert "0.5 " not in sentences[0]


def test_rise_counts_only_intervals_above_zero(headlines):
    rise = {"rise": 0.2, "rise_high": 0.4}
    rows = {
        "math": {"verdict": "flat", **rise, "rise_low": 0.05},
        "code": {"verdict": "flat", **rise, "rise_low": -0.01},
        "open_qa": {"verdict": "flat"},
    }
    sentences = headlines(curves(dict.fromkeys(CATEGORIES, (0, 1))), verdicts(rows))
    assert sentences[0] == "Verdicts on 3 categories: flat in all."
    assert sentences[-1] == (
        "For each category alone, not corrected for their number, the 90% interval of the rise "
        "from the first scale to the tail lies above 0 in 1 of 2 "
        "categories for which it is known (Math)."
    )


def test_many_arms_get_two_sentences_each(headlines):
    arms = ("a", "b", "c")
    means = {**dict.fromkeys(CATEGORIES, (0.1, 0.5)), "overall": (0.1, 0.5)}
    rows = {name: {"verdict": "flat" if name == "math" else "improving"} for name in CATEGORIES}
    sentences = headlines(curves(means, arms), verdicts(rows, arms))
    assert len(sentences) == 6
    assert sentences[1] == "Arm a: Verdicts on 3 categories: improving in 2; flat in 1."


def test_only_the_first_judge_is_quoted(headlines):
    tables = curves({"overall": (0.2, 0.6)})
    other = [{**table, "judge": "second"} for table in tables]
    pair = {"judge": "second", "category": "overall", "arm_a": "a", "arm_b": "b"}
    rows = [pair | {"scale": 250, "difference": 0.1, "low": 0.0, "high": 0.2}]
    differences = arm_differences(frame("comparisons", rows))
    assert headlines(tables + other, [], differences) == headlines(tables)


def test_ends_without_an_interval_are_not_quoted(headlines):
    (table,) = curves({"overall": (0.2, 0.6)})
    points = table["categories"]["overall"]
    points[1600] = points[800] | {"scale": 1600, "mean": 0.9, "low": None, "high": None}
    (sentence,) = headlines([table])
    assert "0.60 [0.50, 0.70] at 800 records" in sentence
    points[0] |= {"low": None, "high": None}
    assert headlines([table]) == []


@pytest.mark.parametrize("low", [None, 0.02])
def test_arms_are_compared_at_their_largest_common_scale(headlines, low):
    pair = {"judge": "m", "category": "overall", "arm_a": "a", "arm_b": "b", "difference": 0.1}
    rows = [
        pair | {"scale": 250, "low": 0.0, "high": 0.2},
        pair | {"scale": 800, "low": low, "high": 0.18},
    ]
    differences = arm_differences(frame("comparisons", rows))
    (sentences,) = headlines([], [], differences) or [""]
    assert sentences == ""  # no curves, no claims
    sentences = headlines(curves({"overall": (0, 1)}), [], differences)[-1]
    scale, ends = ("800", "[+0.02, +0.18]") if low else ("250", "[0.00, +0.20]")
    assert sentences == (
        f"At {scale} records the mean of a minus that of b is +0.10 {ends} (90% interval, paired)."
    )
