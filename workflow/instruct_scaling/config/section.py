"""The base of every config section, and how a stage reads the one it is given."""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    PositiveInt,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from instruct_scaling.common.errors import InputError
from instruct_scaling.config.identity import execution_keys

# Names become folder names and Snakemake wildcards.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_\-]*$", max_length=64)]


def _ordered(rows: tuple[int, int | None]) -> tuple[int, int | None]:
    first, last = rows
    if last is not None and last < first:
        raise ValueError(f"the first row ({first}) is after the last one ({last})")
    return rows


# First and last entry of a source, both included; the last is null for the end.
RowRange = Annotated[tuple[PositiveInt, PositiveInt | None], AfterValidator(_ordered)]

Section = TypeVar("Section", bound=BaseModel)

COMMIT = r"^[0-9a-f]{40}$"


class Strict(BaseModel):
    """A config section: unknown keys are refused, every field is described, none is edited."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    def inactive(self) -> set[str]:
        """Keys that decide nothing under the section's other values (see `identity`)."""
        return set()


def _sorted(values: list[str] | None) -> list[str] | None:
    return None if values is None else sorted(values)


# A list whose order decides nothing: it is sorted, so that equal choices are equal values.
Unordered = AfterValidator(_sorted)


def parse_section(model: type[Section] | Any, text: str, option: str) -> Section:
    """Validate a section given as JSON.

    Args:
        model: the config model of the section, or a union of such models.
        text: the section as JSON.
        option: the command line option that gave it, for the error.

    Raises:
        InputError: the text is not JSON or not such a section; one line names every mistake.
    """
    try:
        return TypeAdapter(model).validate_json(text)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, detail['loc'])) or 'the whole'}: {detail['msg']}"
            for detail in error.errors()
        ]
        raise InputError("; ".join(problems), where=option) from None


def add_execution(section: Section, text: str, option: str = "--execution") -> Section:
    """The section with the execution fields that `identity.execution_json` wrote.

    Raises:
        InputError: the text is not a JSON object, a key is not an execution field of the section,
            or a value is not valid.
    """
    values = parse_section(dict[str, Any], text, option)
    unknown = sorted(values.keys() - execution_keys(section))
    if unknown:
        known = ", ".join(sorted(execution_keys(section))) or "none"
        raise InputError(
            f"{unknown[0]} is not an execution field", where=option, fix=f"use these: {known}"
        )
    merged = section.model_dump(mode="json") | values
    return parse_section(type(section), json.dumps(merged), option)
