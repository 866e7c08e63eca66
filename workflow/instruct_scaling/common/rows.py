"""Read rows from files of any origin: an entry that cannot be used is named with its line."""

from __future__ import annotations

import gzip
import json
import math
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from instruct_scaling.common.errors import InputError

MAX_EXAMPLES = 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Row:
    """One entry of a file; `number` is its line (JSON) or its row (Parquet), from 1."""

    number: int
    value: dict[str, Any]


@dataclass(frozen=True, slots=True)
class InvalidRow:
    """An entry that cannot be used, and why."""

    number: int
    reason: str


@dataclass(slots=True)
class InvalidRows:
    """What happens to the invalid entries of one source: stop at the first, or count them."""

    where: str
    unit: Literal["line", "row"]
    on_error: Literal["stop", "skip"]
    count: int = 0
    examples: list[InvalidRow] = field(default_factory=list)

    def add(self, row: InvalidRow) -> None:
        """Count an invalid entry.

        Raises:
            InputError: as `stop_at`.
        """
        self.stop_at(row)
        self.count += 1
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(row)

    def stop_at(self, row: InvalidRow) -> None:
        """Stop at an entry that cannot be used, unless the config says to skip it.

        Raises:
            InputError: `on_error` is "stop"; the message has the entry's place.
        """
        if self.on_error == "stop":
            is_line = self.unit == "line"
            raise InputError(
                row.reason,
                where=self.where if is_line else f"{self.where}, row {row.number}",
                line=row.number if is_line else None,
                fix="correct the entry, or set `on_error: skip` to leave such entries out",
            )


class RowFile:
    """A file of JSON lines, a JSON list (either may be gzipped) or Parquet.

    The format is found from the content, not from the name. Iterating yields a `Row` or an
    `InvalidRow` for every entry; empty lines are skipped.

    Args:
        path: the file.
        name: what errors call it, by default its path.

    Raises:
        InputError: there is no such file; while iterating: a damaged archive or Parquet file,
            or a JSON list with a syntax error, after which nothing can be read.
    """

    def __init__(self, path: str | Path, name: str | None = None) -> None:
        self.path = Path(path)
        self.name = str(path) if name is None else name
        if not self.path.is_file():
            raise InputError(
                "no such file",
                where=self.name,
                fix=f"relative paths start at the folder the command runs in ({Path.cwd()})",
            )
        with self.path.open("rb") as handle:
            magic = handle.read(4)
        self._is_parquet = magic == b"PAR1"
        self._is_gzip = magic[:2] == b"\x1f\x8b"
        self.unit: Literal["line", "row"] = "row" if self._is_parquet else "line"

    def __iter__(self) -> Iterator[Row | InvalidRow]:
        try:
            if self._is_parquet:
                yield from self._parquet_rows()
                return
            with self._open() as handle:
                first = handle.read(64).removeprefix(BYTE_ORDER_MARK).lstrip()[:1]
            with self._open() as handle:
                yield from self._listed(handle) if first == b"[" else self._lines(handle)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise InputError(f"damaged gzip archive: {error}", where=self.name) from error
        except pa.ArrowInvalid as error:
            raise InputError(f"damaged Parquet file: {error}", where=self.name) from error

    def _open(self) -> IO[bytes]:
        return gzip.open(self.path) if self._is_gzip else self.path.open("rb")

    def _lines(self, handle: IO[bytes]) -> Iterator[Row | InvalidRow]:
        for number, line in enumerate(handle, 1):
            if number == 1:
                line = line.removeprefix(BYTE_ORDER_MARK)
            if not line.strip():
                continue
            try:
                yield _entry(number, json.loads(line))
            except UnicodeDecodeError:
                yield InvalidRow(number, "not UTF-8 text")
            except json.JSONDecodeError as error:
                yield InvalidRow(number, f"not valid JSON: {error.msg} (column {error.colno})")
            except (ValueError, RecursionError) as error:  # a number of 5,000 digits, deep nesting
                yield InvalidRow(number, f"cannot be read as JSON: {error}")

    def _listed(self, handle: IO[bytes]) -> Iterator[Row | InvalidRow]:
        """Decode a JSON list entry by entry: lines stay known and only the text is in memory."""
        try:
            text = handle.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError("not UTF-8 text", where=self.name) from error
        decoder = json.JSONDecoder()
        position = _skip_blanks(text, text.index("[") + 1)
        line, counted = 1, 0
        if text[position : position + 1] == "]":
            return
        while True:
            line, counted = line + text.count("\n", counted, position), position
            try:
                value, position = decoder.raw_decode(text, position)
            except json.JSONDecodeError as error:
                raise InputError(
                    f"not valid JSON: {error.msg} (column {error.colno})",
                    where=self.name,
                    line=error.lineno,
                ) from error
            except (ValueError, RecursionError) as error:
                raise InputError(
                    f"cannot be read as JSON: {error}", where=self.name, line=line
                ) from error
            yield _entry(line, value)
            position = _skip_blanks(text, position)
            separator = text[position : position + 1]
            if separator == "]":
                return
            if separator != ",":
                raise InputError(
                    "not valid JSON: expected ',' or ']' after an entry",
                    where=self.name,
                    line=text.count("\n", 0, position) + 1,
                )
            position = _skip_blanks(text, position + 1)

    def _parquet_rows(self) -> Iterator[Row]:
        number = 0
        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(batch_size=4096):
                for value in batch.to_pylist():
                    number += 1
                    yield Row(number, value)


