"""The planner: precision by hand, its command line, and the published curve."""

from __future__ import annotations

import re

import numpy as np
import pytest

from analysis.__main__ import main
from analysis.curves import analyze
from analysis.inference.contrasts import slope_weights, tail_scales
from analysis.inference.covariance import Covariance
from analysis.inference.sample import from_scores
from analysis.inference.score_array import build_cubes
from analysis.options import CurveOptions
from analysis.paper import CLAIMS, ITEMS, Assumptions, paper_text, paper_verdicts
from analysis.power.design import (
    Components,
    components_of,
    power_within,
    precision,
    required_sample_size,
)
from analysis.power.plan import Costs, plan_table
from tests.analysis.score_tables import checked, table

STATED = ["plan", "--item-sd", "0.1", "--run-sd", "0.01", "--noise-sd", "0.1"]


def test_precision_by_hand():
    found = precision(Components(0.02, 0.0001, 0.01), 5, np.array(100), np.array(4))
    assert found.se == pytest.approx(np.sqrt(0.02 / 100 + (0.0001 + 0.01 / 100) / 4))


def test_components_are_recovered_from_a_pilot():
    rng = np.random.default_rng(0)
    scales = np.array([250, 500, 1000, 2000, 4000])
    y = (
        rng.normal(0.5, 0.2, 400)
        + rng.normal(0, 0.06, (5, 1, 400))
        + rng.normal(0, 0.02, (5, 20, 1))
        + rng.normal(0, 0.1, (5, 20, 400))
    )
    weights = slope_weights(scales, tail_scales(scales))
    across = weights @ weights
    found = components_of(Covariance(from_scores(y, np.arange(400))), scales)
    assert found.item == pytest.approx(across * 0.06**2, rel=0.25)
    assert found.run == pytest.approx(across * 0.02**2, rel=0.4)
    assert found.item_run == pytest.approx(across * 0.1**2, rel=0.1)


def test_what_settles_it_has_the_power_and_less_has_not():
    parts = Components(0.01, 0.0001, 0.01)
    items, seeds = required_sample_size(parts, 5, 0.02, 0.05, 0.8)
    enough = precision(parts, 5, np.array(items), np.array(seeds))
    half = precision(parts, 5, np.array(items / 2), np.array(seeds))
    assert power_within(enough, 0.02, 0.05) >= 0.8
    assert power_within(half, 0.02, 0.05) < 0.8


def test_unmeasured_run_noise_settles_nothing():
    assert (
        required_sample_size(Components(0.01, 0, 0, run_measured=False), 5, 0.02, 0.05, 0.8) is None
    )


def test_more_items_and_seeds_detect_less():
    plan = analyze(checked({"math": [0.4, 0.42, 0.45, 0.46, 0.47]}), CurveOptions())["plan"]
    grid = plan.query("category == 'math'").pivot(
        index="items", columns="seeds", values="detectable"
    )
    assert (np.diff(grid, axis=0) < 0).all()
    assert (np.diff(grid[[2, 3, 5, 8]], axis=1) < 0).all()


def test_the_promised_power_is_kept_by_simulation():
    rng = np.random.default_rng(1)
    scales = np.array([250, 500, 1000, 2000, 4000])
    weights = slope_weights(scales, tail_scales(scales))
    across = float(weights @ weights)
    parts = Components(across * 0.05**2, across * 0.01**2, across * 0.1**2)
    promised = float(power_within(precision(parts, 5, np.array(100), np.array(3)), 0.02, 0.05))
    shown = 0
    for _ in range(300):
        y = (
            0.5
            + rng.normal(0, 0.05, (5, 1, 100))
            + rng.normal(0, 0.01, (5, 3, 1))
            + rng.normal(0, 0.1, (5, 3, 100))
        )
        low, high = Covariance(from_scores(y, np.arange(100))).contrast(weights).interval(0.9)
        shown += low > -0.02 and high < 0.02
    assert shown / 300 == pytest.approx(promised, abs=0.08)


def test_the_command_line_prints_a_design_and_its_cost(capsys, tmp_path):
    argv = [*STATED, "--cost-per-run", "5", "--out", str(tmp_path / "plan.csv")]
    assert main(argv) == 0
    told = capsys.readouterr().out
    assert "Cheapest:" in told
    assert "variances as stated" in told
    assert (tmp_path / "plan.csv").read_text().startswith("scales,seeds,items")


def test_one_seed_is_planned_only_when_run_noise_is_known(capsys):
    main([*STATED, "--seeds", "1"])
    assert "None of these designs" in capsys.readouterr().out
    main([*STATED, "--seeds", "1", "--run-sd-known", "--run-sd", "0.002"])
    assert "Fewest judgements:" in capsys.readouterr().out


def test_without_prices_there_is_no_cost(capsys):
    main([*STATED, "--seeds", "5"])
    told = capsys.readouterr().out
    assert "Fewest judgements:" in told
    assert "0.00" not in told


