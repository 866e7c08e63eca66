"""Which of the allowed labels a response names."""

from __future__ import annotations

import regex

from instruct_scaling.common.records import Constraints, EvalItem
from instruct_scaling.evaluation.judge.outcome import Outcome, scored
from instruct_scaling.evaluation.judge.scorers.overlap import token_f1
from instruct_scaling.evaluation.judge.scorers.text import CJK, normalize, same_text

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
