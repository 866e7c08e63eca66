"""The training order is a function of the seed, the ids, repeats and phases; the learning rate of
the step and its phase."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from itertools import chain, groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.common.errors import InputError
from instruct_scaling.config.recipe import Recipe
from instruct_scaling.training import order as order_module
from instruct_scaling.training.order import (
    Order,
    Stream,
    bounds_by_tokens,
    learning_rate,
    shared_steps,
)


@dataclass
class Some:
    """Examples without tokens."""

    ids: np.ndarray
    repeats: np.ndarray
    phases: np.ndarray
    lengths: np.ndarray

    def at(self, index):
        return Some(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


def some(count, repeats=None, phases=None):
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 2**64, (count, 2), dtype=np.uint64)
    lengths = rng.integers(2, 60, count)
    ones = np.ones(count, np.int64)
    return Some(
        ids,
        ones if repeats is None else np.array(repeats),
        0 * ones if phases is None else np.array(phases),
        lengths,
    )


def stream(recipe, examples, seed=1):
    order = Order.make(examples, seed, recipe)
    return order, [order.batch(step) for step in range(order.steps)]


@st.composite
def examples(draw, largest=40):
    """Up to 40 examples with repeats, in up to four phases of which some may be empty."""
    count = draw(st.integers(1, largest))
    repeats = draw(st.lists(st.integers(1, 4), min_size=count, max_size=count))
    phases = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    return some(count, repeats, phases)


def recipes(**more):
    by_examples = st.builds(lambda size: {"batch_size": size}, st.integers(1, 60))
    by_tokens = st.builds(
        lambda limit: {"batch_size": None, "batch_tokens": limit}, st.integers(1, 300)
    )
    return st.one_of(by_examples, by_tokens).map(lambda batch: Recipe(**batch, **more))


def check_passes(seen, of, epochs):
    """The positions of one phase: whole passes, in each every copy once, then a part of one."""
    once = Counter({index: int(of.repeats[index]) for index in set(seen)})
    size = int(of.repeats.sum())
    assert len(seen) == max(1, round(epochs * size))
    for start in range(0, len(seen) - size + 1, size):
        assert Counter(seen[start : start + size]) == once
    rest = Counter(seen[len(seen) // size * size :])
    assert all(rest[index] <= of.repeats[index] for index in rest)


@given(examples(), st.floats(0.1, 3.5), st.data())
def test_each_pass_has_each_copy_once_and_phases_come_in_order(given, epochs, data):
    recipe = data.draw(recipes(epochs=epochs))
    order, batches = stream(recipe, given)
    phases = [order.locate(step)[0] for step in range(order.steps)]
    assert phases == sorted(phases)
    assert set(phases) == set(given.phases.tolist())
    for phase, steps in groupby(zip(phases, batches, strict=True), key=lambda pair: pair[0]):
        seen = list(chain.from_iterable(batch for _, batch in steps))
        members = np.flatnonzero(given.phases == phase)
        numbers = {member: number for number, member in enumerate(members.tolist())}
        check_passes([numbers[index] for index in seen], given.at(members), epochs)


@given(examples(), st.integers(1, 60), st.floats(0.1, 3.5))
def test_only_the_last_step_of_a_phase_may_be_short(given, size, epochs):
    order, batches = stream(Recipe(batch_size=size, epochs=epochs), given)
    for step, batch in enumerate(batches[:-1]):
        if order.locate(step)[0] == order.locate(step + 1)[0]:
            assert len(batch) == size
        assert 1 <= len(batch) <= size


@given(examples(), st.integers(1, 300), st.floats(0.1, 3.5))
def test_a_step_of_tokens_takes_as_many_examples_as_fit(given, limit, epochs):
    order, batches = stream(Recipe(batch_size=None, batch_tokens=limit, epochs=epochs), given)
    for step, batch in enumerate(batches):
        tokens = given.lengths[batch].sum()
        assert tokens <= limit or len(batch) == 1
        if step + 1 < order.steps and order.locate(step)[0] == order.locate(step + 1)[0]:
            assert tokens + given.lengths[batches[step + 1][0]] > limit


@given(examples(), st.data())
def test_the_order_of_the_file_has_no_influence(given, data):
    recipe = data.draw(recipes(epochs=2))
    shuffled = np.array(data.draw(st.permutations(range(len(given.ids)))))
    _, batches = stream(recipe, given)
    _, others = stream(recipe, given.at(shuffled))
    assert [shuffled[batch].tolist() for batch in others] == batches


@given(st.data())
def test_nor_has_it_where_hashes_are_equal(data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order_module, "mixed", lambda values: values & np.uint64(1))
        given = data.draw(examples())
        shuffled = np.array(data.draw(st.permutations(range(len(given.ids)))))
        _, batches = stream(Recipe(batch_size=3), given)
        _, others = stream(Recipe(batch_size=3), given.at(shuffled))
    assert [shuffled[batch].tolist() for batch in others] == batches


@given(examples(), st.integers(2, 12))
def test_a_record_that_joins_moves_no_other_before_another(given, count):
    """So a smaller subset trains in the order of the larger one."""
    kept = np.arange(min(count, len(given.ids)))
    of = given.at(kept)
    for phase in set(of.phases.tolist()):
        large = [p for p in Stream.of(given, phase).order(5, 0).tolist() if p < len(kept)]
        assert Stream.of(of, phase).order(5, 0).tolist() == large


def splitmix(value):
    """In Python's integers."""
    mask = 2**64 - 1
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & mask
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & mask
    return value ^ (value >> 31)


