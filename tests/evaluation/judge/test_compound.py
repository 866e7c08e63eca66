"""Answers of several parts, and responses that give the prompt back."""

from __future__ import annotations

import pytest

from instruct_scaling.common.records import EvalItem, checks_of
from instruct_scaling.evaluation.judge.scorers.answers import answer_match
from instruct_scaling.evaluation.judge.scorers.compound import fields, parts_of
from instruct_scaling.evaluation.judge.scorers.copies import repeats
from instruct_scaling.evaluation.judge.scorers.final_answer import final_answer

PETS = "Ben: cook; Eva: pilot; Sam: nurse"
CARD = '{"name": "Eva Lund", "age": 31, "city": "Oslo"}'


def score(scorer, prompt, reference, response, category="extraction"):
    item = EvalItem.make(category, prompt, reference=reference, language="en")
    return scorer(item, checks_of(item), response).score


@pytest.mark.parametrize(
    ("reference", "values"),
    [
        (CARD, ["Eva Lund", "31", "Oslo"]),
        ("(1) 3 hours; (2) 60 km", ["3 hours", "60 km"]),
        (PETS, ["cook", "pilot", "nurse"]),
        ("perimeter 26 cm, area 36 cm^2", ["26 cm", "36 cm^2"]),
        ("x = 6, y = 4", ["6", "4"]),
        ("5 apples and 7 pears", ["5", "7"]),
        ("7 June, 5 p.m.", ["7 June", "5 p.m."]),
        ("Paris", []),
        ("x = 2 or x = 3", []),
        ("1 hour and 35 minutes", []),
        ("3 May 2020; 9 June 2021", []),
    ],
)
def test_the_parts_of_a_reference(reference, values):
    assert [part.value for part in parts_of(reference)] == values


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("Eva - Pilot\nSam - Nurse\nBen - Cook", 1),
        ("| Who | What |\n|---|---|\n| Ben | cook |\n| Sam | nurse |\n| Eva | pilot |", 1),
        ("Ben - Pilot\nEva - Cook\nSam - Nurse", 1 / 3),
        ("Eva: nurse; Sam: cook; Ben: pilot", 0),
    ],
)
def test_a_value_counts_at_its_own_name(response, expected):
    prompt = 'Who does what? "Cook Ben, pilot Eva and nurse Sam met."'
    assert score(answer_match, prompt, PETS, response) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ('```json\n{"city": "Oslo", "name": "Eva Lund", "age": 31}\n```', 1),
        ("Name: Eva Lund\nAge: 31\nCity: Oslo", 1),
        ('{"name": "Eva Lund", "age": 30, "city": "Oslo"}', 2 / 3),
        ('{"name": "Eva Lund", "ag', 1 / 3),
        ('{"name": null, "age": null, "city": null}', 0),
    ],
)
def test_fields_of_json(response, expected):
    prompt = 'Extract name, age and city as JSON: "Eva Lund, 31, moved to Oslo."'
    assert score(answer_match, prompt, CARD, response) == pytest.approx(expected)


def test_fields_of_json_that_is_cut_off():
    assert fields('{"a": 1, "b": "two", "c": "thr') == [("a", "1"), ("b", "two")]


@pytest.mark.parametrize(
    ("reference", "response", "expected"),
    [
        ("(1) 3 hours; (2) 60 km", "(1) 360 / 120 = 3 hours.\n(2) 70 * 3 = 210 km.", 0.5),
        ("(1) 3 hours; (2) 60 km", "(1) 360 / 120 = 3 hours.\n(2) 210 - 150 = 60 km.", 1),
        ("x = 6, y = 4", "x = 4, y = 6", 0),
        ("x = 6, y = 4", "(x, y) = (6, 4)", 1),
        ("鸡9只，兔14只", "兔有14只，鸡有9只。", 1),
        ("鸡9只，兔14只", "鸡有14只，兔有9只。", 0),
    ],
)
def test_parts_of_a_calculation(reference, response, expected):
    prompt = "A car and a truck start 360 km apart. Solve both parts."
    assert score(final_answer, prompt, reference, response, "math") == expected


def test_a_copy_of_the_passage_extracts_nothing():
    prompt = 'Extract the cities: "We flew from Rome to Oslo via Vienna."'
    copy = "We flew from Rome to Oslo via Vienna."
    assert score(answer_match, prompt, "Rome, Oslo, Vienna", copy) == 0
    assert score(answer_match, prompt, "Rome, Oslo, Vienna", "Vienna, Rome and Oslo") == 1
    everything = 'Extract the addresses: "b@y.net a@x.org c@z.com d@w.edu"'
    found = "a@x.org, b@y.net, c@z.com, d@w.edu"
    assert score(answer_match, everything, found, "b@y.net a@x.org c@z.com d@w.edu") == 1
    asked = "What is the fastest land animal in the world?"
    assert score(answer_match, asked, "land animal", asked, "open_qa") == 0
    quoted = "Text: Kate went to the market. Tom stayed at home.\nWhere did Kate go?"
    sentence = "Kate went to the market."
    assert score(answer_match, quoted, "market", sentence, "closed_qa") == 1


def test_one_piece_over_and_over():
    assert repeats("oak maple tulip birch " * 3)
    assert not repeats("The oak, the maple and the birch are trees, the tulip is a flower here.")


@pytest.mark.parametrize(
    ("reference", "response", "expected"),
    [
        ("United States", "The U.S. did.", 1),
        ("United States", "It was us who did.", 0),
        ("World Health Organization", "WHO", 1),
        ("World Health Organization", "Nobody knows who did it.", 0),
        ("太平洋", "The Pacific Ocean（太平洋）", 1),
        ("日内瓦", "Geneva（日内瓦）", 1),
        ("Mary Shelley", "Mary Shelly", 1),
        ("盐商沈氏", "一位姓沈的盐商", 1),
    ],
)
def test_other_names_of_the_same(reference, response, expected):
    assert score(answer_match, "Which one was it?", reference, response, "open_qa") == expected


@pytest.mark.parametrize(
    ("prompt", "reference", "response", "expected"),
    [
        ("实际付款多少元？", "344", "**所以实际付款 344 元。** 相比原价480元一共省了136元。", 1),
        ("Solve 2x = 10.", "5", "Therefore x = 5. Plugging it back gives 2 * 5 = 10.", 1),
        ("兔有多少只？", "9", "答：鸡有9只，兔有14只。", 0),
        ("How old is Tom?", "24", "So Tom is 24 years old and Ana is 12.", 1),
        ("In which year?", "1989", "Nineteen eighty-nine", 1),
        ("绳子还剩多少米？", "1.5", "还剩一米五。", 1),
        ("求两个根。", "x = 2 或 x = 3", '{"x1": 3, "x2": 2}', 1),
    ],
)
def test_which_number_is_the_result(prompt, reference, response, expected):
    assert score(final_answer, prompt, reference, response, "math") == expected
