"""The whole analysis: degenerate tables, invariances, determinism, the command line."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.curves import analyze, curves
from analysis.errors import InputError
from analysis.options import CurveOptions
from analysis.scores import check_scores
from analysis.tables import SCHEMAS, frame, read_table
from tests.analysis.score_tables import checked, table

OPTIONS = CurveOptions(bootstrap_replicates=200, fit_draws=50)
MEANS = {"math": [0.3, 0.35, 0.4, 0.43, 0.45], "code": [0.5, 0.5, 0.52, 0.5, 0.51]}


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    return checked(MEANS, items=20, seeds=2, repeats=2, base=True)


@pytest.fixture(scope="module")
def tables(scores) -> dict[str, pd.DataFrame]:
    return analyze(scores, OPTIONS)


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Numbers that rest on no draw of seeds: the bootstrap is left out."""
    table = table.select_dtypes("number")
    return table[[column for column in table if not column.startswith("boot_")]]


def test_every_table_is_written_with_its_columns(tables):
    assert set(tables) == set(SCHEMAS)
    for name, found in tables.items():
        assert list(found.columns) == list(SCHEMAS[name])


def test_means_are_means_of_items_and_overall_the_plain_mean_of_categories(scores, tables):
    curves = tables["curves"].set_index(["category", "scale"])["mean"]
    by_hand = scores.groupby(["category", "scale"])["score"].mean()
    for (category, scale), mean in by_hand.items():
        assert curves[category, scale] == pytest.approx(mean)
    for scale in scores["scale"].unique():
        assert curves["overall", scale] == pytest.approx(
            (curves["math", scale] + curves["code", scale]) / 2
        )


def test_the_base_model_is_a_point_of_the_curve_but_not_of_the_ladder(scores, tables):
    base = tables["curves"].query("scale == 0")
    assert set(base["category"]) == {"math", "code", "overall"}
    assert (base["n_seeds"] == 1).all()
    assert base["noise"].str.contains("not tuned").all()
    without = analyze(scores[scores["scale"] > 0], OPTIONS)
    pd.testing.assert_frame_equal(without["verdicts"], tables["verdicts"])
    pd.testing.assert_frame_equal(without["fits"], tables["fits"])


def test_intervals_hold_the_mean_and_agree_with_the_bootstrap(tables):
    curves = tables["curves"]
    assert (curves["low"] < curves["mean"]).all()
    assert (curves["mean"] < curves["high"]).all()
    width = curves["high"] - curves["low"]
    check = curves["boot_high"] - curves["boot_low"]
    assert (check / width).between(0.6, 1.6).all()


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(random):
    scores = table(MEANS, items=8, seeds=2)
    order = list(range(len(scores)))
    random.shuffle(order)
    plain = analyze(check_scores(scores), OPTIONS)
    shuffled = analyze(check_scores(scores.iloc[order]), OPTIONS)
    for name in plain:
        pd.testing.assert_frame_equal(plain[name], shuffled[name])


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.permutations([3, 14, 159]))
def test_the_names_of_seeds_do_not_matter(names):
    scores = table(MEANS, items=8, seeds=3)
    plain = analyze(check_scores(scores), OPTIONS)
    renamed = analyze(
        check_scores(scores.assign(seed=scores["seed"].map(dict(enumerate(names))))), OPTIONS
    )
    for name in ("verdicts", "variance", "changes", "fits", "plan"):
        pd.testing.assert_frame_equal(numbers(plain[name]), numbers(renamed[name]))


def test_repeats_of_a_judge_are_averaged():
    scores = table(MEANS, items=10, repeats=3)
    key = [c for c in scores.columns if c not in ("repeat", "score")]
    averaged = scores.groupby(key, sort=False)["score"].mean().reset_index()
    three, one = (analyze(check_scores(t), OPTIONS) for t in (scores, averaged))
    pd.testing.assert_frame_equal(numbers(three["verdicts"]), numbers(one["verdicts"]))
    pd.testing.assert_frame_equal(numbers(three["curves"]), numbers(one["curves"]))


