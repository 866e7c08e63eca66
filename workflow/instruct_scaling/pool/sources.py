"""Read records from the built-in generator, from local files and from the hub."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from instruct_scaling.categories import CATEGORIES
from instruct_scaling.category_names import CategoryNames
from instruct_scaling.config.pools import EmbeddedSource, FileSource, HubSource
from instruct_scaling.embedded import generate_records
from instruct_scaling.errors import InputError
from instruct_scaling.files import sha256_file
from instruct_scaling.records import Record
from instruct_scaling.rows import Broken, BrokenLog, FieldReader, Row, RowFile


class RecordSource:
    """One source of a pool, ready to be read once.

    Iterating yields (number of the line or row, record); broken entries go to `broken`.

    `endings_cut` counts the texts that lost one of the config's endings.

    Args:
        config: the source.
        known: categories that may occur besides the standard ones.
        wanted: categories that the filters keep, None for all: what is generated is spread
            over these alone.

    Raises:
        InputError: no such file or data set; while iterating: a broken entry, unless the config
            says to skip them.
    """

    def __init__(
        self,
        config: EmbeddedSource | FileSource | HubSource,
        known: tuple[str, ...],
        wanted: list[str] | None,
    ) -> None:
        self._config = config
        self._wanted = wanted
        self.endings_cut = 0
        mapping = {} if isinstance(config, EmbeddedSource) else config.category_names
        self.categories = CategoryNames(mapping, known)
        self.sha256: str | None = None
        if isinstance(config, FileSource):
            self._file = RowFile(config.path)
            self.name = Path(config.path).name
            self.location = config.path
            self.sha256 = sha256_file(config.path)
            self.broken = BrokenLog(config.path, self._file.unit, config.on_error)
        elif isinstance(config, HubSource):
            self.name = config.dataset
            self.location = f"{config.dataset}@{config.revision}, split {config.split}"
            self.broken = BrokenLog(self.location, "row", config.on_error)
        else:
            self.name = "embedded"
            self.location = f"generator, seed {config.seed}"
            self.broken = BrokenLog(self.location, "row", "stop")

    def __iter__(self) -> Iterator[tuple[int, Record]]:
        config = self._config
        if isinstance(config, EmbeddedSource):
            wanted = CATEGORIES if self._wanted is None else self._wanted
            standard = tuple(name for name in CATEGORIES if name in wanted)
            if not standard:
                return iter(())
            return enumerate(generate_records(config.records, config.seed, categories=standard), 1)
        return self._records(
            self._file if isinstance(config, FileSource) else _hub_rows(config), config
        )

    def _records(
        self, rows: Iterable[Row | Broken], config: FileSource | HubSource
    ) -> Iterator[tuple[int, Record]]:
        fields = FieldReader(config.fields)
        usable = 0
        for row in rows:
            if usable == config.limit:
                break
            if isinstance(row, Row):
                try:
                    record = self._record(row.value, fields, config)
                except ValueError as error:
                    row = Broken(row.number, str(error))
                else:
                    usable += 1
                    yield row.number, record
                    continue
            self.broken.add(row)
        fields.check_all_found(self.location)

    def _record(
        self, row: dict[str, Any], fields: FieldReader, config: FileSource | HubSource
    ) -> Record:
        category = fields.text(row, "category") or config.category
        if category is not None:
            category = self.categories.standard(category)
        instruction, output = (
            self._cut(fields.required(row, name), name, config.cut_endings)
            for name in ("instruction", "output")
        )
        input_ = fields.text(row, "input") or ""
        return Record.make(
            instruction,
            output,
            input=self._cut(input_, "input", config.cut_endings) if input_ else "",
            category=category,
            language=fields.text(row, "language") or config.language,
            source=self.name,
        )

    def _cut(self, text: str, name: str, endings: list[str]) -> str:
        ending = next((one for one in endings if text.rstrip().endswith(one)), None)
        if ending is None:
            return text
        text = text.rstrip().removesuffix(ending)
        if not text.strip() and name != "input":
            raise ValueError(f"entry without {name}: nothing stands before {ending!r}")
        self.endings_cut += 1
        return text


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
