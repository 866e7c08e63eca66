"""The answer in a response: what is left when the reasoning before it is taken away.

Reasoning models write their thoughts first, between tags. Thoughts are no answer: a number in them
is no result and a program in them is no solution, so every judge sees `without_reasoning`.
"""

from __future__ import annotations

import regex

from instruct_scaling.common.records import Response
from instruct_scaling.evaluation.judge.judgements import Outcome, reasoning_exhausted

# Opening and closing tag as the model families write them.
_IGNORING_CASE = (
    # DeepSeek R1, Qwen 3 and their descendants; the others by prompt
    (r"<(?:think|thinking|thoughts?|reasoning)>", r"</(?:think|thinking|thoughts?|reasoning)>"),
    (r"\[THINK\]", r"\[/THINK\]"),  # Magistral
    (r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>"),  # Sky-T1, OpenThinker
    (r"<seed:think>", r"</seed:think>"),  # Seed-OSS
    (r"◁think▷", r"◁/think▷"),  # Kimi
)
# gpt-oss, with its special tokens and with them left out in decoding.
_EXACT = (
    (
        r"(?:<\|start\|>assistant)?<\|channel\|>analysis<\|message\|>",
        r"(?:<\|end\|>)?<\|start\|>assistant<\|channel\|>final<\|message\|>",
    ),
    (r"\Aanalysis(?=[A-Z])", r"assistantfinal"),
)
_BLOCKS = [
    (regex.compile(opening, flags), regex.compile(closing, flags))
    for pairs, flags in ((_IGNORING_CASE, regex.IGNORECASE), (_EXACT, 0))
    for opening, closing in pairs
]
# Tags that some of them put around the answer.
_SOLUTION = regex.compile(r"<\|(?:begin|end)_of_solution\|>|</?answer>", regex.IGNORECASE)
_FENCE = regex.compile(r"^[ \t]*(?:```|~~~)", regex.MULTILINE)


def without_reasoning(text: str) -> str:
    """The text without its blocks of reasoning; a text without any is returned as it is.

    A closing tag without an opening one (some chat templates put it into the prompt) ends
    reasoning that began with the text; an opening one without an end takes all that follows. Tags
    inside a fence of code are code.
    """
    left, _ = _split(text)
    if left == text:
        return text
    return _SOLUTION.sub("", left).strip("\r\n").rstrip()


def ran_out_in_reasoning(response: Response) -> bool:
    """Whether the length limit cut the response inside a block of reasoning."""
    return response.finish == "length" and _split(response.text)[1]


def exhausted(response: Response) -> Outcome | None:
    """The outcome of a response whose whole budget went into reasoning, else None."""
    if ran_out_in_reasoning(response):
        return reasoning_exhausted(f"no answer within {response.tokens} tokens")
    return None


def _split(text: str) -> tuple[str, bool]:
    """The text without reasoning, and whether a block of it was never closed."""
    unclosed = False
    for opening, closing in _BLOCKS:
        position = 0
        while (start := opening.search(text, position)) is not None:
            if _in_code(text, start.start()):
                position = start.end()
                continue
            end = closing.search(text, start.end())
            position = start.start()
            unclosed = unclosed or end is None
            text = text[:position] + ("" if end is None else text[end.end() :])
        # A closing tag that is left ends reasoning that the prompt had begun.
        ends = [end.end() for end in closing.finditer(text) if not _in_code(text, end.start())]
        text = text[ends[-1] :] if ends else text
    return text, unclosed


def _in_code(text: str, position: int) -> bool:
    """Whether a position lies inside a fence that was opened before it."""
    return len(_FENCE.findall(text, 0, position)) % 2 == 1
