"""The prompt of the llm judge, from a rubric for each category, and the reading of its reply."""

from __future__ import annotations

import unicodedata
from functools import cache
from importlib import resources
from string import Template
from typing import Literal

import regex
import yaml
from pydantic import BaseModel, ConfigDict

from instruct_scaling.common.records import EvalItem, Role, content_id
from instruct_scaling.evaluation.judge.judgements import Outcome, missing, scored

Language = Literal["en", "zh"]
Scale = Literal["binary", "graded"]

# Raise it when a change of the rules below changes what a reply is worth.
PARSER_VERSION = 1

ROLES: dict[Language, dict[Role, str]] = {
    "en": {"system": "system message", "user": "user", "assistant": "assistant"},
    "zh": {"system": "系统消息", "user": "用户", "assistant": "助手"},
}

_LINE = regex.compile(
    r"^[ \t>*#_`-]*(?:(?:final|overall)\s+)?(?:score|(?:最终|最后|总)?(?:得分|评分|分数))[ \t*_`]*:"
    r"(.*)$",
    regex.IGNORECASE | regex.MULTILINE,
)
_GRADE = regex.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(?:分|/\s*1(?:\.0+)?)?")


class Rubric(BaseModel):
    """How answers of one category are graded.

    `reference`: `required` to compare with, `shown` where the item has one, or `hidden`.
    `scale`: `binary` (0 or 1) or `graded` (anything between as well).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    reference: Literal["required", "shown", "hidden"]
    scale: Scale
    en: str
    zh: str


class Frame(BaseModel):
    """The text around every rubric."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    en: str
    zh: str
    reference: dict[Language, str]
    scale: dict[Scale, dict[Language, str]]


def _load(name: str) -> str:
    return (resources.files(__package__) / "rubrics" / f"{name}.yaml").read_text("utf-8")


@cache
def frame() -> Frame:
    """The frame that the package brings."""
    return Frame.model_validate(yaml.safe_load(_load("_frame")))


@cache
def rubric(category: str) -> Rubric:
    """The category's rubric; the general one for a category of the study's own."""
    try:
        text = _load(category)
    except FileNotFoundError:
        text = _load("_general")
    return Rubric.model_validate(yaml.safe_load(text))


def rubric_language(wanted: Literal["en", "zh", "item"], item: EvalItem) -> Language:
    """Language of the rubric for an item; English where the item's own is neither."""
    if wanted != "item":
        return wanted
    return "zh" if item.language == "zh" else "en"


def judge_prompt(item: EvalItem, answer: str, language: Language) -> str:
    """The message that asks for a grade.

    Task, reference and answer are fenced by a word that is a hash of all three, so that the
    answer can neither contain it nor end its own fence.
    """
    rules, text = rubric(item.category), frame()
    fence = "#" + content_id(item.id, item.reference or "", answer)[:12]
    reference = ""
    if item.reference and rules.reference != "hidden":
        reference = Template(text.reference[language]).substitute(fence=fence, text=item.reference)
    return Template(getattr(text, language)).substitute(
        category=item.category,
        rubric=getattr(rules, language),
        fence=fence,
        question=question(item, fence, language),
        reference=reference,
        answer=answer,
        scale=text.scale[rules.scale][language],
    )


def question(item: EvalItem, fence: str, language: Language) -> str:
    """The task as a judge sees it: of a conversation every turn, below the fence and its role."""
    if not item.history:
        return item.full_prompt
    return "\n".join(
        f"{fence} {ROLES[language][turn.role]}\n{turn.content}" for turn in item.messages
    )


def parse_grade(reply: str, *, binary: bool) -> Outcome:
    """The grade on the last "Score:" line of a reply (also "得分：" or "评分：").

    Strict, because a wrong reading is worse than none: the line must hold one number in [0, 1]
    (0 or 1 if `binary`) and nothing else but emphasis, "/1" or a full stop. Anything else is
    missing with status `unparsed`; earlier lines do not count.

    Returns:
        The outcome, with the whole reply as its reason.
    """
    lines = _LINE.findall(unicodedata.normalize("NFKC", reply))
    if not lines:
        return missing("unparsed", f"no score line: {reply}")
    match = _GRADE.fullmatch(lines[-1].strip(" \t\r*_`").removesuffix(".").removesuffix("。"))
    if match is None:
        return missing("unparsed", f"no single number on the score line: {reply}")
    grade = float(match[1])
    if grade > 1 or (binary and grade not in (0.0, 1.0)):
        return missing("unparsed", f"{match[1]} is not on the scale: {reply}")
    return scored(grade, reply)
