"""How numbers, lists and languages are written on the page."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.reporting.report import render
from instruct_scaling.reporting.report.samples import language_of


@pytest.mark.parametrize(
    ("value", "decimals", "sign", "text"),
    [
        (0.1234, 2, False, "0.12"),
        (-0.1234, 3, True, "−0.123"),
        (0.5, 1, True, "+0.5"),
        (-0.0001, 2, True, "0.00"),
        (12345.6, 0, False, "12,346"),
        (None, 2, False, "–"),
        (float("nan"), 2, False, "–"),
    ],
)
def test_number(value, decimals, sign, text):
    assert render.number(value, decimals, sign=sign) == text


@given(st.floats(-1e6, 1e6), st.integers(0, 4))
def test_number_reads_back(value, decimals):
    text = render.number(value, decimals, sign=True)
    back = float(text.replace(",", "").replace("−", "-"))
    assert abs(back - value) <= 0.5000001 * 10**-decimals


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0.0%"), (1, "100.0%"), (0.033, "3.3%"), (0.0001, "<0.1%"), (0.0006, "0.1%")],
)
def test_small_shares_never_read_as_zero(share, text):
    assert render.percent(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.625, "0.625 s"), (59, "59 s"), (185, "3 min 5 s"), (59.96, "60 s"), (7800, "2 h 10 min")],
)
def test_duration(seconds, text):
    assert render.duration(seconds) == text


def test_interval_needs_both_ends():
    assert render.interval(0.1, None) == ""
    assert render.interval(-0.1, 0.2, 1, sign=True) == "[−0.1, +0.2]"


def test_listing_and_plural():
    assert render.listing([]) == ""
    assert render.listing(["a", "b"]) == "a and b"
    assert render.listing(["a", "b", "c"]) == "a, b and c"
    assert render.plural(1, "category", "categories") == "1 category"
    assert render.plural(2, "seed") == "2 seeds"


@pytest.mark.parametrize(
    ("text", "declared", "language"),
    [
        ("这条河很深。", None, "zh"),
        ("这条河很深 river", "en", "zh"),
        ("The river (河) is deep and wide", "zh", None),
        ("31", "zh", None),
        ("La rivière", "fr", "fr"),
        ("", "zh", None),
        (None, None, None),
    ],
)
def test_language_of(text, declared, language):
    assert language_of(text, declared) == language


def test_a_remark_on_every_row_is_shown_once():
    rows = pd.DataFrame(
        {"scale": [0, 250, 1000], "note": ["one seed"] * 3, "score": [0.5, None, 1]}
    )
    table = render.cells(rows)
    assert table["columns"] == [("scale", True), ("score", True)]
    assert table["remarks"] == {"note": "one seed"}
    assert table["rows"] == [("0", "0.5"), ("250", ""), ("1,000", "1.0")]
    single = render.cells(rows.head(1))
    assert single["rows"] == [("0", "one seed", "0.5")]
    assert single["remarks"] == {}
    mixed = render.cells(rows.assign(note=["one seed", None, "two"]))
    assert mixed["columns"] == [("scale", True), ("note", False), ("score", True)]
    assert mixed["remarks"] == {}


@pytest.mark.parametrize(
    ("name", "values", "texts"),
    [
        ("score", [0.123456, 0.5], ("0.1235", "0.5000")),
        ("score", [12.345678, -1.0], ("12.346", "−1.000")),
        ("tokens", [1234.56, 1.0], ("1,234.6", "1.0")),
        ("margin", [0.02, 0.025], ("0.020", "0.025")),
        ("tokens", [1234.0, None], ("1,234", "")),
        ("seed", [1588375064, 2], ("1588375064", "2")),
        ("frontier", [True, False], ("yes", "no")),
        ("category", ["open_qa", None], ("Open QA", "")),
        ("name", ["with_reference", "n_items"], ("with reference", "items")),
        ("value", [[1000, 0.5], {"a_b": None}], ("1,000, 0.5", "a b –")),
        ("run_sd", [None, "x"], ("–", "x")),
    ],
)
def test_cells_are_written_by_their_kind(name, values, texts):
    kind = object if name == "run_sd" else None
    table = render.cells(pd.DataFrame({name: pd.Series(values, dtype=kind)}))
    assert table["rows"] == [(text,) for text in texts]


def test_columns_without_any_value_are_left_out():
    table = render.cells(pd.DataFrame({"low": [None, None], "mean": [1, 2]}))
    assert table["columns"] == [("mean", True)]


def test_long_tables_are_cut_and_say_so():
    table = render.cells(pd.DataFrame({"scale": range(1000)}))
    assert len(table["rows"]) == 400
    assert table["total"] == 1000
