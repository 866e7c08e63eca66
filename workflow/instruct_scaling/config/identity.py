"""From a config section to the JSON that a stage is given.

Two kinds of keys stand side by side in a study. Most decide results: they are *identity*, and what
`identity_json` returns is at once the stage's option and the rule's `params`, so that a stage
cannot read what its identity does not hold and Snakemake re-runs exactly what an edit changes. The
others decide how results are reached (ZeRO stage, concurrency, retries): fields made by
`execution_field` are left out of the identity and reach a stage by `execution_json`.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, Field


def execution_field(default: Any, **constraints: Any) -> Any:
    """A field that changes no result and is therefore no part of the identity."""
    return Field(default, json_schema_extra={"execution": True}, **constraints)


def identity_json(section: BaseModel) -> str:
    """What decides results, as JSON: normalized values, defaults left out, keys sorted.

    Leaving defaults out keeps old results valid when a key with a default is added; a default
    that changes is found by the snapshot in `config/config.default.yaml` (see `defaults`). Keys
    that decide nothing under the section's other values (`Strict.inactive`) are left out too.
    """
    return _as_text(_identity(section))


def execution_json(*sections: BaseModel) -> str:
    """The execution fields of some sections that are not at their defaults, as one JSON object."""
    value = {}
    for section in sections:
        keys = execution_keys(section)
        value |= section.model_dump(mode="json", include=keys, exclude_defaults=True)
    return _as_text(value)


def _identity(section: BaseModel) -> dict[str, Any]:
    inactive = section.inactive() if hasattr(section, "inactive") else set()
    left_out = execution_keys(section) | inactive
    found = {}
    for name, field in type(section).model_fields.items():
        if name in left_out:
            continue
        value = _plain(getattr(section, name))
        if field.is_required() or value != _plain(field.get_default()):
            found[name] = value
    return found


def _plain(value: Any) -> Any:
    """A value made of JSON types; every section in it is reduced to its identity."""
    if isinstance(value, BaseModel):
        return _identity(value)
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return value


def execution_keys(section: BaseModel) -> set[str]:
    """Names of the section's execution fields."""
    return {
        name
        for name, field in type(section).model_fields.items()
        if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("execution")
    }


def _as_text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
