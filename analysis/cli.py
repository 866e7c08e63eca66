"""Commands of the analysis.

python -m analysis TABLE --out DIR [--options JSON]   tables and figures of a score table
python -m analysis plan [PILOT] ...                   items, seeds and scales that a study needs
python -m analysis paper                              the published curve, judged by these rules
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from analysis import pipeline
from analysis.errors import InputError
from analysis.estimand import read_overlap
from analysis.inference.axes import read_costs
from analysis.inference.looks import looks_at, read_looks, record_looks
from analysis.inference.score_array import build_score_arrays
from analysis.options import CurveOptions, options_from_json
from analysis.paper import paper_text
from analysis.power.design import AnswerNoise
from analysis.power.plan import (
    Costs,
    best_design,
    pilot_components,
    plan_table,
    plan_text,
    stated_components,
    with_answers,
)
from analysis.power.plan_verdicts import chances_text
from analysis.scores import read_scores
from analysis.tables import write_tables

EXIT_BAD_INPUT = 2
_SCALES, _SEEDS = [4, 5, 8], [1, 2, 3, 5, 8]

Table = Annotated[Path, typer.Argument(help="Score table: Parquet or long CSV.")]
Options = Annotated[
    str | None, typer.Option(help="CurveOptions as JSON, or the path of a JSON file.")
]


CostsFile = Annotated[
    Path | None,
    typer.Option(help="What a run of each arm and scale took (costs.csv): tokens, steps, FLOPs."),
]
LooksFile = Annotated[
    Path | None,
    typer.Option("--looks", help="Looks at the results so far (looks.jsonl); this one is added."),
]


OverlapFile = Annotated[
    Path | None,
    typer.Option("--overlap", help="What two seeds' subsets share (subset_overlap.csv)."),
]


def curves(
    table: Table,
    out: Annotated[Path, typer.Option(help="Folder for the tables.")],
    options: Options = None,
    costs: CostsFile = None,
    looks: LooksFile = None,
    overlap: OverlapFile = None,
) -> None:
    """Write all tables of a score table."""
    _write_tables(read_scores(table), out, parse_options(options), costs, looks, overlap)


def _write_tables(
    scores: pd.DataFrame,
    out: Path,
    options: CurveOptions,
    costs: Path | None,
    looks: Path | None,
    overlap: Path | None,
) -> None:
    """The tables of a score table; the look that they are is recorded before they can be seen."""
    known = [] if looks is None else read_looks(looks)
    runs = None if costs is None else read_costs(costs)
    shared = None if overlap is None else read_overlap(overlap)
    tables = pipeline.analyze(scores, options, runs, known, shared)
    if looks is not None:
        record_looks(looks, looks_at(build_score_arrays(scores)), options)
    write_tables(tables, out)


def analyze(
    table: Table,
    out: Annotated[Path, typer.Option(help="Folder for tables and figures.")],
    options: Options = None,
    costs: CostsFile = None,
    looks: LooksFile = None,
    overlap: OverlapFile = None,
    no_figures: Annotated[
        bool, typer.Option("--no-figures", help="Write the tables only.")
    ] = False,
) -> None:
    """Write all tables of a score table, and draw them."""
    chosen = parse_options(options)
    scores = read_scores(table)
    _write_tables(scores, out / "tables", chosen, costs, looks, overlap)
    print(f"tables: {out / 'tables'}")
    if not no_figures:
        from analysis.figures.drawing import draw_all  # matplotlib loads only to draw

        title = ", ".join(sorted({str(study) for study in scores["study"] if str(study)}))
        draw_all(out / "tables", out / "figures", title=title, interval=chosen.interval)
        print(f"figures: {out / 'figures'}")


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
    return options_from_json(CurveOptions, text)


def plan(
    pilot: Annotated[
        Path | None, typer.Argument(help="Score table of a pilot (Parquet or CSV).")
    ] = None,
    arm: Annotated[str | None, typer.Option(help="Arm of the pilot.")] = None,
    judge: Annotated[str | None, typer.Option(help="Judge of the pilot.")] = None,
    item_sd: Annotated[
        float | None, typer.Option(min=0, max=1, help="Stated SD of an item's own curve.")
    ] = None,
    run_sd: Annotated[
        float | None, typer.Option(min=0, max=1, help="Stated SD of a run's mean.")
    ] = None,
    noise_sd: Annotated[
        float | None, typer.Option(min=0, max=1, help="Stated SD of an item within a run.")
    ] = None,
    run_sd_known: Annotated[
        bool, typer.Option("--run-sd-known", help="The run SD is known, not measured.")
    ] = False,
    margin: Annotated[float, typer.Option(help="Margin of the tail slope per doubling.")] = 0.02,
    power: Annotated[float, typer.Option(help="Wanted power.")] = 0.8,
    interval: Annotated[float, typer.Option(help="Coverage of the intervals.")] = 0.9,
    scales: Annotated[list[int], typer.Option(min=2, help="Numbers of scales.")] = _SCALES,
    seeds: Annotated[list[int], typer.Option(min=1, help="Numbers of seeds.")] = _SEEDS,
    factor: Annotated[float, typer.Option(help="Ratio of neighboring scales.")] = 2.0,
    arms: Annotated[int, typer.Option(min=1, help="Arms of the study.")] = 1,
    categories: Annotated[int, typer.Option(min=1, help="Categories of each arm.")] = 12,
    repeats: Annotated[int, typer.Option(min=1, help="Judgements of each response.")] = 1,
    cost_per_run: Annotated[float, typer.Option(min=0, help="Money per tuning run.")] = 0.0,
    cost_per_judgement: Annotated[float, typer.Option(min=0, help="Money per call.")] = 0.0,
    cost_per_million_records: Annotated[
        float, typer.Option(min=0, help="Money per million records seen in tuning.")
    ] = 0.0,
    largest: Annotated[float, typer.Option(min=0, help="Records of the largest scale.")] = 0.0,
    answers: Annotated[int, typer.Option(min=1, help="Answers to each item in a run.")] = 1,
    answer_sd: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Stated SD between answers of a run to one item."),
    ] = None,
    judge_sd: Annotated[
        float | None, typer.Option(min=0, max=1, help="Stated SD of repeats of one judgement.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Also write the table to this CSV file.")] = None,
) -> None:
    """Print items, seeds and scales for a wanted margin and power."""
    for name, holds in {
        "--margin": 0 < margin < 1,
        "--power": 0.5 < power < 1,
        "--interval": 0 < interval < 1,
        "--factor": factor > 1,
    }.items():
        if not holds:
            raise InputError(f"{name} is out of range", where="plan")
    options = CurveOptions(tail_margin=margin, power=power, interval=interval)
    if cost_per_million_records and not largest:
        raise InputError(
            "records have a price, and the largest scale is not stated",
            where="plan",
            fix="add --largest",
        )
    if pilot and answers > 1 and answer_sd is None:
        raise InputError(
            "a pilot does not tell what more answers to an item average out",
            where="plan",
            fix="state --answer-sd, the SD between answers of one run to one item",
        )
    if pilot:
        unit, noise = pilot_components(pilot, arm, judge, answer_sd)
        source = f"variances measured on {pilot}"
    elif item_sd is None or run_sd is None or noise_sd is None:
        raise InputError(
            "there is neither a pilot nor a full statement of the variances",
            where="plan",
            fix="give a score table, or --item-sd, --run-sd and --noise-sd",
        )
    else:
        # The stated noise of an item in a run is that of its answer, to which the judge's is added.
        answer_sd, judge_sd = noise_sd if answer_sd is None else answer_sd, judge_sd or 0.0
        whole = float(np.hypot(noise_sd, judge_sd))
        unit = stated_components(item_sd, run_sd, whole, run_sd_known, categories)
        noise = {name: AnswerNoise(min(answer_sd, noise_sd) ** 2) for name in unit}
        source = "variances as stated"
    if judge_sd is not None:
        noise = {name: replace(each, judge=judge_sd**2) for name, each in noise.items()}
    unit = with_answers(unit, noise, answers, repeats)
    costs = Costs(
        arms,
        categories,
        repeats * answers,
        cost_per_run,
        cost_per_judgement,
        cost_per_million_records,
        largest,
    )
    table = plan_table(unit, scales, seeds, factor, options, costs)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(out, index=False)
    print(plan_text(table, source, len(unit), options))
    design = best_design(table)
    if design is not None:
        print(chances_text(unit, design, factor, categories, options))


def paper() -> None:
    """Print verdicts on the published Figure 1, under stated assumptions."""
    print(paper_text())


_COMMANDS = {"analyze": analyze, "plan": plan, "paper": paper}
_HELP = ("-h", "--help")


def _app() -> typer.Typer:
    app = typer.Typer(
        help="Without a command: analyze. `python -m analysis TABLE --out DIR` writes all tables "
        "of a score table and draws them.",
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": list(_HELP)},
    )
    for name, function in _COMMANDS.items():
        app.command(name)(function)
    return app


def main(argv: list[str] | None = None) -> int:
    """0, or 2 with one message on bad input."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] not in (*_COMMANDS, *_HELP):
        argv = ["analyze", *argv]
    try:
        _app()(_one_value_each(argv), prog_name="python -m analysis")
    except SystemExit as done:  # also after --help, and after the message of a usage error
        return int(done.code or 0)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except (PermissionError, FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        print(f"error: {error.filename}: cannot be written ({error.strerror})", file=sys.stderr)
        return EXIT_BAD_INPUT
    return 0


def _one_value_each(argv: list[str]) -> list[str]:
    """`--seeds 2 3` as click takes a list: `--seeds 2 --seeds 3`."""
    words: list[str] = []
    option = ""
    for word in argv:
        if word in ("--scales", "--seeds"):
            option = word
        elif option and word.isdigit() and words[-1] != option:
            words.append(option)
        elif not word.isdigit():
            option = ""
        words.append(word)
    return words
