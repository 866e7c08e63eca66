"""Where instruction data comes from and what is done to it before any subset is drawn."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from instruct_scaling.config.annotations import Annotation
from instruct_scaling.config.identity import execution_field
from instruct_scaling.config.pool_steps import DEFAULT_STEPS, Step
from instruct_scaling.config.section import COMMIT, Name, RowRange, Strict
from instruct_scaling.config.web import WebFile


class SyntheticSource(Strict):
    """Instruction records written by the built-in generator (Chinese and English)."""

    type: Literal["synthetic"]
    records: int = Field(24_000, gt=0)
    """How many records to write, spread evenly over the study's categories."""
    seed: int = 0
    """Seed of the generator; it belongs to the data, not to the runs."""


class RowSource(Strict):
    """What is common to sources whose rows have keys and categories of their own."""

    fields: dict[
        Literal["instruction", "input", "output", "messages", "category", "language"], str
    ] = {}
    """Which key of the data holds which field, where it is not the field's own name, for
    instance `{instruction: question, output: answer}`. A row with `messages` is a conversation and
    needs no instruction and output: `{messages: conversations}`."""
    category: str | None = None
    """Category of the records that state none themselves."""
    category_names: dict[str, str] = {}
    """Standard name of each category that the data calls otherwise, for instance
    `{information_extraction: extraction}`."""
    language: str | None = None
    """Language (ISO 639-1) of the records that state none themselves."""
    strip_suffixes: list[Annotated[str, Field(min_length=1)]] = []
    """Strings to cut from the end of instruction, input, output and messages, for instance the
    end token of another model's format: `["<|endoftext|>"]`."""
    tags: dict[Name, str] = {}
    """Labels of the records beside category and language, by name, each with the key of the data
    that holds it, for instance `{difficulty: level}`. Steps and selections can use them."""
    rows: RowRange | None = None
    """First and last entry that is read, both included and counted from 1 (`[1, 120]`, to the end
    `[121, null]`), so that a part of the data can be held out for the eval set."""
    limit: int | None = Field(None, gt=0)
    """Read at most this many records, from the start of the data."""
    sample: int | None = Field(None, gt=0)
    """Keep this many records of those that are read: the ones whose id has the smallest keyed
    hash, so that the draw is without regard to the order of the data."""
    on_error: Literal["stop", "skip"] = "stop"
    """What an invalid entry does: stop with its file and line, or be skipped and counted."""


class FileSource(RowSource):
    """Instruction records from a local file: JSON lines, a JSON list or Parquet, also gzipped."""

    type: Literal["file"]
    path: str = Field(examples=["data/records.jsonl"])
    """Path of the file; relative paths start at the folder Snakemake runs in."""


class UrlSource(RowSource, WebFile):
    """Instruction records from a file on the web, in the formats of a local file."""

    type: Literal["url"]


class HubSource(RowSource):
    """Instruction records from a data set on the Hugging Face hub."""

    type: Literal["hub"]
    dataset: str = Field(examples=["owner/name"])
    """Data set id, for instance `BelleGroup/train_2M_CN`, or a local folder that `datasets` can
    load (starts with `.`, `/` or `~`)."""
    revision: str | None = Field(None, examples=["0123456789abcdef0123456789abcdef01234567"])
    """Commit of the data set (40 hex digits), so that the same config always means the same data;
    required for a hub id. Another revision, such as `main`, needs `unpinned`."""
    unpinned: str | None = execution_field(None, min_length=1)
    """Why `revision` is no commit. The audit and the report then state that the data may change,
    and the commit that `revision` stood for when the pool was built."""
    split: str = "train"
    """Split to read."""

    @property
    def is_local(self) -> bool:
        """Whether `dataset` is a folder on this machine."""
        return self.dataset.startswith((".", "/", "~"))

    @property
    def is_pinned(self) -> bool:
        """Whether the config says which data this is: by a commit."""
        return self.revision is not None and re.fullmatch(COMMIT, self.revision) is not None

    def inactive(self) -> set[str]:
        """A local folder has no revision."""
        return {"revision"} if self.is_local else set()


class PoolSource(Strict):
    """The records of another pool of the study, after its steps; they have its annotations as
    tags."""

    type: Literal["pool"]
    pool: str = Field(examples=["OTHER"])
    """One of `pools`."""


Source = Annotated[
    SyntheticSource | FileSource | UrlSource | HubSource | PoolSource,
    Field(discriminator="type"),
]


class Pool(Strict):
    """The instruction data of an arm: sources, and what is done to their records."""

    sources: list[Source] = Field(min_length=1)
    """Read in this order."""
    steps: list[Step] = DEFAULT_STEPS
    """What is done to the records, in this order. A list that is given replaces the default one,
    which filters, deduplicates and decontaminates."""
    annotations: dict[Name, Annotation] = {}
    """Values that are joined to the records by their id, by name. Each is made when something
    reads it: a selection, or a pool that has this one as a source. The pool does not depend on
    them."""

    def without_annotations(self) -> Pool:
        """What decides the pool's records."""
        return self.model_copy(update={"annotations": {}})

    def source_pools(self) -> list[str]:
        """Names of the pools that this one is made of, each once."""
        found = [source.pool for source in self.sources if isinstance(source, PoolSource)]
        return list(dict.fromkeys(found))
