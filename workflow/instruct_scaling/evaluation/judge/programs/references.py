"""Items whose own program does not pass their tests: found before any answer is judged.

What is found is kept beside the eval set, so that the runs of a study check it once. The file is a
cache: it may be deleted, and a folder that cannot be written to does without.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, astuple
from pathlib import Path

from instruct_scaling.common.provenance import identity_hash
from instruct_scaling.evaluation.judge.judgements import Outcome, missing
from instruct_scaling.evaluation.judge.programs.task import Task
from instruct_scaling.evaluation.judge.programs.unit_tests import Verdict

log = logging.getLogger(__name__)

Run = Callable[[Mapping[str, tuple[Task, str]]], Iterable[tuple[str, Verdict]]]


def check_references(
    tasks: Mapping[str, Task], limits: list[float], run: Run, kept: Path | None
) -> dict[str, Outcome]:
    """The outcome of every item that cannot be judged, by item id.

    Args:
        tasks: by item id; those without a reference are taken on trust.
        limits: time and memory, which decide a verdict too.
        run: runs programs, given as (task, program) by key, and yields each one's verdict.
        kept: file of verdicts, None for none.
    """
    keys = {
        item: identity_hash({"task": list(astuple(task)), "limits": limits})
        for item, task in tasks.items()
        if task.reference
    }
    known = _read(kept)
    jobs = {
        item: (tasks[item], tasks[item].reference or "")
        for item, key in keys.items()
        if key not in known
    }
    fresh = dict(run(jobs))
    _append(kept, {keys[item]: verdict for item, verdict in fresh.items()})
    verdicts = {item: known[key] for item, key in keys.items() if key in known} | fresh
    outcomes = {}
    for item in keys:
        outcome = _outcome(verdicts[item])
        if outcome is not None:
            log.warning("item %s is not judged: %s: %s", item, outcome.status, outcome.reason)
            outcomes[item] = outcome
    return outcomes


def _outcome(verdict: Verdict) -> Outcome | None:
    """None for a reference that passes."""
    if verdict.passed:
        return None
    if verdict.end == "not_started":
        return missing("sandbox_error", verdict.detail or "")
    if verdict.beyond_data:
        return missing("needs_same_process", verdict.detail or "")
    return missing("bad_tests", f"the reference does not pass: {verdict.detail}")


def _read(path: Path | None) -> dict[str, Verdict]:
    if path is None or not path.is_file():
        return {}
    found = {}
    for line in path.read_text("utf-8", errors="replace").split("\n"):
        try:
            row = json.loads(line)
            found[row["key"]] = Verdict(**row["verdict"])
        except (json.JSONDecodeError, KeyError, TypeError):
            continue  # cut off, or of another version
    return found


def _append(path: Path | None, verdicts: Mapping[str, Verdict]) -> None:
    """Keep what will not be otherwise another time: no failure of the machine."""
    lines = [
        json.dumps({"key": key, "verdict": asdict(verdict)}) + "\n"
        for key, verdict in verdicts.items()
        if verdict.end != "not_started" and verdict.time_out is None
    ]
    if path is None or not lines:
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        with os.fdopen(descriptor, "ab", buffering=0) as handle:
            for line in lines:  # each in one write, since several judges may run
                handle.write(line.encode())
    except OSError as error:
        log.debug("verdicts on references are not kept: %s", error)
