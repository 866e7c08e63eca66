"""The training loop: one optimizer step per global batch, its loss over the global token count."""

from __future__ import annotations

import logging
import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import distributed

from instruct_scaling.common.errors import InputError, Interrupted
from instruct_scaling.config.recipe import Recipe
from instruct_scaling.models.packed.packing import PackedBatch, pack, packed_batch
from instruct_scaling.training.checkpoints import Checkpoints
from instruct_scaling.training.distributed import run_on_rank_zero
from instruct_scaling.training.examples import Examples
from instruct_scaling.training.metrics import Progress
from instruct_scaling.training.metrics_logger import MetricsLogger
from instruct_scaling.training.order import Order
from instruct_scaling.training.schedule import learning_rate

FINAL_SAVE_SECONDS = 60.0  # training that took less is not worth a last checkpoint
EXPLOSION_STEPS = 10  # one odd batch is no explosion

log = logging.getLogger(__name__)


class StopRequest:
    """Remembers that SIGTERM or Ctrl-C asked the run to stop, until a step is over."""

    def __init__(self) -> None:
        self.asked = False

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
        self.asked = True


@dataclass(frozen=True)
class RowShape:
    """Token budget of a row; `fixed` fills every row up to it (for compiled attention)."""

    tokens: int
    fixed: bool = False


@dataclass(frozen=True)
class SaveEvery:
    """When checkpoints are due: after so many minutes, and at multiples of so many steps."""

    minutes: float
    steps: int | None = None


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


class Trainer:
    """Drives a DeepSpeed engine through a plan of steps."""

    def __init__(
        self,
        engine: Any,
        examples: Examples,
        order: Order,
        recipe: Recipe,
        shape: RowShape,
        save: SaveEvery,
        checkpoints: Checkpoints,
        board: MetricsLogger,
        callbacks: Sequence[Callable[[Progress], None]] = (),
    ) -> None:
        """Bring together what a run needs.

        Args:
            callbacks: called by all ranks before the first step, after every step and after a
                resume; they must change neither weights nor random states.
        """
        self.engine = engine
        self.examples = examples
        self.order = order
        self.recipe = recipe
        self.shape = shape
        self.save = save
        self.checkpoints = checkpoints
        self.board = board
        self.callbacks = callbacks
        self.rank = distributed.get_rank()
        self.world = distributed.get_world_size()
        self.lengths = examples.lengths
        self.stop = StopRequest()

    def run(self) -> Progress:
        """Train to the end of the plan, from the newest checkpoint if there is one.

        Raises:
            Interrupted: asked to stop; a checkpoint was written.
            InputError: the loss or the gradient is not finite.
        """
        progress = self._resume()
        steps = self.order.steps
        saved = time.monotonic()
        with self.stop.listening():
            run_on_rank_zero(partial(self.board.open, progress.step))
            try:
                self._watch(progress)
                while progress.step < steps:
                    stop = self.step(progress)
                    self._watch(progress)
                    if self._all(stop or self._save_due(progress.step, saved)):
                        self.checkpoints.save(self.engine, progress.step, asdict(progress))
                        saved = time.monotonic()
                    if stop:
                        raise Interrupted(f"stopped after step {progress.step} of {steps}, saved")
            finally:
                self.board.close()
        return progress

    def step(self, progress: Progress) -> bool:
        """One optimizer step; returns whether any rank was asked to stop."""
        began = time.monotonic()
        step = self.rows(progress.step)
        rate = self._set_learning_rate(progress.step)
        local = self.accumulate(step)
        summed = self._sum(torch.stack([local, torch.full_like(local, self.stop.asked)]))
        mean = float(summed[0]) / step.supervised
        self._check_finite(mean, "loss", step, progress.step)
        norm = self._update(step, progress)
        progress.step += 1
        progress.examples += len(step.batch)
        progress.tokens += step.tokens
        progress.supervised += step.supervised
        progress.sum_squared_lengths += step.sum_squared_lengths
        progress.rows += step.row_count
        progress.losses.append(mean)
        self._check_explosion(progress.losses, step)
        progress.seconds += time.monotonic() - began
        self.board.show(progress, rate, norm)
        return bool(summed[1] > 0)

    def _update(self, step: StepRows, progress: Progress) -> float | None:
        """Let the optimizer step; returns the gradient's norm where DeepSpeed computes it."""
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
        for place, row in enumerate(step.rows, 1):
            self.engine.set_gradient_accumulation_boundary(place == len(step.rows))
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
                [self.examples.sequence(batch[place]) for place in row],
                self.engine.device,
                fill_to=self.shape.tokens if self.shape.fixed else 1,
            )
            for row in packed[self.rank]
        ]
        prompts = sum(int(self.examples.prompt_lengths[position]) for position in batch)
        return StepRows(
            rows,
            batch,
            supervised=sum(lengths) - prompts,
            tokens=sum(lengths),
            sum_squared_lengths=sum(length**2 for length in lengths),
            row_count=len(packed[0]) * self.world,
        )

    def _set_learning_rate(self, step: int) -> float:
        rate = learning_rate(self.recipe, step, self.order.steps)
        for group in self.engine.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def _watch(self, progress: Progress) -> None:
        for callback in self.callbacks:
            callback(progress)

    def _resume(self) -> Progress:
        state = self.checkpoints.load(self.engine)
        if state is None:
            return Progress()
        progress = Progress(**state)
        progress.starts += 1
        if self.rank == 0:
            log.info("going on from step %d", progress.step)
        return progress

    def _save_due(self, step: int, saved: float) -> bool:
        every = self.save.steps
        if every is not None and step % every == 0:
            return True
        waited = time.monotonic() - saved
        if step == self.order.steps:  # the export may be stopped too
            return waited >= FINAL_SAVE_SECONDS
        return waited >= 60 * self.save.minutes

    def _sum(self, values: torch.Tensor) -> torch.Tensor:
        distributed.all_reduce(values)
        return values.cpu()

    def _all(self, due: bool) -> bool:
        """Rank 0's view, so that all ranks save together though their clocks differ."""
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
        ids = [self.examples.ids[position] for position in rows.batch[:8]]
        more = f" and {len(rows.batch) - 8} more" if len(rows.batch) > 8 else ""
        return InputError(
            f"{what}; examples of the batch: {', '.join(ids)}{more}",
            where="recipe",
            fix="lower recipe.learning_rate, add recipe.warmup_ratio, set recipe.max_grad_norm, "
            "use precision bf16 or fp32, or look at these examples",
        )
