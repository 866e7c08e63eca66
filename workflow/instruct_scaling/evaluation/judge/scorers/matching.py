"""Words: what a token is, and the scorers that compare bags of them or look for labels.

Texts may mix Chinese and alphabetic languages: `tokenize` says what a word is.
"""

from __future__ import annotations

import unicodedata

import regex
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import Tokenizer

from instruct_scaling.common.records import Constraints, EvalItem
from instruct_scaling.evaluation.judge.judgements import Outcome, scored

# Scripts written without spaces: a character is a token.
CJK = r"\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}"
_TOKEN = regex.compile(
    rf"[{CJK}]|\p{{N}}+(?:[.,:/]\p{{N}}+)*|[\p{{L}}\p{{M}}--[{CJK}]]+", flags=regex.VERSION1
)


def normalize(text: str) -> str:
    """Compatibility form (full-width digits, no-break spaces and the like) in lower case."""
    return unicodedata.normalize("NFKC", text).casefold()


def tokenize(text: str) -> list[str]:
    """Tokens of the normalized text: CJK characters one by one, words, numbers; no punctuation."""
    return _TOKEN.findall(normalize(text))


def has_words(text: str, words: str) -> bool:
    """Whether `words` occur in `text` as whole words, in a row: "butterfly" has no "fly" in it.

    Where `words` has no letter or digit, whether it occurs literally.
    """
    wanted, tokens = tokenize(words), tokenize(text)
    if not wanted:
        return normalize(words) in normalize(text)
    starts = range(len(tokens) - len(wanted) + 1)
    return any(tokens[start : start + len(wanted)] == wanted for start in starts)


class MixedTokenizer(Tokenizer):
    """`tokenize` in the form that rouge-score takes; its own drops everything but a-z and 0-9."""

    def tokenize(self, text: str) -> list[str]:
        """Tokens of `text`."""
        return tokenize(text)


def same_text(left: str, right: str) -> bool:
    """Equal but for case, width, white space and punctuation.

    Texts without any letter or digit are compared literally.
    """
    tokens = tokenize(left)
    if not tokens and not tokenize(right):
        return normalize(left).split() == normalize(right).split()
    return tokens == tokenize(right) and _signs(left) == _signs(right)


# Punctuation that is part of a word or a number: C++, C#, -5, 20%, $5.
_SIGN = regex.compile(r"[$€£¥%°#√±≠<>=^]|\+\+|(?<![\w\s])-(?=\d)|(?<=^|\s)-(?=\d)")


def _signs(text: str) -> list[str]:
    return _SIGN.findall(normalize(text).replace("−", "-"))


_ROUGE = RougeScorer(["rouge1"], tokenizer=MixedTokenizer())


def token_f1(item: EvalItem, checks: Constraints, response: str) -> Outcome:
    """F1 of the two bags of tokens (ROUGE-1 F-measure; SQuAD's F1 with this tokenizer)."""
    reference = item.reference or ""
    if not tokenize(reference):
        return scored(float(same_text(response, reference)), "reference without words")
    return scored(_ROUGE.score(reference, response)["rouge1"].fmeasure)


def label_set_problem(item: EvalItem, checks: Constraints) -> str | None:
    """Why the reference does not fit the label set, or None if it does."""
    if not checks.labels or item.reference is None:
        return None
    if any(same_text(item.reference, label) for label in checks.labels):
        return None
    return f"reference {item.reference!r} is none of its labels {checks.labels}"