def test_a_failed_repeat_is_left_out_and_never_counts_as_zero():
    scores = table({"math": [0.8, 0.8]}, scales=(1, 2), items=5, repeats=3)
    scores.loc[scores["repeat"] == 2, ["score", "status"]] = [np.nan, "unparsed"]
    kept = scores[scores["repeat"] < 2]
    first, second = (analyze(check_scores(t), OPTIONS)["curves"] for t in (scores, kept))
    assert first["mean"].tolist() == pytest.approx(second["mean"].tolist())
    assert (first["n_missing"] == 0).all()


def test_one_item_gives_a_mean_without_an_interval():
    found = analyze(
        checked({"math": [0.4, 0.5], "code": [0.3, 0.4]}, scales=(1, 2), items=1), OPTIONS
    )
    assert found["curves"]["mean"].notna().all()
    assert found["curves"][["low", "high", "boot_low"]].isna().all().all()
    assert found["curves"]["note"].str.contains("one item").all()
    assert (found["verdicts"]["verdict"] == "undetermined").all()


def test_all_scores_equal_is_stated():
    scores = checked(MEANS, items=10).assign(score=0.5)
    found = analyze(scores, OPTIONS)
    assert found["curves"]["low"].isna().all()
    assert found["curves"]["note"].str.contains("all values are equal").all()
    assert (found["verdicts"]["verdict"] == "undetermined").all()
    assert found["verdicts"]["note"].str.contains("all scores are equal").all()
    assert (found["fits"]["status"] == "refused").all()


def test_all_wrong_in_clusters_says_what_the_bound_counts():
    scores = checked({"math": MEANS["math"]}, items=10, base=True).assign(score=0.0)
    scores["cluster"] = scores["item"].map(
        {n: f"c{k % 3}" for k, n in enumerate(scores.item.unique())}
    )
    point = analyze(scores, OPTIONS)["curves"].query("category == 'math'").iloc[-1]
    assert point["high"] == pytest.approx(1 - 0.05 ** (1 / 3))
    assert point["n_items"] == 10
    assert "from 3 independent values (a cluster of items counts once)" in point["note"]


def test_all_wrong_bounds_the_mean_by_the_number_of_items():
    found = analyze(checked(MEANS, items=20).assign(score=0.0), OPTIONS)["curves"]
    math = found[found["category"] == "math"]
    assert (math["low"] == 0).all()
    assert math["high"].tolist() == pytest.approx([1 - 0.05 ** (1 / 20)] * 5)


def test_a_scale_of_zeros_keeps_the_exact_bound_though_others_have_noise():
    scores = checked(MEANS, items=12, base=True, run_sd=0.001, noise=0.01)
    part = (scores["category"] == "code") & scores["scale"].isin([0, 250])
    scores.loc[part, "score"] = 0.0
    found = analyze(scores, OPTIONS)["curves"].set_index(["category", "scale"])
    for scale in (0, 250):
        assert found.loc[("code", scale), "high"] >= 1 - 0.05 ** (1 / 12)
        assert "from 12 independent values" in found.loc[("code", scale), "note"]
        overall = found.loc[("overall", scale)]
        assert overall["high"] - overall["mean"] > (1 - 0.05 ** (1 / 12)) / 2
        assert "1 of 2 categories" in overall["note"]
    assert "exact" not in found.loc[("code", 500), "note"]
    assert "exact" not in found.loc[("overall", 500), "note"]


def test_all_missing_is_stated():
    scores = checked(MEANS, items=10).assign(score=np.nan, status="timeout")
    found = analyze(scores, OPTIONS)
    assert found["curves"]["mean"].isna().all()
    assert (found["curves"]["bound_low"] == 0).all()
    assert (found["curves"]["bound_high"] == 1).all()
    assert (found["verdicts"]["verdict"] == "undetermined").all()


def test_a_category_without_scores_is_left_out_of_overall_and_named():
    scores = checked(MEANS, items=10)
    scores.loc[scores["category"] == "code", ["score", "status"]] = [np.nan, "no_reference"]
    found = analyze(scores, OPTIONS)["curves"].set_index(["category", "scale"])
    assert found.loc[("overall", 250), "mean"] == pytest.approx(found.loc[("math", 250), "mean"])
    assert "code" in found.loc[("overall", 250), "note"]