def plain_pass(given, phase, seed, epoch):
    """The order of a pass by Python's own sort."""
    digest = hashlib.blake2b(f"{seed}/epoch/{epoch}".encode(), digest_size=8).digest()
    key = int.from_bytes(digest, "big")
    keyed = []
    for position, (high, low) in enumerate(given.ids.tolist()):
        for copy in range(given.repeats[position] if given.phases[position] == phase else 0):
            value = splitmix(splitmix(splitmix(high ^ key) ^ low) ^ copy)
            keyed.append((value, high, low, copy, position))
    return [position for *_, position in sorted(keyed)]


@given(examples(), st.integers(0, 2**31 - 1), st.integers(0, 3))
def test_a_pass_is_that_of_a_plain_sort(given, seed, epoch):
    for phase in set(given.phases.tolist()):
        found = Stream.of(given, phase).order(seed, epoch).tolist()
        assert found == plain_pass(given, phase, seed, epoch)


def test_a_known_order():
    """Fixed for good: another one would train every study again."""
    ids = np.array([[0, 1], [2**63, 5], [7, 7], [3, 2**64 - 1]], np.uint64)
    given = Some(ids, np.array([1, 3, 1, 1]), np.array([0, 0, 1, 0]), np.array([2, 2, 2, 2]))
    _, batches = stream(Recipe(batch_size=2, epochs=2), given, seed=11)
    assert batches == [[0, 1], [3, 1], [1, 1], [1, 3], [1, 0], [2, 2]]


def test_copies_lie_apart_and_epochs_and_seeds_differ():
    given = some(200, repeats=[5] * 200)
    found = {
        (seed, epoch): Stream.of(given, 0).order(seed, epoch) for seed in (1, 2) for epoch in (0, 1)
    }
    assert len({order.tobytes() for order in found.values()}) == 4
    neighbors = np.mean([np.mean(np.diff(order) == 0) for order in found.values()])
    assert neighbors < 3 * 4 / 999  # 4 of the 999 others are copies of it
    places = np.argsort(found[1, 0][:200]), np.argsort(found[1, 1][:200])
    assert abs(np.corrcoef(*places)[0, 1]) < 0.3


def test_fixed_steps_mean_full_batches_whatever_the_subset():
    for count in (3, 50):
        order, batches = stream(Recipe(batch_size=8, epochs=None, steps=5), some(count))
        assert order.steps == 5
        assert [len(batch) for batch in batches] == [8] * 5


def test_fixed_steps_of_tokens_go_round_a_small_subset():
    given = some(3)
    order, batches = stream(Recipe(batch_size=None, batch_tokens=150, epochs=None, steps=9), given)
    assert order.steps == len(batches) == 9
    assert sum(map(len, batches)) > 6
    assert all(given.lengths[batch].sum() <= 150 for batch in batches)


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=6), st.integers(0, 500))
def test_steps_are_shared_by_the_number_of_examples(sizes, more):
    steps = len(sizes) + more
    shares = shared_steps(steps, sizes)
    assert sum(shares) == steps
    assert min(shares) >= 1
    for share, size in zip(shares, sizes, strict=True):
        assert abs(share - 1 - more * size / sum(sizes)) <= 1