def between(
    rows: Iterable[Row | InvalidRow], first: int, last: int | None, where: str
) -> Iterator[Row | InvalidRow]:
    """The entries from `first` to `last`, both included and counted from 1, usable or not.

    Args:
        last: None for the end of the data.
        where: what errors call the data.

    Raises:
        InputError: the data end before `first`.
    """
    number = 0
    for number, row in enumerate(rows, 1):
        if last is not None and number > last:
            return
        if number >= first:
            yield row
    if number < first:
        raise InputError(
            f"there is no entry {first}, the data end at {number}",
            where=where,
            fix="correct `rows`",
        )


def strip_suffix(text: str, suffixes: Iterable[str]) -> str:
    """The text without the first of the suffixes that it ends with, white space after it or not."""
    for suffix in suffixes:
        if text.rstrip().endswith(suffix):
            return text.rstrip().removesuffix(suffix)
    return text


def compose(template: str, row: Mapping[str, Any]) -> str:
    """A template with each `{key}` in it replaced by the row's text; a list gives a line for each
    of its texts. Other braces stay as they are.

    Raises:
        ValueError: the row has no such key, or something else than text under it.
    """

    def text(found: re.Match[str]) -> str:
        key = found.group(1)
        if key not in row:
            raise ValueError(f"no `{key}` in this entry (keys: {', '.join(map(str, row))})")
        value = row[key]
        parts = value if isinstance(value, list) else [value]
        if not all(isinstance(part, str | int | float) for part in parts):
            raise ValueError(f"`{key}` is not text but {type(value).__name__}")
        return "\n".join(map(str, parts))

    return re.sub(r"\{(\w+)\}", text, template)


class FieldReader:
    """Takes named fields from rows, under the keys that a config's `fields` maps them to.

    Args:
        fields: field name -> key in the file; a field that is not listed has its own name.
        option: what the config calls this mapping.
    """

    def __init__(self, fields: Mapping[str, str], option: str = "fields") -> None:
        self._option = option
        self._fields = dict(fields)
        self._unseen = set(self._fields.values())

    def key(self, name: str) -> str:
        """The key in the file that holds a field."""
        return self._fields.get(name, name)

    def raw(self, row: Mapping[str, Any], name: str) -> Any:
        """The field's value as the file has it, None where it is absent."""
        key = self._fields.get(name, name)
        if key not in row:
            return None
        self._unseen.discard(key)
        return row[key]

    def text(self, row: Mapping[str, Any], name: str) -> str | None:
        """The field as text, None where it is absent, null, NaN or blank. Numbers become text.

        Raises:
            ValueError: it is neither text nor a number, or not valid Unicode.
        """
        value = self.raw(row, name)
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return None
        key = self._fields.get(name, name)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(f"`{key}` is not text but {type(value).__name__}")
        text = str(value)
        if not text.isascii():
            try:
                text.encode("utf-8")
            except UnicodeEncodeError:
                raise ValueError(f"`{key}` is not valid Unicode (a lone surrogate)") from None
        return text if text.strip() else None

    def required(self, row: Mapping[str, Any], name: str) -> str:
        """The field as text.

        Raises:
            ValueError: it is absent or blank, or as for `text`.
        """
        text = self.text(row, name)
        if text is None:
            key = self._fields.get(name, name)
            state = "is empty" if key in row else f"is missing (keys: {', '.join(map(str, row))})"
            raise ValueError(f"entry without {name}: `{key}` {state}")
        return text

    def texts(self, row: Mapping[str, Any]) -> dict[str, str]:
        """Every mapped field that the row has, as text.

        Raises:
            ValueError: as for `text`.
        """
        found = ((name, self.text(row, name)) for name in self._fields)
        return {name: text for name, text in found if text is not None}

    def check_all_found(self, where: str) -> None:
        """Refuse a mapping to a key that no row had: a misspelled key would go unnoticed.

        Raises:
            InputError: naming the key.
        """
        if self._unseen:
            key = min(self._unseen)
            name = next(name for name, mapped in self._fields.items() if mapped == key)
            raise InputError(
                f"no entry has the key `{key}`, which `{self._option}` names as {name}",
                where=where,
                fix=f"correct `{self._option}.{name}`, or leave it out",
            )


def _entry(number: int, value: Any) -> Row | InvalidRow:
    if isinstance(value, dict):
        return Row(number, value)
    return InvalidRow(number, f"not an object with named fields but {type(value).__name__}")


def _skip_blanks(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position
