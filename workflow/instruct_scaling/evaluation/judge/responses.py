"""The answer in a response: what is left without the reasoning before it and the turns after it.

Reasoning models write their thoughts first, between tags. Thoughts are no answer: a number in them
is no result and a program in them is no solution. Models that do not stop write the user's next
turn and answer that too. So every judge sees `answer_of` a response.
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
# Lines that begin a turn of the user, as templates and base models write them.
_USER_TURN = regex.compile(
    r"^(?:#{1,4}[ ]?(?:Human|User|Instruction|Question)\b|\[?(?:Human|User)\]?[ ]?[:：]|"
    r"<\|(?:im_start\|>[ ]?)?user(?:\|>)?|<\|start_header_id\|>user|\[INST\]|<start_of_turn>user|"
    r"(?:用户|人类)[ ]?[:：])",
    regex.MULTILINE | regex.IGNORECASE,
)
# These also head a part of an answer, so an answer of the model must follow them.
_QUESTION_TURN = regex.compile(
    r"^(?:Q|Question|问|问题|提问)[ ]?\d{0,2}[ ]?[:：]"
    r"(?=.*\n+(?:A|Answer|答|答案|回答)[ ]?\d{0,2}[ ]?[:：])",
    regex.MULTILINE | regex.IGNORECASE,
)
_DIALOGUE = regex.compile(
    r"\b(?:dialogs?|dialogues?|conversations?|scripts?|interviews?|FAQs?|role-?play\w*|"
    r"Q ?& ?A|questions and answers)\b|对话|剧本|访谈|采访|聊天|问答|相声|问题列表",
    regex.IGNORECASE,
)
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


def without_continuation(text: str, prompt: str = "") -> str:
    """The text before the first later turn of the user, which the model wrote itself.

    Conservative: a turn begins a line, with something before it, outside a fence of code; and a
    prompt that asks for a dialogue keeps all of its turns. The rules of the arm's template are not
    known here, so the markers are the common ones.

    Args:
        prompt: what was asked.
    """
    if _DIALOGUE.search(prompt):
        return text
    for marker in (_USER_TURN, _QUESTION_TURN):
        for turn in marker.finditer(text):
            before = text[: turn.start()]
            if regex.search(r"\w", before) and not _in_code(text, turn.start()):
                text = before.rstrip()
                break
    return text


def answer_of(text: str, prompt: str = "") -> str:
    """What a response answers: without its reasoning, and without turns that it made up."""
    return without_continuation(without_reasoning(text), prompt)


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
