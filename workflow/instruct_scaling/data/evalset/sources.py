"""Read eval items from the built-in generator, from local files and from the web."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from instruct_scaling.common.categories import CATEGORIES, CategoryNames
from instruct_scaling.common.fetch import fetch_file
from instruct_scaling.common.files import sha256_file
from instruct_scaling.common.messages import parse_messages
from instruct_scaling.common.records import (
    Constraints,
    EvalItem,
    Message,
    check_turns,
    first_problem,
)
from instruct_scaling.common.rows import (
    FieldReader,
    InvalidRow,
    InvalidRows,
    Row,
    RowFile,
    between,
    compose,
    strip_suffix,
)
from instruct_scaling.config.evaluation import EvalFile, EvalUrl, RowEval, SyntheticEval
from instruct_scaling.data.evalset.helpers import helpers_in
from instruct_scaling.data.synthetic import generate_items


@dataclass(frozen=True, slots=True)
class SourceItems:
    """The usable items of one source, and what was wrong with the others."""

    name: str
    sha256: str | None
    items: list[EvalItem]
    invalid: InvalidRows
    categories: CategoryNames
    license: str | None = None


def read_source(
    source: SyntheticEval | EvalFile | EvalUrl, declared: tuple[str, ...]
) -> SourceItems:
    """Read one source whole.

    Args:
        source: where the items come from.
        declared: the study's categories, empty where it takes those of the paper. The generator
            writes items for these alone.

    Raises:
        InputError: it is missing or has other content than its hash says, or an entry is invalid
            and the config does not say to skip it.
    """
    if isinstance(source, SyntheticEval):
        return _generated(source, declared)
    if isinstance(source, EvalUrl):
        path = fetch_file(source.url, source.sha256)
        return _from_file(RowFile(path, source.url), source, declared)
    return _from_file(RowFile(source.path), source, declared)


def _generated(source: SyntheticEval, declared: tuple[str, ...]) -> SourceItems:
    name = f"generator, seed {source.seed}"
    standard = tuple(name for name in CATEGORIES if not declared or name in declared)
    items: Iterable[EvalItem] = ()
    if standard:
        items = generate_items(source.items_per_category, source.seed, categories=standard)
    invalid = InvalidRows(name, "row", "stop")
    return SourceItems(name, None, list(items), invalid, CategoryNames({}, declared))


def _from_file(file: RowFile, source: RowEval, declared: tuple[str, ...]) -> SourceItems:
    invalid = InvalidRows(file.name, file.unit, source.on_error)
    fields = FieldReader(source.fields)
    tags = FieldReader(source.tags, "tags")
    categories = CategoryNames(source.category_names, declared)
    items = []
    for row in file if source.rows is None else between(file, *source.rows, file.name):
        if isinstance(row, Row):
            try:
                items.append(_item(row.value, fields, tags, categories, source))
                continue
            except ValueError as error:
                row = InvalidRow(row.number, str(error))
        invalid.add(row)
    fields.check_all_found(file.name)
    tags.check_all_found(file.name)
    stated = source.license if isinstance(source, EvalUrl) else None
    return SourceItems(file.name, sha256_file(file.path), items, invalid, categories, stated)


def _item(
    row: dict[str, Any],
    fields: FieldReader,
    tags: FieldReader,
    categories: CategoryNames,
    source: RowEval,
) -> EvalItem:
    category = fields.text(row, "category") or source.category
    if category is None:
        raise ValueError("item without category: give `category` or map its key in `fields`")
    composed = {name: compose(text, row) for name, text in source.compose.items()}
    prompt, history = _question(row, fields, composed)
    texts = {
        name: strip_suffix(
            composed.get(name) or fields.text(row, name) or "", source.strip_suffixes
        )
        for name in ("input", "reference")
    }
    return EvalItem.make(
        categories.standard(category),
        strip_suffix(prompt, source.strip_suffixes),
        history=history,
        **texts,
        checks=_with_helpers(_checks(row, fields, composed, source), prompt),
        cluster=fields.text(row, "cluster"),
        language=fields.text(row, "language") or source.language,
        tags=tags.texts(row),
    )


def _question(
    row: dict[str, Any], fields: FieldReader, composed: dict[str, str]
) -> tuple[str, tuple[Message, ...]]:
    """Prompt and history: composed, or of `messages` where the row has them, the last being the
    user's."""
    if "prompt" in composed:
        return composed["prompt"], ()
    value = fields.raw(row, "messages")
    if value is None:
        return fields.required(row, "prompt"), ()
    messages = parse_messages(value, fields.key("messages"))
    check_turns(messages, last="user")
    return messages[-1].content, messages[:-1]


def _with_helpers(checks: dict[str, Any] | None, prompt: str) -> dict[str, Any] | None:
    """Checks with the helpers that the prompt gives, where they have tests and name no helpers."""
    if checks is None or "tests" not in checks or "helpers" in checks:
        return checks
    helpers = helpers_in(prompt)
    return checks if helpers is None else checks | {"helpers": helpers}


def _checks(
    row: dict[str, Any], fields: FieldReader, composed: dict[str, str], source: RowEval
) -> dict[str, Any] | None:
    """Those of the source, of the row, and the composed tests; None where there are none."""
    value = fields.raw(row, "checks")
    try:
        stated = Constraints.model_validate({} if value is None else value)
        own = stated.model_dump(exclude_none=True)
        tests = {"tests": composed["tests"]} if "tests" in composed else {}
        return source.checks | own | tests or None
    except ValidationError as error:
        raise ValueError(f"`checks`: {first_problem(error)}") from None