def test_the_category_that_decides_is_named_and_the_settled_ones_are_counted():
    unit = {
        "easy": Components(0.01, 1e-6, 0.01),
        "noisy": Components(0.01, 0.01, 0.01),
        "noisiest": Components(0.01, 0.02, 0.01),
    }
    found = plan_table(unit, [5], [1, 3], 2.0, CurveOptions(), Costs()).set_index("seeds")
    assert found.loc[3, ["hardest", "settled"]].tolist() == ["noisiest", 1]
    assert np.isnan(found.loc[3, "items"])
    assert found.loc[1, "settled"] == 0


def test_a_pilot_gives_the_variances(capsys, tmp_path):
    table({"math": [0.4, 0.45, 0.5, 0.5, 0.5]}, items=50).to_csv(tmp_path / "p.csv", index=False)
    assert main(["plan", str(tmp_path / "p.csv")]) == 0
    assert "measured on" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["plan"], "neither a pilot nor"),
        ([*STATED, "--margin", "0"], "--margin"),
        ([*STATED, "--power", "1.5"], "--power"),
        ([*STATED, "--scales", "1"], "--scales"),
        (["plan", "none.csv"], "no such file"),
    ],
)
def test_bad_plans_end_with_one_message(capsys, argv, message):
    assert main(argv) == 2
    assert message in capsys.readouterr().err


def test_a_pilot_of_one_seed_or_several_arms_is_refused(capsys, tmp_path):
    curve = {"math": [0.4, 0.45, 0.5, 0.5, 0.5]}
    table(curve, seeds=1).to_csv(tmp_path / "one.csv", index=False)
    table(curve, arms=("a", "b")).to_csv(tmp_path / "two.csv", index=False)
    assert main(["plan", str(tmp_path / "one.csv")]) == 2
    assert "1 seeds" in capsys.readouterr().err
    assert main(["plan", str(tmp_path / "two.csv")]) == 2
    assert "--arm" in capsys.readouterr().err
    assert main(["plan", str(tmp_path / "two.csv"), "--arm", "a"]) == 0


def test_tables_without_figures_from_the_main_command(tmp_path, capsys):
    scores = table({"math": [0.4, 0.45, 0.5, 0.5, 0.5]}, items=10)
    scores.to_csv(tmp_path / "scores.csv", index=False)
    assert main([str(tmp_path / "scores.csv"), "--out", str(tmp_path), "--no-figures"]) == 0
    assert (tmp_path / "tables" / "verdicts.csv").is_file()


def test_the_published_curve_is_mostly_undetermined():
    found = paper_verdicts(Assumptions()).set_index("category")
    assert set(found.index) == set(ITEMS) | {"overall"} == set(CLAIMS)
    assert (found["verdict"].drop("overall") == "undetermined").sum() >= 11
    assert found.loc["math", "tail_slope"] == pytest.approx(0.0525, abs=0.005)


def test_run_noise_only_widens_the_published_intervals():
    plain = paper_verdicts(Assumptions())
    noisy = paper_verdicts(Assumptions(run_sd=0.01))
    assert (noisy["tail_high"] - noisy["tail_low"] > plain["tail_high"] - plain["tail_low"]).all()
    assert noisy["items_needed"].dropna().gt(100).all()


def test_assumed_item_noise_is_built_exactly():
    loose = paper_verdicts(Assumptions(graded_sd=0.4)).set_index("category")
    tight = paper_verdicts(Assumptions(graded_sd=0.2)).set_index("category")
    width = {name: t["tail_high"] - t["tail_low"] for name, t in (("l", loose), ("t", tight))}
    assert (width["l"] / width["t"])["rewrite"] == pytest.approx(2.0)
    assert (width["l"] / width["t"])["math"] == pytest.approx(1.0)


def test_the_text_names_its_assumptions():
    told = paper_text()
    assert "724 items and 4 seeds (classification" in told
    for part in ("Assumed", "correlation 0.5", "one run per scale", "undetermined"):
        assert part in told


def test_a_cube_holds_runs_crossed_with_items():
    cube = build_cubes(checked({"math": [0.4, 0.5]}, scales=(10, 20), items=7, seeds=2))[0]
    assert cube.categories["math"].values.shape == (2, 2, 7)


def test_an_out_folder_that_is_a_file_is_one_message(capsys, tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("a file")
    table({"math": [0.4, 0.5]}, scales=(1, 2), items=5).to_csv(tmp_path / "t.csv", index=False)
    assert main([str(tmp_path / "t.csv"), "--out", str(taken), "--no-figures"]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_plans_print_whole_counts(capsys):
    main([*STATED, "--repeats", "50", "--seeds", "5", "8"])
    out = capsys.readouterr().out
    assert re.search(r"\d,\d{3},\d{3} ", out)
    assert "e+" not in out
