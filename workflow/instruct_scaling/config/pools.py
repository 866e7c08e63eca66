"""Where instruction data comes from and what is done to it before any subset is drawn."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from instruct_scaling.config.identity import execution_field
from instruct_scaling.config.section import COMMIT, Strict, Unordered
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

    fields: dict[Literal["instruction", "input", "output", "category", "language"], str] = {}
    """Which key of the data holds which field, where it is not the field's own name, for
    instance `{instruction: question, output: answer}`."""
    category: str | None = None
    """Category of the records that state none themselves."""
    category_names: dict[str, str] = {}
    """Standard name of each category that the data calls otherwise, for instance
    `{information_extraction: extraction}`."""
    language: str | None = None
    """Language (ISO 639-1) of the records that state none themselves."""
    strip_suffixes: list[Annotated[str, Field(min_length=1)]] = []
    """Strings to cut from the end of instruction, input and output, for instance the end token of
    another model's format: `["<|endoftext|>"]`."""
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


Source = Annotated[
    SyntheticSource | FileSource | UrlSource | HubSource, Field(discriminator="type")
]


class Filters(Strict):
    """Records outside these bounds are removed and counted. Lengths are in characters."""

    min_instruction_chars: int = Field(1, ge=0)
    """Shortest instruction."""
    max_instruction_chars: int | None = None
    """Longest instruction with its input; no bound by default."""
    min_output_chars: int = Field(1, ge=0)
    """Shortest output."""
    max_output_chars: int | None = None
    """Longest output; no bound by default."""
    languages: Annotated[list[str] | None, Unordered] = None
    """Keep only these languages; all by default."""
    categories: Annotated[list[str] | None, Unordered] = None
    """Keep only these categories; all by default."""

    @model_validator(mode="after")
    def _some_length_passes(self) -> Filters:
        for part in ("instruction", "output"):
            longest = getattr(self, f"max_{part}_chars")
            if longest is not None and longest < getattr(self, f"min_{part}_chars"):
                raise ValueError(f"max_{part}_chars is below min_{part}_chars: nothing can pass")
        return self


class Deduplicate(Strict):
    """How records that repeat each other are removed; the first one stays."""

    method: Literal["none", "exact", "minhash"] = "exact"
    """`none` removes only records that are equal in every character; `exact` compares instruction
    and input without case and white space; `minhash` also removes near copies of these."""
    threshold: float = Field(0.8, gt=0, lt=1)
    """Estimated Jaccard similarity from which two records are near copies (minhash only)."""
    ngram_chars: int = Field(5, gt=0)
    """Length of the character n-grams that are compared (minhash only)."""
    permutations: int = Field(128, ge=16)
    """Hash permutations: more are more exact and slower (minhash only)."""

    def inactive(self) -> set[str]:
        """Only minhash compares n-grams."""
        return set() if self.method == "minhash" else {"threshold", "ngram_chars", "permutations"}


class Decontaminate(Strict):
    """How records that give away an eval item are removed."""

    method: Literal["none", "exact", "ngram"] = "ngram"
    """`exact` removes records whose instruction with input is an eval prompt; `ngram` also those
    that share a long run of characters with one. Case and white space do not count."""
    ngram_chars: int = Field(40, gt=0)
    """Length of the shared run in characters without white space (ngram only). Eval prompts
    shorter than this are compared exactly."""
    phrase_items: int = Field(5, gt=1)
    """A run that this many eval items have is phrasing, which gives away none of them, and does
    not count (ngram only)."""

    def inactive(self) -> set[str]:
        """Only ngram looks for shared runs."""
        return set() if self.method == "ngram" else {"ngram_chars", "phrase_items"}


class Pool(Strict):
    """The instruction data of an arm: sources, then filters, then removal of copies."""

    sources: list[Source] = Field(min_length=1)
    """Read in this order."""
    filters: Filters = Filters()
    """Bounds on length, language and category."""
    deduplicate: Deduplicate = Deduplicate()
    """Removal of repeated records."""
    decontaminate: Decontaminate = Decontaminate()
    """Removal of records that overlap with the eval set."""
