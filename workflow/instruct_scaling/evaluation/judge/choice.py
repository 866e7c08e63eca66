"""Which scorer judges a category, and what the scores of some do not see.

Apart from the scorers themselves, whose packages the report does not have.
"""

from __future__ import annotations

DEFAULT_SCORERS: dict[str, str] = {
    "math": "final_answer",
    "code": "unit_tests",
    "cot": "final_answer",
    "classification": "label_match",
    "extraction": "answer_match",
    "rewrite": "content",
    "open_qa": "answer_match",
    "closed_qa": "answer_match",
    "generation": "open_ended",
    "brainstorming": "open_ended",
    "translation": "content",
    "summarization": "content",
}

# Of the scorers that do not compare a checkable answer: the report says it beside the curves.
LIMITS: dict[str, str] = {
    "content": "facts of the items' checks, numbers, negation, common opposites and kinds, "
    "and overlap with the references; a paraphrase in other words than these may score too low, "
    "and a wrong word that no list holds too high",
    "open_ended": "facts and constraints of the items' checks, language, repetition and refusals; "
    "whether a fluent text makes sense, is true or is good is not seen",
    "fluency": "repetition and language alone; what a text says is not seen",
    **dict.fromkeys(
        ("chrf", "rouge_l"),
        "shared pieces of text alone: the opposite of the reference scores high, a paraphrase low",
    ),
}
