"""Faults at random times over studies on the cluster, counted.

    python -m tests.slurm.campaign --seed 1 --minutes 30 --out faults.json

The seed decides which faults come when, in seconds after the one before; what they meet is up to
the machine. A study survives if its tables and weights are those of an undisturbed study to the
byte, no fine-tuning ended well twice, no job was started more often than there were reasons to, and
no job is left. A study that does not is lost, and so are all the faults that met it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.slurm.cluster import Cluster, running
from tests.slurm.fault_study import SHAPES, LocalTrial, Trial, copy, local, prepare, results
from tests.slurm.faults import FAULTS, WITHOUT_SLURM
from tests.slurm.nodes import leftovers

DISKS = Path("/var/tmp")
DISK_MB = 300
"""Studies run on a small file system in memory, which a fault fills. It is mounted before the
cluster starts, so that its nodes see it."""
PATIENCE = 420.0  # seconds for the rest of a study after its last fault


@dataclass
class Outcome:
    """A study and what happened to it; `wrong` is empty if it survived."""

    number: int
    shape: str
    faults: list[dict[str, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    stops: list[dict[str, Any]] = field(default_factory=list)
    starts: int = 0
    jobs: int = 0
    seconds: float = 0.0


def disturbed(
    cluster: Cluster | None,
    disk: Path,
    prepared: Path,
    expected: dict[str, str],
    number: int,
    names: Sequence[str],
    rng: random.Random,
    shape: str,
) -> Outcome:
    """Run one study, do these faults to it in their order at random times, and judge it."""
    began = time.monotonic()
    kind = LocalTrial if cluster is None else Trial
    trial = kind(cluster, copy(prepared, disk / f"trial-{number}"), shape)
    outcome = Outcome(number, shape)
    trial.start()
    for name in names:
        wait(trial, rng.uniform(4, 22))
        if trial.done():
            break
        try:
            met = FAULTS[name](trial, rng)
        except AssertionError as error:
            outcome.wrong.append(f"{name}: {error}")
            met = "see wrong"
        outcome.faults.append({"fault": name, "met": met or "nothing"})
        print(f"  {time.monotonic() - began:4.0f} s {name}: {met}", flush=True)
    try:
        finish(trial)
    except (TimeoutError, RuntimeError) as error:
        outcome.wrong.append(str(error))
    outcome.wrong += judged(trial, expected, len(outcome.faults))
    outcome.stops = trial.stops()
    outcome.starts, outcome.jobs = trial.starts, len(trial.jobs())
    outcome.notes, outcome.seconds = trial.notes, round(time.monotonic() - began, 1)
    clean(trial)
    return outcome


def wait(trial: Trial, seconds: float) -> None:
    """Let the study run for so long; a Snakemake that has ended is started again."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and not trial.done():
        if not trial.running():
            trial.start()
        time.sleep(0.2)


def finish(trial: Trial) -> None:
    """Let the study run to its end.

    Raises:
        TimeoutError: it takes too long.
    """
    until = time.monotonic() + PATIENCE
    while not trial.done():
        if time.monotonic() > until:
            raise TimeoutError(f"not done {PATIENCE:.0f} s after the last fault")
        wait(trial, 1)


def judged(trial: Trial, expected: dict[str, str], faults: int) -> list[str]:
    """What is wrong with a study at its end."""
    found = results(trial.folder)
    wrong = [f"differs: {name}" for name in expected if expected[name] != found.get(name)]
    time.sleep(3)  # jobs in COMPLETING
    if left := trial.jobs("PENDING", "RUNNING", "SUSPENDED"):
        wrong.append(f"left behind: {[job['JobId'] for job in left]}")
    for comment, count in trial.completed().items():
        if count != 1:
            wrong.append(f"done {count} times: {comment}")
    jobs = [job for job in trial.jobs() if "finetune" in job.get("Comment", "")]
    # A fault may end the jobs of both fine-tunings.
    if len(jobs) > 2 * (1 + faults):
        wrong.append(f"{len(jobs)} jobs for two fine-tunings and {faults} faults")
    return wrong


def clean(trial: Trial) -> None:
    """End what is left of a lost study and remove it, all but what says why."""
    if trial.running():
        trial.signal(9)
    left = [job["JobId"] for job in trial.jobs("PENDING", "RUNNING", "SUSPENDED")]
    if left:
        subprocess.run(["scancel", *left], capture_output=True)
        time.sleep(12)
    for node, state in trial.cluster.states().items() if trial.cluster is not None else ():
        if state not in ("idle", "mixed", "allocated", "completing"):
            trial.cluster.undrain(node)
    disk = trial.folder.parent
    kept = disk.with_name(f"{disk.name}-logs") / trial.folder.name
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    for path in [*trial.folder.glob("start-*.log"), trial.folder / ".snakemake/slurm_logs"]:
        if path.is_dir():
            shutil.copytree(path, kept / path.name)
        elif path.exists():
            shutil.copy(path, kept)
    shutil.rmtree(trial.folder)


