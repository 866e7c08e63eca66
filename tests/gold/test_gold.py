"""The metric judge agrees with a careful person on hand-made answers."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.gold.agreement import (
    LEAST_IN_PART,
    LEAST_OVERALL,
    Tried,
    miss_list,
    parts,
    read_gold,
    share,
    try_all,
)
from tests.gold.page import FILE, page


@pytest.fixture(scope="module")
def tried() -> list[Tried]:
    return try_all(read_gold())


def test_agreement_overall(tried):
    assert share(tried) >= LEAST_OVERALL, miss_list(tried)


@pytest.mark.parametrize("part", sorted({p for g in read_gold() for p in (g.category, g.language)}))
def test_agreement_in_each_category_and_language(tried, part):
    answers = parts(tried)[part]
    assert share(answers) >= LEAST_IN_PART, miss_list(answers)


def test_the_page_lists_every_miss(tried):
    assert FILE.read_text("utf-8") == page(tried), "run `python -m tests.gold --write`"


def test_the_set_is_large_and_in_both_languages():
    answers = read_gold()
    assert len(answers) >= 400
    assert len({gold.id for gold in answers}) == len(answers)
    languages = Counter(gold.language for gold in answers)
    assert min(languages.values()) >= 0.4 * len(answers)
    by_part = Counter((gold.category, gold.language, gold.expected) for gold in answers)
    for category in {gold.category for gold in answers}:
        for language in languages:
            assert by_part[category, language, "right"] >= 5, (category, language)
            assert by_part[category, language, "wrong"] >= 5, (category, language)
