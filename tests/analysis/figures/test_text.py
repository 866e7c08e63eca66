"""Texts of the figures: glyphs, widths, shortening, names of categories and scales, phrases."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analysis.figures import layout, style, text
from analysis.figures.kind import paper_points
from analysis.figures.text import shorten, shorten_all, text_width, thin_labels, wrap


@pytest.fixture(autouse=True, scope="module")
def look() -> Iterator[None]:
    """The style that measuring needs."""
    with style.styled():
        yield


def test_chinese_has_glyphs_on_every_machine():
    """All characters of GB 2312, with the punctuation that goes with them."""
    assert (
        text.printable("另一个评分模型：数学推理，《摘要》 αβ ×−…")
        == "另一个评分模型：数学推理，《摘要》 αβ ×−…"
    )
    assert not text.needs_outlines("另一个评分模型\nmath")
    assert text_width("数学", 10) == pytest.approx(20 / 72, rel=0.02)  # a square each


def test_a_character_that_no_font_has_is_written_as_its_code_point():
    assert text.printable("a\U0001f9ffb\n") == "a<U+1F9FF>b\n"
    assert shorten("\U0001f9ff", 3, 7) == "<U+1F9FF>"
    assert wrap("\U0001f9ff", 3, 7) == "<U+1F9FF>"


def test_only_missing_glyphs_are_taken_from_the_shipped_font():
    """Latin letters and digits come from the main font, which is first."""
    families = style.mpl.rcParams["font.family"]
    assert tuple(families[:2]) == text.SHIPPED_FAMILIES
    mixed = text_width("数学abc", 10)
    assert mixed == pytest.approx(text_width("数学", 10) + text_width("abc", 10), rel=0.02)


@given(st.text(st.sampled_from("abc ilmW12数学"), max_size=60), st.floats(0.2, 3))
def test_shortened_text_fits_and_keeps_its_ends(words: str, width: float):
    short = shorten(words, width, 7)
    assert short == words or text_width(short, 7) <= width or len(short) <= 3
    assert short[:1] == words[:1]
    if short != words and len(short) > 5:
        assert short[-1] == words[-1]
        longer = shorten(words, width + 0.3, 7)
        assert len(longer) > len(short)


def test_names_that_would_be_cut_alike_stay_apart():
    names = [f"a rather long category name number {i} of many" for i in (1, 2, 10)]
    assert shorten_all([*names, "math"], 1.0, 7) == [
        "…1 of many",
        "…2 of many",
        "…10 of many",
        "math",
    ]
    narrow = shorten_all([f"{name} and more" for name in names], 0.6, 7)
    assert len(set(narrow)) == 3
    assert all(text_width(name, 7) <= 0.6 for name in narrow)


@given(st.lists(st.text("abcW数", min_size=1, max_size=60), min_size=1, max_size=30))
@example(["W" * 60])
@example(["数学" * 20, "a"])
def test_wrapping_keeps_every_letter_and_no_line_is_too_wide(words: list[str]):
    lines = wrap(" ".join(words), 1.5, 7).split("\n")
    assert "".join(lines).replace(" ", "") == "".join(words)
    assert all(text_width(line, 7) <= 1.5 for line in lines)


def test_wrapping_breaks_at_blanks_and_fills_its_lines():
    sentence = "the quick brown fox jumps over the lazy dog " * 5
    lines = wrap(sentence.strip(), 2.0, 7).split("\n")
    assert " ".join(lines).split() == sentence.split()
    assert all(text_width(line, 7) > 1.3 for line in lines[:-1])
    assert wrap("short", 2.0, 7) == "short"
    assert wrap("", 2.0, 7) == ""


@given(st.lists(st.floats(0, 3), min_size=1, max_size=12, unique=True))
def test_thinned_labels_never_touch_and_the_ends_stay(positions: list[float]):
    positions = sorted(positions)
    names = [f"{index}k" for index in range(len(positions))]
    shown = thin_labels(positions, names, 7)
    kept = [(p, text_width(n, 7) / 2) for p, n in zip(positions, shown, strict=True) if n]
    assert shown[0] == names[0]
    assert shown[-1] == names[-1]
    inner = kept[:-1] if len(kept) == 2 else kept
    assert all(a + w < b - v for (a, w), (b, v) in itertools.pairwise(inner))


def test_labels_with_room_are_all_shown():
    assert thin_labels([0, 1, 2], ["250", "1k", "4k"], 7) == ["250", "1k", "4k"]
    assert thin_labels([0, 0.1, 2], ["250", "1k", "4k"], 7) == ["250", "", "4k"]
    assert thin_labels([], [], 7) == []


def test_categories_keep_the_papers_order_then_their_own_then_overall():
    order = style.category_order(["overall", "chess", "code", "math", "chess", "art"])
    assert order == ["math", "code", "chess", "art", "overall"]


@pytest.mark.parametrize(
    ("category", "name"),
    [("open_qa", "Open QA"), ("cot", "CoT"), ("overall", "Overall"), ("数学", "数学")],
)
def test_category_names(category: str, name: str):
    assert style.category_name(category) == name


@pytest.mark.parametrize(
    ("scales", "names"),
    [
        ([0, 250, 1000, 16000], ["base", "250", "1k", "16k"]),
        ([200_000, 600_000, 1_000_000, 2_000_000], ["0.2M", "0.6M", "1M", "2M"]),
        ([1500, 200_000, 2_500_000], ["1.5k", "200k", "2.5M"]),
        ([128_000], ["128k"]),
    ],
)
def test_scale_names(scales: list[int], names: list[str]):
    assert style.scale_names(scales) == names


def test_arms_beyond_the_palette_still_look_different():
    looks = style.looks(f"arm {index}" for index in range(25)).values()
    assert len({(look["color"], look["marker"]) for look in looks}) == 25


def test_verdicts_have_a_sign_a_color_and_a_word():
    looks = [style.verdict_look(verdict) for verdict in style.VERDICT_LOOK]
    assert len({sign for sign, _ in looks}) == len({color for _, color in looks}) == 7
    assert style.verdict_look(float("nan")) == ("–", style.GREY)
    assert style.verdict_name(float("nan")) == "no verdict"
    handles = style.verdict_handles(["flat", "improving", "flat"])
    assert [handle.get_label() for handle in handles] == ["improving", "flat"]


def test_counts_read_as_words():
    assert text.counted([40, 40], "item") == "40 items"
    assert text.counted([1, float("nan")], "seed") == "1 seed"
    assert text.counted([142, 2000], "item") == "142 to 2,000 items"
    assert text.counted([], "item") == ""


def test_phrases_of_captions():
    rows = pd.DataFrame({"category": ["math", "code", "overall"], "n_items": [40, 50, 90]})
    assert text.per_category(rows, "n_items", "item") == "40 to 50 items per category"
    assert text.per_category(rows.tail(1), "n_items", "item") == ""
    assert text.sentence("a", "", "b") == "a; b."
    assert text.seeds_note([2, 3]) == "2 to 3 seeds"
    assert text.seeds_note([1]) == "1 seed (items only; training noise unmeasured)"
    assert text.interval_name(rows.assign(interval=0.95)) == "95% intervals"
    assert text.interval_name(rows.assign(interval=None)) == "intervals of the tables"


def test_signed_labels_have_a_true_minus_and_a_plain_zero():
    assert [layout.signed(value) for value in (-0.02, 0.0, 0.05)] == ["−0.02", "0", "+0.05"]


def test_the_papers_overall_is_the_mean_of_its_categories():
    points = paper_points()
    categories = points[points["category"] != "overall"].groupby("scale")["score"].mean()
    stated = points[points["category"] == "overall"].set_index("scale")["score"]
    assert abs(categories - stated).max() < 5e-4
