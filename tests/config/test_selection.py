"""Selections and crossed seeds in a config: each mistake is one line at its key."""

from __future__ import annotations

import pytest

from instruct_scaling.common.errors import InputError
from instruct_scaling.config.identity import identity_json
from instruct_scaling.config.load import validate_study
from instruct_scaling.config.selection import annotation_name
from tests.data.selection.pools import section


def complaint(config, **selection):
    config["arms"]["full"]["selection"] = selection
    with pytest.raises(InputError) as caught:
        validate_study(config)
    return str(caught.value)


@pytest.mark.parametrize(
    ("selection", "says"),
    [
        (
            {"type": "mixture", "by": "source", "shares": {"a": 1.5, "b": 0.1}},
            "arms.full.selection.shares: the share of a is 1.5; a share is above 0 and at most 1",
        ),
        (
            {"type": "stratified", "by": "source", "shares": {"a": 0.5, "b": 0.4}},
            "arms.full.selection.shares: the shares sum to 0.9, not to 1",
        ),
        (
            {"type": "stratified", "by": "source", "shares": "even"},
            "arms.full.selection.shares: give proportional, equal or a mapping of values to shares",
        ),
        ({"type": "ranked", "by": "quality"}, "arms.full.selection.by: string should match"),
        (
            {"type": "rnked", "by": "tag:x"},
            "arms.full.selection: unknown type `rnked`; did you mean 'ranked'?",
        ),
        (
            {"type": "stratified", "by": "tag:x", "bands": 4, "edges": [1]},
            "give `bands` or `edges`, not both",
        ),
        ({"type": "stratified", "by": "tag:x", "edges": [2, 1]}, "`edges` must increase"),
        ({"type": "staged", "by": "source", "bands": 2}, "source is no number"),
        ({"type": "staged", "by": "tag:x", "order": "up"}, "give ascending, descending, mixed or"),
        ({"type": "dose"}, "give `ids`, `by` with `values`"),
        ({"type": "dose", "by": "tag:x", "values": ["a"], "at_least": 1}, "give `ids`, `by` with"),
        ({"type": "dose", "ids": ["a"], "by": "tag:x"}, "not both"),
        ({"type": "dose", "by": "source", "at_least": 1}, "source is no number: give `values`"),
        (
            {"type": "ranked", "by": "annotation:quality"},
            "arms.full.selection.by: pool 'synthetic' has no annotation 'quality'",
        ),
    ],
)
def test_a_mistake_is_one_line_at_its_key(default_config, selection, says):
    text = complaint(default_config, **selection)
    assert says in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("seeds", "says"),
    [
        ({"replicates": [1, 2]}, "`crossed` takes the place of `replicates` and `vary`"),
        ({"vary": ["order"]}, "`crossed` takes the place of `replicates` and `vary`"),
        ({"crossed": {"subset": [1, 1], "training": [1, 2]}}, "seeds.crossed.subset: a value occu"),
        ({"crossed": {"subset": [1, 2], "training": [1]}}, "seeds.crossed.training: "),
    ],
)
def test_crossed_seeds_that_are_none(default_config, seeds, says):
    default_config["seeds"] = {"crossed": {"subset": [1, 2], "training": [1, 2]}} | seeds
    with pytest.raises(InputError) as caught:
        validate_study(default_config)
    assert says in str(caught.value)


def test_shares_that_sum_to_one_but_for_rounding_are_accepted():
    third = dict.fromkeys("abc", 0.3333333)
    assert section("mixture", by="source", shares=third).shares == third


def test_names_of_bands_may_be_written_as_numbers():
    by = {"by": "tag:x", "bands": 2}
    staged = section("staged", **by, shares={1: 0.3, 2: 0.7}, order=[2, 1])
    assert staged == section("staged", **by, shares={"1": 0.3, "2": 0.7}, order=["2", "1"])


def test_keys_that_are_defaults_change_no_identity():
    written = section("dose", by="tag:x", values=["b", "a"], times=2, from_scale=None)
    assert identity_json(written) == identity_json(section("dose", by="tag:x", values=["a", "b"]))


def test_the_annotation_that_is_read():
    assert annotation_name(section("ranked", by="annotation:quality")) == "quality"
    assert annotation_name(section("ranked", by="tag:quality")) is None
    assert annotation_name(section("uniform")) is None
