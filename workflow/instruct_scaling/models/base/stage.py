"""python -m instruct_scaling.models.base: build, fetch or link a base model.

Writes a folder with `config.json`, safetensors weights, a tokenizer and `base.json` (size, loss,
files, provenance).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import atomic_path, write_json
from instruct_scaling.common.provenance import provenance
from instruct_scaling.config.bases import Base, TinyBase


def parse_base(text: str) -> TinyBase | Base:
    """The config section of one base.

    Raises:
        InputError: not JSON, or not a valid section.
    """
    try:
        return TypeAdapter(Base).validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InputError(first["msg"], where=f"--base {key}".strip()) from error


def base(
    base: Annotated[str, typer.Option(help="One entry of `bases` as JSON.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
) -> None:
    """Build a tiny base model, or bring a pretrained one to its place."""
    section = parse_base(base)
    with atomic_path(out) as folder:
        if isinstance(section, TinyBase):
            from instruct_scaling.models.base.tiny import build_tiny

            facts, inputs = build_tiny(section, folder), {}
        else:
            from instruct_scaling.models.base.pretrained import bring_pretrained

            facts = bring_pretrained(section, folder)
            inputs = facts["sha256"]
        identity = section.model_dump(mode="json")
        facts["provenance"] = provenance("base", identity, inputs)
        write_json(folder / "base.json", facts)
