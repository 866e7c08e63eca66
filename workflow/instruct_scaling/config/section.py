"""Read back the config sections that a stage is given as JSON on its command line."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from instruct_scaling.common.errors import InputError
from instruct_scaling.config.identity import execution_keys

Section = TypeVar("Section", bound=BaseModel)


def parse_section(model: type[Section] | Any, text: str, option: str) -> Section:
    """Validate a section given as JSON.

    Args:
        model: the config model of the section, or a union of such models.
        text: the section as JSON.
        option: the command line option it came by, for the error.

    Raises:
        InputError: the text is not JSON or not such a section, one line for each mistake.
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
