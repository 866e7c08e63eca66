"""What the llm judge is asked: a rubric for each category, in English and in Chinese."""

from __future__ import annotations

from functools import cache
from importlib import resources
from string import Template
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

from instruct_scaling.common.records import EvalItem, content_id

Language = Literal["en", "zh"]
Scale = Literal["binary", "graded"]


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
        question=item.full_prompt,
        reference=reference,
        answer=answer,
        scale=text.scale[rules.scale][language],
    )
