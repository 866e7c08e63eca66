"""The figures stage: every figure of a folder of tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from analysis.errors import InputError
from analysis.options import FigureOptions, options_from_json

Out = Annotated[Path, typer.Option(help="Folder of the figures.")]
Options = Annotated[str, typer.Option(help="Figure options as JSON; see docs/config.md.")]


def figures(
    tables: Annotated[Path, typer.Option(help="Folder with curves.csv and others.")],
    out: Out,
    options: Options = "{}",
    audits: Annotated[
        list[Path] | None, typer.Option("--audit", help="A pool's audit.json; repeatable.")
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(help="A table to pass over though it is there; repeatable."),
    ] = None,
    title: Annotated[str, typer.Option(help="Name of the study.")] = "",
    interval: Annotated[
        float | None, typer.Option(help="Coverage of the tables' intervals, such as 0.9.")
    ] = None,
) -> None:
    """Draw every figure that the tables allow."""
    chosen = options_from_json(FigureOptions, options)
    if not tables.is_dir():
        raise InputError("no such folder", where=tables, fix="write the tables first")
    from analysis.figures.drawing import draw_all  # matplotlib loads only when something is drawn

    written = draw_all(tables, out, chosen, audits or [], title, interval, without or [])
    if len(written) == 1:
        raise InputError(
            "no table that a figure is drawn from", where=tables, fix="write the tables first"
        )
    print(*written, sep="\n")


def paper_figure(out: Out, options: Options = "{}") -> None:
    """Draw the paper's Figure 1 from its published numbers."""
    chosen = options_from_json(FigureOptions, options)
    from analysis.figures.drawing import draw_paper

    print(*draw_paper(out, chosen), sep="\n")
