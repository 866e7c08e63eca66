"""Make records of the rows of foreign files and data sets."""

from __future__ import annotations

from typing import Any

from instruct_scaling.common.category_names import CategoryNames
from instruct_scaling.common.records import Record
from instruct_scaling.common.rows import FieldReader
from instruct_scaling.config.pools import FileSource, HubSource


class RecordParser:
    """Makes a record of a row as the source's config says.

    `categories` notes which categories were renamed, `fields` which keys were found, and
    `endings_cut` counts the texts that lost one of the config's endings.

    Args:
        config: the source's section.
        known: categories that may occur besides the standard ones.
        name: what the records give as their source.
    """

    def __init__(self, config: FileSource | HubSource, known: tuple[str, ...], name: str) -> None:
        self._config = config
        self.name = name
        self.fields = FieldReader(config.fields)
        self.categories = CategoryNames(config.category_names, known)
        self.endings_cut = 0

    def record(self, row: dict[str, Any]) -> Record:
        """The record of one row.

        Raises:
            ValueError: instruction or output is missing or empty, a field is not text, or the
                category is unknown.
        """
        category = self.fields.text(row, "category") or self._config.category
        return Record.make(
            self._required(row, "instruction"),
            self._required(row, "output"),
            input=self._without_ending(self.fields.text(row, "input") or ""),
            category=self.categories.standard(category) if category else None,
            language=self.fields.text(row, "language") or self._config.language,
            source=self.name,
        )

    def _required(self, row: dict[str, Any], name: str) -> str:
        text = self._without_ending(self.fields.required(row, name))
        if not text.strip():
            raise ValueError(f"entry without {name}: it holds nothing but one of `strip_suffixes`")
        return text

    def _without_ending(self, text: str) -> str:
        for ending in self._config.strip_suffixes:
            if text.rstrip().endswith(ending):
                self.endings_cut += 1
                return text.rstrip().removesuffix(ending)
        return text
