"""What the stages hand each other, row by row: records, eval items, responses, judgements."""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


def normalize(text: str) -> str:
    """NFC, line ends as LF, trailing blanks of lines and outer white space removed."""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    return "\n".join(line.rstrip() for line in text.split("\n")).strip()


def content_id(*parts: str) -> str:
    """32 hex digits: the hash of the normalized parts, which is what an id stands for."""
    joined = "\x1f".join(normalize(part) for part in parts)
    return hashlib.blake2b(joined.encode("utf-8"), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Record:
    """One instruction example of a pool. `id` is the hash of instruction, input and output."""

    id: str
    instruction: str
    input: str
    output: str
    category: str | None
    language: str | None
    source: str

    @classmethod
    def make(
        cls,
        instruction: str,
        output: str,
        *,
        input: str = "",
        category: str | None = None,
        language: str | None = None,
        source: str = "",
    ) -> Record:
        """A record with normalized text and the id that belongs to it."""
        texts = [normalize(instruction), normalize(input), normalize(output)]
        return cls(content_id(*texts), *texts, category, language, source)

    @property
    def prompt(self) -> str:
        """The instruction with its input below it, as a model sees it."""
        return join_prompt(self.instruction, self.input)


def join_prompt(instruction: str, input: str | None) -> str:
    """Instruction and input as one text: a line each, the input left out when empty."""
    return f"{instruction}\n{input}" if input else instruction


class Constraints(BaseModel):
    """What can be checked about an answer without a judge; every field is optional.

    A scorer uses those that its category needs and says so when one is missing.
    """

    model_config = ConfigDict(extra="forbid")

    answer: Literal["number", "expression", "label", "text"] | None = None
    labels: list[str] | None = None  # all allowed labels, the reference being one of them
    tests: str | None = None  # Python asserts, run after the program in the answer
    must_include: list[str] | None = None  # each must occur in the answer (case-folded)
    must_exclude: list[str] | None = None  # none may occur as whole words
    allowed_items: list[str] | None = None  # every listed item must be one of these
    min_items: int | None = None  # items of the answer's list (lines or separated by commas)
    max_items: int | None = None
    min_chars: int | None = None
    max_chars: int | None = None


@dataclass(frozen=True, slots=True)
class EvalItem:
    """One evaluation question. `id` is the hash of category, prompt and input."""

    id: str
    category: str
    prompt: str
    input: str | None = None
    reference: str | None = None
    checks: dict[str, Any] | None = None
    cluster: str | None = None
    language: str | None = None

    @classmethod
    def make(cls, category: str, prompt: str, **rest: Any) -> EvalItem:
        """An item with normalized text and the id that belongs to it."""
        prompt = normalize(prompt)
        input_ = rest.pop("input", None)
        input_ = normalize(input_) if input_ else None
        reference = rest.pop("reference", None)
        reference = normalize(reference) if reference and reference.strip() else None
        item_id = content_id(category, prompt, input_ or "")
        return cls(item_id, category, prompt, input_, reference, **rest)

    @property
    def full_prompt(self) -> str:
        """The question with its input below it, as a model sees it."""
        return join_prompt(self.prompt, self.input)

    def to_row(self) -> dict[str, Any]:
        """A JSON row; fields that are None are left out."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Response:
    """A run's answer to one item. `tokens` counts the generated tokens, end token included."""

    id: str  # hash of run, item and text
    item: str
    category: str
    arm: str
    scale: int
    seed: int
    text: str
    prompt_tokens: int
    tokens: int
    finish: Literal["stop", "length"]

    def to_row(self) -> dict[str, Any]:
        """A JSON row."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Judgement:
    """One score in [0, 1] by one judge in one repeat, or None with the reason in `status`.

    `status` is "ok" or names what went wrong, for instance "unparsed", "no_reference",
    "timeout", "http_error". A failed judgement has no score: never 0.
    """

    item: str
    response: str
    judge: str
    judge_version: str
    repeat: int
    score: float | None
    status: str
    reason: str | None = None
    tokens: int | None = None
    cost: float | None = None  # US dollars

    def to_row(self) -> dict[str, Any]:
        """A JSON row."""
        return asdict(self)
