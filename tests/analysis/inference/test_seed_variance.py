"""Variances of subset and training from crossed seeds, against known ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.inference.seed_variance import components, seed_variance_rows
from analysis.options import CurveOptions
from analysis.scores import check_scores

NAMES = ("subset", "training", "rest")


def layouts(count, shape, sds, seed=0):
    """[count, S, T] run means with the standard deviations of subset, training and rest."""
    rng = np.random.default_rng(seed)
    s, t = shape
    return (
        0.5
        + rng.normal(0, sds[0], (count, s, 1))
        + rng.normal(0, sds[1], (count, 1, t))
        + rng.normal(0, sds[2], (count, s, t))
    )


def test_the_mean_squares_of_a_known_layout():
    """Rows 1, 3 and columns +0, +2, without a rest."""
    found = {part.name: part for part in components(np.array([[1.0, 3.0], [4.0, 6.0]]), 0.9)}
    assert found["rest"].variance == pytest.approx(0)
    assert found["subset"].variance == pytest.approx(4.5)
    assert found["training"].variance == pytest.approx(2)
    assert [found[name].df for name in NAMES] == [1, 1, 1]


@pytest.mark.parametrize("shape", [(3, 2), (5, 4)])
def test_known_variances_are_recovered_and_covered(shape):
    sds, count = (0.03, 0.02, 0.01), 1500
    found = [components(layout, 0.9) for layout in layouts(count, shape, sds)]
    for index, sd in enumerate(sds):
        parts = [each[index] for each in found]
        covered = np.mean([part.low <= sd**2 <= part.high for part in parts])
        # Nominal .9; the binomial SD is .008. The interval of a difference is approximate.
        assert 0.87 < covered < 0.945, NAMES[index]
        mean = np.mean([part.variance for part in parts])
        # The SD of the mean is at most sqrt(2 / df / count) = 4% of it, and cutting at 0 adds some.
        assert mean == pytest.approx(sd**2, rel=0.15), NAMES[index]


def test_no_variance_of_the_subset_is_covered_too():
    """As at a scale that is the whole pool."""
    found = [components(layout, 0.9)[0] for layout in layouts(1000, (4, 3), (0, 0.02, 0.01))]
    assert np.mean([part.low == 0 for part in found]) > 0.93
    assert np.mean([part.variance == 0 for part in found]) > 0.4


def scores(items=20, categories=("code", "math"), missing=()):
    """A table of three subset seeds with two training seeds at two scales."""
    rng = np.random.default_rng(1)
    rows = []
    for category in categories:
        easiness = rng.normal(0, 0.2, items)
        for scale in (0, 10, 20):
            for label, (subset, training) in enumerate((s, t) for s in (4, 5, 6) for t in (1, 2)):
                if scale == 0 and label:
                    continue
                base = scale == 0
                mean = 0.5 + 0.02 * subset + 0.03 * training
                for item in range(items):
                    lost = (category, scale, label, item) in missing
                    rows.append(
                        {
                            "arm": "full",
                            "scale": scale,
                            "seed": label + 1,
                            "subset_seed": None if base else subset,
                            "training_seed": None if base else training,
                            "category": category,
                            "item": f"{category}{item}",
                            "judge": "exact",
                            "score": None if lost else float(np.clip(mean + easiness[item], 0, 1)),
                            "status": "failed" if lost else "ok",
                        }
                    )
    return check_scores(pd.DataFrame(rows))


def rows_of(table):
    found = seed_variance_rows(table, CurveOptions())
    return pd.DataFrame(found).set_index(["category", "scale", "component"])


def test_rows_are_by_category_and_scale_and_items_that_all_runs_share_drop_out():
    rows = rows_of(scores(categories=("code",)).assign(score=lambda t: t["score"].clip(0.01, 0.99)))
    assert set(rows.index.get_level_values("scale")) == {10, 20}
    assert set(rows.index.get_level_values("category")) == {"code", "overall"}
    assert (rows["n_subset"] == 3).all() and (rows["n_training"] == 2).all()
    own, overall = (rows.loc[name].drop(columns="note") for name in ("code", "overall"))
    pd.testing.assert_frame_equal(own, overall)


def test_the_overall_row_is_of_the_mean_of_the_categories():
    table = scores()
    rows = rows_of(table)
    runs = table[table["scale"] == 10].groupby(["subset_seed", "training_seed"])["score"].mean()
    expected = components(runs.to_numpy().reshape(3, 2), 0.9)
    for part in expected:
        assert rows.loc[("overall", 10, part.name), "variance"] == pytest.approx(part.variance)
    assert (rows.loc["overall", "n_items"] == 40).all()


def test_an_item_without_a_score_in_one_run_is_left_out_of_all():
    rows = rows_of(scores(missing={("math", 10, 3, 7)}))
    assert (rows.loc[("math", 10), "n_items"] == 19).all()
    assert rows.loc[("math", 10), "note"].str.contains("1 items without a score").all()
    assert (rows.loc[("math", 20), "n_items"] == 20).all()
    full = rows_of(scores())
    pd.testing.assert_frame_equal(full.loc[("math", 20)], rows.loc[("math", 20)])


@pytest.mark.parametrize(
    "edit",
    [
        lambda t: t.drop(columns=["subset_seed", "training_seed"]),
        lambda t: t.assign(training_seed=t["subset_seed"]),
        lambda t: t[(t["seed"] != 4) | (t["scale"] == 0)],
        lambda t: t[t["scale"] == 0],
    ],
)
def test_seeds_that_are_not_crossed_give_no_row(edit):
    table = scores()
    table["seed"] = table["seed"].where(table["scale"] > 0, 1)
    edited = edit(table)
    if "training_seed" in edited and (edited["training_seed"] == edited["subset_seed"]).any():
        edited = edited.drop_duplicates(["scale", "subset_seed", "item"])
    assert seed_variance_rows(edited, CurveOptions()) == []
