"""What the stages hand each other, row by row, and how such rows are read.

Records, eval items, responses, judgements. Every row that is read is checked; an error has its file
and line.
"""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import read_jsonl


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
    must_include: list[str] | None = None  # each must occur in the answer, whatever its case
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
        input_ = normalize(rest.pop("input", None) or "") or None
        reference = normalize(rest.pop("reference", None) or "") or None
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


Row = TypeVar("Row", EvalItem, Response, Judgement)


def read_rows(path: str | Path, kind: type[Row]) -> list[Row]:
    """The rows of a JSON-lines file, as `kind`.

    Raises:
        InputError: the file is missing or empty, a line is not JSON, or a row has a missing or
            unknown field or a value of the wrong type (with file and line).
    """
    adapter = _adapter(kind)
    known = {field.name for field in fields(kind)}
    rows: list[Row] = []
    for line, value in read_jsonl(path):
        unknown = sorted(set(value) - known) if isinstance(value, dict) else []
        if unknown:
            raise InputError(f"unknown field `{unknown[0]}`", where=path, line=line)
        try:
            rows.append(adapter.validate_python(value))
        except ValidationError as error:
            raise InputError(first_problem(error), where=path, line=line) from error
    if not rows:
        raise InputError("the file has no rows", where=path)
    return rows


@cache
def _adapter(kind: type[Row]) -> TypeAdapter[Row]:
    return TypeAdapter(kind)


def first_problem(error: ValidationError) -> str:
    """The first problem of a validation error, in one line with the field's path."""
    detail: Any = error.errors(include_url=False)[0]
    path = ".".join(str(part) for part in detail["loc"])
    return f"{path}: {detail['msg']}" if path else str(detail["msg"])


def read_items(path: str | Path) -> dict[str, EvalItem]:
    """Eval items by id, in the order of the file.

    Raises:
        InputError: as `read_rows`; an id occurs twice; an item's `checks` do not validate.
    """
    items: dict[str, EvalItem] = {}
    for item in read_rows(path, EvalItem):
        if item.id in items:
            raise InputError(f"item {item.id} occurs twice", where=path)
        checks_of(item, path)
        items[item.id] = item
    return items


def checks_of(item: EvalItem, where: str | Path | None = None) -> Constraints:
    """The item's checks, all None where it has none.

    Raises:
        InputError: a check that this version does not know, or of the wrong type.
    """
    try:
        return Constraints.model_validate(item.checks or {})
    except ValidationError as error:
        raise InputError(
            f"item {item.id}: checks: {first_problem(error)}",
            where=where,
            fix=f"use the checks {', '.join(Constraints.model_fields)}",
        ) from error


def read_responses(path: str | Path, items: dict[str, EvalItem]) -> list[Response]:
    """Responses in the order of the file, each to an item of the eval set, one for each.

    Raises:
        InputError: as `read_rows`; a response to an unknown item, under another category than
            its item's, or a second one to the same item.
    """
    responses = read_rows(path, Response)
    seen: set[str] = set()
    for response in responses:
        item = items.get(response.item)
        if item is None:
            raise InputError(
                f"response {response.id} answers item {response.item}, which the eval set lacks",
                where=path,
                fix="generate the responses again: they were made with another eval set",
            )
        if item.category != response.category:
            raise InputError(
                f"response {response.id} says category {response.category}, "
                f"its item {item.id} says {item.category}",
                where=path,
            )
        if response.item in seen:
            raise InputError(f"item {response.item} is answered twice", where=path)
        seen.add(response.item)
    return responses
