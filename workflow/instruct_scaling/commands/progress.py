"""A logger plugin of Snakemake: one line per finished step and the time that is left.

`python -m instruct_scaling.commands.progress ARGUMENTS`, which `instruct-scaling run` starts, is
Snakemake with this plugin (`steps`) and with the output of its jobs left to their log files.
"""

import logging
import os
import shlex
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

from instruct_scaling.common.checkout import ROOT

ERROR_LINES = 10
SAID_OTHERWISE = (
    "CalledProcessError",
    "Exiting because a job execution failed",
    "At least one job did not complete successfully",
)
"""Parts of Snakemake's messages about a failed step, which has its own line here."""
LOCKED = "Directory cannot be locked"
SCALED = "finetune"
"""The rule whose steps take the longer the larger their scale."""


@dataclass
class Step:
    """One job. `size` is its scale for a fine-tuning, else 1."""

    rule: str
    wildcards: Mapping[str, str]
    size: float
    started: float

    def __str__(self) -> str:
        return f"{self.rule} {_label(self.wildcards)}".rstrip()


@dataclass
class Progress:
    """Steps left and done, and an estimate of the time left from those that are done.

    The seconds of a rule's steps are taken as linear in their size. Where no step of a rule has
    finished, a single one (figures, report) is taken to last as long as the mean of all steps;
    several ones are not in the estimate, which is then a lower bound.

    Args:
        sizes: scales of all fine-tunings of the study.
    """

    sizes: Sequence[float] = ()
    counts: Counter[str] = field(default_factory=Counter)
    running: dict[int, Step] = field(default_factory=dict)
    finished: dict[str, list[tuple[float, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    first: float | None = None

    def elapsed(self, now: float) -> float:
        """Seconds since the first step started."""
        return 0.0 if self.first is None else now - self.first

    @property
    def total(self) -> int:
        """Steps of this start of Snakemake."""
        return self.counts.total()

    @property
    def done(self) -> int:
        """Steps that have finished."""
        return sum(map(len, self.finished.values()))

    def plan(self, counts: Mapping[str, int]) -> None:
        """Take in how many steps of each rule there are; targets without a command are no steps."""
        named = {rule: n for rule, n in counts.items() if rule not in ("all", "total")}
        self.counts = Counter(named)

    def start(self, number: int, rule: str, wildcards: Mapping[str, str], now: float) -> None:
        """Note that a job has started (again)."""
        size = float(wildcards["scale"]) if rule == SCALED else 1.0
        self.running[number] = Step(rule, wildcards, size, now)
        self.first = now if self.first is None else self.first

    def finish(self, number: int, now: float) -> tuple[Step, float] | None:
        """A job that has finished and its seconds; None for one that is no step."""
        step = self.running.pop(number, None)
        if step is None or step.rule not in self.counts:
            return None
        seconds = now - step.started
        self.finished[step.rule].append((step.size, seconds))
        return step, seconds

    def seconds_left(self, now: float) -> tuple[float, bool]:
        """Estimated seconds until all is done, and whether every rule is in the estimate."""
        spent = sum(seconds for done in self.finished.values() for _, seconds in done)
        work, whole = 0.0, True
        for rule, count in self.counts.items():
            done = self.finished[rule]
            if done:
                constant, slope = _line(done)
                work += (count - len(done)) * constant + slope * self._size_left(rule)
            elif count == 1 and rule != SCALED:
                work += spent / max(self.done, 1)
            else:
                whole = False
        running = sum(now - step.started for step in self.running.values())
        parallel = max(1.0, (spent + running) / max(self.elapsed(now), 1e-9))
        return max(0.0, work - running) / parallel, whole

    def _size_left(self, rule: str) -> float:
        done = sum(size for size, _ in self.finished[rule])
        if rule != SCALED or not self.sizes:
            return self.counts[rule] - done
        # Where a part of the runs is done from before, which ones is not known: the mean is taken.
        return max(0.0, sum(self.sizes) * self.counts[rule] / len(self.sizes) - done)


def _line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Constant and slope of seconds over size, neither negative; through 0 for a single size."""
    sizes, seconds = np.array(points).T
    if len(set(sizes)) == 1:
        return 0.0, float(seconds.mean() / sizes[0])
    slope, constant = np.polyfit(sizes, seconds, 1)
    if constant < 0:
        return 0.0, float(seconds.sum() / sizes.sum())
    return (float(constant), float(slope)) if slope > 0 else (float(seconds.mean()), 0.0)


def _label(wildcards: Mapping[str, str]) -> str:
    """Wildcards as they stand in paths: `full n16 s1`."""
    marks = {
        "judge": "",
        "arm": "",
        "pool": "",
        "selection": "",
        "annotation": "",
        "base": "",
        "scale": "n",
        "seed": "s",
    }
    marks |= {"percent": "at "}
    return " ".join(f"{mark}{wildcards[name]}" for name, mark in marks.items() if name in wildcards)


def duration(seconds: float) -> str:
    """Seconds as a person reads them: 4.2 s, 12 min, 3 h 20 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def error_lines(logs: Sequence[str]) -> list[str]:
    """What a failed step's logs say: from the last line `error: ...` on, else their last lines.

    The first log that says something is the stage's own; a cluster's log of the job follows it and
    repeats it amid what Snakemake says there.
    """
    texts = [_lines(Path(path)) for path in logs]
    for lines in texts:
        starts = [number for number, line in enumerate(lines) if line.startswith("error:")]
        if starts:
            return lines[starts[-1] :][:ERROR_LINES]
    return next((lines[-ERROR_LINES:] for lines in texts if lines), [])


def locked_folder(arguments: Sequence[str]) -> str:
    """What to do about a folder that Snakemake has locked, from the arguments of this start."""

    def given(option: str) -> str:
        return shlex.quote(arguments[arguments.index(option) + 1]) if option in arguments else ""

    profile = given("--workflow-profile")
    shipped = str(ROOT / "workflow" / "profiles") + "/"
    profile = f" --profile {profile.removeprefix(shipped)}" if profile else ""
    command = f"instruct-scaling run {given('--configfile')}{profile}"
    return (
        "error: another start of this study runs in this folder, or was killed\n"
        "  fix: if it was killed and its jobs have ended, remove its lock and go on:\n"
        f"    {command} --unlock\n"
        f"    {command}"
    )


def has_error(logs: Sequence[str]) -> bool:
    """Whether a log has a line `error: ...`."""
    return any(line.startswith("error:") for path in logs for line in _lines(Path(path)))


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8", errors="replace").splitlines() if path.is_file() else []


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """Options of the plugin; Snakemake makes `--logger-steps-...` of them and evaluates their
    types, so that this file has no `from __future__ import annotations`."""

    scales: str = field(
        default="", metadata={"help": "Scales of all fine-tunings of the study, with commas."}
    )
    results: str = field(
        default="", metadata={"help": "Results folder of the study, to name at the end."}
    )


class LogHandler(LogHandlerBase):
    """Prints a line for each finished or failed step; warnings and errors as they are."""

    def __post_init__(self) -> None:
        scales = self.settings.scales.split(",")
        self.progress = Progress([float(scale) for scale in scales if scale])
        self.closed = False

    @property
    def writes_to_stream(self) -> bool:
        """It does, in place of Snakemake's own log."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """It does not."""
        return False

    @property
    def has_filter(self) -> bool:
        """It sees every record."""
        return not self.common_settings.dryrun

    @property
    def has_formatter(self) -> bool:
        """Snakemake's own formatter is used for what is printed as it is."""
        return False

    @property
    def needs_rulegraph(self) -> bool:
        """It does not."""
        return False

    def emit(self, record: logging.LogRecord) -> None:
        """Print what the record means for a person who waits."""
        try:
            text = self.text(record)
        except Exception:
            self.handleError(record)
            return
        if text:
            print(text, file=sys.stderr, flush=True)

    def text(self, record: logging.LogRecord) -> str | None:
        """The line, or lines, of a record; None for one that is passed over."""
        event = getattr(record, "event", None)
        values: dict[str, Any] = record.__dict__
        if self.common_settings.dryrun:
            return self.format(record)
        if event == LogEvent.RUN_INFO and "stats" in values:
            self.progress.plan(values["stats"])
            return f"steps to run: {self.progress.total}"
        if event == LogEvent.JOB_INFO:
            wildcards = dict(values["wildcards"] or {})
            self.progress.start(values["jobid"], values["rule_name"], wildcards, time.monotonic())
            return None
        if event == LogEvent.JOB_FINISHED:
            return self._finished(values["job_id"])
        if event == LogEvent.GROUP_ERROR:
            return self._group_failed(values["job_error_info"])
        if event == LogEvent.JOB_ERROR:
            return self._failed(values)
        if record.levelno < logging.WARNING:
            return None
        text = self.format(record)
        if LOCKED in text:
            return locked_folder(sys.argv[1:])
        return None if any(part in text for part in SAID_OTHERWISE) else text

    def _finished(self, number: int) -> str | None:
        now = time.monotonic()
        finished = self.progress.finish(number, now)
        if finished is None:
            return None
        step, seconds = finished
        left, whole = self.progress.seconds_left(now)
        total = self.progress.total
        count = f"[{self.progress.done:>{len(str(total))}}/{total}]"
        if self.progress.done == total:
            rest = f"all done in {duration(self.progress.elapsed(now))}"
        elif whole or left >= 1:
            rest = f"{'about' if whole else 'more than'} {duration(left)} left"
        else:
            rest = "time left not known yet"
        return f"{count} {step!s:<40} {duration(seconds):>8}   {rest}"

    def _failed(self, values: Mapping[str, Any]) -> str | None:
        step = self.progress.running.pop(values["jobid"], None)
        if step is None:  # said before
            return None
        lines = error_lines(values["log"]) or [*filter(None, [values.get("rule_msg")])]
        said = [f"    {line}" for line in lines]
        return "\n".join([f"FAILED {step}: {', '.join(values['log'])}", *said])

    def _group_failed(self, jobs: Sequence[Mapping[str, Any]]) -> str | None:
        """The steps of a group that have failed, else all of them; the others run again with it."""
        guilty = [job for job in jobs if has_error(job["log"])] or jobs
        said = [self._failed(job) for job in guilty]
        for job in jobs:
            self.progress.running.pop(job["jobid"], None)
        return "\n".join(filter(None, said)) or None

    def close(self) -> None:
        """Print, once, where the results are or how to continue."""
        if self.closed:
            return
        self.closed = True
        done, total = self.progress.done, self.progress.total
        if done and done == total and self.settings.results:
            print(f"results: {self.settings.results}", file=sys.stderr)
            page = Path(self.settings.results, "report.html")
            if "report" in self.progress.counts and page.is_file():
                print(f"report: {page}", file=sys.stderr)
        elif done < total:
            print(
                f"{done} of {total} steps done; run the same command again to continue",
                file=sys.stderr,
            )
        super().close()


def leave_output_to_logs() -> None:
    """Point the output of child processes to nowhere, and keep this one's on the terminal.

    Every rule copies what its stage prints into its log file.
    """
    sys.stdout, sys.stderr = (
        os.fdopen(os.dup(number), "w", buffering=1, encoding="utf-8") for number in (1, 2)
    )
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def main() -> None:
    """Snakemake's own command line with this plugin."""
    from snakemake.cli import main as snakemake

    from instruct_scaling.commands import progress

    LoggerPluginRegistry().register_plugin("snakemake_logger_plugin_steps", progress)
    leave_output_to_logs()
    sys.argv[0] = "snakemake"
    snakemake(sys.argv[1:])


if __name__ == "__main__":
    main()
