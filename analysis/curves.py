"""All tables of a score table: `python -m analysis.curves TABLE --out DIR [--options JSON]`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from pydantic import ValidationError

from analysis.errors import InputError, unknown_option
from analysis.inference.arm_curves import build_panel
from analysis.inference.changes import change_rows
from analysis.inference.comparisons import arm_pairs, comparison_rows
from analysis.inference.judges import judge_rows
from analysis.inference.means import curve_rows, replicate_means
from analysis.inference.score_array import build_cubes
from analysis.inference.variance import repeat_variances, variance_rows
from analysis.inference.verdicts import verdict_rows
from analysis.options import CurveOptions
from analysis.power.planning import plan_rows
from analysis.scaling_laws.efficiency import efficiency_rows
from analysis.scaling_laws.extrapolation import extrapolation_rows, need_rows
from analysis.scaling_laws.fits import fit_panel, fit_rows
from analysis.scaling_laws.joint import joint_rows
from analysis.scores import read_scores
from analysis.tables import frame, write_tables

EXIT_BAD_INPUT = 2


def analyze(scores: pd.DataFrame, options: CurveOptions) -> dict[str, pd.DataFrame]:
    """Every table of `tables.SCHEMAS` from a checked score table (`scores.check_scores`).

    Raises:
        InputError: no arm has a usable ladder.
    """
    cubes = build_cubes(scores)
    panels = [build_panel(cube, options) for cube in cubes]
    repeats = repeat_variances(scores)
    judges, bins = judge_rows(scores, options)
    pairs = arm_pairs(cubes)
    means = [replicate_means(panel, options) for panel in panels]
    resampled = list(zip(panels, means, strict=True))
    verdicts = [verdict_rows(panel, draws, options) for panel, draws in resampled]
    fits = [
        fit_panel(panel, {row["category"]: row["verdict"] for row in rows}, draws, options)
        for (panel, draws), rows in zip(resampled, verdicts, strict=True)
    ]
    fitted = list(zip(panels, fits, strict=True))
    rows = {
        "curves": [row for panel, draws in resampled for row in curve_rows(panel, draws, options)],
        "verdicts": [row for rows in verdicts for row in rows],
        "comparisons": [row for pair in pairs for row in comparison_rows(pair, options)],
        "efficiency": [row for pair in pairs for row in efficiency_rows(pair, options)],
        "changes": [row for panel in panels for row in change_rows(panel, options)],
        "variance": [row for panel in panels for row in variance_rows(panel, repeats)],
        "fits": [row for panel, fit in fitted for row in fit_rows(panel, fit)],
        "extrapolation": [
            r for panel, fit in fitted for r in extrapolation_rows(panel, fit, options)
        ],
        "needs": [row for panel, fit in fitted for row in need_rows(panel, fit, options)],
        "joint": joint_rows(cubes, options),
        "plan": [row for panel in panels for row in plan_rows(panel, options)],
        "judges": judges,
        "judge_bins": bins,
    }
    return {name: frame(name, table) for name, table in rows.items()}


def parse_options(text: str | None) -> CurveOptions:
    """Options from a JSON object or from the path of a JSON file.

    Raises:
        InputError: not JSON, an unknown key, or a value out of range.
    """
    if not text:
        return CurveOptions()
    if not text.lstrip().startswith("{"):
        try:
            text = Path(text).read_text("utf-8")
        except OSError as error:
            raise InputError(
                f"cannot be read ({error.strerror})",
                where=text,
                fix="give a JSON object or the path of a JSON file",
            ) from error
    try:
        return CurveOptions.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "JSON"
        if first["type"] == "extra_forbidden":
            raise unknown_option(key, CurveOptions.model_fields, "--options") from error
        raise InputError(f"{key}: {first['msg']}", where="--options") from error


def curves(
    table: Annotated[Path, typer.Argument(help="Score table: Parquet or long CSV.")],
    out: Annotated[Path, typer.Option(help="Folder for the tables.")],
    options: Annotated[
        str | None, typer.Option(help="CurveOptions as JSON, or the path of a JSON file.")
    ] = None,
) -> None:
    """Write all tables of a score table."""
    write_tables(analyze(read_scores(table), parse_options(options)), out)
