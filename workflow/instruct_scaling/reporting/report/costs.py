"""What the study cost: tokens, seconds and hours of tuning, answering and judging."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from statistics import fmean
from typing import Any

from instruct_scaling.reporting.costs import Training, training_of
from instruct_scaling.reporting.report.context import Costs, Table
from instruct_scaling.reporting.report.runs import JudgementSurvey, ResponseSurvey
from instruct_scaling.reporting.report.wording import count, duration, number, percent, scale_name


def costs(
    train: dict[str, Any],
    answered: ResponseSurvey,
    judged: JudgementSurvey,
    arms: list[str],
    judges: list[str],
) -> Costs:
    """The cost tables.

    Args:
        train: path -> content of the train.json of every run.
        answered: totals of the responses.
        judged: totals of the judgements.
        arms: in the order of the study.
        judges: in the order of the study.

    Raises:
        InputError: a train.json lacks a figure.
    """
    runs = [training_of(document, path) for path, document in train.items()]
    return Costs(
        training=_training_table(runs, arms) if runs else None,
        responses=_response_table(answered, arms) if answered.usage else None,
        judging=_judging_table(judged, judges),
        notes=_notes(runs),
    )


def _training_table(runs: list[Training], arms: list[str]) -> Table:
    groups: dict[tuple[str, int], list[Training]] = defaultdict(list)
    for run in runs:
        groups[run.arm, run.scale].append(run)
    on_gpu = any(run.gpu_hours is not None for run in runs)
    with_mfu = any(run.mfu is not None for run in runs)
    hours = "GPU hours, all runs" if on_gpu else "core hours, all runs"
    columns = ["arm", "records", "runs", "steps", "examples seen", "tokens", "time", "tokens/s"]
    columns += ["MFU"] * with_mfu + ["last loss", "peak memory, GB", hours]
    rows = []
    places = sorted(groups, key=lambda at: (arms.index(at[0]) if at[0] in arms else len(arms), at))
    for arm, scale in places:
        group = groups[arm, scale]
        rows.append(
            [
                arm,
                scale_name(scale),
                count(len(group)),
                count(_mean(group, lambda run: run.steps)),
                count(_mean(group, lambda run: run.examples)),
                count(_mean(group, lambda run: run.tokens)),
                duration(_mean(group, lambda run: run.seconds)),
                count(_mean(group, lambda run: run.tokens_per_second)),
                *([_mfu(group)] * with_mfu),
                number(_mean(group, lambda run: run.last_loss), 3),
                number(max(run.peak_bytes for run in group) / 1e9, 2),
                _hours(sum(_run_hours(run) for run in group)),
            ]
        )
    rows.append(_total(columns, runs))
    return Table(
        columns,
        rows,
        caption="Fine-tuning: means over the runs of a scale",
        numeric=frozenset(columns[1:]),
    )


def _total(columns: list[str], runs: list[Training]) -> list[str]:
    known = {
        "arm": "all",
        "runs": count(len(runs)),
        "tokens": count(sum(run.tokens for run in runs)),
        "time": duration(sum(run.seconds for run in runs)),
        columns[-1]: _hours(sum(_run_hours(run) for run in runs)),
    }
    return [known.get(column, "") for column in columns]


def _mean(runs: list[Training], figure: Callable[[Training], float]) -> float:
    return fmean(figure(run) for run in runs)


def _mfu(runs: list[Training]) -> str:
    known = [run.mfu for run in runs if run.mfu is not None]
    return percent(fmean(known)) if known else ""


def _run_hours(run: Training) -> float:
    return run.gpu_hours if run.gpu_hours is not None else run.core_hours or 0.0


def _hours(hours: float) -> str:
    return number(hours, 3 if hours < 1 else 1)


def _response_table(answered: ResponseSurvey, arms: list[str]) -> Table:
    columns = ["arm", "records", "runs", "responses", "prompt tokens", "generated tokens"]
    columns += ["tokens per response", "cut at the limit"]
    rows = []
    places = sorted(
        answered.usage, key=lambda at: (arms.index(at[0]) if at[0] in arms else len(arms), at)
    )
    for arm, scale in places:
        usage = answered.usage[arm, scale]
        rows.append(
            [
                arm,
                scale_name(scale),
                count(len(usage.runs)),
                count(usage.responses),
                count(usage.prompt_tokens),
                count(usage.tokens),
                number(usage.tokens / usage.responses, 1),
                percent(usage.cut / usage.responses),
            ]
        )
    return Table(
        columns,
        rows,
        caption="Responses: totals over the runs of a scale",
        numeric=frozenset(columns[1:]),
    )


def _judging_table(judged: JudgementSurvey, judges: list[str]) -> Table | None:
    """Tokens and money of the judges that state either; None where none does."""
    rows = []
    for judge in judges:
        usage = judged.usage.get(judge)
        if usage is None or (usage.tokens is None and usage.cost is None):
            continue
        total = sum(n for (name, _, _), n in judged.counts.items() if name == judge)
        cost = "" if usage.cost is None else f"${number(usage.cost, 2)}"
        rows.append([judge, count(total), count(usage.tokens), cost])
    columns = ["judge", "judgements", "tokens", "cost"]
    if not rows:
        return None
    return Table(columns, rows, caption="Judging", numeric=frozenset(columns[1:]))


def _notes(runs: list[Training]) -> list[str]:
    if not runs:
        return []
    devices = dict.fromkeys(f"{run.ranks} ranks on {run.device}" for run in runs)
    trainable = dict.fromkeys(f"{run.arm} {count(run.trainable)}" for run in runs)
    return [
        f"Trained with {'; '.join(devices)}. Weights trained: {', '.join(trainable)}.",
        "Time is the time inside training steps; start-up, export and answering are not in it.",
    ]
