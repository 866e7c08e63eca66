"""What every run is asked: the same items for all of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from instruct_scaling.config.strict import Strict


class SyntheticEval(Strict):
    """Items from the built-in generator, with references and checks."""

    type: Literal["synthetic"]
    items_per_category: int = Field(40, gt=0)
    """Items of each category."""
    seed: int = 0
    """Seed of the generator; the items differ from the pool's records whatever the seeds."""


class EvalFile(Strict):
    """Items from a local file: JSON lines, a JSON list or Parquet, also gzipped."""

    type: Literal["file"]
    path: str
    """Path of the file; relative paths start at the folder Snakemake runs in."""
    fields: dict[
        Literal["category", "prompt", "input", "reference", "checks", "cluster", "language"], str
    ] = {}
    """Which key of the file holds which field, where it is not the field's own name, for
    instance `{prompt: question, category: class, reference: std_answer}`."""
    category: str | None = None
    """Category of the items that state none themselves."""
    category_names: dict[str, str] = {}
    """Standard name of each category that the file calls otherwise, for instance
    `{information_extraction: extraction}`."""
    language: str | None = None
    """Language (ISO 639-1) of the items that state none themselves."""
    limit_per_category: int | None = Field(None, gt=0)
    """Keep at most this many items of each category (those with the smallest id hash)."""
    on_error: Literal["stop", "skip"] = "stop"
    """What a broken line does: stop with its file and line, or be skipped and counted."""


class EvalUrl(Strict):
    """Items from a file on the web, in the formats of a local file."""

    type: Literal["url"]
    url: str = Field(pattern=r"^https?://")
    """Address of the file, best one that names a commit."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of the file: other content is refused, so the same config always means the same
    items."""
    fields: dict[
        Literal["category", "prompt", "input", "reference", "checks", "cluster", "language"], str
    ] = {}
    """As for a local file."""
    category: str | None = None
    """As for a local file."""
    category_names: dict[str, str] = {}
    """As for a local file."""
    language: str | None = None
    """As for a local file."""
    limit_per_category: int | None = Field(None, gt=0)
    """As for a local file."""
    on_error: Literal["stop", "skip"] = "stop"
    """As for a local file."""


EvalSource = Annotated[SyntheticEval | EvalFile | EvalUrl, Field(discriminator="type")]


class EvalSet(Strict):
    """The eval set of the study."""

    sources: list[EvalSource] = Field(min_length=1)
    """Read in this order; an item that occurs twice is kept once."""
    categories: list[str] | None = None
    """Categories of the study, in the order of the figures. Default: those of the paper's twelve
    that the eval set has. A name of your own may be added here. Items of other categories are
    left out and counted; a category without any item is refused."""
