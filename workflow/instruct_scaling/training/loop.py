"""The training loop: one optimizer step per global batch, its loss over the global token count."""

from __future__ import annotations

import logging
import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import torch
from torch import distributed

from instruct_scaling.common.errors import InputError, Interrupted
from instruct_scaling.config.recipe import Recipe
from instruct_scaling.models.packed.packing import PackedBatch, pack, packed_batch
from instruct_scaling.training.checkpoints import Checkpoints, SaveEvery
from instruct_scaling.training.distributed import run_on_rank_zero
from instruct_scaling.training.examples import Examples
from instruct_scaling.training.metrics import MetricsLogger, Progress, Stopwatch
from instruct_scaling.training.order import Order, learning_rate

EXPLOSION_STEPS = 10  # one odd batch is no explosion

log = logging.getLogger(__name__)


class StopRequest:
    """Remembers a SIGTERM or Ctrl-C until a step is over."""

    def __init__(self) -> None:
        self.received = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take both signals over for the length of the body."""
        numbers = (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.signal(number, self._note) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, signum: int, frame: Any) -> None:
        self.received = True


@dataclass(frozen=True)
class RowShape:
    """Token budget of a row; `fixed` fills every row up to it (for compiled attention)."""

    tokens: int
    fixed: bool = False


@dataclass
class StepRows:
    """This rank's rows of one global batch, and figures of the whole batch."""

    rows: list[PackedBatch]
    batch: list[int]
    supervised: int
    tokens: int
    sum_squared_lengths: int
    row_count: int


def explosion_limit(first: float, vocabulary: int) -> float:
    """Mean loss in nats above which a run is lost: the first step's, and half of what guessing
    among all tokens costs (ln of the vocabulary)."""
    return first + math.log(vocabulary) / 2


