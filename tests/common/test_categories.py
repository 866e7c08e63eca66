"""Category names of public files join with the standard ones."""

from __future__ import annotations

import pytest

from instruct_scaling.common.categories import (
    CATEGORIES,
    CategoryNames,
    canonical_category,
    require_category,
)


@pytest.mark.parametrize(
    ("written", "standard"),
    [
        ("closed\u00a0QA", "closed_qa"),
        ("open QA", "open_qa"),
        ("extract", "extraction"),
        ("Summarisation", "summarization"),
        ("COT", "cot"),
        (" math ", "math"),
        ("Maths", "math"),
        ("closed-qa", "closed_qa"),
        ("Chain of  Thought", "cot"),
        ("summary", "summarization"),
        ("Coding", "code"),
        ("brainstorm", "brainstorming"),
        ("re-writing", None),
        ("rewriting", "rewrite"),
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


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("clasification", "did you mean 'classification'?"),
        ("mathss", "did you mean 'math'?"),  # the nearest name is an alias
        ("summarisatio", "did you mean 'summarization'?"),
        ("haikus", "did you mean 'haiku'?"),
        ("zzz", "known are math, code, cot"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(name, says):
    with pytest.raises(ValueError, match="unknown category") as error:
        require_category(name, ("haiku", "math"))
    assert says in str(error.value)
    assert str(error.value).count("math,") <= 1


def test_the_mapping_of_a_file_goes_first_and_renames_are_counted():
    names = CategoryNames({"math": "cot", "general_qa": "open_qa"}, ("haiku",))
    assert [names.standard(name) for name in ("math", "general_qa", "haiku", "code")] == [
        "cot",
        "open_qa",
        "haiku",
        "code",
    ]
    assert names.standard("math") == "cot"
    assert names.renamed("a.jsonl") == [
        {"source": "a.jsonl", "in_file": "general_qa", "category": "open_qa", "entries": 1},
        {"source": "a.jsonl", "in_file": "math", "category": "cot", "entries": 2},
    ]


def test_an_invisible_character_in_a_name_is_shown_by_its_code():
    names = CategoryNames({}, ())
    assert names.standard("closed\u00a0QA") == "closed_qa"
    assert [row["in_file"] for row in names.renamed("a")] == ["closed<U+00A0>QA"]
