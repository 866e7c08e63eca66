"""Responses that only give the prompt back, or repeat one piece."""

from __future__ import annotations

import regex

from instruct_scaling.evaluation.judge.scorers.matching import tokenize
from instruct_scaling.evaluation.judge.scorers.reading import sentences

_LEAST_TOKENS = 6
_WHOLE = 0.9  # of the passage, for its copy


def copies_prompt(text: str, prompt: str) -> bool:
    """Whether a text says nothing but what the prompt says, its instruction among it.

    A quoted sentence of the passage may answer; the question given back does not.
    """
    pieces = [tokenize(piece) for piece in sentences(text)]
    asked = tokenize(prompt)
    if sum(map(len, pieces)) < _LEAST_TOKENS or not all(_within(p, asked) for p in pieces):
        return False
    first = tokenize(regex.split(r"[.。!?\n:]", prompt.strip(), maxsplit=1)[0])
    question = [tokenize(part) for part in sentences(prompt) if part.endswith("?")]
    heads = [head for head in (first, *question) if len(head) >= 4]
    given = tokenize(text)
    return any(_within(head, given) for head in heads)


def copies_passage(text: str, prompt: str) -> bool:
    """Whether a text is the passage of the prompt again: what stands after its first line or colon
    or between quotes. For what is to be taken out of it, that takes nothing out.
    """
    quoted = regex.search(r'[:\n]\s*"(.+)"\W*$', prompt, regex.DOTALL)
    head, _, rest = prompt.partition("\n")
    passage = tokenize(quoted[1] if quoted else rest or head.partition(":")[2])
    said = tokenize(" ".join(dict.fromkeys(sentences(text))))
    if len(passage) < _LEAST_TOKENS or len(said) < _WHOLE * len(passage):
        return False
    return all(_within(tokenize(piece), passage) for piece in sentences(text))


def repeats(text: str) -> bool:
    """Whether a text is one piece over and over."""
    tokens = tokenize(text)
    if len(tokens) < 12:
        return False
    if len(set(tokens)) / len(tokens) < 0.25:
        return True
    unpunctuated = regex.search(r"[,.;:!?。、]", text) is None
    return unpunctuated and any(
        tokens == (tokens[:size] * len(tokens))[: len(tokens)]
        for size in range(2, len(tokens) // 3 + 1)
    )


def _within(tokens: list[str], whole: list[str]) -> bool:
    size = len(tokens)
    return any(whole[start : start + size] == tokens for start in range(len(whole) - size + 1))
