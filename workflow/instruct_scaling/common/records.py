"""What the stages hand each other, row by row, and how such rows are read.

Records, eval items, responses, judgements. Every row that is read is checked; an error has its file
and line.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import read_jsonl

Role = Literal["system", "user", "assistant"]


def normalize(text: str) -> str:
    """NFC, line ends as LF, trailing blanks of lines and outer white space removed."""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    return "\n".join(line.rstrip() for line in text.split("\n")).strip()


def content_id(*parts: str) -> str:
    """32 hex digits: the hash of the normalized parts, which is what an id stands for."""
    joined = "\x1f".join(normalize(part) for part in parts)
    return hashlib.blake2b(joined.encode("utf-8"), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Record:
    """One conversation of a pool: perhaps a system message, then user and assistant in turn.

    Instruction, input and output are the one-turn case: the user's message is the instruction with
    its input on the next line. `id` is the hash of the texts, `tags` are labels such as a
    difficulty, by name.
    """

    id: str
    messages: tuple[Message, ...]
    category: str | None
    language: str | None
    source: str
    tags: Mapping[str, str] = field(default_factory=dict)

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
        tags: Mapping[str, str] | None = None,
    ) -> Record:
        """A one-turn record with normalized text and the id that belongs to it."""
        texts = [normalize(instruction), normalize(input), normalize(output)]
        messages = (
            Message("user", join_prompt(texts[0], texts[1])),
            Message("assistant", texts[2]),
        )
        return cls(content_id(*texts), messages, category, language, source, tags or {})

    @classmethod
    def of_messages(
        cls,
        messages: Iterable[Message],
        *,
        category: str | None = None,
        language: str | None = None,
        source: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> Record:
        """A record with normalized text; one turn has the id that `make` gives it.

        Raises:
            ValueError: the turns are not those of a conversation that ends with an answer.
        """
        turns = tuple(Message(turn.role, normalize(turn.content)) for turn in messages)
        check_turns(turns, last="assistant")
        if [turn.role for turn in turns] == ["user", "assistant"]:
            record_id = content_id(turns[0].content, "", turns[1].content)
        else:
            record_id = content_id(*(part for turn in turns for part in (turn.role, turn.content)))
        return cls(record_id, turns, category, language, source, tags or {})

    @property
    def prompt(self) -> str:
        """What the model is given: the system's and user's messages, a line break between them."""
        return "\n".join(turn.content for turn in self.messages if turn.role != "assistant")

    @property
    def output(self) -> str:
        """What the model is to write: the assistant's messages, a line break between them."""
        return "\n".join(turn.content for turn in self.messages if turn.role == "assistant")


def check_turns(turns: Sequence[Message], *, last: Role) -> None:
    """Refuse what is no conversation.

    Raises:
        ValueError: user and assistant do not alternate after an optional system message, the last
            turn is not `last`, or a message is empty.
    """
    for number, turn in enumerate(turns, 1):
        if not turn.content:
            raise ValueError(f"message {number} ({turn.role}) is empty")
    first = 1 if turns and turns[0].role == "system" else 0
    expected: tuple[Role, Role] = ("user", "assistant")
    for number, turn in enumerate(turns[first:]):
        if turn.role != expected[number % 2]:
            raise ValueError(
                f"message {first + number + 1} is of role {turn.role}, not {expected[number % 2]}: "
                "after an optional system message, user and assistant alternate"
            )
    if len(turns) == first or turns[-1].role != last:
        raise ValueError(f"the last message is not of role {last}")


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
    tests: str | None = None  # Python asserts, which call the program in the answer
    helpers: str | None = None  # definitions that the prompt gives, for program and tests
    same_process: bool | None = None  # tests that build the program's classes or the like
    must_include: list[str] | None = None  # each must occur in the answer, whatever its case
    must_exclude: list[str] | None = None  # none may occur as whole words
    required_facts: list[list[str]] | None = None  # each to be stated in one of its ways
    forbidden_facts: list[list[str]] | None = None  # none to be stated in any of its ways
    references: list[str] | None = None  # right answers beside the item's reference
    language: str | None = None  # of the answer, where not the reference's or the item's
    allowed_items: list[str] | None = None  # every listed item must be one of these
    min_items: int | None = None  # items of the answer's list (lines or separated by commas)
    max_items: int | None = None
    min_chars: int | None = None
    max_chars: int | None = None


@dataclass(frozen=True, slots=True)
class EvalItem:
    """One evaluation question, perhaps after earlier turns (`history`).

    `id` is the hash of category, prompt, input and history.
    """

    id: str
    category: str
    prompt: str
    input: str | None = None
    reference: str | None = None
    checks: dict[str, Any] | None = None
    cluster: str | None = None
    language: str | None = None
    history: tuple[Message, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(
        cls, category: str, prompt: str, *, history: Iterable[Message] = (), **rest: Any
    ) -> EvalItem:
        """An item with normalized text and the id that belongs to it.

        Args:
            history: the messages before the prompt.

        Raises:
            ValueError: history and prompt are no conversation (see `check_turns`).
        """
        prompt = normalize(prompt)
        input_ = normalize(rest.pop("input", None) or "") or None
        reference = normalize(rest.pop("reference", None) or "") or None
        before = tuple(Message(turn.role, normalize(turn.content)) for turn in history)
        item_id = content_id(
            category,
            prompt,
            input_ or "",
            *(part for turn in before for part in (turn.role, turn.content)),
        )
        item = cls(item_id, category, prompt, input_, reference, history=before, **rest)
        check_turns(item.messages, last="user")
        return item

    @property
    def full_prompt(self) -> str:
        """The question with its input below it, as a model sees it."""
        return join_prompt(self.prompt, self.input)

    @property
    def messages(self) -> tuple[Message, ...]:
        """The whole conversation up to the answer."""
        return (*self.history, Message("user", self.full_prompt))

    def to_row(self) -> dict[str, Any]:
        """A JSON row; fields that are None or empty are left out."""
        return {key: value for key, value in asdict(self).items() if value not in (None, (), {})}


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
    known = {one.name for one in fields(kind)}
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
        unknown = next(
            (str(one["loc"][0]) for one in error.errors() if one["type"] == "extra_forbidden"), None
        )
        raise InputError(
            f"item {item.id}: checks: "
            + (f"{unknown}: there is no such check" if unknown else first_problem(error)),
            where=where,
            fix=f"use the checks {', '.join(Constraints.model_fields)}" if unknown else None,
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
            raise InputError(
                f"item {response.item} is answered twice, the second time by {response.id}",
                where=path,
                fix="keep one: a file has one run's answers, one to each item",
            )
        seen.add(response.item)
    return responses
