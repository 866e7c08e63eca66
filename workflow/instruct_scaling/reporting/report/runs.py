"""What the runs used and cost: one pass over responses and judgements, sums for the templates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.records import EvalItem, Judgement, Response, read_responses, read_rows
from instruct_scaling.config.judges import MetricJudge
from instruct_scaling.config.runs import RunRow
from instruct_scaling.config.study import Study
from instruct_scaling.evaluation.judge.choice import DEFAULT_SCORERS, LIMITS
from instruct_scaling.evaluation.judge.judgements import ZERO
from instruct_scaling.evaluation.time_outs import TimeOuts, items_with_tests
from instruct_scaling.reporting.costs import SECONDS
from instruct_scaling.reporting.report.samples import Answers, sample_answers
from instruct_scaling.reporting.report.tables import Row, in_order, rows

OK = "ok"
UNUSABLE = ("bad_tests", "needs_same_process")
_USAGE = ["arm", "scale", "shots", "seed", "responses", "prompt_tokens", "tokens", "cut"]
_JUDGED = ["judge", "version", "repeat", "scale", "category", "status", "tokens", "cost"]


@dataclass(frozen=True, slots=True)
class Survey:
    """The responses and judgements of all runs, counted, and the answers to show.

    `usage` has a row per folder of responses: `arm` (joined by commas where arms share it),
    `scale`, `shots`, `seed`, `responses`, `prompt_tokens`, `tokens` and `cut` (at the limit).
    `judgements` has a row per judgement: `judge`, `version`, `repeat`, `scale`, `category`,
    `status`, `tokens`, `cost`. `time_outs` has a row per judge, arm and scale of programs: `judge`,
    `arm`, `scale`, `programs`, `time_outs`, `share`; `unusable_items` names the items whose tests
    could not be used, by status.
    """

    usage: pd.DataFrame
    judgements: pd.DataFrame
    answers: Answers
    time_outs: list[Row]
    unusable_items: dict[str, list[str]]


def survey(
    runs: Sequence[RunRow],
    judges: Sequence[str],
    items: Mapping[str, EvalItem],
    shown: Iterable[str],
) -> Survey:
    """Read the responses and judgements of every run, each folder once.

    Args:
        runs: the table of runs.
        judges: names of the study's judges.
        items: the eval set, by id.
        shown: ids of the items whose answers are kept, those of the first seed of a scale.

    Raises:
        InputError: a file is missing or is not what its stage writes, or belongs to another eval
            set.
    """
    first = _first_seeds(runs)
    usage, judged = [], []
    answers: Answers = {}
    with_tests = items_with_tests(items)
    stopped = {judge: TimeOuts(with_tests) for judge in judges}
    unusable: dict[str, set[str]] = {status: set() for status in UNUSABLE}
    for folder, sharing in _by_folder(runs).items():
        responses = read_responses(folder / "responses.jsonl", dict(items))
        usage.append(_usage(sharing, responses))
        judgements: list[Judgement] = []
        for judge in judges:
            own = _read_judgements(folder / "judgements" / f"{judge}.jsonl", items)
            stopped[judge].add([(run.arm, run.scale) for run in sharing], own)
            judgements += own
        for row in judgements:
            if row.status in unusable:
                unusable[row.status].add(row.item)
        judged += [
            (
                *(j.judge, j.judge_version, j.repeat, sharing[0].scale, items[j.item].category),
                *(j.status, j.tokens, j.cost),
            )
            for j in judgements
        ]
        for run in sharing:
            if run.seed == first[run.arm, run.scale] and not run.shots:
                kept = [row for row in responses if row.item in shown]
                sample_answers(answers, run, kept, judgements, judges)
    return Survey(
        pd.DataFrame(usage, columns=_USAGE),
        pd.DataFrame(judged, columns=_JUDGED),
        answers,
        [{"judge": judge} | row for judge, found in stopped.items() for row in found.rows()],
        {status: sorted(found) for status, found in unusable.items() if found},
    )


def _by_folder(runs: Sequence[RunRow]) -> dict[Path, list[RunRow]]:
    folders: dict[Path, list[RunRow]] = {}
    for run in runs:
        folders.setdefault(run.folder, []).append(run)
    return folders


def _first_seeds(runs: Sequence[RunRow]) -> dict[tuple[str, int], int]:
    first: dict[tuple[str, int], int] = {}
    for run in runs:
        key = (run.arm, run.scale)
        first[key] = min(run.seed, first.get(key, run.seed))
    return first


def _usage(sharing: Sequence[RunRow], responses: Sequence[Response]) -> tuple:
    return (
        ", ".join(run.arm for run in sharing),
        sharing[0].scale,
        sharing[0].shots,
        sharing[0].seed,
        len(responses),
        sum(row.prompt_tokens for row in responses),
        sum(row.tokens for row in responses),
        sum(row.finish == "length" for row in responses),
    )


def _read_judgements(path: Path, items: Mapping[str, EvalItem]) -> list[Judgement]:
    judgements = read_rows(path, Judgement)
    for row in judgements:
        if row.item not in items:
            raise InputError(
                f"a judgement of item {row.item!r}, which is not in the eval set",
                where=path,
                fix="remove the file and judge again: it belongs to another eval set",
            )
    return judgements


def response_totals(usage: pd.DataFrame) -> list[Row]:
    """Sums over the runs of each arm and scale, in the order of the table of runs by scale."""
    groups = usage.assign(runs=1).groupby(["arm", "scale", "shots"], sort=False)
    return _by_arm(groups.sum(numeric_only=True).reset_index())


def training_totals(training: pd.DataFrame) -> list[Row]:
    """Figures of each arm and scale: means over its runs, but `hours` and `hours_training` are
    sums and `peak_bytes` is the largest. Hours are GPU hours, of CPU cores where there is no GPU.

    Args:
        training: as `training_figures` returns it.
    """
    hours = training["gpu_hours"].fillna(training["cpu_core_hours"])
    steps = training["seconds_training"] / training["seconds_total"]
    table = training.assign(hours=hours, hours_training=hours * steps)
    means = ["steps", "examples", "tokens", "tokens_per_second", "mfu", "last_loss", *SECONDS]
    grouped = table.groupby(["arm", "scale"], sort=False)
    totals = grouped[means].mean().assign(runs=grouped.size(), peak_bytes=grouped.peak_bytes.max())
    return _by_arm(totals.join(grouped[["hours", "hours_training"]].sum()).reset_index())


def _by_arm(table: pd.DataFrame) -> list[Row]:
    """Rows by arm in order of appearance, then by scale."""
    arms = {arm: position for position, arm in enumerate(table["arm"].unique())}
    key = table["arm"].map(arms)
    return rows(table.assign(_arm=key).sort_values(["_arm", "scale"]).drop(columns="_arm"))


def judgement_counts(judgements: pd.DataFrame, by: Sequence[str]) -> list[Row]:
    """Judgements of each group, how many are `missing`, and why.

    Args:
        judgements: as in `Survey`.
        by: columns that make a group.

    Returns:
        For each group: the columns of `by`, `version`, `repeats`, `judgements`, `missing`,
        `reasons` (status -> number, most frequent first), and the sums of `tokens` and `cost`,
        None where no judgement states them.
    """
    found = []
    for key, part in judgements.groupby(list(by), sort=False):
        missing = part.loc[~part["status"].isin([OK, *ZERO]), "status"]
        counts = {
            "version": part["version"].iloc[-1],
            "repeats": part["repeat"].nunique(),
            "judgements": len(part),
            "missing": len(missing),
            "reasons": missing.value_counts().to_dict(),
            "tokens": part["tokens"].sum(min_count=1),
            "cost": part["cost"].sum(min_count=1),
        }
        found.append(dict(zip(by, key, strict=True)) | counts)
    return rows(pd.DataFrame(found)) if found else []


def missing_by_category(judgements: pd.DataFrame, order: Sequence[str]) -> list[Row]:
    """The categories of each judge that have missing judgements, as `judgement_counts`."""
    return [
        row
        for _, part in judgements.groupby("judge", sort=False)
        for row in judgement_counts(in_order(part, order), ["judge", "category"])
        if row["missing"]
    ]


def no_answers(judgements: pd.DataFrame) -> list[Row]:
    """The judgements scored 0 because no answer was found, where there are any.

    Returns:
        For each judge and scale with such judgements: `judge`, `scale`, `judgements`, and the
        number of each status of `judgements.ZERO` under its name.
    """
    found = []
    for (judge, scale), part in judgements.groupby(["judge", "scale"]):
        counts = {status: int((part["status"] == status).sum()) for status in sorted(ZERO)}
        if any(counts.values()):
            found.append({"judge": judge, "scale": scale, "judgements": len(part)} | counts)
    return found


def scorer_limits(study: Study, categories: Sequence[str]) -> dict[str, list[Row]]:
    """What the scores of a metric judge see and do not see, by judge.

    Returns:
        For each metric judge and scorer with limits: `scorer`, `limits` and its `categories`.
        Scorers that compare checkable answers have none.
    """
    found = {}
    for name, judge in study.judges.items():
        if isinstance(judge, MetricJudge):
            scorers = DEFAULT_SCORERS | judge.scorers
            found[name] = [
                {"scorer": scorer, "limits": limits, "categories": judged}
                for scorer, limits in LIMITS.items()
                if (judged := [one for one in categories if scorers.get(one) == scorer])
            ]
    return found
