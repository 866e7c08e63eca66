"""One form of what can be written in many, the language of a text, and answers that are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.evaluation.judge.scorers.canonical import canonical
from instruct_scaling.evaluation.judge.scorers.degenerate import (
    copied_share,
    copies_passage,
    freshness,
    refuses,
)
from instruct_scaling.evaluation.judge.scorers.language import language_of, language_share


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2,000 people", "two thousand people"),
        ("4.5 million", "4500000"),
        ("两千居民", "2000居民"),
        ("1.5万元", "15000 元"),
        ("9点40分", " 9:40 "),
        ("三点半", " 3:30 "),
        ("周三", "星期三"),
        ("禮拜三", "星期三"),
        ("百分之十二", "12%"),
        ("isn't", "is not"),
        ("can’t", "can not"),
        ("3 p.m.", "3pm"),
        ("二〇二三年", "2023年"),
        ("軟體", "软件"),
        ("ＡＢＣ", "abc"),
    ],
)
def test_two_ways_to_write_one_thing(one, other):
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize("text", ["十分高兴", "一起", "两三个", "第一", "千万别去", "万一", "四川"])
def test_numerals_that_count_nothing_stay(text):
    assert canonical(text) == text


@given(st.text(max_size=40))
def test_any_text_has_a_form(text):
    assert isinstance(canonical(text), str)


@pytest.mark.parametrize(
    ("text", "language", "share"),
    [
        ("The weather is fine today.", "en", 1),
        ("今天天气很好", "zh", 1),
        ("今天天气很好", "en", 0),
        ("The weather is fine today.", "zh", 0),
        ("私は日本に行ったことがあります", "zh", 0),
        ("Este libro se vende por 28 yuanes.", "en", 0),
        ("Die Katze sitzt auf der Matte.", "en", 0),
        ("asdf qwer zxcv hjkl uiop mnbv", "en", 0),
        ("Mars, Venus, Jupiter", "en", 1),
        ("用 Python 和 NumPy 写程序", "zh", 1),
        ("12, 13", "zh", 1),
    ],
)
def test_language_of_a_text(text, language, share):
    assert language_share(text, language) == share


def test_a_reference_in_another_language_than_the_item_decides():
    assert language_of("Hello, my name is Xiao Ming.", "zh") == "en"
    assert language_of("你好，我叫小明。", "en") == "zh"
    assert language_of("你好，我叫小明。", "zh") == "zh"


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "As an AI language model, I cannot write letters.",
        "Sorry, I am unable to create job ads.",
        "I don't know.",
        "抱歉，我无法翻译这段内容。",
        "对不起，这个问题我无法回答。",
        "作为人工智能，我不能发表评论。",
        "我不知道。",
    ],
)
def test_refusals(text):
    assert refuses(text)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry that your luggage was late. We will refund the taxi.",
        "Hello Tom, I am sorry I cannot come to your party on Friday." + " See you soon." * 20,
        "李女士您好，非常抱歉，由于我们的疏忽，您的行李延误了2小时才送到房间。",
        "She could not fly, so she walked.",
        "他不知道答案，于是去问老师。",
        "I can help with that: first, open the box.",
    ],
)
def test_what_only_sounds_like_a_refusal(text):
    assert not refuses(text)


def test_repetition():
    assert freshness("Snow falls softly on the silent street, and the river dreams of spring.") == 1
    assert freshness("铲子、锯子、锤子、刷子") == 1
    assert freshness("the sea the sea the sea the sea the sea") == 0
    assert freshness("张伟火锅周五六点张伟火锅周五六点张伟火锅周五六点") == 0


def test_copies():
    prompt = "Make it polite: give me the key!"
    assert copied_share(prompt, prompt) == 1
    assert copies_passage(prompt, "Give me the key")
    assert not copies_passage(prompt, "Please give me the key")
    assert copied_share(prompt, "another text") == 0
