"""The estimate of the time left, and what a finished or failed step prints."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
from snakemake.exceptions import LockException
from snakemake_interface_logger_plugins.common import LogEvent

from instruct_scaling.commands.progress import (
    LogHandler,
    LogHandlerSettings,
    Progress,
    duration,
    error_lines,
    locked_folder,
)
from instruct_scaling.common.checkout import ROOT


def finished(progress, *steps):
    """Let steps (rule, wildcards, start, end) start and finish."""
    for number, (rule, wildcards, start, end) in enumerate(steps):
        progress.start(number, rule, wildcards, start)
        progress.finish(number, end)


def test_equal_steps_take_as_long_as_those_before():
    progress = Progress()
    progress.plan({"judge": 5, "all": 1, "total": 6})
    finished(progress, ("judge", {}, 0, 10), ("judge", {}, 10, 30))
    assert (progress.done, progress.total) == (2, 5)
    assert progress.seconds_left(30) == (pytest.approx(45), True)


def test_steps_side_by_side_shorten_the_wait():
    progress = Progress()
    progress.plan({"judge": 6})
    finished(progress, ("judge", {}, 0, 10), ("judge", {}, 0, 10))
    assert progress.seconds_left(10) == (pytest.approx(20), True)


def test_the_time_of_a_running_step_is_not_counted_twice():
    progress = Progress()
    progress.plan({"judge": 2})
    finished(progress, ("judge", {}, 0, 10))
    progress.start(7, "judge", {}, 10)
    assert progress.seconds_left(16) == (pytest.approx(4), True)


def test_fine_tunings_are_linear_in_their_scale():
    """5 s and 0.1 s a record: of 100, 200, 400 and 800 the last two are left."""
    progress = Progress([100, 200, 400, 800])
    progress.plan({"finetune": 4})
    finished(
        progress, ("finetune", {"scale": "100"}, 0, 15), ("finetune", {"scale": "200"}, 15, 40)
    )
    assert progress.seconds_left(40) == (pytest.approx(45 + 85), True)


def test_a_single_scale_is_taken_as_proportional():
    progress = Progress([100, 300])
    progress.plan({"finetune": 2})
    finished(progress, ("finetune", {"scale": "300"}, 0, 30))
    assert progress.seconds_left(30) == (pytest.approx(10), True)


def test_steps_of_which_nothing_is_known_make_the_estimate_a_lower_bound():
    progress = Progress()
    progress.plan({"judge": 3, "generate": 2})
    finished(progress, ("judge", {}, 0, 10))
    assert progress.seconds_left(10) == (pytest.approx(20), False)


def test_a_single_step_of_which_nothing_is_known_is_taken_as_the_mean():
    progress = Progress()
    progress.plan({"judge": 2, "report": 1})
    finished(progress, ("judge", {}, 0, 10), ("judge", {}, 10, 30))
    assert progress.seconds_left(30) == (pytest.approx(15), True)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.23, "4.2 s"), (42.4, "42 s"), (150, "2 min"), (5990, "1 h 40 min"), (7500, "2 h 5 min")],
)
def test_durations_are_short(seconds, text):
    assert duration(seconds) == text


def test_the_error_of_a_log_is_its_last_message(tmp_path):
    log = tmp_path / "log"
    log.write_text(
        "error: an older one\nprogress\nerror: pool: empty\n  fix: add sources\n", "utf-8"
    )
    assert error_lines([str(log)]) == ["error: pool: empty", "  fix: add sources"]
    log.write_text("\n".join(map(str, range(50))), "utf-8")
    assert error_lines([str(log)]) == [str(number) for number in range(40, 50)]
    assert error_lines([str(tmp_path / "none")]) == []


@pytest.fixture
def handler():
    """The plugin as Snakemake makes it, outside a dry run."""
    return LogHandler(SimpleNamespace(dryrun=False), LogHandlerSettings("16,32", "results/tiny"))


def said(handler, event=None, level=logging.INFO, message="", **values):
    """What the handler makes of one record."""
    record = logging.makeLogRecord({"levelno": level, "msg": message, "event": event, **values})
    return handler.text(record)


def test_steps_are_counted_named_and_timed(handler, monkeypatch):
    clock = iter([100.0, 130.0])
    monkeypatch.setattr("instruct_scaling.commands.progress.time.monotonic", lambda: next(clock))
    assert said(handler, LogEvent.RUN_INFO, stats={"finetune": 2, "all": 1, "total": 3}) == (
        "steps to run: 2"
    )
    wildcards = {"arm": "full", "scale": "16", "seed": "1"}
    started = {"rule_name": "finetune", "wildcards": wildcards, "jobid": 4}
    assert said(handler, LogEvent.JOB_INFO, **started) is None
    line = said(handler, LogEvent.JOB_FINISHED, job_id=4)
    assert line.startswith("[1/2] finetune full n16 s1 ")
    assert line.endswith("30 s   about 60 s left")  # the scale that is left is twice as large


def test_a_failure_is_said_once_and_a_second_attempt_still_counts(handler, tmp_path):
    said(handler, LogEvent.RUN_INFO, stats={"judge": 1, "total": 1})
    started = {"rule_name": "judge", "wildcards": {"judge": "gpt"}, "jobid": 1}
    failed = {"rule_name": "judge", "jobid": 1, "log": [str(tmp_path / "log")]}
    (tmp_path / "log").write_text("error: no key\n", "utf-8")
    said(handler, LogEvent.JOB_INFO, **started)
    assert said(handler, LogEvent.JOB_ERROR, level=logging.ERROR, **failed) == (
        f"FAILED judge gpt: {tmp_path / 'log'}\n    error: no key"
    )
    assert said(handler, LogEvent.JOB_ERROR, level=logging.ERROR, **failed) is None
    said(handler, LogEvent.JOB_INFO, **started)
    assert "all done in" in said(handler, LogEvent.JOB_FINISHED, job_id=1)


def test_warnings_are_passed_on_and_chatter_is_not(handler):
    assert said(handler, level=logging.WARNING, message="the disk is full") == "the disk is full"
    assert said(handler, message="Select jobs to execute...") is None
    command = "CalledProcessError in file x, line 3: Command 'python -m instruct_scaling'"
    assert said(handler, level=logging.ERROR, message=command) is None


def test_a_subset_is_named_with_its_selection(handler):
    said(handler, LogEvent.RUN_INFO, stats={"subset": 1, "total": 1})
    wildcards = {"pool": "own", "selection": "staged-1f", "scale": "16", "seed": "1"}
    said(handler, LogEvent.JOB_INFO, rule_name="subset", wildcards=wildcards, jobid=1)
    line = said(handler, LogEvent.JOB_FINISHED, job_id=1)
    assert line.startswith("[1/1] subset own staged-1f n16 s1 ")


@pytest.mark.parametrize(("rule", "named"), [("report", True), ("scores", False)])
def test_the_end_names_the_report_that_was_written(tmp_path, capsys, rule, named):
    (tmp_path / "report.html").write_text("", "utf-8")
    handler = LogHandler(SimpleNamespace(dryrun=False), LogHandlerSettings("", str(tmp_path)))
    said(handler, LogEvent.RUN_INFO, stats={rule: 1, "total": 1})
    said(handler, LogEvent.JOB_INFO, rule_name=rule, wildcards={}, jobid=1)
    said(handler, LogEvent.JOB_FINISHED, job_id=1)
    handler.close()
    lines = capsys.readouterr().err.splitlines()
    assert f"results: {tmp_path}" in lines
    assert (f"report: {tmp_path / 'report.html'}" in lines) == named


def test_the_stage_s_log_comes_before_the_cluster_s(tmp_path):
    stage, cluster = tmp_path / "stage.log", tmp_path / "cluster.log"
    stage.write_text("12:00:00 INFO\nerror: pool: empty\n", "utf-8")
    cluster.write_text("error: pool: empty\nError in rule pool:\n    jobid: 0\n", "utf-8")
    assert error_lines([str(stage), str(cluster)]) == ["error: pool: empty"]
    stage.write_text("", "utf-8")  # the job was killed before its stage could say anything
    cluster.write_text("slurmstepd: error: Detected 1 oom_kill event\n", "utf-8")
    assert error_lines([str(stage), str(cluster)]) == [
        "slurmstepd: error: Detected 1 oom_kill event"
    ]


def test_a_failed_submission_says_why(handler):
    said(handler, LogEvent.RUN_INFO, stats={"judge": 1, "total": 1})
    said(handler, LogEvent.JOB_INFO, rule_name="judge", wildcards={"judge": "gpt"}, jobid=1)
    failed = {"rule_name": "judge", "jobid": 1, "log": [], "rule_msg": "SLURM sbatch failed."}
    line = said(handler, LogEvent.JOB_ERROR, level=logging.ERROR, **failed)
    assert line == "FAILED judge gpt: \n    SLURM sbatch failed."


def test_of_a_failed_group_the_step_that_failed_is_said(handler, tmp_path):
    said(handler, LogEvent.RUN_INFO, stats={"judge": 3, "total": 3})
    jobs = []
    for number, text in enumerate(["all well\n", "error: no answers\n", ""]):
        log = tmp_path / f"{number}.log"
        log.write_text(text, "utf-8")
        wildcards = {"judge": f"j{number}"}
        said(handler, LogEvent.JOB_INFO, rule_name="judge", wildcards=wildcards, jobid=number)
        jobs.append({"rule_name": "judge", "jobid": number, "log": [str(log)]})
    line = said(handler, LogEvent.GROUP_ERROR, level=logging.ERROR, job_error_info=jobs)
    assert line == f"FAILED judge j1: {tmp_path / '1.log'}\n    error: no answers"
    for job in jobs:  # Snakemake then reports each of them
        assert said(handler, LogEvent.JOB_ERROR, level=logging.ERROR, **job) is None


@pytest.mark.parametrize(
    ("profile", "shown"),
    [(str(ROOT / "workflow" / "profiles" / "slurm"), "slurm"), ("my profile", "'my profile'")],
)
def test_a_locked_folder_is_answered_with_the_commands_to_type(profile, shown):
    """After SIGKILL, Snakemake (9.27) names an option and not the command."""
    arguments = [
        "--workflow-profile",
        profile,
        "--rerun-triggers",
        "mtime",
        "--configfile",
        "s.yaml",
    ]
    lines = locked_folder(arguments).splitlines()
    command = f"instruct-scaling run s.yaml --profile {shown}"
    assert [line.strip() for line in lines[-2:]] == [f"{command} --unlock", command]


def test_the_message_of_a_lock_is_replaced(handler, monkeypatch):
    monkeypatch.setattr("sys.argv", ["snakemake", "--configfile", "study.yaml"])
    said = str(LockException())
    text = handler.text(logging.LogRecord("snakemake", logging.ERROR, "", 0, said, (), None))
    assert "instruct-scaling run study.yaml --unlock" in text
