"""Audits of pools and eval set: the funnel step by step, everything else as facts and tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import read_json
from instruct_scaling.reporting.report.context import Audit, FunnelStep, Table
from instruct_scaling.reporting.report.wording import plain, words

_APART = ("steps", "read", "kept", "provenance")
MOST_ROWS = 60
_LONG_HASH = re.compile(r"\b([0-9a-f]{16})[0-9a-f]{16,}\b")


def read_audit(path: Path, name: str) -> Audit:
    """One `audit.json`.

    Its `steps` are a list of {name, removed, kept, reasons: {reason: {count, examples}}}, in
    the order in which records meet them. Any other key is shown as it is: a single value as a
    fact, a mapping or a list of rows as a table.

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
            "`steps` is not a list of {name, removed, kept, reasons}",
            where=path,
            fix="make the pool or the eval set again",
        ) from error
    rest = {k: v for k, v in audit.items() if k not in _APART and v not in ({}, [], None)}
    tables = {key: _table(key, value) for key, value in rest.items()}
    return Audit(
        name=name,
        read=audit.get("read", steps[0].kept + steps[0].removed if steps else None),
        kept=audit.get("kept", steps[-1].kept if steps else None),
        steps=steps,
        examples=_rows_table("Examples of what was removed", examples) if examples else None,
        tables=[table for table in tables.values() if table is not None],
        facts=[(words(key), _short(rest[key])) for key in rest if tables[key] is None],
    )


def _steps(steps: list[dict[str, Any]]) -> list[FunnelStep]:
    if not steps:
        return []
    start = int(steps[0]["removed"]) + int(steps[0]["kept"])
    return [
        FunnelStep(
            name=words(str(step["name"])),
            removed=int(step["removed"]),
            kept=int(step["kept"]),
            share_kept=int(step["kept"]) / start if start else 0.0,
            reasons=[
                (words(reason), int(found["count"]))
                for reason, found in step.get("reasons", {}).items()
                if found["count"]
            ],
        )
        for step in steps
    ]


def _examples(steps: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for step in steps:
        for reason, found in step.get("reasons", {}).items():
            for example in found.get("examples", []):
                yield {"step": words(str(step["name"])), "why": words(reason), **example}


def _table(key: str, value: Any) -> Table | None:
    if isinstance(value, dict):
        if all(isinstance(part, dict) for part in value.values()):
            return _rows_table(
                words(key), [{"name": words(k), **part} for k, part in value.items()]
            )
        return _rows_table(words(key), [{"name": words(k), "value": v} for k, v in value.items()])
    if isinstance(value, list) and all(isinstance(part, dict) for part in value):
        return _rows_table(words(key), value)
    return None


def _rows_table(caption: str, rows: list[dict[str, Any]]) -> Table:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    shown = rows[:MOST_ROWS]
    return Table(
        columns=[words(name) for name in columns],
        rows=[["" if name not in row else _short(row[name]) for name in columns] for row in shown],
        caption=caption,
        numeric=frozenset(
            words(name)
            for name in columns
            if all(isinstance(row.get(name, 0), int | float) for row in rows)
        ),
        total_rows=len(rows) if len(rows) > MOST_ROWS else None,
    )


def _short(value: Any) -> str:
    """A value as text, long hashes cut to their first 16 digits."""
    return _LONG_HASH.sub(r"\1…", plain(value))
