"""Numbers in words and in other forms: known readings, and that words stay words."""

from __future__ import annotations

from fractions import Fraction

import pytest
from cn2an import an2cn
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.evaluation.judge.scorers.numerals import numerals, raised
from instruct_scaling.evaluation.judge.scorers.quantities import quantities, same_quantity


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("两百", "200"),
        ("负五", "-5"),
        ("廿五", "25"),
        ("1.5万元", "15000元"),
        ("16.4亿", "1640000000"),
        ("3亿5千万", "350000000"),
        ("两万五", "25000"),
        ("二〇二四年三月五日", "2024年3月5日"),
        ("两三个", "2~3个"),
        ("二三十人", "20~30人"),
        ("俩", "2"),
        ("三分之二", "2/3"),
        ("百分之三点五", "3.5%"),
        ("一个半小时", "1.5个小时"),
        ("半小时", "0.5小时"),
        ("两块五", "2.5元"),
        ("八五折", "8.5折"),
        ("forty-two", "42"),
        ("two and a half", "2.5"),
        ("5 million", "5000000"),
        ("two thirds", "2/3"),
        ("a dozen", "12"),
        ("twenty-first", "21st"),
        ("1,234,567.89", "1234567.89"),
        ("1 000", "1000"),
        ("1.234,5", "1234.5"),
        ("0,1", "0.1"),
        ("10^3", "1000"),
        ("1.5×10^4", "15000"),
        ("2½", "2.5"),
        ("2\\frac{1}{2}", "2.5"),
    ],
)
def test_readings(text, wanted):
    assert numerals(raised(text)) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "一起去",
        "王五",
        "周五",
        "三角形",
        "千万别",
        "一共",
        "统一",
        "the shortest one",
        "7,8,9",
        "万一",
    ],
)
def test_words_stay_words(text):
    assert numerals(text) == text


@given(st.integers(10, 10**8))
def test_chinese_numerals_are_read_back(number):
    assert numerals(f"共{an2cn(number)}元") == f"共{number}元"


@given(st.text(alphabet="0123456789一二三百千万亿点分之.,/^ -eE×x半", max_size=30))
def test_any_text_is_read(text):
    quantities(numerals(raised(text)))


def one(text: str):
    (found,) = quantities(numerals(text))
    return found


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("1.5 km", "1500 m", True),
        ("1.5 km", "1.5 miles", False),
        ("35元", "35美元", False),
        ("60元", "60角", False),
        ("75%", "0.75", True),
        ("75%", "75", True),
        ("0.75", "75", False),
        ("3.33", "10/3", True),
        ("100°C", "212°F", True),
        ("12个月", "1年", False),
    ],
)
def test_equal_quantities(left, right, same):
    assert same_quantity(one(left), one(right)) is same
    assert same_quantity(one(right), one(left)) is same


def test_a_sign_is_read_and_a_minus_is_not():
    assert [q.value for q in quantities("was -4 and 7 - 3")] == [-4, 7, 3]
    assert one("x=-3").value == Fraction(-3)
