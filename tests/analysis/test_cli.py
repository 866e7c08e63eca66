"""The command line: tables and figures, the planner, the published curve; exit codes."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest

from analysis.cli import curves, main
from analysis.errors import InputError
from analysis.tables import SCHEMAS
from tests.analysis.score_tables import table

STATED = ["plan", "--item-sd", "0.1", "--run-sd", "0.01", "--noise-sd", "0.1"]
CURVE = {"math": [0.4, 0.45, 0.5, 0.5, 0.5]}
QUICK = json.dumps({"fit_draws": 50})


@pytest.fixture
def scores(tmp_path):
    path = tmp_path / "scores.csv"
    table(CURVE, items=8, seeds=2).to_csv(path, index=False)
    return path


def test_tables_without_figures(scores, tmp_path, capsys):
    argv = [str(scores), "--out", str(tmp_path / "out"), "--no-figures", "--options", QUICK]
    assert main(argv) == 0
    assert capsys.readouterr().out == f"tables: {tmp_path / 'out' / 'tables'}\n"
    written = {path.stem for path in (tmp_path / "out" / "tables").iterdir()}
    assert written == set(SCHEMAS)
    assert not (tmp_path / "out" / "figures").exists()


def test_the_stage_writes_what_the_command_writes(scores, tmp_path):
    (tmp_path / "options.json").write_text(QUICK)
    main([str(scores), "--out", str(tmp_path), "--no-figures", "--options", QUICK])
    curves(scores, tmp_path / "stage", str(tmp_path / "options.json"))
    for name in SCHEMAS:
        written = (tmp_path / "tables" / f"{name}.csv").read_bytes()
        assert (tmp_path / "stage" / f"{name}.csv").read_bytes() == written


def test_figures_are_drawn_with_the_study_and_the_interval_of_the_options(
    scores, tmp_path, monkeypatch, capsys
):
    calls = []
    monkeypatch.setattr("analysis.figures.drawing.draw_all", lambda *a, **k: calls.append((a, k)))
    options = json.dumps({"interval": 0.8, "fit_draws": 50})
    assert main([str(scores), "--out", str(tmp_path), "--options", options]) == 0
    tables, figures = tmp_path / "tables", tmp_path / "figures"
    assert calls == [((tables, figures), {"title": "made", "interval": 0.8})]
    assert f"figures: {figures}" in capsys.readouterr().out


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
def test_bad_options_end_with_one_message(scores, tmp_path, options, message):
    with pytest.raises(InputError) as raised:
        curves(scores, tmp_path / "out", options)
    assert message in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_bad_score_is_one_message_and_exit_code_2(scores, tmp_path, capsys):
    bad = pd.read_csv(scores)
    bad.loc[0, "score"] = 3.0
    bad.to_csv(scores, index=False)
    assert main([str(scores), "--out", str(tmp_path / "out"), "--no-figures"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "outside [0, 1]" in error
    assert not (tmp_path / "out").exists()


def test_an_out_folder_that_is_a_file_is_one_message(scores, capsys):
    assert main([str(scores), "--out", str(scores), "--no-figures", "--options", QUICK]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [[], ["scores.csv"], ["plan", "--nope"], ["paper", "extra"]])
def test_a_wrong_command_line_is_exit_code_2(argv, capsys):
    assert main(argv) == 2
    assert "Usage" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["--help"], ["-h"], ["plan", "--help"], ["paper", "-h"]])
def test_help_is_exit_code_0(argv, capsys):
    assert main(argv) == 0
    assert "Usage: python -m analysis" in capsys.readouterr().out


def test_the_planner_prints_a_design_and_its_cost(capsys, tmp_path):
    argv = [*STATED, "--cost-per-run", "5", "--out", str(tmp_path / "new" / "plan.csv")]
    assert main(argv) == 0
    printed = capsys.readouterr().out
    assert "Cheapest:" in printed
    first = "power 0.8 to show that a tail slope of 0 lies within 0.02 per doubling (90% intervals)"
    assert f"Designs with {first}; variances as stated." in printed
    plan = pd.read_csv(tmp_path / "new" / "plan.csv")
    assert list(plan)[:3] == ["scales", "seeds", "items"]
    assert len(plan) == 3 * 5


def test_lists_of_scales_and_seeds_may_follow_one_option(tmp_path):
    out = tmp_path / "plan.csv"
    argv = [*STATED, "--scales", "4", "8", "--seeds", "3", "5", "--seeds", "9", "--out", str(out)]
    assert main(argv) == 0
    designs = pd.read_csv(out)[["scales", "seeds"]].to_numpy().tolist()
    assert designs == [[k, s] for k in (4, 8) for s in (3, 5, 9)]


def test_every_number_of_the_planner_reaches_the_table(tmp_path):
    out = tmp_path / "plan.csv"
    argv = [*STATED, "--scales", "5", "--seeds", "3", "--out", str(out), "--categories", "6"]
    main(argv)
    plain = pd.read_csv(out).iloc[0]
    main(
        [
            *(*argv, "--arms", "2", "--repeats", "4"),
            *("--cost-per-run", "10", "--cost-per-judgement", "0.01"),
        ]
    )
    row = pd.read_csv(out).iloc[0]
    assert row["items"] == plain["items"]
    assert row["runs"] == 30
    assert row["judgements"] == 30 * row["items"] * 6 * 4
    assert row["cost"] == pytest.approx(10 * 30 + 0.01 * row["judgements"])
    for option in ("--margin=0.017", "--power=0.95", "--interval=0.95", "--factor=1.5"):
        main([*argv, option])
        assert pd.read_csv(out).iloc[0]["items"] > plain["items"]


def test_one_seed_is_planned_only_when_run_noise_is_known(capsys):
    quiet = [*STATED, "--seeds", "1", "--run-sd", "0.002"]
    main(quiet)
    assert "None of these designs" in capsys.readouterr().out
    main([*quiet, "--run-sd-known"])
    assert "Fewest judgements:" in capsys.readouterr().out


def test_without_prices_there_is_no_cost(capsys):
    main([*STATED, "--seeds", "5"])
    printed = capsys.readouterr().out
    assert "Fewest judgements:" in printed
    assert "0.00" not in printed
    assert "slope of twice the margin" in printed


def test_plans_print_whole_counts(capsys):
    main([*STATED, "--repeats", "50", "--seeds", "5", "8"])
    out = capsys.readouterr().out
    assert re.search(r"\d,\d{3},\d{3} ", out)
    assert "e+" not in out


def test_a_pilot_gives_the_variances(scores, capsys):
    assert main(["plan", str(scores)]) == 0
    assert f"measured on {scores}" in capsys.readouterr().out


def test_several_answers_beside_a_pilot_need_their_noise(scores, capsys):
    assert main(["plan", str(scores), "--answers", "2"]) == 2
    assert "--answer-sd" in capsys.readouterr().err
    assert main(["plan", str(scores), "--answers", "2", "--answer-sd", "0.02"]) == 0
    assert main(["plan", str(scores), "--repeats", "3", "--judge-sd", "0.02"]) == 0


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["plan"], "neither a pilot nor"),
        (STATED[:-2], "neither a pilot nor"),
        ([*STATED, "--margin", "0"], "--margin"),
        ([*STATED, "--power", "1.5"], "--power"),
        ([*STATED, "--interval", "1"], "--interval"),
        ([*STATED, "--factor", "1"], "--factor"),
        ([*STATED, "--scales", "1"], "--scales"),
        ([*STATED, "--seeds", "0"], "--seeds"),
        ([*STATED, "--item-sd", "-1"], "--item-sd"),
        (["plan", "none.csv"], "no such file"),
    ],
)
def test_bad_plans_end_with_one_message(capsys, argv, message):
    assert main(argv) == 2
    assert message in capsys.readouterr().err


def test_a_pilot_of_one_seed_or_several_arms_is_refused(capsys, tmp_path):
    table(CURVE, seeds=1).to_csv(tmp_path / "one.csv", index=False)
    table(CURVE, arms=("a", "b")).to_csv(tmp_path / "two.csv", index=False)
    assert main(["plan", str(tmp_path / "one.csv")]) == 2
    assert "1 seeds" in capsys.readouterr().err
    assert main(["plan", str(tmp_path / "two.csv")]) == 2
    assert "--arm" in capsys.readouterr().err
    assert main(["plan", str(tmp_path / "two.csv"), "--arm", "a"]) == 0
    assert main(["plan", str(tmp_path / "two.csv"), "--arm", "c"]) == 2
