from __future__ import annotations

import pytest

from instruct_scaling.evaluation.judge.scorers.text import normalize, same_text, tokenize


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("我喜欢Python 3.11。", ["我", "喜", "欢", "python", "3.11"]),
        ("The cat's mat", ["the", "cat", "s", "mat"]),
        ("１，２００元", ["1,200", "元"]),
        ("东京タワー", ["东", "京", "タ", "ワ", "ー"]),
        ("naïve café", ["naïve", "café"]),
        ("你好\u00a0World", ["你", "好", "world"]),
        ("！？ ...", []),
        ("", []),
    ],
)
def test_tokens_of_mixed_scripts(text, tokens):
    assert tokenize(text) == tokens


def test_fold_unifies_width_and_case():
    assert normalize("ＡＢＣ") == normalize("abc")


def test_same_text_ignores_punctuation_but_not_words():
    assert same_text("正面。", "正面")
    assert same_text("New York!", "new  york")
    assert not same_text("New York", "York New")


def test_texts_without_words_are_compared_as_they_stand():
    assert same_text("?!", "?!")
    assert not same_text("?!", "!!")
    assert not same_text("?!", "")
