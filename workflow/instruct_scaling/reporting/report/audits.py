"""Audits of pools and eval set: steps as they are, everything else as facts and tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import read_json
from instruct_scaling.reporting.report.tables import Row

_APART = ("steps", "read", "kept", "removed", "broken", "provenance")
_LONG_HASH = re.compile(r"\b([0-9a-f]{16})[0-9a-f]{16,}\b")


def read_audit(path: Path, name: str) -> Row:
    """One `audit.json` as the page shows it.

    Its `steps` are a list of {name, read, kept, removed, broken, reasons: {reason: {count,
    examples}}}, in the order in which records meet them; read = kept + removed + broken. Any other
    key is shown as it is: a single value as a fact, a mapping or a list of rows as a table. Long
    hashes are cut to 16 digits.

    Returns:
        `name`, `read`, `kept`, `removed`, `broken`, `steps` (with `share` of the records read that
        are kept and `reasons` as reason -> count), `facts` (key -> value), `tables` (key -> frame),
        `unpinned` (source -> revision, where it is no commit) and `provenance`.

    Raises:
        InputError: the file is missing, not JSON, or its steps are not such a list.
    """
    audit = read_json(path)
    if not isinstance(audit, dict):
        raise InputError("an audit is a JSON object", where=path)
    try:
        steps = _steps(audit.get("steps") or [])
        examples = list(_examples(audit.get("steps") or []))
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise InputError(
            "`steps` is not a list of {name, read, kept, removed, broken, reasons}",
            where=path,
            fix="run the stage that wrote it again",
        ) from error
    rest = {k: v for k, v in audit.items() if k not in _APART and v not in ({}, [], None)}
    tables = {"examples of what was removed": examples} if examples else {}
    tables |= {key: _table(value) for key, value in rest.items() if _is_table(value)}
    return {
        "name": name,
        **{key: audit.get(key) for key in ("read", "kept", "removed", "broken")},
        "steps": steps,
        "facts": {key: _short(value) for key, value in rest.items() if not _is_table(value)},
        "tables": {key: pd.DataFrame(found).map(_short) for key, found in tables.items()},
        "unpinned": {
            source["source"]: source["unpinned"]
            for source in audit.get("by_source", [])
            if source.get("unpinned")
        },
        "provenance": audit.get("provenance"),
    }


def _steps(steps: list[dict[str, Any]]) -> list[Row]:
    start = steps[0]["read"] if steps else 0
    return [
        {
            "name": step["name"],
            "removed": step["removed"],
            "broken": step["broken"],
            "kept": step["kept"],
            "share": step["kept"] / start if start else 0.0,
            "reasons": {
                reason: found["count"]
                for reason, found in step.get("reasons", {}).items()
                if found["count"]
            },
        }
        for step in steps
    ]


def _examples(steps: list[dict[str, Any]]) -> Iterator[Row]:
    for step in steps:
        for reason, found in step.get("reasons", {}).items():
            for example in found.get("examples", []):
                yield {"step": step["name"], "why": reason, **example}


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and all(isinstance(part, dict) for part in value)
    )


def _table(value: Any) -> list[Row]:
    if isinstance(value, list):
        return value
    return [
        {"name": key, **(part if isinstance(part, dict) else {"value": part})}
        for key, part in value.items()
    ]


def _short(value: Any) -> Any:
    """A value whose long hashes are cut to their first 16 digits."""
    return _LONG_HASH.sub(r"\1…", value) if isinstance(value, str) else value