def test_a_seed_that_lacks_a_scale_is_left_out_and_named():
    scores = table(MEANS, items=10, seeds=3)
    part = scores[~((scores["seed"] == 2) & (scores["scale"] == 4000))]
    found = analyze(check_scores(part), OPTIONS)["verdicts"]
    assert (found["n_seeds"] == 2).all()
    assert found["note"].str.contains("seeds left out, not at every scale: 2").all()


def test_no_complete_seed_is_refused():
    scores = table(MEANS, items=5, seeds=2)
    gaps = ((scores["seed"] == 0) & (scores["scale"] == 250)) | (
        (scores["seed"] == 1) & (scores["scale"] == 500)
    )
    with pytest.raises(InputError, match="no seed has a run at every one"):
        analyze(check_scores(scores[~gaps]), OPTIONS)


def test_the_base_model_alone_is_refused():
    scores = table(MEANS, items=5).assign(scale=0).drop_duplicates(["seed", "item"])
    with pytest.raises(InputError, match="base model only"):
        analyze(check_scores(scores), OPTIONS)


def test_the_bootstrap_checks_slopes_and_fits(tables):
    verdicts = tables["verdicts"]
    width = verdicts["tail_high"] - verdicts["tail_low"]
    check = verdicts["boot_tail_high"] - verdicts["boot_tail_low"]
    assert (check / width).between(0.5, 1.6).all()
    fitted = tables["extrapolation"].query("status == 'extrapolated'")
    assert len(fitted)
    overlap = np.minimum(fitted["high"], fitted["boot_high"]) - np.maximum(
        fitted["low"], fitted["boot_low"]
    )
    assert (overlap > 0).all()


def test_the_command_line_writes_every_table_and_the_same_bytes_twice(tmp_path):
    table(MEANS, items=8, seeds=2).to_csv(tmp_path / "scores.csv", index=False)
    options = json.dumps({"bootstrap_replicates": 100, "fit_draws": 50})
    for out in ("first", "second"):
        curves(tmp_path / "scores.csv", tmp_path / out, options)
    for name in SCHEMAS:
        first = (tmp_path / "first" / f"{name}.csv").read_bytes()
        assert first == (tmp_path / "second" / f"{name}.csv").read_bytes()
        assert list(read_table(name, tmp_path / "first").columns) == list(SCHEMAS[name])
    assert sorted(p.name for p in (tmp_path / "first").iterdir()) == sorted(
        f"{name}.csv" for name in SCHEMAS
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ('{"interval": 2}', "interval"),
        ('{"no_such_option": 1}', "fix: the options are interval, "),
        ('{"tail_margn": 0.01}', "unknown option 'tail_margn'\n  fix: did you mean 'tail_margin'?"),
        ("{not json", "JSON"),
        ("none.json", "cannot be read"),
        ('{"extrapolate": 11}', "extrapolate"),
    ],
)
def test_bad_options_end_with_one_message(tmp_path, options, message):
    table(MEANS, items=5).to_csv(tmp_path / "scores.csv", index=False)
    with pytest.raises(InputError) as raised:
        curves(tmp_path / "scores.csv", tmp_path / "out", options)
    assert message in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_bad_input_ends_without_a_traceback(tmp_path, root):
    bad = table(MEANS, items=5)
    bad.loc[0, "score"] = 3.0
    bad.to_csv(tmp_path / "scores.csv", index=False)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "instruct_scaling",
            "curves",
            str(tmp_path / "scores.csv"),
            "--out",
            "x",
        ],
        capture_output=True,
        text=True,
        cwd=root,
        check=False,
    )
    assert done.returncode == 2
    assert "outside [0, 1]" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_row_with_an_unknown_column_is_a_programming_error():
    with pytest.raises(KeyError):
        frame("curves", [{"surprise": 1}])


def test_overall_names_the_categories_that_bring_it_no_noise():
    scores = checked(MEANS, items=10)
    scores.loc[scores["category"] == "code", "score"] = 0.0
    found = analyze(scores, OPTIONS)
    for name in ("curves", "verdicts"):
        overall = found[name].query("category == 'overall'")
        assert overall["note"].str.contains("all scores equal: code").all()
