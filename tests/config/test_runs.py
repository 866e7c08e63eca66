"""From a study to its runs, and from a section to the JSON that decides a re-run."""

from __future__ import annotations

import json

import pytest

from instruct_scaling.common.seeds import PURPOSES
from instruct_scaling.config.identity import identity_json
from instruct_scaling.config.recipe import ByScale, Recipe
from instruct_scaling.config.runs import (
    Run,
    all_runs,
    base_runs,
    run_identity,
    seed_for,
    tuned_runs,
)
from instruct_scaling.config.study import Study


@pytest.fixture
def study(default_config):
    default_config["arms"] = {"full": {"base": "tiny", "pool": "synthetic"}}
    default_config["ladder"] = {"scales": [10, 20]}
    default_config["seeds"] = {"replicates": [1, 2]}
    return default_config


def test_the_base_is_asked_once_when_greedy(study):
    assert base_runs(Study(**study)) == [Run("full", 0, 1)]


def test_the_base_is_asked_for_every_seed_when_sampling(study):
    study["generate"] = {"temperature": 0.7}
    assert base_runs(Study(**study)) == [Run("full", 0, 1), Run("full", 0, 2)]


def test_the_base_can_be_left_out(study):
    study["ladder"]["base"] = False
    assert all_runs(Study(**study)) == tuned_runs(Study(**study))
    assert len(tuned_runs(Study(**study))) == 4


def test_a_default_written_out_is_the_same_identity():
    assert (
        identity_json(Recipe()) == identity_json(Recipe(batch_size=64, weight_decay=0.001)) == "{}"
    )


def test_the_way_a_number_is_written_does_not_matter():
    whole, decimal = Recipe(learning_rate=1), Recipe(learning_rate=1.0)
    assert identity_json(whole) == identity_json(decimal)


def test_a_section_survives_its_json(study):
    for section in (Study(**study), Study(**study).arms["full"], Study(**study).evalset):
        assert type(section).model_validate_json(identity_json(section)) == section


def test_a_changed_value_changes_the_identity():
    assert json.loads(identity_json(Recipe(learning_rate=1e-5))) == {"learning_rate": 1e-5}


def test_learning_rate_and_batch_follow_their_law():
    law = ByScale(reference=1000, learning_rate_exponent=-0.5, batch_exponent=1)
    recipe = Recipe(learning_rate=1e-3, batch_size=8)
    assert law.apply(recipe, 1000) == recipe
    larger = law.apply(recipe, 4000)
    assert (larger.learning_rate, larger.batch_size) == (5e-4, 32)
    smaller = law.apply(recipe, 10)
    assert (smaller.learning_rate, smaller.batch_size) == (1e-2, 1)
    of_tokens = law.apply(Recipe(batch_size=None, batch_tokens=100), 2000)
    assert (of_tokens.batch_size, of_tokens.batch_tokens) == (None, 200)


def test_a_law_leaves_the_identity_of_its_reference_alone(study):
    plain = Study(**study)
    study["arms"]["full"]["by_scale"] = {"reference": 10, "learning_rate_exponent": -0.5}
    lawful = Study(**study)
    at = {scale: Run("full", scale, 1) for scale in (10, 20)}
    assert run_identity(lawful, at[10]) == run_identity(plain, at[10])
    assert run_identity(lawful, at[20]) != run_identity(plain, at[20])


def test_fractions_become_percents(study):
    # 0.29 * 100 is 28.999999999999996
    study["intermediate_checkpoints"] = {"fractions": [0.07, 0.29, 0.57]}
    assert Study(**study).intermediate_checkpoints.percents() == [7, 29, 57]


def test_only_the_seeds_that_vary_differ_between_replicates(study):
    study["seeds"] = {"replicates": [1, 2], "vary": ["order"]}
    held = Study(**study)
    differ = {p for p in PURPOSES if seed_for(held, 1, p) != seed_for(held, 2, p)}
    assert differ == {"order"}
    study["seeds"] = {"replicates": [1, 2]}
    free = Study(**study)
    assert {p for p in PURPOSES if seed_for(free, 1, p) != seed_for(free, 2, p)} == set(PURPOSES)
