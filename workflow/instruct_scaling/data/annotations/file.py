"""Annotations from a user's file: a row has an id, or the record's text, and a value."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.records import Record
from instruct_scaling.common.rows import FieldReader, InvalidRow, Row, RowFile
from instruct_scaling.config.annotations import FileAnnotation
from instruct_scaling.data.annotations.store import Value


def read_values(config: FileAnnotation) -> dict[str, Value]:
    """The values of a file by the id of their record; rows with an empty value are left out.

    All values are numbers (as floats) if all rows are, else text.

    Raises:
        InputError: the file is missing or cannot be read, a row has no id (or text), or two rows
            have different values for one record (with file and line).
    """
    fields = FieldReader(config.fields)
    file = _rows(config.path)
    found: dict[str, str] = {}
    has_value = False
    for row in file:
        if isinstance(row, InvalidRow):
            raise _refusal(config.path, file.unit, row.number, row.reason)
        try:
            record_id, value = _entry(config, fields, row.value)
            has_value = has_value or fields.key("value") in row.value
            if value is not None and found.setdefault(record_id, value) != value:
                raise ValueError(f"record {record_id} has two values: {found[record_id]}, {value}")
        except ValueError as error:
            raise _refusal(config.path, file.unit, row.number, str(error)) from None
    if not has_value:
        raise InputError(
            f"no entry has the key `{fields.key('value')}`",
            where=config.path,
            fix="name the key that holds the value: `fields: {value: KEY}`",
        )
    return _typed(found)


def _entry(
    config: FileAnnotation, fields: FieldReader, row: dict[str, Any]
) -> tuple[str, str | None]:
    value = fields.text(row, "value")
    if config.match == "id":
        return fields.required(row, "id"), value
    record = Record.make(
        fields.required(row, "instruction"),
        fields.required(row, "output"),
        input=fields.text(row, "input") or "",
    )
    return record.id, value


def _refusal(path: str, unit: str, number: int, reason: str) -> InputError:
    if unit == "line":
        return InputError(reason, where=path, line=number)
    return InputError(reason, where=f"{path}, row {number}")


def _typed(values: dict[str, str]) -> dict[str, Value]:
    try:
        numbers = {key: float(text) for key, text in values.items()}
    except ValueError:
        return dict(values)
    return {key: number for key, number in numbers.items() if not math.isnan(number)}


def _rows(path: str) -> RowFile | CsvFile:
    return CsvFile(path) if Path(path).suffix.lower() == ".csv" else RowFile(path)


class CsvFile:
    """A CSV file with a header; iterating yields its rows with their lines.

    Raises:
        InputError: there is no such file; while iterating: it is not UTF-8 text.
    """

    unit = "line"

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise InputError("no such file", where=path)

    def __iter__(self) -> Iterator[Row | InvalidRow]:
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as handle:
                reader = csv.DictReader(handle)
                for row in reader:
                    if None in row or None in row.values():
                        yield InvalidRow(reader.line_num, "not as many cells as the header has")
                    else:
                        yield Row(reader.line_num, row)
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"cannot be read as CSV: {error}", where=self.path) from error
