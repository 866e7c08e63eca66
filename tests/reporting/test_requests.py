"""What jobs ask of a cluster: growth with scale, size and attempt, and the limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from instruct_scaling.config.load import load_study
from instruct_scaling.config.runs import Run
from instruct_scaling.reporting.requests import (
    Limits,
    finetune_memory,
    finetune_minutes,
    generate_minutes,
    model_memory,
)

ROOT = Path(__file__).parents[2]
WIDE = Limits(100_000, 10_000_000)


@pytest.fixture(scope="module")
def study():
    """The paper's study: 7.07 B weights, three epochs of 250 tokens an example."""
    return load_study(ROOT / "studies" / "bloomz-7b1-mt.yaml")


def test_time_of_training_is_twice_the_plans_hours_and_an_hour(study):
    run = Run("full", 1_000_000, 1)
    recipe = study.arms["full"].recipe_at(run.scale)
    flops = 6 * 7.069e9 * recipe.epochs * 1_000_000 * study.budget.tokens_per_example
    minutes = flops / (study.budget.device_peak_tflops * 1e12 * study.budget.mfu) / 60
    for ranks in (0, 1, 8):
        expected = 60 + 2 * minutes / max(1, ranks)
        assert finetune_minutes(study, run, ranks, 1, WIDE) == pytest.approx(expected, abs=1)


def test_a_larger_scale_and_a_second_attempt_ask_for_more_up_to_the_limit(study):
    def asked(scale, attempt, limits=WIDE):
        return finetune_minutes(study, Run("full", scale, 1), 8, attempt, limits)

    assert asked(2_000_000, 1) - 60 == pytest.approx(10 * (asked(200_000, 1) - 60), abs=10)
    assert asked(200_000, 2) == pytest.approx(2 * asked(200_000, 1), abs=1)
    assert asked(2_000_000, 3, Limits(2880, 1)) == 2880


def test_memory_follows_ranks_of_a_node_and_the_base(study):
    run = Run("full", 200_000, 1)
    eight, four = (finetune_memory(study, run, ranks, 1, WIDE) for ranks in (8, 4))
    assert eight == pytest.approx(8 * 4_000 + 7_069 * (8 * 6 + 16), abs=2)
    assert four < eight
    assert finetune_memory(study, run, 8, 2, Limits(1, 900_000)) == 900_000


def test_a_base_of_unknown_size_asks_for_the_limits(study):
    limits = Limits(1234, 5678)
    name = study.arms["full"].base
    base = study.bases[name].model_copy(update={"parameters": None})
    unknown = study.model_copy(update={"bases": {**study.bases, name: base}})
    run = Run("full", 200_000, 1)
    assert finetune_minutes(unknown, run, 8, 1, limits) == 1234
    assert finetune_memory(unknown, run, 8, 1, limits) == 5678
    assert generate_minutes(unknown, "full", 1, limits) == 1234
    assert model_memory(base, 1, limits) == 5678


def test_answers_of_a_larger_base_take_longer(study):
    name = study.arms["full"].base
    base = study.bases[name].model_copy(update={"parameters": 14e9})
    larger = study.model_copy(update={"bases": {**study.bases, name: base}})
    assert generate_minutes(larger, "full", 1, WIDE) > generate_minutes(study, "full", 1, WIDE)
    assert model_memory(base, 1, WIDE) == 4_000 + 14_000 * 6
