"""Learning rates and decay groups."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.config.recipe import Recipe
from instruct_scaling.training.schedule import learning_rate, parameter_groups

from .conftest import tiny_model


def rates(schedule, steps, warmup=0.0):
    recipe = Recipe(schedule=schedule, warmup_ratio=warmup, learning_rate=1.0)
    return [learning_rate(recipe, step, steps) for step in range(steps)]


def test_known_values():
    assert rates("constant", 4) == [1.0] * 4
    assert rates("linear", 4) == [1.0, 0.75, 0.5, 0.25]
    assert rates("cosine", 4) == pytest.approx([1.0, 0.853553, 0.5, 0.146447], abs=1e-6)
    assert rates("constant", 8, warmup=0.5) == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0]


@given(st.sampled_from(["constant", "linear", "cosine"]), st.integers(1, 200), st.floats(0, 0.9))
def test_rates_rise_then_never_rise_again_and_stay_positive(schedule, steps, warmup):
    found = rates(schedule, steps, warmup)
    peak = found.index(max(found))
    assert all(0 < rate <= 1 for rate in found)
    assert found[: peak + 1] == sorted(found[: peak + 1])
    assert found[peak:] == sorted(found[peak:], reverse=True)


def test_biases_and_layer_norms_do_not_decay():
    model = tiny_model()
    decaying, exempt = parameter_groups(model.named_parameters(), 0.1)
    assert decaying["weight_decay"] == 0.1
    assert exempt["weight_decay"] == 0.0
    assert {p.dim() for p in decaying["params"]} == {2}
    assert {p.dim() for p in exempt["params"]} == {1}
    counted = len(decaying["params"]) + len(exempt["params"])
    assert counted == len(list(model.parameters()))


def test_frozen_parameters_are_left_out():
    model = tiny_model()
    model.transformer.word_embeddings.requires_grad_(False)
    groups = parameter_groups(model.named_parameters(), 0.1)
    kept = {id(p) for group in groups for p in group["params"]}
    assert id(model.transformer.word_embeddings.weight) not in kept
