"""Memory of a pass, counted on fake tensors."""

from __future__ import annotations

import pytest
import torch

from instruct_scaling.config.recipe import Recipe
from instruct_scaling.training.memory import Setup, Sizes, cpu_peak
from instruct_scaling.training.pass_memory import LiveBytes, pass_bytes, row_of

from .conftest import tiny_config

FP32 = Recipe(precision="fp32")


def counted(row=None, checkpointing=False, recipe=FP32, **shape):
    return pass_bytes(
        tiny_config(**shape), recipe, row or row_of([200, 100], 0.5), checkpointing=checkpointing
    )


def test_what_is_alive_together_is_counted():
    with LiveBytes() as live:
        first = torch.ones(1000)
        second = first * 2
        view = second.view(10, 100)
        del first
        third = view + 1
        assert live.now == 8000
        assert live.peak == 8000
        del second, view, third
        assert live.now == 0


def test_a_layer_costs_the_same_wherever_it_is_and_recomputing_makes_it_cheap():
    layers = [counted(n_layer=n) for n in (2, 3, 4)]
    assert layers[2] - layers[1] == pytest.approx(layers[1] - layers[0], rel=0.01)
    again = [counted(n_layer=n, checkpointing=True) for n in (2, 3)]
    assert again[1] - again[0] < (layers[1] - layers[0]) / 10


def test_a_longer_row_takes_more():
    assert counted(row_of([400, 200], 0.5)) > 1.5 * counted()


def test_no_memory_is_taken_for_weights_that_would_not_fit():
    """7 billion weights of width 4,096, two layers of them: a run on the CPU would need 8 GB."""
    config = {"hidden_size": 4096, "n_head": 32, "vocab_size": 250_880}
    assert counted(**config, recipe=Recipe(precision="bf16")) > 4 * 4096 * 250_880


def test_the_fake_pass_leaves_nothing_behind(group):
    from instruct_scaling.models.packed.engine import pack_model

    from .conftest import tiny_model

    counted()
    model = tiny_model()
    pack_model(model)
    assert model(batch=row_of([20, 10], 0.5)).item() > 0


def test_parts_add_up_to_the_peak_of_a_cpu():
    sizes = Sizes(1000, 1000, 2, 8, 100, weight_bytes=4)
    parts = cpu_peak(sizes, Setup(2, 512), ranks=1, passes=50_000)
    assert (parts["weights"], parts["states"], parts["buckets"]) == (4000, 16_000, 8000)
    assert parts["total"] == 70_000
    shared = cpu_peak(sizes, Setup(2, 512), ranks=2, passes=0)
    assert (shared["states"], shared["buckets"]) == (8000, 6000)
    assert shared["total"] == 18_000
