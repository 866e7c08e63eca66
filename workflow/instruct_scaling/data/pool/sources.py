"""Read records from the built-in generator, from local files and from the hub."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from instruct_scaling.common.categories import CATEGORIES
from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import sha256_file
from instruct_scaling.common.records import Record
from instruct_scaling.common.rows import InvalidRow, InvalidRows, Row, RowFile
from instruct_scaling.config.pools import FileSource, HubSource, SyntheticSource
from instruct_scaling.data.pool.parse import RecordParser
from instruct_scaling.data.synthetic import generate_records

NumberedRecords = Iterator[tuple[int, Record]]


@dataclass(frozen=True, slots=True)
class RecordSource:
    """One source of a pool, opened, to be read once.

    `records` yields (number of the line or row, record), notes broken entries in `broken`, and
    raises InputError at the first of them unless the config says to skip them.
    """

    name: str
    location: str
    sha256: str | None
    broken: InvalidRows
    records: NumberedRecords
    parser: RecordParser | None = None

    @property
    def endings_cut(self) -> int:
        """Texts that lost one of the config's endings."""
        return self.parser.endings_cut if self.parser else 0

    @property
    def renamed_categories(self) -> list[dict[str, Any]]:
        """As `CategoryNames.renamed` says."""
        return self.parser.categories.renamed(self.name) if self.parser else []


def open_source(
    config: SyntheticSource | FileSource | HubSource,
    known: tuple[str, ...],
    wanted: Sequence[str] | None,
) -> RecordSource:
    """Open one source; nothing is read from it yet.

    Args:
        config: the source.
        known: categories that may occur besides the standard ones.
        wanted: categories that the filters keep, None for all: what is generated is spread
            over these alone.

    Raises:
        InputError: no such file.
    """
    if isinstance(config, SyntheticSource):
        location = f"generator, seed {config.seed}"
        broken = InvalidRows(location, "row", "stop")
        return RecordSource("synthetic", location, None, broken, _generated(config, wanted))
    if isinstance(config, FileSource):
        file = RowFile(config.path)
        parser = RecordParser(config, known, Path(config.path).name)
        broken = InvalidRows(config.path, file.unit, config.on_error)
        records = _parsed(file, parser, broken, config.limit)
        return RecordSource(
            parser.name, config.path, sha256_file(config.path), broken, records, parser
        )
    location = f"{config.dataset}@{config.revision}, split {config.split}"
    parser = RecordParser(config, known, config.dataset)
    broken = InvalidRows(location, "row", config.on_error)
    records = _parsed(_hub_rows(config), parser, broken, config.limit)
    return RecordSource(parser.name, location, None, broken, records, parser)


def _generated(config: SyntheticSource, wanted: Sequence[str] | None) -> NumberedRecords:
    categories = tuple(one for one in CATEGORIES if wanted is None or one in wanted)
    if categories:
        yield from enumerate(
            generate_records(config.records, config.seed, categories=categories), 1
        )


def _parsed(
    rows: Iterable[Row | InvalidRow], parser: RecordParser, broken: InvalidRows, limit: int | None
) -> NumberedRecords:
    usable = 0
    for row in rows:
        if usable == limit:
            break
        if isinstance(row, Row):
            try:
                record = parser.record(row.value)
            except ValueError as error:
                row = InvalidRow(row.number, str(error))
            else:
                usable += 1
                yield row.number, record
                continue
        broken.add(row)
    parser.fields.check_all_found(broken.where)


def _hub_rows(config: HubSource) -> Iterator[Row]:
    # Imported here: it takes seconds, and most studies read no hub.
    from datasets import load_dataset

    try:
        table = load_dataset(config.dataset, split=config.split, revision=config.revision)
    except Exception as error:  # `datasets` lets the errors of four libraries through
        raise InputError(
            f"cannot load this data set: {str(error) or type(error).__name__}",
            where=f"{config.dataset}@{config.revision}",
            fix="check name, revision and split, the network, and whether HF_HUB_OFFLINE is set",
        ) from error
    for number, value in enumerate(table, 1):
        yield Row(number, value)
