"""Draw every figure that the tables allow: the pictures, their CSV files, and an index."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from analysis.estimand import OVERLAP, sentence
from analysis.figures import (
    axes,
    bars,
    curves,
    curves_by_tag,
    forest,
    frontier,
    funnel,
    intermediate_scores,
    judges,
    planner,
    style,
    sufficient,
    validation_loss,
    variance,
)
from analysis.figures.kind import Kind, NothingToDraw, Sources, read_csv
from analysis.figures.layout import Page, freeze, save
from analysis.options import FigureOptions

FIGURES: tuple[Kind, ...] = (
    sufficient.SUFFICIENT,
    bars.BARS,
    curves.CURVES,
    forest.SLOPES,
    forest.ARMS,
    frontier.FRONTIER,
    variance.VARIANCE,
    judges.JUDGES_KIND,
    planner.PLANNER,
    funnel.FUNNEL,
    validation_loss.VALIDATION_LOSS,
    intermediate_scores.INTERMEDIATE_SCORES,
    curves_by_tag.CURVES_BY_TAG,
    axes.AXES_KIND,
    curves.EXTRAPOLATION,
)
INDEX = "index.json"
EXPLORATORY = "Exploratory: not among the primary claims of the study."
_OWN_FILE = re.compile(r"figure\d+\w+(\.[\w-]+)*\.(csv|pdf|png|svg)")


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
    for kind in FIGURES:
        try:
            frame = kind.prepare(sources)
        except NothingToDraw as reason:
            index["skipped"].append({"figure": kind.name, "reason": str(reason)})
            continue
        for name, part in split(kind, frame.assign(study=title, interval=interval)):
            if kind.intervals:
                part = part.assign(speaks_of=_speaks_of(kind, part, sources))
            files = _write(kind, name, part, out, options)
            written += files
            index["figures"].append(_entry(kind, name, part, files))
    out.mkdir(parents=True, exist_ok=True)
    written.append(out / INDEX)
    written[-1].write_text(json.dumps(index, indent=2, ensure_ascii=False) + "\n", "utf-8")
    for path in earlier - set(written):
        path.unlink(missing_ok=True)
    return written


def _speaks_of(kind: Kind, rows: pd.DataFrame, sources: Sources) -> str:
    """Of what the intervals of a figure speak, by the tables beside its own."""
    curves = sources.optional("curves", ("scale", "n_seeds"))
    tuned = None if curves is None else curves.loc[curves["scale"] > 0, "n_seeds"]
    overlap = sources.optional("subset_overlap", OVERLAP)
    if overlap is not None and "arm" in rows:
        shown = set(rows["arm"].astype(str))
        overlap = overlap[[bool(shown & set(str(arms).split("; "))) for arms in overlap["arms"]]]
    looks = sources.optional("looks", ("spending",))
    spends = looks is not None and bool((looks["spending"] != "none").any())
    n_seeds = 1 if tuned is None or tuned.empty else int(tuned.max())
    about = sentence(kind.intervals, n_seeds, overlap, spends)
    return f"{about} {EXPLORATORY}" if _exploratory(kind, rows, sources) else about


def _exploratory(kind: Kind, rows: pd.DataFrame, sources: Sources) -> bool:
    """Whether the figure's table has claims, and none of those shown is a primary one."""
    path = sources.tables / f"{kind.intervals}.csv"
    if not path.exists() or "judge" not in rows:
        return False
    table = read_csv(path)
    if not {"family", "judge"} <= set(table.columns):
        return False
    families = table.loc[table["judge"].isin(rows["judge"].unique()), "family"]
    return bool(len(families)) and not (families == "primary").any()


def _caption(kind: Kind, rows: pd.DataFrame) -> str:
    """The figure's own caption, and of what its intervals speak."""
    about = str(rows["speaks_of"].iloc[0]) if "speaks_of" in rows else ""
    return f"{kind.caption(rows)} {about}".rstrip()


def draw_paper(out: Path, options: FigureOptions = FigureOptions()) -> list[Path]:
    """Draw the paper's own Figure 1 from its published numbers; return the files written."""
    kind = replace(bars.BARS, name="paper_figure1", title="")
    return _write(kind, kind.name, bars.paper_rows().assign(study=""), out, options)


def _earlier(out: Path) -> set[Path]:
    """Files that the index in `out` names, if they are named like this stage's own."""
    try:
        figures = json.loads((out / INDEX).read_text("utf-8"))["figures"]
        names = [str(name) for figure in figures for name in figure["files"]]
    except (OSError, ValueError, LookupError, TypeError):
        return set()  # no index, or not one of this stage
    return {out / name for name in names if _OWN_FILE.fullmatch(name)}


def split(kind: Kind, frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """One part per figure, named FIGURE.JUDGE or FIGURE.JUDGE.ARM where these have their own."""
    taken: set[str] = set()
    parts = frame.groupby(list(kind.split), sort=False) if kind.split else [((), frame)]
    for keys, part in parts:
        plain = ".".join([kind.name, *(_slug(str(key)) for key in keys)])
        name = plain
        while name in taken:  # two names may differ only in characters that files do not take
            name = f"{plain}.{len(taken)}"
        taken.add(name)
        yield name, part


def _slug(text: str) -> str:
    return re.sub(r"[^\w-]+", "_", text).strip("_") or "_"


def _write(
    kind: Kind, name: str, part: pd.DataFrame, out: Path, options: FigureOptions
) -> list[Path]:
    """Write the rows as CSV and draw the figure from that file; return the files.

    What the CSV does not hold cannot be in the figure.
    """
    out.mkdir(parents=True, exist_ok=True)
    csv = out / f"{name}.csv"
    part.to_csv(csv, index=False, lineterminator="\n")
    paths = [csv]
    with style.styled():
        figure = picture(kind, read_rows(csv), options)
        for suffix in dict.fromkeys(options.formats):
            paths.append(out / f"{name}.{suffix}")
            save(figure, paths[-1], suffix, options.dpi)
    return paths


def read_rows(csv: Path) -> pd.DataFrame:
    """The rows a figure is drawn from, with names kept as text."""
    return read_csv(csv).fillna({"study": "", "arm": ""})


def picture(kind: Kind, rows: pd.DataFrame, options: FigureOptions = FigureOptions()) -> Figure:
    """One figure, laid out; must be called inside `style.styled`."""
    study = str(rows["study"].iloc[0])
    title = f"{study}: {kind.title[:1].lower()}{kind.title[1:]}" if study else kind.title
    caption = _caption(kind, rows) if options.captions else ""
    figure = kind.draw(rows, Page(style.WIDTH_INCHES[options.width], title, caption, options))
    freeze(figure)
    return figure


def _entry(kind: Kind, name: str, part: pd.DataFrame, files: list[Path]) -> dict[str, Any]:
    keys = {key: str(part[key].iloc[0]) for key in kind.split}
    return {
        "name": name,
        "figure": kind.name,
        "title": kind.title,
        "caption": _caption(kind, part),
        **keys,
        "files": [path.name for path in files],
    }
