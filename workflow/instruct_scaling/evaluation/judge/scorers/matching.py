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
    return tokens == tokenize(right)


_ROUGE = RougeScorer(["rouge1"], tokenizer=MixedTokenizer())


def token_f1(item: EvalItem, checks: Constraints, response: str) -> Outcome:
    """F1 of the two bags of tokens (ROUGE-1 F-measure; SQuAD's F1 with this tokenizer)."""
    reference = item.reference or ""
    if not tokenize(reference):
        return scored(float(same_text(response, reference)), "reference without words")
    return scored(_ROUGE.score(reference, response)["rouge1"].fmeasure)


def exact_match(item: EvalItem, checks: Constraints, response: str) -> Outcome:
    """1 if response and reference are equal but for case, width, space and punctuation."""
    return scored(float(same_text(response, item.reference or "")))


# A letter or digit of a script that separates its words.
_WORD = rf"[\p{{L}}\p{{N}}--[{CJK}]]"
_IS_WORD = regex.compile(_WORD, flags=regex.VERSION1)


def mentioned_labels(text: str, labels: list[str]) -> set[str]:
    """The labels that occur in the text, normalized and with single spaces.

    A longer label hides the shorter ones inside it ("not spam" is no mention of "spam"). Where
    a label begins or ends in an alphabetic script, a whole word must begin or end there.
    """
    text = " ".join(normalize(text).split())
    normalized = {" ".join(normalize(label).split()) for label in labels}
    found = set()
    for label in sorted(normalized - {""}, key=lambda label: (-len(label), label)):
        left = rf"(?<!{_WORD})" if _IS_WORD.match(label[0]) else ""
        right = rf"(?!{_WORD})" if _IS_WORD.match(label[-1]) else ""
        pattern = regex.compile(left + regex.escape(label) + right, flags=regex.VERSION1)
        text, times = pattern.subn("\0", text)
        if times:
            found.add(label)
    return found


def label_match(item: EvalItem, checks: Constraints, response: str) -> Outcome:
    """1 if the response names exactly one of `checks.labels` and it is the reference's.

    An item without a label set is scored by token F1.
    """
    if not checks.labels:
        return token_f1(item, checks, response)
    found = mentioned_labels(response, checks.labels)
    right = mentioned_labels(item.reference or "", checks.labels)
    if len(found) != 1:
        return scored(0.0, f"{len(found)} labels named")
    return scored(float(found == right))


def label_set_problem(item: EvalItem, checks: Constraints) -> str | None:
    """Why the reference does not fit the label set, or None if it does."""
    if not checks.labels or item.reference is None:
        return None
    if any(same_text(item.reference, label) for label in checks.labels):
        return None
    return f"reference {item.reference!r} is none of its labels {checks.labels}"
