"""Command line of the figures stage."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from analysis.errors import AnalysisError, unknown_option
from analysis.figures.drawing import draw_all, draw_paper
from analysis.options import FigureOptions

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Out = Annotated[Path, typer.Option(help="Folder of the figures.")]
Options = Annotated[str, typer.Option(help="Figure options as JSON; see docs/config.md.")]


@app.callback(invoke_without_command=True)
def figures(
    context: typer.Context,
    tables: Annotated[Path | None, typer.Option(help="Folder with curves.csv and others.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the figures.")] = None,
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
    if context.invoked_subcommand:
        return
    if tables is None or out is None:
        raise typer.BadParameter("--tables and --out are needed")
    if not tables.is_dir():
        raise AnalysisError("no such folder", where=tables, fix="write the tables first")
    written = draw_all(tables, out, _options(options), audits or [], title, interval, without or [])
    if len(written) == 1:
        raise AnalysisError(
            "no table that a figure is drawn from", where=tables, fix="write the tables first"
        )
    _report(written)


@app.command()
def paper(out: Out, options: Options = "{}") -> None:
    """Draw the paper's Figure 1 from its published numbers."""
    _report(draw_paper(out, _options(options)))


def _options(text: str) -> FigureOptions:
    try:
        return FigureOptions.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "extra_forbidden":
            key = str(first["loc"][0])
            raise unknown_option(key, FigureOptions.model_fields, "--options") from error
        place = ".".join(str(part) for part in first["loc"]) or "--options"
        raise AnalysisError(first["msg"], where=f"figures.{place}") from error


def _report(paths: list[Path]) -> None:
    for path in paths:
        print(path)


def main() -> None:
    """Run the command line; bad input is one message and exit code 2."""
    try:
        app()
    except AnalysisError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except (PermissionError, FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        print(f"error: {error.filename}: cannot be written ({error.strerror})", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