@dataclass
class Trainer:
    """Drives a DeepSpeed engine through the steps of a run.

    Args:
        callbacks: called by all ranks before the first step, after every step and after a resume;
            they must change neither weights nor random states.
    """

    engine: Any
    examples: Examples
    order: Order
    recipe: Recipe
    shape: RowShape
    save: SaveEvery
    checkpoints: Checkpoints
    logger: MetricsLogger
    clock: Stopwatch
    callbacks: Sequence[Callable[[Progress], None]] = ()
    stop: StopRequest = field(default_factory=StopRequest)

    def __post_init__(self) -> None:
        self.rank, self.world = distributed.get_rank(), distributed.get_world_size()
        self.lengths, self.supervised = self.examples.lengths, self.examples.supervised

    def run(self) -> Progress:
        """Train to the last step, from the newest checkpoint if there is one.

        Raises:
            Interrupted: stopped by a signal; a checkpoint was written.
            InputError: the loss or the gradient is not finite.
        """
        progress = self._resume()
        self.clock.lap("startup")
        steps = self.order.steps
        saved = time.monotonic()
        with self.stop.listening():
            run_on_rank_zero(partial(self.logger.open, progress.step))
            try:
                self._call_back(progress)
                while progress.step < steps:
                    stop = self.step(progress)
                    if not stop:  # else after the resume: a stop allows no time to measure
                        self._call_back(progress)
                    due = self.save.due(
                        progress.step,
                        last=progress.step == steps,
                        waited=time.monotonic() - saved,
                    )
                    if self._on_rank_zero(stop or due):
                        self.checkpoints.save(self.engine, progress.step, asdict(progress))
                        self.clock.lap("checkpoints")
                        saved = time.monotonic()
                        stop = stop or self._stopped()  # a signal that came while saving
                    if stop:
                        raise Interrupted(f"stopped after step {progress.step} of {steps}, saved")
            finally:
                self.logger.close()
        return progress

    def step(self, progress: Progress) -> bool:
        """One optimizer step; returns whether any rank received a signal to stop."""
        step = self.rows(progress.step)
        phase, _ = self.order.locate(progress.step)
        rate = self._set_learning_rate(progress.step, phase)
        local = self.accumulate(step)
        summed = self._sum(torch.stack([local, torch.full_like(local, self.stop.received)]))
        mean = float(summed[0]) / step.supervised
        self._check_finite(mean, "loss", step, progress.step)
        norm = self._update(step, progress)
        progress.step += 1
        progress.examples += len(step.batch)
        progress.tokens += step.tokens
        progress.count_phase(phase, len(step.batch), step.tokens)
        progress.supervised += step.supervised
        progress.sum_squared_lengths += step.sum_squared_lengths
        progress.rows += step.row_count
        progress.losses.append(mean)
        self._check_explosion(progress.losses, step)
        self.clock.lap("training")
        self.logger.show(progress, rate, norm)
        return bool(summed[1] > 0)

    def _update(self, step: StepRows, progress: Progress) -> float | None:
        """Update the weights; returns the gradient's norm where DeepSpeed computes it."""
        self.engine.step()
        if not self.engine.was_step_applied():  # fp16 overflowed, and the scale was lowered
            progress.skipped += 1
            return None
        norm = self.engine.get_global_grad_norm()
        if norm is not None:
            self._check_finite(float(norm), "gradient norm", step, progress.step)
            norm = float(norm)
        return norm

    def accumulate(self, step: StepRows) -> torch.Tensor:
        """Forward and backward pass over this rank's rows.

        The gradient that the ranks then share is that of the mean loss over all supervised
        tokens of the global batch, however they are spread over rows and ranks.

        Returns:
            This rank's summed loss, a float64 scalar on its device.
        """
        # DeepSpeed averages gradients over ranks; the factor turns that mean into the sum.
        scale = self.world / step.supervised
        total = torch.zeros((), dtype=torch.float64, device=self.engine.device)
        for number, row in enumerate(step.rows, 1):
            self.engine.set_gradient_accumulation_boundary(number == len(step.rows))
            loss = self.engine(batch=row)
            self.engine.backward(loss * scale)
            total += loss.detach()
        return total

    def rows(self, step: int) -> StepRows:
        """This rank's share of step `step` (from 0), packed."""
        batch = self.order.batch(step)
        lengths = [int(self.lengths[position]) for position in batch]
        packed = pack(
            [length - 1 for length in lengths],
            ranks=self.world,
            row_tokens=self.shape.tokens,
        )
        rows = [
            packed_batch(
                [self.examples.sequence(batch[index]) for index in row],
                self.engine.device,
                fill_to=self.shape.tokens if self.shape.fixed else 1,
            )
            for row in packed[self.rank]
        ]
        return StepRows(
            rows,
            batch,
            supervised=int(self.supervised[batch].sum()),
            tokens=sum(lengths),
            sum_squared_lengths=sum(length**2 for length in lengths),
            row_count=len(packed[0]) * self.world,
        )

    def _stopped(self) -> bool:
        """Whether any rank has received a signal to stop."""
        received = torch.tensor([float(self.stop.received)], device=self.engine.device)
        return bool(self._sum(received)[0] > 0)

    def _set_learning_rate(self, step: int, phase: int) -> float:
        rate = learning_rate(self.recipe, step, self.order.steps, phase)
        for group in self.engine.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def _call_back(self, progress: Progress) -> None:
        for callback in self.callbacks:
            callback(progress)

    def _resume(self) -> Progress:
        state = self.checkpoints.load(self.engine)
        progress = Progress(**state) if state else Progress(starts=0)
        progress.starts += 1
        self.clock.add(progress.seconds)
        progress.seconds = self.clock.seconds
        if state and self.rank == 0:
            log.info("going on from step %d", progress.step)
        return progress

    def _sum(self, values: torch.Tensor) -> torch.Tensor:
        distributed.all_reduce(values)
        return values.cpu()

    def _on_rank_zero(self, due: bool) -> bool:
        """Rank 0's decision, so that all ranks save together though their clocks differ."""
        flag = torch.tensor([float(due)], device=self.engine.device)
        distributed.broadcast(flag, 0)
        return bool(flag.item())

    def _check_finite(self, value: float, name: str, rows: StepRows, step: int) -> None:
        if not math.isfinite(value):
            raise self._unstable(f"the {name} is {value} at step {step + 1}", rows)

    def _check_explosion(self, losses: list[float], rows: StepRows) -> None:
        limit = explosion_limit(losses[0], self.engine.module.config.vocab_size)
        recent = losses[-EXPLOSION_STEPS:]
        mean = sum(recent) / len(recent)
        if len(losses) > EXPLOSION_STEPS and mean > limit:
            raise self._unstable(
                f"the loss has exploded: {mean:.1f} over the last {EXPLOSION_STEPS} steps up to "
                f"step {len(losses)}, {losses[0]:.1f} at the first",
                rows,
            )

    def _unstable(self, what: str, rows: StepRows) -> InputError:
        ids = [self.examples.id(position) for position in rows.batch[:8]]
        more = f" and {len(rows.batch) - 8} more" if len(rows.batch) > 8 else ""
        return InputError(
            f"{what}; examples of the batch: {', '.join(ids)}{more}",
            where="recipe",
            fix="lower recipe.learning_rate, add recipe.warmup_ratio, set recipe.max_grad_norm, "
            "use precision bf16 or fp32, or check these examples",
        )
