"""What the study did not measure, derived from its config and its results."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from instruct_scaling.common.seeds import PURPOSES
from instruct_scaling.config.bases import TinyBase
from instruct_scaling.config.judges import LlmJudge, MetricJudge
from instruct_scaling.config.study import Study
from instruct_scaling.reporting.report.context import JudgeCheck, Limit
from instruct_scaling.reporting.report.curves import OVERALL, half_widths
from instruct_scaling.reporting.report.results import CurveTable, VerdictTable
from instruct_scaling.reporting.report.wording import (
    category_name,
    count,
    level,
    listing,
    number,
    percent,
)

FEW_ITEMS = 100


def limits(
    study: Study,
    curves: list[CurveTable],
    verdicts: list[VerdictTable],
    check: JudgeCheck,
    clusters: str = "",
) -> list[Limit]:
    """The stated limits, the weightiest for a reader's trust first.

    `clusters` says how the eval items are grouped, as `clusters_told` does.
    """
    return [
        *_judges(study),
        *_seeds(study),
        *_precision(study, curves, clusters),
        *_missing(check),
        *_undetermined(verdicts),
        *_compute(study),
        *_decoding(study),
        *_data(study),
        *_bases(study),
    ]


def _judges(study: Study) -> Iterator[Limit]:
    kinds = list(study.judges.values())
    if all(isinstance(judge, MetricJudge) for judge in kinds):
        yield Limit(
            "Metric scores, not people's",
            "Answers were scored by reference scorers (exact and symbolic matches, overlap with a "
            "reference, unit tests, constraint checks). They see what can be checked, not whether "
            "an answer is helpful, and no person has confirmed them.",
        )
    elif any(isinstance(judge, LlmJudge) for judge in kinds):
        yield Limit(
            "No comparison with people",
            "A language model judged the answers. How far its scores agree with people's on these "
            "items is not known.",
        )
    if len(kinds) == 1:
        yield Limit(
            "A single judge",
            "There is no second judge, so a bias of this one towards a style or a length of "
            "answer cannot be told from quality.",
        )


def _seeds(study: Study) -> Iterator[Limit]:
    seeds = len(study.seeds.replicates)
    if seeds == 1:
        yield Limit(
            "One seed",
            "Every scale was trained once: the intervals hold the noise of the items only, "
            "training noise is unmeasured, and a single lucky or unlucky run cannot be told from "
            "an effect.",
        )
    elif seeds == 2:
        yield Limit(
            "Two seeds",
            "Training noise is estimated from two runs per scale, pooled over scales: enough to "
            "see that it is there, too little to know its size well.",
        )
    held = [purpose for purpose in PURPOSES if purpose not in study.seeds.vary]
    if held and seeds > 1:
        yield Limit(
            "Sources of variation held fixed",
            f"The seeds for {listing(held)} are the same in all replicates; what they would add "
            "to the noise is not in the intervals.",
        )


def _precision(study: Study, curves: list[CurveTable], clusters: str) -> Iterator[Limit]:
    widths = half_widths(curves)
    items = [
        point.n_items
        for table in curves
        for row in table.rows
        if row.category != OVERALL
        for point in row.points
        if point is not None and point.n_items is not None
    ]
    if not widths or not items or min(items) >= FEW_ITEMS:
        return
    yield Limit(
        "Few items per category",
        f"{clusters or f'The smallest category has {count(min(items))} items.'} The mean of a "
        f"category at one scale is known to about ±{number(median(widths), 3)} (median half-width "
        f"of the {level(study.analysis.interval)} intervals).",
    )


def _missing(check: JudgeCheck) -> Iterator[Limit]:
    if check.failed:
        yield Limit(
            "Missing judgements",
            f"{count(check.failed)} of {count(check.judgements)} judgements "
            f"({percent(check.failed / check.judgements)}) have no score. The means leave them "
            "out, which is fair only if they do not fail where answers are worse.",
        )


def _undetermined(verdicts: list[VerdictTable]) -> Iterator[Limit]:
    told = []
    for table in verdicts:
        rows = [row for row in table.rows if row.category != OVERALL]
        names = [category_name(row.category) for row in rows if row.verdict == "undetermined"]
        if names:
            whose = f"arm {table.arm}, judge {table.judge}: " if len(verdicts) > 1 else ""
            which = listing(names) if len(names) < len(rows) else "all"
            told.append(f"{whose}{which} ({count(len(names))} of {count(len(rows))})")
    if told:
        yield Limit(
            "Trends that the data do not settle",
            f"No verdict on {'; '.join(told)}. Where it can be said, the verdict table names the "
            "items and seeds that would settle it.",
        )


def _compute(study: Study) -> Iterator[Limit]:
    by_epochs = [name for name, arm in study.arms.items() if arm.recipe.epochs is not None]
    if by_epochs:
        yield Limit(
            "Data and compute grow together",
            "With epochs held fixed, a larger scale also means more optimizer steps. What is due "
            "to new data and what to longer training is not separated. Steps and tokens of every "
            "scale are in the cost table.",
        )
    if len(by_epochs) < len(study.arms):
        yield Limit(
            "Repetition shrinks as data grows",
            "With steps held fixed, a smaller subset is seen more often: the comparison mixes "
            "more data with less repetition.",
        )


def _decoding(study: Study) -> Iterator[Limit]:
    if study.generate.temperature == 0:
        yield Limit(
            "One greedy answer per item",
            "How much answers would vary under sampling is not measured.",
        )


def _data(study: Study) -> Iterator[Limit]:
    if any(source.type == "synthetic" for pool in study.pools.values() for source in pool.sources):
        yield Limit(
            "Generated data",
            "Instruction records come from the built-in generator: short, templated and correct "
            "by construction. Curves on them show the method at work; they do not carry over to "
            "instruction data in the wild.",
        )
    unclean = [n for n, pool in study.pools.items() if pool.decontaminate.method == "none"]
    if unclean:
        yield Limit(
            "Overlap with the eval set",
            f"Nothing was removed from {listing(unclean)} for giving away eval items.",
        )
    repeated = [n for n, pool in study.pools.items() if pool.deduplicate.method == "none"]
    if repeated:
        yield Limit(
            "Repeated records",
            f"Copies were left in {listing(repeated)}: a scale may hold fewer distinct records "
            "than its number says.",
        )


def _bases(study: Study) -> Iterator[Limit]:
    used = {arm.base for arm in study.arms.values()}
    if any(isinstance(study.bases[name], TinyBase) for name in used if name in study.bases):
        yield Limit(
            "A very small base model",
            "The base was built here to run on a laptop. Where a curve rises or levels off says "
            "nothing about models that are thousands of times larger.",
        )
    if len(used) == 1:
        yield Limit("One base model", "How the curves move with the size of the base is unknown.")
