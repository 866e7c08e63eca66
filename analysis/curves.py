"""All tables of a score table: `python -m analysis.curves TABLE --out DIR [--options JSON]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd
from pydantic import ValidationError

from analysis.cube import build_cubes
from analysis.errors import AnalysisError
from analysis.means import curve_rows
from analysis.options import CurveOptions
from analysis.panel import build_panel
from analysis.scores import read_scores
from analysis.tables import frame, write_tables

EXIT_BAD_INPUT = 2


def analyse(scores: pd.DataFrame, options: CurveOptions) -> dict[str, pd.DataFrame]:
    """Every table of `tables.SCHEMAS` from a checked score table (`scores.check_scores`).

    Raises:
        AnalysisError: no arm has a usable ladder.
    """
    panels = [build_panel(cube, options) for cube in build_cubes(scores)]
    return {
        "curves": frame("curves", [row for panel in panels for row in curve_rows(panel, options)]),
    }


def parse_options(text: str | None) -> CurveOptions:
    """Options from a JSON object or from the path of a JSON file.

    Raises:
        AnalysisError: not JSON, an unknown key, or a value out of range.
    """
    if not text:
        return CurveOptions()
    if not text.lstrip().startswith("{"):
        try:
            text = Path(text).read_text("utf-8")
        except OSError as error:
            raise AnalysisError(
                f"cannot be read ({error.strerror})",
                where=text,
                fix="give a JSON object or the path of a JSON file",
            ) from error
    try:
        return CurveOptions.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "JSON"
        raise AnalysisError(f"{key}: {first['msg']}", where="--options") from error


def main(argv: list[str] | None = None) -> int:
    """Write all tables; 0, or 2 with one message on bad input."""
    parser = argparse.ArgumentParser(prog="python -m analysis.curves", description=__doc__)
    parser.add_argument("table", help="score table: Parquet or long CSV")
    parser.add_argument("--out", required=True, type=Path, help="folder for the tables")
    parser.add_argument("--options", help="CurveOptions as JSON, or the path of a JSON file")
    arguments = parser.parse_args(argv)
    try:
        options = parse_options(arguments.options)
        write_tables(analyse(read_scores(arguments.table), options), arguments.out)
    except AnalysisError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except PermissionError as error:
        print(f"error: {error.filename}: cannot be written ({error.strerror})", file=sys.stderr)
        return EXIT_BAD_INPUT
    return 0


if __name__ == "__main__":
    sys.exit(main())
