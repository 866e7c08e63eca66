"""`validate`, `plan` and `run` on a config file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from instruct_scaling.commands.study import (
    RERUN_TRIGGERS,
    needs_data_first,
    profile_folder,
    snakemake_arguments,
)
from instruct_scaling.common.errors import InputError
from tests.commands.test_cli import cli
from tests.studies import ROOT, tiny_study

LOCAL = ROOT / "workflow" / "profiles" / "local"


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The config file of the tiny study, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(tiny_study()), "utf-8")
    return path


def test_a_valid_config_is_one_line_with_its_counts(study):
    done = cli("validate", str(study))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"{study}: OK (study tiny: 2 arms, 2 scales, 1 seed, 1 judge, 4 runs to fine-tune, "
        "5 models to evaluate)\n"
    )


def test_a_config_with_mistakes_is_a_line_for_each(study):
    text = study.read_text("utf-8")
    study.write_text(text.replace("pool: own", "pool: won").replace("ladder:", "lader:"), "utf-8")
    done = cli("validate", str(study))
    assert done.returncode == 2
    assert "unknown key; did you mean 'ladder'?" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["validate", "plan", "run"])
def test_a_missing_config_is_named(command, tmp_path):
    done = cli(command, str(tmp_path / "none.yaml"))
    assert done.returncode == 2
    assert "none.yaml: no such config file" in done.stderr


def test_the_plan_of_a_study_is_printed_without_running_anything(study):
    done = cli("plan", str(study))
    assert done.returncode == 0
    assert "Plan of study 'tiny'" in done.stdout
    assert list(study.parent.iterdir()) == [study]


def test_a_run_shows_a_line_for_each_finished_step_and_nothing_of_its_output(study):
    done = cli("run", str(study), "--until", "evalset", "runs", "--cores", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stderr.splitlines()
    assert "steps to run: 2" in lines
    steps = [re.sub(r" +", " ", line) for line in lines if line.startswith("[")]
    pattern = r"\[{}/2\] (evalset|runs) [\d.]+ s .*"
    assert all(re.fullmatch(pattern.format(n), step) for n, step in enumerate(steps, 1))
    assert len(steps) == 2
    assert "all done in" in steps[-1]
    assert "results: results/tiny" in lines
    assert done.stdout == ""
    again = cli("run", str(study), "--until", "evalset", "runs", "--cores", "1")
    assert again.returncode == 0
    assert not re.search(r"^\[", again.stderr, re.MULTILINE)


def test_a_failed_step_shows_its_error_and_the_way_to_go_on(study):
    config = tiny_study()
    config["evalset"]["sources"] = [{"type": "file", "path": "items.jsonl"}]
    study.write_text(yaml.safe_dump(config), "utf-8")
    (study.parent / "items.jsonl").write_text('{"prompt": "How?"\n', "utf-8")
    done = cli("run", str(study), "--until", "evalset", "--cores", "1")
    assert done.returncode == 1
    assert "FAILED evalset: results/tiny/logs/evalset.log" in done.stderr
    assert "error: items.jsonl, line 1" in done.stderr
    assert "0 of 1 steps done; run the same command again to continue" in done.stderr
    assert "Traceback" not in done.stderr
    assert "python -m instruct_scaling" not in done.stderr


def test_snakemake_s_own_log_is_there_on_request_and_in_a_dry_run(study):
    done = cli("run", str(study), "--verbose", "--dry-run", "--until", "runs")
    assert "localrule runs" in done.stdout or "rule runs" in done.stdout
    planned = cli("run", str(study), "-n", "--until", "runs")
    assert planned.returncode == 0
    assert "rule runs" in planned.stderr
    assert "Plan of study 'tiny'" in planned.stderr


def test_an_option_that_snakemake_lacks_is_a_usage_error(study):
    done = cli("run", str(study), "--no-such-option")
    assert done.returncode == 2
    assert "unrecognized arguments: --no-such-option" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "first"),
    [
        ([], True),
        (["figures", "--cores", "2"], True),
        (["-n"], False),
        (["--until=subset"], False),
        (["--forcerun", "judge"], False),
        (["--unlock"], False),
    ],
)
def test_data_come_first_where_models_are_there_and_all_is_run(tmp_path, arguments, first):
    assert not needs_data_first(tmp_path, arguments)
    (tmp_path / "runs").mkdir()
    assert needs_data_first(tmp_path, arguments) == first


def test_arguments_come_before_options_that_would_swallow_them(study):
    arguments = snakemake_arguments(study, LOCAL, ["figures", "--cores", "2"])
    assert arguments[:3] == ["figures", "--cores", "2"]
    at = arguments.index("--rerun-triggers")
    assert arguments[at + 1 : at + 5] == list(RERUN_TRIGGERS)
    assert "code" not in RERUN_TRIGGERS
    own = snakemake_arguments(study, LOCAL, ["--rerun-triggers", "mtime"])
    assert own.count("--rerun-triggers") == 1


def test_a_profile_is_a_shipped_one_or_a_folder(study, tmp_path):
    shipped = ROOT / "workflow" / "profiles" / "slurm"
    assert profile_folder("slurm") == shipped
    for name in ("mine", "slurm"):  # a name that is taken stands for the shipped profile
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text("cores: 1\n", "utf-8")
    assert profile_folder("mine") == Path("mine")
    assert profile_folder("slurm") == shipped
    with pytest.raises(InputError, match="no such profile: other"):
        profile_folder("other")
