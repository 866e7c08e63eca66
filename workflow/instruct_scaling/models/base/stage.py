"""Stage `base`: build, copy, download, link or convert a base model.

Writes a folder with `config.json`, safetensors weights, a tokenizer and `base.json` (size, loss,
files, provenance). The tiny base of the default recipe is part of this package, trained once, so
that no study has to train it. After a change of the recipe or of the text, write it again with

    OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 instruct-scaling base --train \\
        --base '{"type": "tiny"}' --out workflow/instruct_scaling/models/base/shipped
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import atomic_path, read_json, sha256_file, write_json
from instruct_scaling.common.provenance import provenance
from instruct_scaling.config.bases import Base, GgufBase, TinyBase

SHIPPED = Path(__file__).parent / "shipped"


def base(
    base: Annotated[str, typer.Option(help="One entry of `bases` as JSON.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    train: Annotated[
        bool, typer.Option("--train", help="Train a tiny base although the package ships it.")
    ] = False,
) -> None:
    """Build a tiny base model, download or link a pretrained one, or convert a GGUF file."""
    section = parse_base(base)
    with atomic_path(out) as folder:
        if isinstance(section, TinyBase) and not train and is_shipped(section):
            copy_shipped(folder)
            return
        if isinstance(section, TinyBase):
            from instruct_scaling.models.base.tiny import build_tiny

            facts, inputs = build_tiny(section, folder), {}
        elif isinstance(section, GgufBase):
            from instruct_scaling.models.base.gguf_file import bring_gguf

            facts = bring_gguf(section, folder)
            inputs = {section.file: section.sha256}
        else:
            from instruct_scaling.models.base.pretrained import bring_pretrained

            facts = bring_pretrained(section, folder)
            inputs = facts["sha256"]
        identity = section.model_dump(mode="json")
        facts["provenance"] = provenance("base", identity, inputs)
        write_json(folder / "base.json", facts)


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


def is_shipped(config: TinyBase) -> bool:
    """Whether a recipe is that of the tiny base in this package."""
    shipped = read_json(SHIPPED / "base.json")["provenance"]["identity"]
    return shipped == config.model_dump(mode="json")


def copy_shipped(folder: Path) -> None:
    """Copy the shipped base, with the `base.json` that says from what it was made.

    Raises:
        InputError: a file is missing or differs from the one that `base.json` names.
    """
    for name, digest in read_json(SHIPPED / "base.json")["sha256"].items():
        path = SHIPPED / name
        if not path.is_file() or sha256_file(path) != digest:
            raise InputError(
                "missing, or not the file that base.json names",
                where=path,
                fix="restore the folder with git, or install the package again",
            )
    shutil.copytree(SHIPPED, folder)
