"""Draw every figure that the tables allow: the pictures, their CSV files, and an index."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from analysis.figures import (
    arms,
    bars,
    curves,
    extrapolation,
    frontier,
    funnel,
    intermediate_scores,
    judges,
    planner,
    slopes,
    style,
    validation_loss,
    variance,
)
from analysis.figures.canvas import freeze, save
from analysis.figures.sources import TEXTS, NothingToDraw, Sources
from analysis.options import FigureOptions

FIGURES: tuple[ModuleType, ...] = (
    bars,
    curves,
    slopes,
    extrapolation,
    arms,
    frontier,
    variance,
    judges,
    planner,
    funnel,
    validation_loss,
    intermediate_scores,
)
INDEX = "index.json"
_OWN_FILE = re.compile(
    rf"({'|'.join(module.NAME for module in FIGURES)})(\.[\w-]+)*\.(csv|pdf|png|svg)"
)


def draw_all(
    tables: Path,
    out: Path,
    options: FigureOptions = FigureOptions(),
    audits: Sequence[Path] = (),
    title: str = "",
    interval: float | None = None,
    without: Sequence[str] = (),
) -> list[Path]:
    """Draw all figures and return the files written, `index.json` last.

    Every figure NAME leaves NAME.csv and NAME.{pdf,png,...} in `out`. A figure without data is
    not drawn; the index says why. Files that the index of an earlier run names and this run does
    not write are removed, so that no picture of other tables stays; all else in `out` is left.

    Args:
        tables: the folder of curves.csv, verdicts.csv and the other tables.
        out: the folder of the figures; made if absent.
        options: what to show.
        audits: the audit.json of every pool.
        title: the study's name, shown above every figure.
        interval: coverage of the tables' intervals, for the captions.
        without: names of tables to pass over though they are there.

    Raises:
        InputError: a table or audit lacks what a figure needs.
    """
    sources = Sources(tables, options, audits, without)
    earlier = _earlier(out)
    written: list[Path] = []
    index: dict[str, list[dict[str, Any]]] = {"figures": [], "skipped": []}
    for module in FIGURES:
        try:
            frame = module.prepare(sources)
        except NothingToDraw as reason:
            index["skipped"].append({"figure": module.NAME, "reason": str(reason)})
            continue
        for name, part in split(module, frame.assign(study=title, interval=interval)):
            files = _write(module, name, part, out, options)
            written += files
            index["figures"].append(_entry(module, name, part, files))
    written.append(_write_index(index, out))
    for path in earlier - set(written):
        path.unlink(missing_ok=True)
    return written


def _earlier(out: Path) -> set[Path]:
    """Files that the index in `out` names, if they are named like this stage's own."""
    try:
        figures = json.loads((out / INDEX).read_text("utf-8"))["figures"]
        names = [str(name) for figure in figures for name in figure["files"]]
    except (OSError, ValueError, LookupError, TypeError):
        return set()  # no index, or not one of this stage
    return {out / name for name in names if _OWN_FILE.fullmatch(name)}


def draw_paper(out: Path, options: FigureOptions = FigureOptions()) -> list[Path]:
    """Draw the paper's own Figure 1 from its published numbers; return the files written."""
    return _write(bars, "paper_figure1", bars.prepare_paper().assign(study=""), out, options)


def redraw(module: ModuleType, csv: Path, out: Path, options: FigureOptions) -> list[Path]:
    """Draw one figure again from the CSV file that stands beside it."""
    with style.styled():
        return _pictures(module, csv.stem, read_figure_csv(csv), out, options)


def read_figure_csv(csv: Path) -> pd.DataFrame:
    """The table a figure was drawn from, with names kept as text."""
    return pd.read_csv(csv, dtype=TEXTS).fillna({"study": "", "arm": ""})


def split(module: ModuleType, frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """One part per figure, named FIGURE.JUDGE or FIGURE.JUDGE.ARM where these have their own."""
    if not module.SPLIT:
        yield module.NAME, frame
        return
    taken: set[str] = set()
    for keys, part in frame.groupby(list(module.SPLIT), sort=False):
        plain = ".".join([module.NAME, *(_slug(str(key)) for key in keys)])
        name = plain
        while name in taken:  # two names may differ only in characters that files do not take
            name = f"{plain}.{len(taken)}"
        taken.add(name)
        yield name, part


def _slug(text: str) -> str:
    return re.sub(r"[^\w-]+", "_", text).strip("_") or "_"


def _write(
    module: ModuleType, name: str, part: pd.DataFrame, out: Path, options: FigureOptions
) -> list[Path]:
    out.mkdir(parents=True, exist_ok=True)
    csv = out / f"{name}.csv"
    part.to_csv(csv, index=False, lineterminator="\n")
    # Drawn from the file and not from memory: what the CSV does not hold cannot be in the figure.
    return [csv, *redraw(module, csv, out, options)]


def _pictures(
    module: ModuleType, name: str, frame: pd.DataFrame, out: Path, options: FigureOptions
) -> list[Path]:
    figure = module.draw(frame, options)
    freeze(figure)
    paths = []
    for suffix in dict.fromkeys(options.formats):
        path = out / f"{name}.{suffix}"
        save(figure, path, suffix, options.dpi)
        paths.append(path)
    return paths


def _entry(module: ModuleType, name: str, part: pd.DataFrame, files: list[Path]) -> dict[str, Any]:
    keys = {key: str(part[key].iloc[0]) for key in module.SPLIT}
    return {
        "name": name,
        "figure": module.NAME,
        "title": module.TITLE,
        "caption": module.caption(part),
        **keys,
        "files": [path.name for path in files],
    }


def _write_index(index: dict[str, Any], out: Path) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    path = out / INDEX
    path.write_text(json.dumps(index, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return path
