"""Snapshots of the model along a run, exported like the finished one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import distributed

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import atomic_path, sha256_file
from instruct_scaling.common.provenance import provenance
from instruct_scaling.training.checkpoints import rng_state, set_rng_state
from instruct_scaling.training.distributed import run_on_rank_zero
from instruct_scaling.training.examples import Examples
from instruct_scaling.training.export import export_model, gathered_weights, probe_loss
from instruct_scaling.training.job import Job, Snapshot
from instruct_scaling.training.metrics import Progress
from instruct_scaling.training.model import Tuned
from instruct_scaling.training.model_card import model_card

NOTE = """A snapshot after step {step} of {steps} ({percent}% of the run), with the step's own \
learning rate: a schedule that ends at the last step has not come to its end. It is no substitute \
for a run of its own on fewer records."""


def snapshot_step(percent: int, steps: int) -> int:
    """After which step a snapshot is due: ceil(percent / 100 * steps)."""
    return -(-percent * steps // 100)


@dataclass
class Snapshots:
    """Keeps the model after the steps at which it is due; all ranks call it together.

    A snapshot is written into the work folder, whole or not at all, and is put in its place with
    the finished model: what started the run may clear the places of its results when it stops.
    """

    engine: Any
    job: Job
    tuned: Tuned
    examples: Examples
    steps: int
    summarize: Callable[[Progress], dict[str, Any]]

    def __post_init__(self) -> None:
        """Rank 0 looks which snapshots an earlier start has left, so that all ranks agree."""
        found: list[Any] = [[s.percent for s in self.wanted if self._staged(s).exists()]]
        distributed.broadcast_object_list(found, src=0)
        self.kept: set[int] = set(found[0])

    @property
    def wanted(self) -> Sequence[Snapshot]:
        """The snapshots that the job asks for."""
        return self.job.watched.snapshots

    def __call__(self, progress: Progress) -> None:
        """Keep the model if a snapshot is due; one that is there already is left as it is.

        Raises:
            InputError: the run went past a snapshot before it was asked for, or the exported
                model is not the trained one.
        """
        for snapshot in self.wanted:
            due = snapshot_step(snapshot.percent, self.steps)
            if progress.step == due:
                self._note(snapshot, progress)
            if snapshot.percent in self.kept or progress.step < due:
                continue
            if progress.step > due:
                raise InputError(
                    f"the run has gone past {snapshot.percent}%: step {due} of {self.steps}",
                    where="intermediate_checkpoints.fractions",
                    fix=f"leave it out, or remove {self.job.work} to start over",
                )
            self._write(snapshot, progress)
            self.kept.add(snapshot.percent)

    def publish(self) -> None:
        """Put all snapshots in their places (rank 0 only)."""
        for snapshot in self.wanted:
            with atomic_path(snapshot.model) as folder:
                shutil.copytree(self._staged(snapshot), folder, copy_function=_link)

    def _note(self, snapshot: Snapshot, progress: Progress) -> None:
        point = {
            "percent": snapshot.percent,
            "step": progress.step,
            "examples": progress.examples,
            "tokens": progress.tokens,
        }
        if point not in progress.intermediate:
            progress.intermediate.append(point)

    def _staged(self, snapshot: Snapshot) -> Path:
        return self.job.work / "intermediate_checkpoints" / str(snapshot.percent)

    def _write(self, snapshot: Snapshot, progress: Progress) -> None:
        expected = probe_loss(self.engine, self.examples)
        weights = gathered_weights(self.engine, trainable_only=self.tuned.adapter is not None)
        summary = self.summarize(progress)
        summary["epochs"] = progress.examples / len(self.examples)

        def write() -> None:
            assert weights is not None
            # PEFT draws numbers for adapters that it then overwrites.
            before = rng_state()
            card = self._card(snapshot, summary)
            export_model(
                self._staged(snapshot), self.job, self.tuned, weights, self.examples, expected, card
            )
            set_rng_state(before)

        run_on_rank_zero(write)

    def _card(self, snapshot: Snapshot, summary: dict[str, Any]) -> str:
        identity = self.job.identity | {"along_percent": snapshot.percent}
        inputs = {
            "base": sha256_file(self.job.base),
            "subset": summary["data"]["subset_sha256"],
        }
        note = NOTE.format(step=summary["steps"], steps=self.steps, percent=snapshot.percent)
        return model_card(self.job, provenance("finetune", identity, inputs), summary, note)


def _link(source: str, target: str) -> None:
    """A second name for a file; a copy where the file system has none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
