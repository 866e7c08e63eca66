"""Which examples each optimizer step sees, and its learning rate: functions of seed and recipe,
not of the machine.

The examples of a subset are in phases, nearly always in one. All passes over a phase come before
the next phase. Within a phase the passes follow each other without a gap, and an example with
`repeats` r occurs r times in each, apart from each other. A step takes the next examples of that
stream: a stated number of them, or as many as a stated number of tokens holds. It never holds
examples of two phases.

The order of a pass sorts by a keyed hash of seed, pass, id and copy, so that neither the order of
the subset's file nor the number of ranks has any influence.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from instruct_scaling.common.errors import InputError
from instruct_scaling.config.recipe import Recipe


class Ordered(Protocol):
    """What of the examples decides their order (see `examples.Examples`)."""

    ids: np.ndarray
    repeats: np.ndarray
    phases: np.ndarray
    lengths: np.ndarray


def mixed(values: np.ndarray) -> np.ndarray:
    """The finalizer of splitmix64 (Steele, Lea, Flood 2014, doi 10.1145/2660193.2660195): a
    bijection of uint64 in which every bit of the input changes half of the output's."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def pass_key(seed: int, epoch: int) -> np.uint64:
    """The key of one pass."""
    digest = hashlib.blake2b(f"{seed}/epoch/{epoch}".encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "big"))


@dataclass(frozen=True)
class Stream:
    """The examples of one phase, each as often as it occurs in a pass.

    `positions` [m] int64 in the subset; `ids` [m, 2] and `copies` [m] uint64 tell them apart.
    """

    positions: np.ndarray
    ids: np.ndarray
    copies: np.ndarray

    @classmethod
    def of(cls, examples: Ordered, phase: int) -> Stream:
        """The stream of a phase, in no particular order."""
        members = np.flatnonzero(examples.phases == phase)
        repeats = examples.repeats[members]
        positions = np.repeat(members, repeats)
        before = np.repeat(np.cumsum(repeats) - repeats, repeats)
        copies = (np.arange(len(positions)) - before).astype(np.uint64)
        return cls(positions, examples.ids[positions], copies)

    def __len__(self) -> int:
        return len(self.positions)

    def order(self, seed: int, epoch: int) -> np.ndarray:
        """Positions [m] in the order of one pass."""
        high, low = self.ids.T
        keys = mixed(mixed(mixed(high ^ pass_key(seed, epoch)) ^ low) ^ self.copies)
        order = np.argsort(keys, kind="stable")
        if np.any(np.diff(keys[order]) == 0):  # two hashes are equal: the ids decide
            order = np.lexsort((self.copies, low, high, keys))
        return self.positions[order]


def bounds_by_examples(size: int, *, total: int | None, steps: int | None) -> np.ndarray:
    """[steps + 1] positions in the stream where each step of `size` examples begins, and the end.

    Args:
        size: examples of a step; only the last step may be short.
        total: examples of the whole stream; None where the number of steps is given.
        steps: of the whole stream; None where the number of examples is given.
    """
    if steps is not None:
        return np.arange(steps + 1) * size
    assert total is not None
    return np.append(np.arange(0, total, size), total)


def bounds_by_tokens(
    lengths: Callable[[int], np.ndarray], limit: int, *, total: int | None, steps: int | None
) -> np.ndarray:
    """Like `bounds_by_examples`, for steps of at most `limit` tokens, at least one example each.

    Args:
        lengths: tokens of each example in the order of a pass, [m].
        limit: tokens of a step.
        total, steps: as above.
    """
    bounds, held, seen, epoch = [0], 0, 0, 0
    while True:
        ends = np.cumsum(lengths(epoch))
        if total is not None:
            ends = ends[: total - seen]
        first = before = 0  # where the step begins in this pass, and the tokens before that
        while True:
            stop = int(np.searchsorted(ends, before + limit - held, side="right"))
            if not held:
                stop = max(stop, first + 1)
            if stop >= len(ends):
                break
            bounds.append(seen + stop)
            if len(bounds) - 1 == steps:
                return np.array(bounds)
            first, before, held = stop, int(ends[stop - 1]) if stop else 0, 0
        held += int(ends[-1]) - before
        seen += len(ends)
        epoch += 1
        if seen == total:
            return np.array([*bounds, seen])


