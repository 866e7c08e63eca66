"""The training order is a function of the seed and the ids alone."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.config.recipe import Recipe
from instruct_scaling.finetune.order import Order, Plan, epoch_order

IDS = [f"record {number}" for number in range(50)]


def stream(recipe, ids=IDS, seed=1):
    plan = Plan.make(len(ids), recipe)
    order = Order(ids, seed, plan)
    return plan, [order.batch(step) for step in range(plan.steps)]


@given(st.integers(1, 90), st.floats(0.1, 4.0), st.integers(1, 70))
def test_each_pass_sees_each_example_once(batch_size, epochs, count):
    ids = IDS[:count]
    plan, batches = stream(Recipe(batch_size=batch_size, epochs=epochs), ids)
    assert all(len(batch) == batch_size for batch in batches[:-1])
    seen = [position for batch in batches for position in batch]
    assert len(seen) == plan.passes == max(1, round(epochs * len(ids)))
    size = len(ids)
    for start in range(0, len(seen), size):
        whole = seen[start : start + size]
        assert len(set(whole)) == len(whole)
    assert max(Counter(seen).values()) - min(Counter(seen).values()) <= 1


def test_fixed_steps_mean_full_batches_whatever_the_subset():
    for count in (3, 50):
        plan, batches = stream(Recipe(batch_size=8, epochs=None, steps=5), IDS[:count])
        assert plan.steps == 5
        assert [len(batch) for batch in batches] == [8] * 5


def test_seed_and_epoch_change_the_order_and_nothing_else_does():
    assert epoch_order(IDS, 1, 0) == epoch_order(IDS, 1, 0)
    assert epoch_order(IDS, 1, 0) != epoch_order(IDS, 1, 1)
    assert epoch_order(IDS, 1, 0) != epoch_order(IDS, 2, 0)
    backwards = [IDS[::-1][place] for place in epoch_order(IDS[::-1], 1, 0)]
    assert backwards == [IDS[place] for place in epoch_order(IDS, 1, 0)]


def test_a_resumed_run_looks_up_the_same_batches():
    recipe = Recipe(batch_size=16, epochs=3)
    plan, batches = stream(recipe)
    assert Order(IDS, 1, plan).batch(plan.steps - 1) == batches[-1]