@contextlib.contextmanager
def small_disk(name: str) -> Iterator[Path]:
    """A file system of `DISK_MB` for the time of the block.

    Raises:
        subprocess.CalledProcessError: this machine does not let us mount it.
    """
    folder = DISKS / name
    folder.mkdir(exist_ok=True)
    if not folder.is_mount():
        options = ["-t", "tmpfs", "-o", f"size={DISK_MB}m"]
        subprocess.run(["mount", *options, "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], capture_output=True)
        folder.rmdir()


def counts(outcomes: Sequence[Outcome]) -> dict[str, dict[str, int]]:
    """Fault -> how often it was tried, met something, and was in a study that survived or not."""
    table = {name: {"tried": 0, "met": 0, "survived": 0, "lost": 0} for name in FAULTS}
    for outcome in outcomes:
        for fault in outcome.faults:
            row = table[fault["fault"]]
            row["tried"] += 1
            row["met"] += fault["met"] != "nothing"
            row["lost" if outcome.wrong else "survived"] += 1
    return table


def made(folder: Path, seconds: int) -> tuple[Path, dict[str, str]]:
    """A study up to its fine-tunings, and the hashes of what it gives without SLURM and faults;
    what an earlier campaign has left in the folder is taken."""
    prepared, reference = folder / "prepared", folder / "reference"
    if not (reference / "results/faults/tables/verdicts.csv").exists():
        shutil.rmtree(folder, ignore_errors=True)
        prepare(prepared, seconds)
        local(copy(prepared, reference))
    return prepared, results(reference)


def campaign(
    cluster: Cluster | None,
    disk: Path,
    prepared: Path,
    expected: dict[str, str],
    *,
    seed: int,
    minutes: float,
    each: int,
) -> list[Outcome]:
    """Studies with `each` faults until the time is up; the faults come in shuffled rounds. Without
    a cluster they are those that need none."""
    known = sorted(FAULTS if cluster is not None else WITHOUT_SLURM)
    deadline = time.monotonic() + 60 * minutes
    rng, deck, outcomes = random.Random(seed), [], []
    while time.monotonic() < deadline:
        while len(deck) < each:
            deck += rng.sample(known, len(known))
        names, deck = deck[:each], deck[each:]
        number = len(outcomes)
        shape = list(SHAPES)[number % 2] if cluster is not None else "local"
        own = random.Random(f"{seed} {number}")  # what one study draws decides nothing of the next
        print(f"study {number} ({shape})", flush=True)
        outcomes.append(disturbed(cluster, disk, prepared, expected, number, names, own, shape))
        print(f"  {outcomes[-1].wrong or 'survived'}", flush=True)
    return outcomes


def main() -> None:
    """By hand."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--each", type=int, default=6, help="Faults of a study.")
    parser.add_argument("--seconds", type=int, default=20, help="Of a fine-tuning.")
    parser.add_argument("--accounting", action="store_true")
    parser.add_argument("--made", type=Path, default=DISKS / "instruct-scaling-faults-made")
    parser.add_argument("--local", action="store_true", help="Without SLURM.")
    parser.add_argument("--out", type=Path, default=Path("faults.json"))
    options = parser.parse_args()
    prepared, expected = made(options.made, options.seconds)
    name = "instruct-scaling-faults" + ("-local" if options.local else "")
    with small_disk(name) as disk, contextlib.ExitStack() as stack:
        cluster = None
        if not options.local:
            cluster = stack.enter_context(running(options.accounting, {"MinJobAge": 100_000}))
        outcomes = campaign(
            cluster,
            disk,
            prepared,
            expected,
            seed=options.seed,
            minutes=options.minutes,
            each=options.each,
        )
        left = leftovers(cluster.layout) if cluster is not None else []
    report = {
        "seed": options.seed,
        "counts": counts(outcomes),
        "processes_left": len(left),
        "studies": [asdict(outcome) for outcome in outcomes],
    }
    options.out.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    print(json.dumps(report["counts"], indent=1))
    sys.exit(any(outcome.wrong for outcome in outcomes))


if __name__ == "__main__":
    main()
