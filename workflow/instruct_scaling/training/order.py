"""Which examples each optimizer step sees, and its learning rate: functions of seed and recipe,
not of the machine.

The passes over the subset follow each other without a gap. A step takes the next examples of
that stream: a stated number of them, or as many as a stated number of tokens holds.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from instruct_scaling.common.seeds import rank_key
from instruct_scaling.config.recipe import Recipe

EpochOrder = Callable[[int], Sequence[int]]


def epoch_order(ids: Sequence[str], seed: int, epoch: int) -> list[int]:
    """Positions of `ids` in the order of one pass, by keyed hash of (seed, epoch, id)."""
    digest = hashlib.blake2b(f"{seed}/epoch/{epoch}".encode(), digest_size=7).digest()
    key = int.from_bytes(digest, "big")
    return sorted(range(len(ids)), key=lambda position: rank_key(key, ids[position]))


def bounds_by_examples(size: int, *, total: int | None, steps: int | None) -> np.ndarray:
    """[steps + 1] positions in the stream where each step of `size` examples begins, and the end.

    Args:
        size: examples of a step; only the last step may be short.
        total: examples of the whole run; None where the number of steps is given.
        steps: of the whole run; None where the number of examples is given.
    """
    if steps is not None:
        return np.arange(steps + 1) * size
    assert total is not None
    return np.append(np.arange(0, total, size), total)


def bounds_by_tokens(
    lengths: np.ndarray, limit: int, order: EpochOrder, *, total: int | None, steps: int | None
) -> np.ndarray:
    """Like `bounds_by_examples`, for steps of at most `limit` tokens, at least one example each.

    Args:
        lengths: tokens of each example, [n].
        limit: tokens of a step.
        order: positions of the examples in each pass.
        total, steps: as above.
    """
    bounds, held, seen, epoch = [0], 0, 0, 0
    while True:
        for position in order(epoch):
            if seen == total:
                return np.array([*bounds, seen])
            tokens = int(lengths[position])
            if held and held + tokens > limit:
                bounds.append(seen)
                held = 0
                if len(bounds) - 1 == steps:
                    return np.array(bounds)
            held += tokens
            seen += 1
        epoch += 1


@dataclass
class Order:
    """Looks up the examples of a step; keeps the orders of the passes that a step touches.

    `bounds` [steps + 1]: the positions in the stream where the steps begin, and its end.
    """

    ids: Sequence[str]
    seed: int
    bounds: np.ndarray
    _epochs: dict[int, list[int]] = field(default_factory=dict)

    @classmethod
    def make(cls, ids: Sequence[str], lengths: np.ndarray, seed: int, recipe: Recipe) -> Order:
        """The order that a recipe gives a subset; `lengths` [n] are the examples' tokens."""
        total = None
        if recipe.epochs is not None:
            total = max(1, round(recipe.epochs * len(ids)))
        if recipe.batch_size is not None:
            bounds = bounds_by_examples(recipe.batch_size, total=total, steps=recipe.steps)
        else:
            assert recipe.batch_tokens is not None
            bounds = bounds_by_tokens(
                lengths,
                recipe.batch_tokens,
                lambda epoch: epoch_order(ids, seed, epoch),
                total=total,
                steps=recipe.steps,
            )
        return cls(ids, seed, bounds)

    @property
    def steps(self) -> int:
        """Optimizer steps of the run."""
        return len(self.bounds) - 1

    @property
    def epochs(self) -> float:
        """Passes over the subset."""
        return int(self.bounds[-1]) / len(self.ids)

    def batch(self, step: int) -> list[int]:
        """Positions (in the subset) of the examples of step `step`, counted from 0."""
        size, first, stop = len(self.ids), int(self.bounds[step]), int(self.bounds[step + 1])
        self._epochs = {e: o for e, o in self._epochs.items() if e >= first // size}
        return [self._epoch(index // size)[index % size] for index in range(first, stop)]

    def _epoch(self, epoch: int) -> list[int]:
        if epoch not in self._epochs:
            self._epochs[epoch] = epoch_order(self.ids, self.seed, epoch)
        return self._epochs[epoch]


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Learning rate of step `step` (from 0) of `steps`.

    Warm-up rises linearly over ceil(warmup_ratio * steps) steps and reaches the peak at its last
    one; `linear` and `cosine` then fall and would reach 0 one step after the last.
    """
    warmup = math.ceil(recipe.warmup_ratio * steps)
    if step < warmup:
        return recipe.learning_rate * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    if recipe.schedule == "linear":
        return recipe.learning_rate * (1 - done)
    if recipe.schedule == "cosine":
        return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
    return recipe.learning_rate
