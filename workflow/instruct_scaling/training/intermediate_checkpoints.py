"""Models kept during a run, exported like the finished one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import atomic_path
from instruct_scaling.training.checkpoints import rng_state, set_rng_state
from instruct_scaling.training.distributed import run_on_rank_zero
from instruct_scaling.training.export import Exporter
from instruct_scaling.training.metrics import Progress, Stopwatch

NOTE = """An intermediate checkpoint after step {step} of {steps} ({percent}% of the run), with \
the step's own learning rate: a schedule that ends at the last step has not come to its end. It \
does not replace a run of its own on fewer records."""


def snapshot_step(percent: int, steps: int) -> int:
    """After which step a snapshot is due: ceil(percent / 100 * steps)."""
    return -(-percent * steps // 100)


@dataclass
class Snapshots:
    """Keeps the model after the steps at which it is due; all ranks call it together.

    A snapshot is written into the work folder, whole or not at all, and moved to its own folder
    with the finished model: Snakemake may remove the outputs of a job that is stopped.

    Args:
        folders: percent of the steps -> folder of the model.
        steps: of the whole run.
        staging: folder in the work folder.
        exporter: writes the model.
        card: makes the text of a model card from the progress so far, the percent, and a note.
        clock: counts the seconds of writing.
    """

    folders: Mapping[int, Path]
    steps: int
    staging: Path
    exporter: Exporter
    card: Callable[[Progress, int, str], str]
    clock: Stopwatch
    kept: set[int] = field(init=False)

    def __post_init__(self) -> None:
        """Rank 0 looks which snapshots an earlier start has left, so that all ranks agree."""
        self.kept = run_on_rank_zero(
            lambda: {percent for percent in self.folders if self._staged(percent).exists()}
        )

    def __call__(self, progress: Progress) -> None:
        """Keep the model if a snapshot is due; one that is there already is left as it is.

        Raises:
            InputError: the run went past a snapshot before it was asked for, or the exported
                model is not the trained one.
        """
        for percent in self.folders:
            due = snapshot_step(percent, self.steps)
            if progress.step == due:
                _record(percent, progress)
            if percent in self.kept or progress.step < due:
                continue
            if progress.step > due:
                raise InputError(
                    f"the run has gone past {percent}%: step {due} of {self.steps}",
                    where="intermediate_checkpoints.fractions",
                    fix=f"remove this fraction, or remove {self.staging.parent} to start over",
                )
            self._write(percent, progress)
            self.kept.add(percent)
            self.clock.lap("checkpoints")

    def publish(self) -> None:
        """Move all snapshots to their folders (rank 0 only)."""
        for percent, target in self.folders.items():
            with atomic_path(target) as folder:
                shutil.copytree(self._staged(percent), folder, copy_function=_link)

    def _staged(self, percent: int) -> Path:
        return self.staging / str(percent)

    def _write(self, percent: int, progress: Progress) -> None:
        note = NOTE.format(step=progress.step, steps=self.steps, percent=percent)
        before = rng_state()  # PEFT draws numbers for adapters that it then overwrites
        self.exporter.write(self._staged(percent), lambda: self.card(progress, percent, note))
        set_rng_state(before)


def _record(percent: int, progress: Progress) -> None:
    point = {
        "percent": percent,
        "step": progress.step,
        "examples": progress.examples,
        "tokens": progress.tokens,
    }
    if point not in progress.intermediate:
        progress.intermediate.append(point)


def _link(source: str, target: str) -> None:
    """A second name for a file; a copy where the file system has none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