def test_phases_share_fixed_steps_and_too_few_are_refused():
    given = some(40, phases=[0] * 10 + [1] * 30)
    order, _ = stream(Recipe(batch_size=4, epochs=None, steps=42), given)
    assert [len(bounds) - 1 for bounds in order.bounds.values()] == [11, 31]
    with pytest.raises(InputError, match="1 steps do not suffice for 2 phases"):
        stream(Recipe(batch_size=4, epochs=None, steps=1), given)


def test_a_phase_has_its_own_passes_and_rate():
    given = some(40, phases=[0] * 10 + [2] * 30)  # the middle one has no record at this scale
    phases = [{"epochs": 3}, {}, {"learning_rate": 0.5}]
    recipe = Recipe(batch_size=10, epochs=1, learning_rate=1.0, phases=phases)
    order, batches = stream(recipe, given)
    assert [order.locate(step)[0] for step in range(order.steps)] == [0, 0, 0, 2, 2, 2]
    assert [len(batch) for batch in batches] == [10] * 6
    rates = [learning_rate(recipe, step, 6, order.locate(step)[0]) for step in range(6)]
    assert rates == [1.0] * 3 + [0.5] * 3
    with pytest.raises(InputError, match=r"recipe\.phases: the subset has phase 2"):
        stream(Recipe(phases=phases[:2]), given)


@given(st.lists(st.integers(2, 40), min_size=1, max_size=30), st.integers(1, 120), st.data())
def test_bounds_are_those_of_a_plain_loop(lengths, limit, data):
    lengths = np.array(lengths)
    total = data.draw(st.none() | st.integers(1, 3 * len(lengths)))
    steps = None if total else data.draw(st.integers(1, 40))
    passes = lambda epoch: np.roll(lengths, epoch)  # noqa: E731
    found = bounds_by_tokens(passes, limit, total=total, steps=steps)
    assert found.tolist() == plain_bounds(passes, limit, total, steps)


def plain_bounds(passes, limit, total, steps):
    """Example by example."""
    bounds, held, seen, epoch = [0], 0, 0, 0
    while True:
        for tokens in passes(epoch).tolist():
            if seen == total:
                return [*bounds, seen]
            if held and held + tokens > limit:
                bounds.append(seen)
                held = 0
                if len(bounds) - 1 == steps:
                    return bounds
            held += tokens
            seen += 1
        epoch += 1


def test_a_resumed_run_looks_up_the_same_batches():
    given = some(50, phases=[0] * 30 + [1] * 20)
    for recipe in (Recipe(batch_size=16, epochs=3), Recipe(batch_size=None, batch_tokens=90)):
        order, batches = stream(recipe, given)
        for step in (order.steps - 1, order.steps // 2):
            assert Order.make(given, 1, recipe).batch(step) == batches[step]


def rates(schedule, steps, warmup=0.0):
    recipe = Recipe(schedule=schedule, warmup_ratio=warmup, learning_rate=1.0)
    return [learning_rate(recipe, step, steps) for step in range(steps)]


def test_known_learning_rates():
    assert rates("constant", 4) == [1.0] * 4
    assert rates("linear", 4) == [1.0, 0.75, 0.5, 0.25]
    assert rates("cosine", 4) == pytest.approx([1.0, 0.853553, 0.5, 0.146447], abs=1e-6)
    thirds = [1 / 3, 2 / 3, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert rates("constant", 10, warmup=0.25) == pytest.approx(thirds)  # 2.5 steps: three
    assert rates("constant", 8, warmup=0.5) == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0]


@given(st.sampled_from(["constant", "linear", "cosine"]), st.integers(1, 200), st.floats(0, 0.9))
def test_rates_rise_then_never_rise_again_and_stay_positive(schedule, steps, warmup):
    found = rates(schedule, steps, warmup)
    peak = found.index(max(found))
    assert all(0 < rate <= 1 for rate in found)
    assert found[: peak + 1] == sorted(found[: peak + 1])
    assert found[peak:] == sorted(found[peak:], reverse=True)
