"""What each arm and scale is planned to cost, and beside it what it has cost so far.

Planned figures follow from the config (`budget`); actual ones from each `train.json`, the benchmark
files of Snakemake, the judgements and the files themselves. A figure that is not known is empty.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from instruct_scaling.common.files import read_json, read_jsonl
from instruct_scaling.config.judges import LlmJudge
from instruct_scaling.config.runs import Run, tuned_runs
from instruct_scaling.config.study import Study
from instruct_scaling.reporting.budget import (
    BYTES_PER_ROW,
    BYTES_PER_TOKEN,
    eval_items,
    kept_model_bytes,
    measured_tokens_per_example,
    response_tokens,
    size_text,
    training_device_hours,
)

COLUMNS = (
    "arm",
    "scale",
    "runs",
    "runs_done",
    "planned_gpu_hours",
    "gpu_hours",
    "gpu_hours_answering",
    "core_hours",
    "planned_judge_dollars",
    "judge_dollars",
    "planned_bytes",
    "bytes",
)
RULES = ("finetune", "generate", "judge")
_SECONDS_PER_HOUR = 3600


def spending(study: Study, results: Path) -> pd.DataFrame:
    """A row for each arm and scale, sums over its runs.

    `planned_gpu_hours` are those of the steps of all runs, `gpu_hours` those of the whole runs that
    are done, on GPUs alone. `core_hours` are the CPU seconds that the benchmark files of tuning,
    answering and judging state. Dollars are those of LLM judges with known prices.

    Args:
        study: the config.
        results: the study's results folder; it need not exist.
    """
    per_example = measured_tokens_per_example(results) or study.budget.tokens_per_example
    items, _ = eval_items(study, results)
    rows = []
    for run in tuned_runs(study):
        planned = (
            training_device_hours(study, run, per_example),
            _planned_dollars(study, items),
            _planned_bytes(study, run, items),
        )
        rows.append((run.arm, run.scale, 1, *_interleaved(planned, _actual(study, run, results))))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    figures = dict.fromkeys(COLUMNS[4:], float)
    sums = table.astype(figures).groupby(["arm", "scale"], sort=False)
    return sums.sum(min_count=1).reset_index()


def _interleaved(planned: tuple, actual: tuple) -> tuple:
    """Planned hours, dollars and bytes among the actual figures, in the order of the columns."""
    done, gpu, answering, core, dollars, size = actual
    return done, planned[0], gpu, answering, core, planned[1], dollars, planned[2], size


def _actual(study: Study, run: Run, results: Path) -> tuple:
    """Done or not, GPU hours of training and answering, core hours, judge dollars, bytes."""
    folder = results / run.folder
    path = folder / "train.json"
    if not path.is_file():
        return 0, None, None, None, None, None
    gpu_hours = read_json(path)["gpu_hours"]
    benchmarks = {rule: _benchmarks(study, run, rule, results) for rule in RULES}
    answering = _seconds(benchmarks["generate"], "s") if gpu_hours is not None else None
    core = _seconds([row for rows in benchmarks.values() for row in rows], "cpu_time")
    return (
        1,
        gpu_hours,
        None if answering is None else answering / _SECONDS_PER_HOUR,
        None if core is None else core / _SECONDS_PER_HOUR,
        _judge_dollars(study, folder),
        sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
    )


def _benchmarks(study: Study, run: Run, rule: str, results: Path) -> list[dict[str, str]]:
    """The rows of a run's benchmark files of a rule; of intermediate checkpoints too."""
    name = f"{run.arm}-n{run.scale}-s{run.seed}"
    names = [name, *(f"{name}-at{at}" for at in study.intermediate_checkpoints.percents())]
    if rule == "judge":
        names = [f"{judge}-{each}" for judge in study.judges for each in names]
    rows = []
    for each in names:
        path = results / "benchmarks" / rule / f"{each}.tsv"
        if path.is_file():
            with path.open(encoding="utf-8", newline="") as file:
                rows += csv.DictReader(file, delimiter="\t")
    return rows


def _seconds(rows: Iterable[dict[str, str]], column: str) -> float | None:
    """Sum of a column of benchmark rows; jobs of a moment have `-` or `NA` there."""
    found = [float(row[column]) for row in rows if row.get(column) not in (None, "-", "NA", "")]
    return sum(found) if found else None


def _judge_dollars(study: Study, folder: Path) -> float | None:
    """What the LLM judges of a run's answers have cost; None without a known price."""
    costs = [
        row["cost"]
        for name, judge in study.judges.items()
        if isinstance(judge, LlmJudge)
        for path in folder.glob(f"**/judgements/{name}.jsonl")
        for _, row in read_jsonl(path)
        if row.get("cost") is not None
    ]
    return sum(costs) if costs else None


def _planned_dollars(study: Study, items: int | None) -> float | None:
    if items is None:
        return None
    answered = items * (1 + len(study.intermediate_checkpoints.fractions))
    prices = [
        answered * judge.repeats * _dollars_per_call(study, judge)
        for judge in study.judges.values()
        if isinstance(judge, LlmJudge) and judge.dollars_per_million_prompt_tokens is not None
    ]
    return sum(prices) if prices else None


def _dollars_per_call(study: Study, judge: LlmJudge) -> float:
    prompt = study.budget.tokens_per_judge_prompt * (judge.dollars_per_million_prompt_tokens or 0)
    answer = study.budget.tokens_per_judgement * (judge.dollars_per_million_completion_tokens or 0)
    return (prompt + answer) / 1e6


def _planned_bytes(study: Study, run: Run, items: int | None) -> float:
    """The models that stay and the text of a run."""
    answers = (items or 0) * (1 + len(study.intermediate_checkpoints.fractions))
    repeats = sum(getattr(judge, "repeats", 1) for judge in study.judges.values())
    text = response_tokens(study) * BYTES_PER_TOKEN + BYTES_PER_ROW * (1 + repeats)
    return kept_model_bytes(study, run) + answers * text


def spending_text(table: pd.DataFrame) -> str:
    """The table for a terminal: planned and actual side by side, `-` where nothing is known."""
    head = ("arm", "scale", "runs", "GPU h", "", "answers", "core h", "judge $", "", "disk", "")
    under = ("", "", "done", "planned", "actual", "actual", "actual", *("planned", "actual") * 2)
    rows = [head, under]
    for row in table.to_dict("records"):
        hours = [_number(row[name]) for name in COLUMNS[4:8]]
        dollars = [_number(row[name]) for name in COLUMNS[8:10]]
        sizes = [size_text(row[name]) if row[name] == row[name] else "-" for name in COLUMNS[10:]]
        done = f"{row['runs_done']}/{row['runs']}"
        rows.append((row["arm"], f"{row['scale']:,}", done, *hours, *dollars, *sizes))
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = ["  ".join(f"{c:>{w}}" for c, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(f"  {line}".rstrip() for line in lines)


def _number(value: float) -> str:
    return f"{value:,.3g}" if value == value else "-"
