"""The loss on records that no run trains on, by category, several times during a run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from torch import distributed

from instruct_scaling.models.packed.packing import first_fit_decreasing, packed_batch
from instruct_scaling.training.examples import Examples
from instruct_scaling.training.loop import RowShape
from instruct_scaling.training.metrics import LOSS_UNIT, MetricsLogger, Progress, Stopwatch

Row = tuple[str, list[int]]  # a category, and the positions of some of its examples


@dataclass(frozen=True)
class ValidationSet:
    """Tokenized validation records with the category of each; `sha256` is that of their file."""

    examples: Examples
    categories: list[str]
    sha256: str

    @property
    def names(self) -> list[str]:
        """The categories, sorted."""
        return sorted(set(self.categories))

    @property
    def records(self) -> dict[str, int]:
        """Records of each category."""
        return {name: self.categories.count(name) for name in self.names}

    @property
    def supervised_tokens(self) -> dict[str, int]:
        """Supervised tokens of each category."""
        counts = dict.fromkeys(self.names, 0)
        for name, tokens in zip(self.categories, self.examples.supervised, strict=True):
            counts[name] += int(tokens)
        return counts


def read_categories(path: Path) -> list[str]:
    """The categories of a validation_set.parquet, in its order."""
    return pq.read_table(path, columns=["category"])["category"].to_pylist()


def evaluation_steps(steps: int, evaluations: int) -> list[int]:
    """After which steps to evaluate: 0 (the base), then evenly spaced up to the last."""
    return sorted({math.ceil(steps * number / evaluations) for number in range(evaluations + 1)})


def category_rows(validation: ValidationSet, row_tokens: int) -> list[Row]:
    """All records in rows of one category each, longest row first."""
    lengths = [int(length) - 1 for length in validation.examples.lengths]
    rows: list[Row] = []
    for name in validation.names:
        chosen = [index for index, other in enumerate(validation.categories) if other == name]
        packed = first_fit_decreasing([lengths[index] for index in chosen], row_tokens)
        rows += [(name, [chosen[index] for index in row]) for row in packed]
    return sorted(rows, key=lambda row: (-sum(lengths[index] for index in row[1]), row))


class ValidationLoss:
    """Measures the loss after the steps at which it is due; all ranks call it together.

    The model is in evaluation mode meanwhile and no random number is drawn, so that the weights
    are those of a run without it.
    """

    def __init__(
        self,
        engine: Any,
        validation: ValidationSet,
        steps: int,
        evaluations: int,
        shape: RowShape,
        logger: MetricsLogger,
        clock: Stopwatch,
    ) -> None:
        self.engine = engine
        self.validation = validation
        self.steps = steps
        self.due = frozenset(evaluation_steps(steps, evaluations))
        self.shape = shape
        self.logger = logger
        self.clock = clock

    def __call__(self, progress: Progress) -> None:
        """Evaluate into `progress` if it is due and has not been done before a resume."""
        if progress.validation_sha256 != self.validation.sha256:  # measured on other records
            progress.validation_sha256, progress.validation = self.validation.sha256, []
        done = {point["step"] for point in progress.validation}
        if progress.step not in self.due or progress.step in done:
            return
        losses = self.measure()
        fraction = progress.step / self.steps
        progress.validation.append({"step": progress.step, "fraction": fraction, "loss": losses})
        self.logger.show_validation(losses, progress.step)
        self.clock.lap("validation")

    def measure(self) -> dict[str, float]:
        """Mean loss per supervised token of each category; the same on all ranks."""
        names = self.validation.names
        sums = torch.zeros(len(names), dtype=torch.float64, device=self.engine.device)
        self.engine.eval()
        with torch.no_grad():
            for name, row in self._share():
                batch = packed_batch(
                    [self.validation.examples.sequence(index) for index in row],
                    self.engine.device,
                    fill_to=self.shape.tokens if self.shape.fixed else 1,
                )
                sums[names.index(name)] += self.engine(batch=batch)
        self.engine.train()
        distributed.all_reduce(sums)
        tokens = self.validation.supervised_tokens
        return {name: float(sums[index]) / tokens[name] for index, name in enumerate(names)}

    def _share(self) -> list[Row]:
        """This rank's rows, as many as every other's: ZeRO-3 needs all ranks in each forward."""
        rank, world = distributed.get_rank(), distributed.get_world_size()
        rows = category_rows(self.validation, self.shape.tokens)
        rows += [(self.validation.names[0], [])] * (-len(rows) % world)
        return rows[rank::world]


def validation_summary(
    validation: ValidationSet | None, progress: Progress
) -> dict[str, Any] | None:
    """What train.json holds of it; None where the pool keeps no validation records."""
    if validation is None:
        return None
    return {
        "unit": LOSS_UNIT,
        "sha256": validation.sha256,
        "records": validation.records,
        "supervised_tokens": validation.supervised_tokens,
        "evaluations": progress.validation,
    }
