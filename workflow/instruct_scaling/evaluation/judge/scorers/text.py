"""Words of a text in any mix of Chinese and alphabetic languages."""

from __future__ import annotations

import unicodedata

import regex
from rouge_score.tokenizers import Tokenizer

# Scripts written without spaces: a character is a token.
CJK = r"\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}"
_TOKEN = regex.compile(
    rf"[{CJK}]|\p{{N}}+(?:[.,:/]\p{{N}}+)*|[\p{{L}}\p{{M}}--[{CJK}]]+", flags=regex.VERSION1
)


def normalize(text: str) -> str:
    """Compatibility form (full-width digits, no-break spaces and the like) in lower case."""
    return unicodedata.normalize("NFKC", text).casefold()


def tokenize(text: str) -> list[str]:
    """Tokens of the folded text: CJK characters one by one, words, numbers; no punctuation."""
    return _TOKEN.findall(normalize(text))


def has_words(text: str, words: str) -> bool:
    """Whether `words` occur in `text` as whole words, in a row: "butterfly" has no "fly" in it.

    Without a letter or digit in `words`, whether they occur as they stand.
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

    Texts without any letter or digit are compared as they stand.
    """
    tokens = tokenize(left)
    if not tokens and not tokenize(right):
        return normalize(left).split() == normalize(right).split()
    return tokens == tokenize(right)
