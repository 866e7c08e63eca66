"""The published curve: its assumptions are built exactly, and its verdicts are what docs say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.cli import main
from analysis.inference.contrasts import tail_weights
from analysis.paper import CLAIMS, FIGURE, ITEMS, Assumptions, paper_verdicts


def test_the_published_curve_is_mostly_undetermined():
    found = paper_verdicts(Assumptions()).set_index("category")
    assert set(found.index) == set(ITEMS) | {"overall"} == set(CLAIMS)
    assert (found["verdict"].drop("overall") == "undetermined").sum() >= 11
    assert found.loc["math", "tail_slope"] == pytest.approx(0.0525, abs=0.005)


@pytest.mark.parametrize("correlation", [0.3, 0.7])
def test_assumed_item_noise_is_built_exactly(correlation):
    """Weights that sum to 0 keep the part of the variance that two scales do not share."""
    found = paper_verdicts(Assumptions(graded_sd=0.3, correlation=correlation))
    row = found.set_index("category").loc["rewrite"]
    weights = tail_weights(np.array([200_000, 600_000, 1_000_000, 2_000_000]))
    se = 0.3 * np.sqrt((1 - correlation) * weights @ weights / ITEMS["rewrite"])
    half = stats.t.ppf(0.95, ITEMS["rewrite"] - 1) * se
    assert row["tail_high"] - row["tail_low"] == pytest.approx(2 * half)


def test_a_right_or_wrong_answer_has_the_variance_of_its_share():
    means = pd.read_csv(FIGURE).query("category == 'math'").sort_values("scale")["score"].to_numpy()
    weights = tail_weights(np.array([200_000, 600_000, 1_000_000, 2_000_000]))
    sd = np.sqrt(means * (1 - means))
    covariance = np.outer(sd, sd) * (0.5 + 0.5 * np.eye(4)) / ITEMS["math"]
    half = stats.t.ppf(0.95, ITEMS["math"] - 1) * np.sqrt(weights @ covariance @ weights)
    row = paper_verdicts(Assumptions()).set_index("category").loc["math"]
    assert row["tail_high"] - row["tail_low"] == pytest.approx(2 * half)


def test_run_noise_only_widens_the_published_intervals():
    plain = paper_verdicts(Assumptions())
    noisy = paper_verdicts(Assumptions(run_sd=0.01))
    assert (noisy["tail_high"] - noisy["tail_low"] > plain["tail_high"] - plain["tail_low"]).all()
    assert noisy["items_needed"].dropna().gt(100).all()
    assert "items_needed" not in plain


def test_the_text_names_its_assumptions(capsys):
    assert main(["paper"]) == 0
    printed = capsys.readouterr().out
    assert "arXiv 2303.14742" in printed
    assert "724 items and 4 seeds (classification" in printed
    for part in ("Assumed", "correlation 0.5", "one run per scale", "undetermined"):
        assert part in printed


def test_the_page_of_known_answers_holds_what_the_code_prints(root):
    page = (root / "docs" / "known-answers.md").read_text("utf-8")
    for row in paper_verdicts(Assumptions()).itertuples():
        line = next(part for part in page.splitlines() if part.startswith(f"| {row.category} |"))
        assert f"| {row.tail_slope:+.3f} | {row.tail_low:+.3f} to {row.tail_high:+.3f} |" in line
        assert f"| {row.verdict} | {row.ladder} |" in line
