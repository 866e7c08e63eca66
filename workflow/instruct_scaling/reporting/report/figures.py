"""The figures folder, embedded: pictures as base64, their CSV files as tables and downloads."""

from __future__ import annotations

import base64
import struct
from pathlib import Path
from typing import Any

import pandas as pd

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import read_json
from instruct_scaling.reporting.report.tables import Row

INDEX = "index.json"
MOST_CSV_BYTES = 200_000
"""A figure's data is offered as a download up to this size."""
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def read_figures(folder: Path) -> tuple[list[Row], list[tuple[str, str]]]:
    """The figures that `index.json` lists, in its order, and (name, reason) of those not shown.

    A figure has `name, title, caption, keys` (judge, arm), `png_base64, width, height`, and `data`
    (a frame) with `csv_base64`, both None where there are none.

    Raises:
        InputError: a picture that the index lists is missing or is not a PNG image.
    """
    if not (folder / INDEX).exists():
        return [], [("all figures", "the figures folder has no index.json")]
    index = read_json(folder / INDEX)
    figures, omitted = [], []
    for entry in index.get("figures", []):
        pictures = [name for name in entry["files"] if name.endswith(".png")]
        if pictures:
            figures.append(_figure(folder, entry, pictures[0]))
        else:
            reason = "drawn, but not as PNG; add png to figures.formats to see it on this page"
            omitted.append((entry["name"], reason))
    omitted += [(entry["figure"], entry["reason"]) for entry in index.get("skipped", [])]
    return figures, omitted


def _figure(folder: Path, entry: dict[str, Any], picture: str) -> Row:
    image = _read(folder / picture)
    width, height = png_size(image, folder / picture)
    figure = {
        "name": entry["name"],
        "title": entry.get("title", entry["name"]),
        "caption": entry.get("caption", ""),
        "keys": [f"{key} {entry[key]}" for key in ("judge", "arm") if entry.get(key)],
        "png_base64": _base64(image),
        "width": width,
        "height": height,
        "data": None,
        "csv_base64": None,
    }
    for name in entry["files"]:
        if name.endswith(".csv"):
            raw = _read(folder / name)
            figure["data"] = pd.read_csv(folder / name)
            figure["csv_base64"] = _base64(raw) if len(raw) <= MOST_CSV_BYTES else None
    return figure


def png_size(image: bytes, path: Path) -> tuple[int, int]:
    """Width and height of a PNG image in pixels, from its IHDR chunk.

    Raises:
        InputError: not a PNG image.
    """
    if not image.startswith(_PNG_SIGNATURE) or len(image) < 24:
        raise InputError("not a PNG image", where=path, fix="run the stage figures again")
    width, height = struct.unpack(">II", image[16:24])
    return width, height


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(
            "listed in index.json, but there is no such file",
            where=path,
            fix="run the stage figures again",
        ) from error


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
