"""Read records from the built-in generator, from local files, from the web and from the hub."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from instruct_scaling.common.categories import CATEGORIES, CategoryNames
from instruct_scaling.common.errors import InputError
from instruct_scaling.common.fetch import fetch_file, kept_snapshot
from instruct_scaling.common.files import sha256_file
from instruct_scaling.common.messages import parse_messages
from instruct_scaling.common.records import Message, Record
from instruct_scaling.common.rows import (
    FieldReader,
    InvalidRow,
    InvalidRows,
    Row,
    RowFile,
    between,
    strip_suffix,
)
from instruct_scaling.common.seeds import rank_key
from instruct_scaling.config.pools import (
    FileSource,
    HubSource,
    PoolSource,
    RowSource,
    SyntheticSource,
    UrlSource,
)
from instruct_scaling.data.annotations.store import as_tag, iter_annotation
from instruct_scaling.data.pool.store import iter_records
from instruct_scaling.data.synthetic import generate_records

log = logging.getLogger(__name__)

SAMPLE_KEY = 0  # `sample` belongs to the data: it is the same for all seeds

NumberedRecords = Iterator[tuple[int, Record]]


@dataclass(frozen=True, slots=True)
class RecordSource:
    """One source of a pool, opened, to be read once.

    `records` yields (number of the line or row, record), counts invalid entries in `invalid`, and
    raises InputError at the first of them unless the config says to skip them. `unpinned` says
    what the data was read by, where that may change.
    """

    name: str
    location: str
    sha256: str | None
    invalid: InvalidRows
    records: NumberedRecords
    parser: RecordParser | None = None
    unpinned: str | None = None
    license: str | None = None

    @property
    def suffixes_stripped(self) -> int:
        """Texts that lost one of `strip_suffixes`."""
        return self.parser.suffixes_stripped if self.parser else 0

    @property
    def renamed_categories(self) -> list[dict[str, Any]]:
        """As `CategoryNames.renamed` says."""
        return self.parser.categories.renamed(self.name) if self.parser else []


@dataclass(frozen=True, slots=True)
class PoolFiles:
    """A pool that another one is made of: folder of its records, annotations by name."""

    records: Path
    annotations: dict[str, Path]


def open_source(
    config: SyntheticSource | FileSource | UrlSource | HubSource | PoolSource,
    known: tuple[str, ...],
    wanted: Sequence[str] | None,
    pools: Mapping[str, PoolFiles] | None = None,
) -> RecordSource:
    """Open one source; nothing is read from it yet.

    Args:
        config: the source.
        known: categories that may occur besides the standard ones.
        wanted: categories that the filters keep, None for all: what is generated is spread
            over these alone.
        pools: the study's pools that this one is made of.

    Raises:
        InputError: no such file, or no such pool.
    """
    if isinstance(config, PoolSource):
        return _open_pool(config.pool, (pools or {}).get(config.pool))
    if isinstance(config, SyntheticSource):
        location = f"generator, seed {config.seed}"
        invalid = InvalidRows(location, "row", "stop")
        return RecordSource("synthetic", location, None, invalid, _generated(config, wanted))
    if isinstance(config, FileSource):
        return _open_file(config, RowFile(config.path), known)
    if isinstance(config, UrlSource):
        path = fetch_file(config.url, config.sha256)
        source = _open_file(config, RowFile(path, config.url), known)
        return replace(source, license=config.license)
    return _open_hub(config, known)


def _open_pool(name: str, files: PoolFiles | None) -> RecordSource:
    if files is None:
        raise InputError(
            f"the records of pool {name} are not given", fix="give them by --records-of"
        )
    location = f"pool {name}"
    invalid = InvalidRows(location, "row", "stop")
    sha256 = sha256_file(files.records)
    return RecordSource(location, location, sha256, invalid, _annotated(files))


def _annotated(files: PoolFiles) -> NumberedRecords:
    """The records of a pool with its annotations as tags; a missing value gives no tag."""
    columns = {name: iter_annotation(path) for name, path in files.annotations.items()}
    for number, record in enumerate(iter_records(files.records), 1):
        tags = dict(record.tags)
        for name, column in columns.items():
            record_id, value = next(column, (None, None))
            if record_id != record.id:
                raise InputError(
                    f"row {number} is not of record {record.id}: it was made for other records",
                    where=files.annotations[name],
                    fix="remove the file and run the study again",
                )
            if value is not None:
                tags[name] = as_tag(value)
        yield number, replace(record, tags=tags)


def _open_file(config: RowSource, file: RowFile, known: tuple[str, ...]) -> RecordSource:
    parser = RecordParser(config, known, Path(urlsplit(file.name).path).name)
    invalid = InvalidRows(file.name, file.unit, config.on_error)
    records = _parsed(file, parser, invalid)
    sha256 = sha256_file(file.path)
    return RecordSource(parser.name, file.name, sha256, invalid, records, parser)


def _open_hub(config: HubSource, known: tuple[str, ...]) -> RecordSource:
    sha256 = unpinned = copy = None
    if config.is_local:
        name, revision = str(Path(config.dataset).expanduser()), None
        location = f"{config.dataset}, split {config.split}"
        sha256 = sha256_file(name)
    else:
        name, revision = config.dataset, config.revision
        location = f"{name}@{revision}, split {config.split}"
        copy = kept_snapshot(name, revision, "dataset")
        if not config.is_pinned and copy is None:
            commit = _commit_of(config)
            unpinned = f"revision {revision}, commit {commit or 'unknown'}"
            log.warning("%s: the revision is not a commit (%s)", name, unpinned)
            revision = commit or revision
    parser = RecordParser(config, known, config.dataset)
    invalid = InvalidRows(location, "row", config.on_error)
    rows = _hub_rows(name if copy is None else str(copy), revision, config.split)
    records = _parsed(rows, parser, invalid)
    return RecordSource(parser.name, location, sha256, invalid, records, parser, unpinned)


def _generated(config: SyntheticSource, wanted: Sequence[str] | None) -> NumberedRecords:
    categories = tuple(one for one in CATEGORIES if wanted is None or one in wanted)
    if categories:
        yield from enumerate(
            generate_records(config.records, config.seed, categories=categories), 1
        )


def _parsed(
    rows: Iterable[Row | InvalidRow], parser: RecordParser, invalid: InvalidRows
) -> NumberedRecords:
    """The usable rows as the source's `rows`, `limit` and `sample` leave them, in the order of the
    data."""
    if parser.rows is not None:
        rows = between(rows, *parser.rows, invalid.where)
    records = _usable(rows, parser, invalid)
    if parser.sample is None:
        yield from records
        return
    smallest = heapq.nsmallest(
        parser.sample,
        ((rank_key(SAMPLE_KEY, record.id), number, record) for number, record in records),
        key=itemgetter(0, 1),
    )
    yield from sorted(((number, record) for _, number, record in smallest), key=itemgetter(0))


def _usable(
    rows: Iterable[Row | InvalidRow], parser: RecordParser, invalid: InvalidRows
) -> NumberedRecords:
    usable = 0
    for row in rows:
        if usable == parser.limit:
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
        invalid.add(row)
    parser.fields.check_all_found(invalid.where)
    parser.tags.check_all_found(invalid.where)


def _hub_rows(name: str, revision: str | None, split: str) -> Iterator[Row]:
    # Imported here: it takes seconds, and most studies read no hub.
    from datasets import load_dataset

    try:
        table = load_dataset(name, split=split, revision=revision)
    except Exception as error:  # `datasets` lets the errors of four libraries through
        raise InputError(
            f"cannot load this data set: {str(error) or type(error).__name__}",
            where=f"{name}@{revision}" if revision else name,
            fix="check name, revision and split, the network, and whether HF_HUB_OFFLINE is set",
        ) from error
    for number, value in enumerate(table, 1):
        yield Row(number, value)


def _commit_of(config: HubSource) -> str | None:
    """The commit that the revision stands for now, None where the hub does not answer."""
    from huggingface_hub import HfApi

    try:
        return HfApi().dataset_info(config.dataset, revision=config.revision, timeout=30).sha
    except Exception:  # offline, or a hub of another kind: loading says what is wrong, if anything
        return None


class RecordParser:
    """Makes a record of a row as the source's config says.

    `categories` counts the categories that were renamed, `fields` has the keys that were found,
    and `suffixes_stripped` counts the texts that lost one of `strip_suffixes`.

    Args:
        config: the source's section.
        known: categories that may occur besides the standard ones.
        name: what the records give as their source.
    """

    def __init__(self, config: RowSource, known: tuple[str, ...], name: str) -> None:
        self._config = config
        self.name = name
        self.rows, self.limit, self.sample = config.rows, config.limit, config.sample
        self.fields = FieldReader(config.fields)
        self.tags = FieldReader(config.tags, "tags")
        self.categories = CategoryNames(config.category_names, known)
        self.suffixes_stripped = 0

    def record(self, row: dict[str, Any]) -> Record:
        """The record of one row: a conversation where the row has `messages`.

        Raises:
            ValueError: instruction or output is missing or empty, a field is not text, the
                category is unknown, or the messages are no conversation that ends with an answer.
        """
        category = self.fields.text(row, "category") or self._config.category
        labels: dict[str, Any] = {
            "category": self.categories.standard(category) if category else None,
            "language": self.fields.text(row, "language") or self._config.language,
            "source": self.name,
            "tags": self.tags.texts(row),
        }
        messages = self.fields.raw(row, "messages")
        if messages is not None:
            return Record.of_messages(
                (
                    Message(turn.role, self._strip_suffix(turn.content))
                    for turn in parse_messages(messages, self.fields.key("messages"))
                ),
                **labels,
            )
        if "messages" in self._config.fields:
            raise ValueError(f"entry without messages: no `{self.fields.key('messages')}`")
        return Record.make(
            self._required(row, "instruction"),
            self._required(row, "output"),
            input=self._strip_suffix(self.fields.text(row, "input") or ""),
            **labels,
        )

    def _required(self, row: dict[str, Any], name: str) -> str:
        text = self._strip_suffix(self.fields.required(row, name))
        if not text.strip():
            raise ValueError(f"entry without {name}: it holds nothing but one of `strip_suffixes`")
        return text

    def _strip_suffix(self, text: str) -> str:
        stripped = strip_suffix(text, self._config.strip_suffixes)
        self.suffixes_stripped += stripped != text
        return stripped
