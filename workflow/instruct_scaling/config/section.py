"""Read back the config section that a stage is handed as JSON on its command line."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from instruct_scaling.common.errors import InputError

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
