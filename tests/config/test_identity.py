"""What decides results, as JSON: the same for everything that decides nothing, else different."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from instruct_scaling.common.categories import CATEGORIES
from instruct_scaling.common.errors import InputError
from instruct_scaling.common.seeds import PURPOSES
from instruct_scaling.config.bases import Base
from instruct_scaling.config.evaluation import EvalSet, Generate, Validation
from instruct_scaling.config.identity import execution_field, execution_json, identity_json
from instruct_scaling.config.pool_steps import Step
from instruct_scaling.config.pools import HubSource, Pool
from instruct_scaling.config.recipe import LoraTuning, Recipe
from instruct_scaling.config.section import Strict, parse_section
from instruct_scaling.config.study import Arm, Seeds, Study

COMMIT = "13e9b1a39fe86c8024fe15667d063aa8a3e32460"
SOURCES = [{"type": "synthetic"}]
HUB = {"type": "hub", "dataset": "owner/name", "revision": COMMIT}
MODEL = {"type": "pretrained", "model": "./folder"}

shares = st.floats(0.01, 0.99)
counts = st.integers(16, 500)

# (section, the values that make the keys inactive, those that make them active, keys and values)
INACTIVE = [
    (Generate, {"temperature": 0}, {"temperature": 0.7}, {"top_p": shares}),
    (
        Step,
        {"type": "deduplicate", "method": "exact"},
        {"type": "deduplicate", "method": "minhash"},
        {"threshold": shares, "ngram_chars": counts, "permutations": counts},
    ),
    (
        Step,
        {"type": "deduplicate", "method": "none"},
        {"type": "deduplicate", "method": "minhash"},
        {"threshold": shares, "ngram_chars": counts, "permutations": counts},
    ),
    (
        Step,
        {"type": "decontaminate", "method": "exact"},
        {"type": "decontaminate", "method": "ngram"},
        {"ngram_chars": counts, "phrase_items": counts},
    ),
    (Validation, {"records": 0}, {"records": 100}, {"evaluations": counts}),
    (
        Base,
        {"type": "tiny", "steps": 0},
        {"type": "tiny"},
        {"batch_tokens": counts, "learning_rate": shares},
    ),
    (
        Base,
        MODEL,
        {"type": "pretrained", "model": "owner/name", "revision": COMMIT},
        {"revision": st.just("0" * 40)},
    ),
    (HubSource, HUB | {"dataset": "./folder"}, HUB, {"revision": st.just("0" * 40)}),
]


def section(model, values):
    return TypeAdapter(model).validate_python(values)


@pytest.mark.parametrize(("model", "inactive", "active", "keys"), INACTIVE)
@given(data=st.data())
def test_an_inactive_key_decides_nothing_and_an_active_one_does(
    model, inactive, active, keys, data
):
    for key, values in keys.items():
        value = data.draw(values.filter(lambda v, key=key: v != _default(model, inactive, key)))
        written = section(model, inactive | {key: value})
        assert identity_json(written) == identity_json(section(model, inactive))
        assert identity_json(section(model, active | {key: value})) != identity_json(
            section(model, active)
        )


def _default(model, values, key):
    return type(section(model, values)).model_fields[key].get_default()


@given(threshold=shares, exponent=st.floats(-1, 1))
def test_an_inactive_key_decides_nothing_for_the_section_above(threshold, exponent):
    pool = Pool(sources=SOURCES)
    steps = [
        {"type": "filter"},
        {"type": "deduplicate", "threshold": threshold},
        {"type": "decontaminate"},
    ]
    written = Pool(sources=SOURCES, steps=steps)
    assert identity_json(written) == identity_json(pool)
    arm = Arm(base="b", pool="p")
    law = {"reference": 100, "learning_rate_exponent": exponent}
    lawful = Arm(base="b", pool="p", by_scale=law)
    assert (identity_json(lawful) == identity_json(arm)) == (exponent == 0)
    batch = Arm(base="b", pool="p", by_scale={"reference": 100, "batch_exponent": 0.5})
    assert identity_json(batch) != identity_json(arm)


@given(st.permutations(PURPOSES), st.permutations(["q_proj", "v_proj", "up_proj"]))
def test_the_order_of_a_list_without_order_decides_nothing(purposes, targets):
    assert identity_json(Seeds(vary=purposes)) == identity_json(Seeds()) == "{}"
    lora = LoraTuning(method="lora", targets=targets)
    assert identity_json(lora) == identity_json(LoraTuning(method="lora", targets=sorted(targets)))
    assert identity_json(LoraTuning(method="lora", targets="all-linear")) == '{"method":"lora"}'
    assert identity_json(Seeds(vary=purposes[1:])) != identity_json(Seeds())


@given(st.permutations(("math", "code", "cot")), st.permutations(("en", "zh")))
def test_the_order_of_wanted_categories_and_languages_decides_nothing(categories, languages):
    tags = {"tier": categories}
    plain = {"type": "filter"}
    labels = {"categories": categories, "languages": languages, "tags": tags}
    wanted = ["math", "code", "cot"]
    standard = {"categories": wanted, "languages": ["en", "zh"], "tags": {"tier": wanted}}
    assert identity_json(section(Step, plain | labels)) == identity_json(
        section(Step, plain | standard)
    )
    some = section(Step, plain | {"categories": ["math"]})
    assert identity_json(some) != identity_json(section(Step, plain))


def test_the_twelve_categories_written_out_are_the_default():
    default = identity_json(EvalSet(sources=SOURCES))
    assert identity_json(EvalSet(sources=SOURCES, categories=list(CATEGORIES))) == default
    # Their order is that of the figures.
    other = [*CATEGORIES[1:], CATEGORIES[0]]
    assert identity_json(EvalSet(sources=SOURCES, categories=other)) != default
    assert identity_json(EvalSet(sources=SOURCES, categories=list(CATEGORIES[1:]))) != default


def test_a_default_written_out_is_the_same_identity():
    assert (
        identity_json(Recipe()) == identity_json(Recipe(batch_size=64, weight_decay=0.001)) == "{}"
    )
    steps = [
        {"type": "filter", "min_output_chars": 1},
        {"type": "deduplicate", "method": "exact"},
        {"type": "decontaminate"},
    ]
    assert identity_json(Pool(sources=SOURCES, steps=steps)) == identity_json(Pool(sources=SOURCES))
    other = Pool(sources=SOURCES, steps=[steps[1], steps[0], steps[2]])
    assert identity_json(other) != identity_json(Pool(sources=SOURCES))


def test_a_changed_value_changes_the_identity():
    assert json.loads(identity_json(Recipe(learning_rate=1e-5))) == {"learning_rate": 1e-5}


def test_the_spelling_of_a_number_does_not_matter():
    whole, decimal = Recipe(learning_rate=1), Recipe(learning_rate=1.0)
    assert identity_json(whole) == identity_json(decimal)


def test_a_null_in_place_of_a_default_is_kept():
    recipe = Recipe(batch_size=None, batch_tokens=100)
    assert json.loads(identity_json(recipe)) == {"batch_size": None, "batch_tokens": 100}


def test_the_json_is_one_text_for_equal_sections():
    one = Pool(
        sources=[{"type": "file", "path": "数据", "category_names": {"b": "math", "a": "code"}}]
    )
    two = Pool(
        sources=[{"category_names": {"a": "code", "b": "math"}, "path": "数据", "type": "file"}]
    )
    text = identity_json(one)
    assert text == identity_json(two)
    assert text == (
        '{"sources":[{"category_names":{"a":"code","b":"math"},"path":"数据","type":"file"}]}'
    )


class Example(Strict):
    """A section with an execution field, a plain one and an active one below."""

    size: int = 1
    """Decides results."""
    workers: int = execution_field(2, gt=0)
    """Decides none."""


class Outer(Strict):
    """Sections in a list and in a mapping."""

    one: Example = Example()
    """One."""
    several: list[Example] = []
    """Several."""
    named: dict[str, Example] = {}
    """Named."""


@given(st.integers(1, 9), st.integers(1, 9))
def test_execution_fields_are_apart_from_identity(size, workers):
    example = Example(size=size, workers=workers)
    assert identity_json(example) == identity_json(Example(size=size))
    expected = {} if workers == 2 else {"workers": workers}
    assert json.loads(execution_json(example)) == expected
    outer = Outer(one=example, several=[example], named={"a": example})
    plain = Example(size=size)
    assert identity_json(outer) == identity_json(
        Outer(one=plain, several=[plain], named={"a": plain})
    )


def test_what_no_result_depends_on_is_no_identity():
    model = {"type": "pretrained", "model": "owner/name", "revision": COMMIT}
    assert identity_json(section(Base, model | {"parameters": 7e9})) == identity_json(
        section(Base, model)
    )
    main = HUB | {"revision": "main"}
    reason = section(HubSource, main | {"unpinned": "the hub is offline"})
    assert identity_json(reason) == identity_json(section(HubSource, main))


def test_a_section_survives_its_json(default_config):
    study = Study(**default_config)
    sections = [study, study.arms["full"], study.evalset, *study.pools.values()]
    sections.append(Recipe(epochs=None, steps=10, tuning={"method": "lora", "rank": 4}))
    for one in sections:
        text = identity_json(one)
        assert parse_section(type(one), text, "--x") == one
        assert identity_json(parse_section(type(one), text, "--x")) == text


def test_a_section_that_is_not_valid_is_refused_with_every_mistake():
    with pytest.raises(InputError) as error:
        parse_section(
            Pool,
            '{"sources": [{"type": "file"}], "steps": [{"type": "filter", "languages": 3}]}',
            "--pool",
        )
    assert error.value.where == "--pool"
    first, second = error.value.what.split("; ")
    assert first == "sources.0.file.path: Field required"
    assert second.startswith("steps.0.filter.languages: ")
    with pytest.raises(InputError, match="--pool: the whole: "):
        parse_section(Pool, "{", "--pool")
