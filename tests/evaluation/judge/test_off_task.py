"""Fluent texts that do not do what was asked."""

from __future__ import annotations

import pytest

from instruct_scaling.evaluation.judge.scorers.degenerate import echoed_share, is_scattered
from instruct_scaling.evaluation.judge.scorers.off_task import (
    asks_back,
    defines_instead,
    is_cut_off,
    only_promises,
)

LAMP = (
    "A lamp, also called a light, is a device that produces light from electricity, and lamps "
    "have been in use for many centuries."
)


def test_a_definition_where_a_letter_was_asked_for():
    assert defines_instead("Write a note to return a lamp.", LAMP)
    assert defines_instead(
        "写一则寻物启事：雨伞", "雨伞是一种用来遮挡雨水的工具，通常由伞面和伞骨组成。"
    )


def test_no_definition_where_one_may_be():
    assert not defines_instead("Explain what a lamp is, and write it simply.", LAMP)
    assert not defines_instead("Write a note to return a lamp.", "I return your lamp. " + LAMP)
    assert not defines_instead("Write a slogan for a lamp.", "A lamp is a friend.")


@pytest.mark.parametrize(
    "text",
    [
        "I'd be happy to help! Please share the paragraph you would like me to rewrite.",
        "当然可以！请问您想要什么主题的诗呢？",
        "请提供您想要翻译的句子。",
    ],
)
def test_a_question_back(text):
    assert asks_back(text)
    assert not asks_back(text, (text,))  # where it is the right answer


@pytest.mark.parametrize(
    "text", ["Could you please send me the report by Friday?", "请您今天把文件发给我，谢谢。"]
)
def test_a_polite_request_is_none(text):
    assert not asks_back(text)


def test_a_promise_is_no_answer():
    assert only_promises("I'll write a poem about autumn for you.")
    assert only_promises("我来为您写一首关于秋天的诗。")
    assert not only_promises("I'll write to you soon. The leaves are red and I miss you.")


def test_an_end_that_something_has_to_follow():
    assert is_cut_off("The box hides many old buttons, and each one of the")
    assert is_cut_off("他昨天因为生病没有来上课，并且")
    assert not is_cut_off("The box hides many old buttons.")
    assert not is_cut_off("Thank you for the plants, they look green.\n\nBest regards,")


def test_words_of_the_prompt_as_a_list():
    prompt = "列出五个给退休老人的爱好建议。"
    assert echoed_share(prompt, ["退 休", "老 人", "爱 好", "建 议", "5 个"]) == 1
    assert echoed_share(prompt, ["书 法", "太 极 拳", "园 艺"]) == 0
    assert echoed_share(prompt, ["书 法", "老 人 合 唱", "爱 好"]) == 0  # one alone


def test_characters_that_form_no_word():
    assert is_scattered("的了校是秋园在不叶和人风有这书中大为上个国我以要他")
    assert not is_scattered("秋天的校园里落满了金黄色的树叶同学们在操场上一边走一边笑")
    assert not is_scattered("夜深了")
