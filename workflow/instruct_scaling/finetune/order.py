"""Which examples each optimiser step sees: a function of seed and recipe, not of the machine."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from instruct_scaling.config.recipe import Recipe
from instruct_scaling.seeds import rank_key


def epoch_order(ids: Sequence[str], seed: int, epoch: int) -> list[int]:
    """Positions of `ids` in the order of one pass, by keyed hash of (seed, epoch, id)."""
    digest = hashlib.blake2b(f"{seed}/epoch/{epoch}".encode(), digest_size=7).digest()
    key = int.from_bytes(digest, "big")
    return sorted(range(len(ids)), key=lambda position: rank_key(key, ids[position]))


@dataclass(frozen=True)
class Plan:
    """The run's steps. The passes over the subset follow each other without a gap, and step k
    takes the examples [k * batch, (k + 1) * batch) of that stream; only the last may be short.
    """

    examples: int
    batch_size: int
    passes: int  # examples seen in total
    steps: int

    @classmethod
    def make(cls, examples: int, recipe: Recipe) -> Plan:
        """The plan for a subset of `examples` records."""
        if recipe.steps is not None:
            return cls(examples, recipe.batch_size, recipe.steps * recipe.batch_size, recipe.steps)
        assert recipe.epochs is not None
        passes = max(1, round(recipe.epochs * examples))
        return cls(examples, recipe.batch_size, passes, math.ceil(passes / recipe.batch_size))

    @property
    def epochs(self) -> float:
        """Passes over the subset."""
        return self.passes / self.examples


@dataclass
class Order:
    """Looks up the examples of a step; keeps the orders of the passes that a step touches."""

    ids: Sequence[str]
    seed: int
    plan: Plan
    _epochs: dict[int, list[int]] = field(default_factory=dict)

    def batch(self, step: int) -> list[int]:
        """Positions (in the subset) of the examples of step `step`, counted from 0."""
        size, first = self.plan.examples, step * self.plan.batch_size
        stop = min(first + self.plan.batch_size, self.plan.passes)
        self._epochs = {e: o for e, o in self._epochs.items() if e >= first // size}
        return [self._epoch(place // size)[place % size] for place in range(first, stop)]

    def _epoch(self, epoch: int) -> list[int]:
        if epoch not in self._epochs:
            self._epochs[epoch] = epoch_order(self.ids, self.seed, epoch)
        return self._epochs[epoch]
