"""Values that are joined to a pool's records by their id: difficulty, quality, length, loss."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from instruct_scaling.config.recipe import Precision
from instruct_scaling.config.section import Strict

Part = Literal["prompt", "output", "all"]


class LengthAnnotation(Strict):
    """Length in characters."""

    type: Literal["length"]
    of: Part = "all"
    """Which text: the prompt (system and user messages), the output (assistant messages), or the
    sum of both."""


class LanguageAnnotation(Strict):
    """Language (ISO 639-1), found by the script of most of the words; missing where no script
    tells it."""

    type: Literal["language"]
    of: Part = "all"
    """Which text: prompt, output or both."""
    latin: str = "en"
    """Language of texts in Latin letters, which do not tell which one it is."""


class FileAnnotation(Strict):
    """Values of a file: CSV, JSON lines, a JSON list or Parquet."""

    type: Literal["file"]
    path: str = Field(examples=["data/difficulty.csv"])
    """Path of the file; relative paths start at the folder Snakemake runs in."""
    match: Literal["id", "text"] = "id"
    """How rows find their records: by the record's `id`, or by its text (instruction, input and
    output, as the pool has them after its steps)."""
    fields: dict[Literal["id", "value", "instruction", "input", "output"], str] = {}
    """Which key of the file holds which field, where it is not the field's own name, for instance
    `{value: difficulty}`."""


class BaseLossAnnotation(Strict):
    """Mean loss per supervised token of the record under an untuned base; missing where no token
    of the answer is left after the cut to `max_length`."""

    type: Literal["base_loss"]
    base: str = Field(examples=["NAME"])
    """One of `bases`."""
    template: str = "Human: {prompt}\n\nAssistant: "
    """Text around a prompt, as an arm has it."""
    max_length: int = Field(1024, gt=1)
    """Longest example in tokens; the prompt is cut from its left, then the answer's right."""
    precision: Precision = "bf16"
    """Arithmetic of the forward pass."""


Annotation = Annotated[
    LengthAnnotation | LanguageAnnotation | FileAnnotation | BaseLossAnnotation,
    Field(discriminator="type"),
]
