"""Which examples each optimizer step sees: a function of seed and recipe, not of the machine.

The passes over the subset follow each other without a gap. A step takes the next examples of
that stream: a stated number of them, or as many as a stated number of tokens holds.
"""

from __future__ import annotations

import hashlib
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
    """[steps + 1] places of the stream where each step of `size` examples begins, and the end.

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
    bounds, held, place, epoch = [0], 0, 0, 0
    while True:
        for position in order(epoch):
            if place == total:
                return np.array([*bounds, place])
            tokens = int(lengths[position])
            if held and held + tokens > limit:
                bounds.append(place)
                held = 0
                if len(bounds) - 1 == steps:
                    return np.array(bounds)
            held += tokens
            place += 1
        epoch += 1


@dataclass
class Order:
    """Looks up the examples of a step; keeps the orders of the passes that a step touches.

    `bounds` [steps + 1]: the places of the stream where the steps begin, and its end.
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
        return [self._epoch(place // size)[place % size] for place in range(first, stop)]

    def _epoch(self, epoch: int) -> list[int]:
        if epoch not in self._epochs:
            self._epochs[epoch] = epoch_order(self.ids, self.seed, epoch)
        return self._epochs[epoch]
