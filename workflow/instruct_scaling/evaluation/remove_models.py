"""Stage remove_models: remove models that have answered, where the study keeps none of them.

A file records what was removed, so that the folder says why a model is not there.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from instruct_scaling.common.files import write_json


def remove_models(
    model: Annotated[list[Path], typer.Option(help="Folder of a model; may be given repeatedly.")],
    out: Annotated[Path, typer.Option(help="JSON to write: folders and their bytes.")],
) -> None:
    """Remove models that have answered every item; one that is gone already is no error."""
    removed = {str(folder): folder_bytes(folder) for folder in model}
    for folder in model:
        if folder.is_dir():
            shutil.rmtree(folder)
    write_json(out, {"removed_bytes": removed})
    print(f"removed {len(removed)} models, {sum(removed.values()):,} bytes")


def folder_bytes(folder: Path) -> int:
    """Bytes of all files of a folder; 0 where there is none."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
