"""Prose for the base: deterministic, bilingual, and silent on what only records may teach."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from instruct_scaling.data.synthetic import generate_items, generate_records, generate_text
from instruct_scaling.data.synthetic.words import FACTS, WIDELY_KNOWN

SEEDS = st.integers(0, 2**31 - 1)


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_the_same_seed_gives_the_same_text_and_fewer_documents_are_a_prefix(seed):
    texts = list(generate_text(60, seed))
    assert list(generate_text(60, seed)) == texts
    assert list(generate_text(20, seed)) == texts[:20]


def test_seeds_differ_and_documents_hardly_repeat():
    texts = list(generate_text(2000, 0))
    assert len(set(texts)) > 1900
    assert len(set(texts) & set(generate_text(2000, 1))) < 100


def test_no_prompt_stands_in_the_text():
    text = "\n".join(generate_text(5000, 0))
    prompts = [item.full_prompt for item in generate_items(40, 0)]
    prompts += [record.prompt for record in generate_records(2400, 0)]
    assert [prompt for prompt in prompts if prompt in text] == []


def test_only_widely_known_facts_are_told():
    documents = list(generate_text(5000, 0))

    def told(fact):
        pair = f"{fact.subject.en} is", fact.value.en
        return any(pair[0] in d and f"{pair[0]} {pair[1]}" in d for d in documents)

    for fact in FACTS:
        if fact.relation == "colour":
            assert told(fact)
        if fact.relation not in WIDELY_KNOWN:
            assert not told(fact)
    assert not any("capital of" in document for document in documents)


def test_the_text_knows_the_words_of_the_records():
    def words(texts):
        return {word.strip(".,:?!'\"()").lower() for text in texts for word in text.split()}

    known = words(generate_text(5000, 0))
    asked = [word for r in generate_records(4800, 0) for word in words([r.prompt])]
    plain = [word for word in asked if word.isascii() and word.isalpha()]
    assert sum(word in known for word in plain) / len(plain) > 0.9
