"""Two studies: paired by item where they can be, intervals that cover, and what was another."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.errors import InputError
from analysis.inference.studies import COLUMNS, compare_studies, verdict_changes
from analysis.options import CurveOptions
from analysis.scores import check_scores
from tests.analysis.score_tables import checked

MEANS = {"math": [0.3, 0.35, 0.4], "code": [0.5, 0.5, 0.52]}
SCALES = (250, 500, 1000)
OPTIONS = CurveOptions()


def study(seed: int, means=MEANS, **shape) -> pd.DataFrame:
    return checked(means, **{"scales": SCALES, "seed": seed} | shape)


def test_differences_are_second_minus_first_for_each_category_and_scale():
    a, b = study(1, base=True), study(2, base=True, seeds=2)
    found = compare_studies(a, b, OPTIONS)
    assert list(found.columns) == list(COLUMNS)
    assert found[["category", "scale"]].apply(tuple, axis=1).tolist() == [
        (category, 0) for category in ("code", "math", "overall")
    ] + [(category, scale) for category in ("code", "math", "overall") for scale in SCALES]
    means = [s.groupby(["category", "scale"])["score"].mean() for s in (a, b)]
    for row in found[found["category"] != "overall"].itertuples():
        assert row.difference == pytest.approx(
            means[1][row.category, row.scale] - means[0][row.category, row.scale]
        )
    assert (found["low"] < found["difference"]).all()
    assert (found["difference"] < found["high"]).all()
    assert found["paired"].all()
    assert set(found["seeds_a"]) == {1, 3}
    assert set(found["seeds_b"]) == {1, 2}


def test_a_study_and_itself_are_tied_as_far_as_its_runs_agree():
    a = study(1, seeds=1)
    found = compare_studies(a, a, OPTIONS)
    assert set(found["ties"]) == {1.0}
    assert found["difference"].abs().max() < 1e-12
    assert found["p_value"].isna().all()
    assert set(found["note"]) == {"one run: training noise is unmeasured, so no claim"}


def test_pairing_by_item_is_sharper_and_needs_the_same_items_and_judge():
    a, b = study(1, items=60), study(1, items=60, run_sd=0.004, noise=0.051)
    paired = compare_studies(a, b, OPTIONS)
    other = check_scores(b.assign(judge_version="2"))
    apart = compare_studies(a, other, OPTIONS)
    assert not apart["paired"].any()
    assert set(apart["note"]) == {"not paired: another version of the judge"}
    assert apart["difference"].tolist() == pytest.approx(paired["difference"].tolist())
    assert ((paired["high"] - paired["low"]) < 0.9 * (apart["high"] - apart["low"])).all()
    renamed = b.assign(item=b["item"].where(b["item"] != "math-000", "math-999"))
    found = compare_studies(a, check_scores(renamed.assign(cluster="")), OPTIONS)
    notes = found.set_index(["category", "scale"])["note"]
    assert notes["math", 250] == "not paired: the studies have other items (59 in common)"
    assert notes["overall", 250] == notes["math", 250]
    assert notes["code", 250] == ""


@pytest.mark.parametrize("version", ["1", "2"])
def test_intervals_cover_a_true_difference(version):
    """Items are the same ones in both studies (paired), or others of the same kind (not)."""
    hits, total = 0, 0
    rng = np.random.default_rng(0)
    for _ in range(20):
        ease = rng.normal(0, 0.1, (2, 6, 40))
        tables = []
        for side, mean in enumerate((0.45, 0.5)):
            rows = [
                (f"c{c}", f"c{c}-{i}", run, float(np.clip(value, 0, 1)))
                for run in range(3)
                for c in range(6)
                for i, value in enumerate(
                    mean
                    + ease[side if version == "2" else 0, c]
                    + rng.normal(0, 0.02)
                    + rng.normal(0, 0.05, 40)
                )
            ]
            table = pd.DataFrame(rows, columns=["category", "item", "seed", "score"])
            version_here = version if side else "1"
            tables.append(
                check_scores(
                    table.assign(arm="a", scale=100, judge="j", judge_version=version_here)
                )
            )
        found = compare_studies(*tables, OPTIONS)
        single = found[found["category"] != "overall"]
        hits += int(((single["low"] <= 0.05) & (single["high"] >= 0.05)).sum())
        total += len(single)
    assert 0.82 <= hits / total <= 0.98


def test_the_detectable_difference_is_shown_with_the_wanted_power():
    row = compare_studies(study(1, items=200), study(2, items=200), OPTIONS).iloc[0]
    half = (row["high"] - row["low"]) / 2
    # With many degrees of freedom (1.645 + .842) standard errors, where the interval has 1.645.
    least = (stats.norm.isf(0.05) + stats.norm.isf(0.2)) / stats.norm.isf(0.05)
    assert 1.3 * half < row["detectable"] < 1.02 * least * half


def test_the_only_arms_of_two_studies_are_the_same_arm():
    found = compare_studies(study(1, arms=("full",)), study(2, arms=("lora",)), OPTIONS)
    assert {*found["arm_a"], *found["arm_b"]} == {"full", "lora"}


@pytest.mark.parametrize(
    ("shape", "says"),
    [({"judges": ("other",)}, "no judge in common"), ({"arms": ("x", "y")}, "share no arm")],
)
def test_what_shares_nothing_is_refused(shape, says):
    with pytest.raises(InputError, match=says):
        compare_studies(study(1, arms=("full", "lora")), study(2, **shape), OPTIONS)


def test_only_verdicts_that_changed_are_listed():
    first = pd.DataFrame({"judge": "j", "arm": "full", "category": ["a", "b"]}).assign(
        verdict=["flat", "improving"], tail_slope=[0.0, 0.04]
    )
    second = first.assign(arm="lora", verdict=["flat", "plateaued"], tail_slope=[0.0, 0.01])
    (row,) = verdict_changes(first, second).to_dict("records")
    assert (row["category"], row["verdict_a"], row["verdict_b"]) == ("b", "improving", "plateaued")
    assert (row["tail_slope_a"], row["tail_slope_b"]) == (0.04, 0.01)
