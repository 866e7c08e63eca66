"""The steps of a pool: what each one removes, and what it must not remove."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from instruct_scaling.common.records import EvalItem, Record
from instruct_scaling.config.pool_steps import Decontaminate, Deduplicate, Filter
from instruct_scaling.data.pool.decontaminate import DecontaminateStep, RunIndex
from instruct_scaling.data.pool.deduplicate import DeduplicateStep, NearCopies, ngram_hashes
from instruct_scaling.data.pool.filter import FilterStep
from instruct_scaling.data.pool.steps import Removal, comparison_key

ITEM = EvalItem.make("math", "How many apples are left when Tom eats three of his seven apples?")


def record(instruction="Say hello", output="Hello", **rest):
    return Record.make(instruction, output, source="test", **rest)


def tagged(loss):
    return record(tags={"loss": loss})


def removal(step, one):
    """Why a step removes a record, None if it keeps it as it is."""
    [[outcome]] = step([[one]])
    assert isinstance(outcome, Removal) or outcome is one
    return None if outcome is one else outcome


def sentence(rng, words):
    return " ".join(
        "".join(rng.choices("abcdefghijklmnop", k=rng.randint(2, 9))) for _ in range(words)
    )


# Filters


@pytest.mark.parametrize(
    ("bounds", "kept", "removed"),
    [
        ({"min_prompt_chars": 3}, record("abc"), record("ab")),
        (
            {"max_prompt_chars": 6},
            record("abc", input="de"),
            record("abc", input="def"),
        ),
        ({"min_output_chars": 2}, record(output="ab"), record(output="a")),
        ({"max_output_chars": 2}, record(output="ab"), record(output="abc")),
        ({"languages": ["zh"]}, record(language="zh"), record(language=None)),
        ({"languages": ["zh"]}, record(language="zh"), record(language="en")),
        ({"categories": ["math"]}, record(category="math"), record(category=None)),
        ({"categories": ["math"]}, record(category="math"), record(category="code")),
        ({"tags": {"tier": ["a", "b"]}}, record(tags={"tier": "b"}), record(tags={"tier": "c"})),
        ({"tags": {"tier": ["a"]}}, record(tags={"tier": "a"}), record(tags={"other": "a"})),
        ({"tag_bounds": {"loss": {"min": 0.5}}}, tagged("0.5"), tagged("0.49")),
        ({"tag_bounds": {"loss": {"max": 2}}}, tagged("2"), tagged("2.01")),
        ({"tag_bounds": {"loss": {"max": 2}}}, tagged("-inf"), tagged("nan")),
        ({"tag_bounds": {"loss": {"min": 0, "max": 2}}}, tagged("1e0"), tagged("one")),
        ({"tag_bounds": {"loss": {"max": 2}}}, tagged("1"), record()),
    ],
)
def test_a_filter_names_the_bound_that_removes(bounds, kept, removed):
    check = FilterStep(Filter(type="filter", **bounds))
    [(reason, bound)] = bounds.items()
    if isinstance(bound, dict):
        reason = f"{reason}.{next(iter(bound))}"
    assert removal(check, kept) is None
    assert removal(check, removed).reason == reason
    assert reason in check.reasons


@pytest.mark.parametrize(
    ("bounds", "says"),
    [
        ({"min_output_chars": 10, "max_output_chars": 5}, "max_output_chars is below min_output"),
        ({"tag_bounds": {"loss": {"min": 2, "max": 1}}}, "max is below min"),
    ],
)
def test_bounds_that_nothing_can_meet_are_refused(bounds, says):
    with pytest.raises(ValueError, match=says):
        Filter(type="filter", **bounds)


# Deduplication


def removals(config, records):
    check = DeduplicateStep(Deduplicate(type="deduplicate", **config))
    found = (removal(check, one) for one in records)
    return [one.reason if one else None for one in found]


def test_exact_compares_prompts_without_layout_case_and_width():
    records = [
        record("What is 2+3?"),
        record("what  IS\n2+3?", "five"),
        record("What is ２＋３？"),
        record("What is", input="2+3?"),
        record("What is 2+4?"),
    ]
    assert removals({"method": "exact"}, records) == [None, *["same_prompt"] * 3, None]


@pytest.mark.parametrize(
    ("one", "other"),
    [("你 好", "你好"), ("Straße", "STRASSE"), ("ａｂ，", "AB,"), ("a\u00a0b\tc\n", "abc")],
)
def test_texts_are_compared_without_layout_case_and_width(one, other):
    assert comparison_key(one) == comparison_key(other)
    assert comparison_key("ab") != comparison_key("ba")


def test_none_removes_only_what_has_the_same_id():
    records = [record("q", "a"), record("q", "b"), record("Q", "a"), record(" q ", "a ")]
    assert removals({"method": "none"}, records) == [None, None, None, "identical"]


def test_minhash_finds_near_copies_and_leaves_unrelated_records():
    rng = random.Random(0)
    originals = [record(sentence(rng, 30)) for _ in range(300)]
    copies = []
    for one in originals:
        words = one.prompt.split()
        words[rng.randrange(len(words))] = "changed"
        copies.append(record(" ".join(words)))
    found = removals({"method": "minhash", "threshold": 0.7}, originals + copies)
    assert found[:300] == [None] * 300
    assert found[300:].count("near_copy") >= 297


def test_minhash_names_the_record_that_is_repeated_and_honors_the_threshold():
    rng = random.Random(1)
    text = sentence(rng, 40)
    changed = " ".join(["new", "words", "here", *text.split()[12:]])
    first, second = record(text), record(changed)
    share = jaccard(comparison_key(text), comparison_key(changed), 5)
    for threshold in (share - 0.15, share + 0.15):
        check = DeduplicateStep(
            Deduplicate(type="deduplicate", method="minhash", threshold=threshold)
        )
        assert removal(check, first) is None
        found = removal(check, second)
        if threshold < share:
            assert found is not None
            assert found.because_of == first.id
        else:
            assert found is None


def jaccard(a, b, n):
    left, right = ({text[k : k + n] for k in range(len(text) - n + 1)} for text in (a, b))
    return len(left & right) / len(left | right)


@given(st.text(max_size=40), st.integers(1, 8))
def test_ngram_hashes_are_as_many_as_distinct_ngrams(text, n):
    width = min(n, len(text))
    distinct = {text[k : k + width] for k in range(len(text) - width + 1)}
    hashes = ngram_hashes(text, n)
    assert hashes.dtype == np.uint32
    assert len(hashes) <= len(distinct)
    assert len(hashes) >= len(distinct) - 1  # 32 bits: a collision is possible, two are not


def syllables(seed, words=40):
    rng = random.Random(seed)
    return ["".join(rng.choices("abcdefghijklmnop", k=6)) for _ in range(words)]


def estimate(one, other):
    """The estimated similarity of two texts, by signatures of 128 permutations."""
    index = NearCopies(Deduplicate(type="deduplicate", method="minhash"))
    signatures = []
    for text in (one, other):
        sketch = index._blank.copy()
        sketch.update_batch(ngram_hashes(text, 5))
        signatures.append(sketch.hashvalues)
    return float(np.mean(signatures[0] == signatures[1]))


def near_copy_of(threshold, known, text):
    """Id of the known text that `text` is a near copy of."""
    index = NearCopies(Deduplicate(type="deduplicate", method="minhash", threshold=threshold))
    for key, earlier in known.items():
        assert index.find_or_add(key, earlier) is None, "the known texts are no near copies"
    return index.find_or_add("text", text)


def test_a_similarity_of_exactly_the_threshold_is_a_near_copy():
    words = syllables(1)
    one, other = "".join(words), "".join([*words[8:], "newwords"])
    exact = estimate(one, other)
    assert near_copy_of(exact, {"one": one}, other) == "one"
    assert near_copy_of(exact + 1 / 256, {"one": one}, other) is None


def test_of_equally_near_texts_the_smallest_id_is_named_whatever_their_order():
    words = syllables(21)
    first, last, text = "".join(words[:27]), "".join(words[13:]), "".join(words)
    assert estimate(first, text) == estimate(last, text) > 0.5
    assert near_copy_of(0.5, {"1": first, "2": last}, text) == "1"
    assert near_copy_of(0.5, {"2": first, "1": last}, text) == "1"


def test_the_nearest_text_is_named():
    words = syllables(21)
    near, nearer, text = "".join(words[:27]), "".join(words[9:]), "".join(words)
    assert estimate(nearer, text) > estimate(near, text) > 0.5
    assert near_copy_of(0.55, {"1": near, "2": nearer}, text) == "2"


def test_the_first_of_three_near_copies_stays():
    words = syllables(3)
    texts = ["".join([*words[:k], "changed", *words[k:]]) for k in (10, 20, 30)]
    found = removals({"method": "minhash", "threshold": 0.5}, [record(text) for text in texts])
    assert found == [None, "near_copy", "near_copy"]


# Decontamination


@given(
    st.text("ab", max_size=30), st.lists(st.text("ab", max_size=30), max_size=4), st.integers(1, 9)
)
@example("bbbab", ["aaaab"], 2)  # only the last windows are equal
@example("bab", ["bab"], 3)  # a text is its only window
@example("abbbb", ["abaaa"], 2)  # only the first windows are equal
@example("ab", ["ba"], 3)  # shorter than the window
def test_the_run_index_agrees_with_looking_at_every_window(text, indexed, n):
    found = RunIndex({str(k): one for k, one in enumerate(indexed)}, n, 100).find(text)
    windows = {text[k : k + n] for k in range(len(text) - n + 1)}
    sharing = [str(k) for k, one in enumerate(indexed) if any(w in one for w in windows)]
    assert (found is None) == (not sharing)
    assert found is None or found in sharing


def test_every_planted_leak_is_removed_and_nothing_else():
    rng = random.Random(2)
    items = [EvalItem.make("math", sentence(rng, 12)) for _ in range(50)]
    items += [EvalItem.make("closed_qa", sentence(rng, 5), input=sentence(rng, 20)) for _ in items]
    items += [EvalItem.make("open_qa", f"谁写了第{k}本书？") for k in range(10)]
    check = DecontaminateStep(Decontaminate(type="decontaminate"), items)
    verbatim = [record(one.prompt, input=one.input or "") for one in items]
    assert all(removal(check, one).reason == "same_prompt" for one in verbatim)
    hidden = [
        record(f"{sentence(rng, 9)}: {one.full_prompt.upper()} {sentence(rng, 7)}")
        for one in items[:100]
    ]
    for one, item in zip(hidden, items, strict=False):
        assert removal(check, one) is not None
        assert removal(check, one).reason == "shared_run"
        assert removal(check, one).because_of == item.id
    assert not any(removal(check, record(sentence(rng, 40))) for _ in range(500))


def by_phrase(phrase_items, items):
    section = Decontaminate(type="decontaminate", phrase_items=phrase_items)
    return DecontaminateStep(section, items)


def test_phrasing_that_many_items_share_gives_none_of_them_away():
    phrase = "Translate the following English sentence into simplified Chinese, please:"
    items = [EvalItem.make("translation", f"{phrase} {name}") for name in ("a", "b", "c", "d")]
    new = record(f"{phrase} something else altogether")
    assert removal(by_phrase(5, items), new).reason == "shared_run"
    assert removal(by_phrase(4, items), new) is None
    leak = record(f"{phrase} c")
    assert removal(by_phrase(4, items), leak).reason == "same_prompt"


def test_the_item_with_the_smallest_id_is_named_and_of_equal_prompts_the_first():
    run = "a long run of words that stands in both of the items"
    items = [EvalItem.make("math", f"{run} {end}") for end in ("one", "two", "three")]
    check = DecontaminateStep(Decontaminate(type="decontaminate"), items)
    assert removal(check, record(f"{run} four")).because_of == min(item.id for item in items)
    twins = [EvalItem.make(category, "The same question?") for category in ("math", "cot")]
    for order in (twins, twins[::-1]):
        check = DecontaminateStep(Decontaminate(type="decontaminate"), order)
        assert removal(check, record("the same  question?")).because_of == order[0].id


def test_exact_decontamination_leaves_longer_records():
    check = DecontaminateStep(Decontaminate(type="decontaminate", method="exact"), [ITEM])
    assert removal(check, record(ITEM.prompt.upper())).because_of == ITEM.id
    assert removal(check, record(ITEM.prompt + " Explain.")) is None
