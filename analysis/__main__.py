"""Command line of the analysis.

python -m analysis TABLE --out DIR [--options JSON]   tables and figures of a score table
python -m analysis plan [PILOT] ...                   items, seeds and scales that a study needs
python -m analysis paper                              the published curve, judged by these rules
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from analysis.curves import EXIT_BAD_INPUT, analyze, parse_options
from analysis.errors import InputError
from analysis.paper import paper_text
from analysis.power.plan import add_arguments, run_plan
from analysis.scores import read_scores
from analysis.tables import write_tables


def _tables_and_figures(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m analysis",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("table", help="score table: Parquet or long CSV")
    parser.add_argument("--out", required=True, type=Path, help="folder for tables and figures")
    parser.add_argument("--options", help="CurveOptions as JSON, or the path of a JSON file")
    parser.add_argument("--no-figures", action="store_true", help="write the tables only")
    arguments = parser.parse_args(argv)
    options = parse_options(arguments.options)
    tables = arguments.out / "tables"
    scores = read_scores(arguments.table)
    write_tables(analyze(scores, options), tables)
    print(f"tables: {tables}")
    if not arguments.no_figures:
        from analysis.figures import draw_all  # matplotlib is slow to load and not always wanted

        title = ", ".join(sorted({str(study) for study in scores["study"] if str(study)}))
        draw_all(tables, arguments.out / "figures", title=title, interval=options.interval)
        print(f"figures: {arguments.out / 'figures'}")


def _plan(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m analysis plan")
    add_arguments(parser)
    print(run_plan(parser.parse_args(argv)))


def _paper(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m analysis paper",
        description="Verdicts on the published Figure 1, under stated assumptions.",
    )
    parser.parse_args(argv)
    print(paper_text())


def main(argv: list[str] | None = None) -> int:
    """0, or 2 with one message on bad input."""
    argv = sys.argv[1:] if argv is None else argv
    commands: dict[str, Callable[[list[str]], None]] = {"plan": _plan, "paper": _paper}
    try:
        if argv and argv[0] in commands:
            commands[argv[0]](argv[1:])
        else:
            _tables_and_figures(argv)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except (PermissionError, FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        print(f"error: {error.filename}: cannot be written ({error.strerror})", file=sys.stderr)
        return EXIT_BAD_INPUT
    return 0


if __name__ == "__main__":
    sys.exit(main())
