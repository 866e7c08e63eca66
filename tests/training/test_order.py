"""The training order is a function of the seed and the ids alone, the learning rate of the step."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.config.recipe import Recipe
from instruct_scaling.training.order import Order, epoch_order, learning_rate

IDS = [f"record {number}" for number in range(50)]
LENGTHS = np.random.default_rng(0).integers(2, 60, len(IDS))


def stream(recipe, ids=IDS, seed=1):
    order = Order.make(ids, LENGTHS[: len(ids)], seed, recipe)
    return order, [order.batch(step) for step in range(order.steps)]


def assert_whole_passes(batches, count):
    seen = [position for batch in batches for position in batch]
    for start in range(0, len(seen), count):
        whole = seen[start : start + count]
        assert len(set(whole)) == len(whole)
    assert max(Counter(seen).values()) - min(Counter(seen).values()) <= 1
    return seen


@given(st.integers(1, 90), st.floats(0.1, 4.0), st.integers(1, 50))
def test_each_pass_sees_each_example_once(batch_size, epochs, count):
    ids = IDS[:count]
    order, batches = stream(Recipe(batch_size=batch_size, epochs=epochs), ids)
    assert all(len(batch) == batch_size for batch in batches[:-1])
    seen = assert_whole_passes(batches, count)
    assert len(seen) == order.bounds[-1] == max(1, round(epochs * count))
    assert order.epochs == len(seen) / count


@given(st.integers(1, 400), st.floats(0.1, 4.0), st.integers(1, 50))
def test_a_step_of_tokens_takes_as_many_examples_as_fit(limit, epochs, count):
    ids = IDS[:count]
    recipe = Recipe(batch_size=None, batch_tokens=limit, epochs=epochs)
    _, batches = stream(recipe, ids)
    seen = assert_whole_passes(batches, count)
    assert len(seen) == max(1, round(epochs * count))
    for batch, following in zip(batches, [*batches[1:], None], strict=True):
        tokens = LENGTHS[batch].sum()
        assert tokens <= limit or len(batch) == 1
        if following is not None:
            assert tokens + LENGTHS[following[0]] > limit


def test_batches_of_tokens_and_of_examples_share_one_stream():
    _, by_tokens = stream(Recipe(batch_size=None, batch_tokens=100, epochs=2))
    _, by_examples = stream(Recipe(batch_size=7, epochs=2))
    assert list(chain.from_iterable(by_tokens)) == list(chain.from_iterable(by_examples))


def test_fixed_steps_mean_full_batches_whatever_the_subset():
    for count in (3, 50):
        order, batches = stream(Recipe(batch_size=8, epochs=None, steps=5), IDS[:count])
        assert order.steps == 5
        assert [len(batch) for batch in batches] == [8] * 5


def test_fixed_steps_of_tokens_go_round_a_small_subset():
    recipe = Recipe(batch_size=None, batch_tokens=150, epochs=None, steps=9)
    order, batches = stream(recipe, IDS[:3])
    assert order.steps == len(batches) == 9
    assert order.epochs > 2
    assert all(LENGTHS[batch].sum() <= 150 for batch in batches)


def test_seed_and_epoch_change_the_order_and_nothing_else_does():
    assert epoch_order(IDS, 1, 0) == epoch_order(IDS, 1, 0)
    assert epoch_order(IDS, 1, 0) != epoch_order(IDS, 1, 1)
    assert epoch_order(IDS, 1, 0) != epoch_order(IDS, 2, 0)
    backwards = [IDS[::-1][position] for position in epoch_order(IDS[::-1], 1, 0)]
    assert backwards == [IDS[position] for position in epoch_order(IDS, 1, 0)]


def test_a_resumed_run_looks_up_the_same_batches():
    for recipe in (Recipe(batch_size=16, epochs=3), Recipe(batch_size=None, batch_tokens=90)):
        order, batches = stream(recipe)
        assert Order.make(IDS, LENGTHS, 1, recipe).batch(order.steps - 1) == batches[-1]


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
