"""Read the rows that stages hand each other, every one checked, with file and line in errors."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import read_jsonl
from instruct_scaling.common.records import Constraints, EvalItem, Judgement, Response

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
    """The first complaint of a validation error, in one line with the field's path."""
    detail: Any = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in detail["loc"])
    return f"{place}: {detail['msg']}" if place else str(detail["msg"])


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
                fix="the responses were made with another eval set: make them again",
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