def shared_steps(steps: int, sizes: list[int]) -> list[int]:
    """Share steps among phases by their number of examples; every phase gets at least one.

    Raises:
        InputError: fewer steps than phases.
    """
    if steps < len(sizes):
        raise InputError(
            f"{steps} steps do not suffice for {len(sizes)} phases",
            where="recipe.steps",
            fix=f"set it to at least {len(sizes)}",
        )
    # Each phase ends where its share of the running sum does, so that the shares add up.
    spare, whole = steps - len(sizes), sum(sizes)
    ends = [spare * done // whole for done in np.cumsum(sizes).tolist()]
    return [1 + end - start for start, end in zip([0, *ends[:-1]], ends, strict=True)]


@dataclass
class Order:
    """Looks up the examples of a step; keeps the orders of the passes that a step touches.

    `streams` holds the phases that have examples, under their numbers; `bounds` [steps + 1] of
    each the positions in its stream where its steps begin, and its end.
    """

    seed: int
    streams: dict[int, Stream]
    bounds: dict[int, np.ndarray]
    _passes: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)

    @classmethod
    def make(cls, examples: Ordered, seed: int, recipe: Recipe) -> Order:
        """The order that a recipe gives some examples.

        Raises:
            InputError: more phases than the recipe describes, or than there are steps.
        """
        phases = np.unique(examples.phases).tolist()
        if recipe.phases and phases[-1] >= len(recipe.phases):
            raise InputError(
                f"the subset has phase {phases[-1]} (counted from 0), and {len(recipe.phases)} are "
                "described",
                where="recipe.phases",
                fix="describe every phase of the arm's selection",
            )
        streams = {phase: Stream.of(examples, phase) for phase in phases}
        order = cls(seed, streams, {})
        sizes = [len(stream) for stream in streams.values()]
        steps = shared_steps(recipe.steps, sizes) if recipe.steps else [None] * len(phases)
        for (phase, stream), share in zip(streams.items(), steps, strict=True):
            epochs = recipe.epochs_in(phase)
            total = None if epochs is None else max(1, round(epochs * len(stream)))
            if recipe.batch_size is not None:
                bounds = bounds_by_examples(recipe.batch_size, total=total, steps=share)
            else:
                assert recipe.batch_tokens is not None
                bounds = bounds_by_tokens(
                    lambda epoch, phase=phase: examples.lengths[order._pass(phase, epoch)],
                    recipe.batch_tokens,
                    total=total,
                    steps=share,
                )
            order.bounds[phase] = bounds
        return order

    @property
    def steps(self) -> int:
        """Optimizer steps of the run."""
        return sum(len(bounds) - 1 for bounds in self.bounds.values())

    def locate(self, step: int) -> tuple[int, int]:
        """Phase of step `step` (counted from 0), and the step's number within it."""
        for phase, bounds in self.bounds.items():
            if step < len(bounds) - 1:
                return phase, step
            step -= len(bounds) - 1
        raise IndexError("the run has fewer steps")

    def batch(self, step: int) -> list[int]:
        """Positions (in the subset) of the examples of step `step`, counted from 0."""
        phase, number = self.locate(step)
        size = len(self.streams[phase])
        first, stop = self.bounds[phase][number : number + 2].tolist()
        touched = range(first // size, (stop - 1) // size + 1)
        parts = [
            self._pass(phase, epoch)[max(0, first - epoch * size) : stop - epoch * size]
            for epoch in touched
        ]
        return np.concatenate(parts).tolist()

    def _pass(self, phase: int, epoch: int) -> np.ndarray:
        if (phase, epoch) not in self._passes:
            # Steps go forward: the pass before is all that a step can still touch.
            kept = {key: value for key, value in self._passes.items() if key == (phase, epoch - 1)}
            kept[phase, epoch] = self.streams[phase].order(self.seed, epoch)
            self._passes = kept
        return self._passes[phase, epoch]


def learning_rate(recipe: Recipe, step: int, steps: int, phase: int = 0) -> float:
    """Learning rate of step `step` (from 0) of `steps`, in a phase.

    Warm-up rises linearly over ceil(warmup_ratio * steps) steps and reaches the peak at its last
    one; `linear` and `cosine` then fall and would reach 0 one step after the last. The peak is
    the phase's own, the shape that of the whole run.
    """
    peak = recipe.learning_rate_in(phase)
    warmup = math.ceil(recipe.warmup_ratio * steps)
    if step < warmup:
        return peak * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    if recipe.schedule == "linear":
        return peak * (1 - done)
    if recipe.schedule == "cosine":
        return peak * 0.5 * (1 + math.cos(math.pi * done))
    return peak
