"""Category names of public files join with the standard ones."""

from __future__ import annotations

import pytest

from instruct_scaling.common.categories import CATEGORIES, canonical_category


@pytest.mark.parametrize(
    ("written", "standard"),
    [
        ("closed\u00a0QA", "closed_qa"),
        ("open QA", "open_qa"),
        ("extract", "extraction"),
        ("Summarisation", "summarization"),
        ("COT", "cot"),
        (" math ", "math"),
    ],
)
def test_public_spellings(written, standard):
    assert canonical_category(written) == standard


@pytest.mark.parametrize("name", CATEGORIES)
def test_a_standard_name_stays(name):
    assert canonical_category(name) == name


def test_unknown_names_are_none_unless_declared():
    assert canonical_category("haiku") is None
    assert canonical_category("haiku", ("haiku",)) == "haiku"


def test_there_are_the_papers_twelve():
    assert len(CATEGORIES) == len(set(CATEGORIES)) == 12
