"""The sentences at the top: claims that the tables bear out, each with its interval."""

from __future__ import annotations

from instruct_scaling.report.context import CurveRow, CurveTable, VerdictRow, VerdictTable
from instruct_scaling.report.curves import OVERALL
from instruct_scaling.report.wording import (
    category_name,
    interval,
    listing,
    number,
    plural,
    scale_name,
)

VERDICT_ORDER = ("improving", "plateaued", "flat", "non-monotone", "undetermined")


def headlines(
    curves: list[CurveTable], verdicts: list[VerdictTable], level: str, decimals: int
) -> list[str]:
    """Sentences for the first judge: for each arm Overall, then what the categories show.

    Args:
        curves: mean scores; those of the first judge are used.
        verdicts: may be empty; then the intervals at the two ends of the ladder are compared.
        level: coverage of the intervals, as text.
        decimals: of a score.
    """
    if not curves:
        return []
    judge = curves[0].judge
    arms = [table for table in curves if table.judge == judge]
    by_arm = {table.arm: table for table in verdicts if table.judge == judge}
    sentences = []
    for table in arms:
        prefix = f"Arm {table.arm}: " if len(arms) > 1 else ""
        verdict = by_arm.get(table.arm)
        overall = next((row for row in table.rows if row.category == OVERALL), None)
        if overall is not None:
            sentences += _overall(prefix, table, overall, verdict, level, decimals)
        if verdict is not None:
            sentences += _verdict_counts(prefix, verdict)
        else:
            sentences += _ends_compared(prefix, table, level)
    return sentences


def _overall(
    prefix: str,
    table: CurveTable,
    row: CurveRow,
    verdicts: VerdictTable | None,
    level: str,
    decimals: int,
) -> list[str]:
    known = [point for point in row.points if point is not None and point.low is not None]
    if len(known) < 2:
        return []
    first, last = known[0], known[-1]
    start = "the untuned base" if first.scale == 0 else f"{scale_name(first.scale)} records"
    sentence = (
        f"{prefix}The mean over all categories is {number(last.mean, decimals)} "
        f"{interval(last.low, last.high, decimals)} at {scale_name(last.scale)} records, against "
        f"{number(first.mean, decimals)} {interval(first.low, first.high, decimals)} "
        f"for {start} ({level} intervals)."
    )
    found = [] if verdicts is None else [v for v in verdicts.rows if v.category == OVERALL]
    return [sentence, *(_slope(prefix, verdict, level) for verdict in found if verdict.tail.known)]


def _slope(prefix: str, verdict: VerdictRow, level: str) -> str:
    margin = "" if verdict.margin is None else f", at a margin of {number(verdict.margin, 3)}"
    return (
        f"{prefix}Towards the end of the ladder it changes by "
        f"{number(verdict.tail.value, 3, sign=True)} "
        f"{interval(verdict.tail.low, verdict.tail.high, 3, sign=True)} per doubling of the data "
        f"({level} interval): {verdict.verdict}{margin}."
    )


def _verdict_counts(prefix: str, table: VerdictTable) -> list[str]:
    rows = [row for row in table.rows if row.category != OVERALL]
    if not rows:
        return []
    kinds = sorted(
        {row.verdict for row in rows},
        key=lambda kind: (
            VERDICT_ORDER.index(kind) if kind in VERDICT_ORDER else len(VERDICT_ORDER),
            kind,
        ),
    )
    parts = []
    for kind in kinds:
        names = [category_name(row.category) for row in rows if row.verdict == kind]
        parts.append(f"{len(names)} {kind} ({', '.join(names)})")
    return [f"{prefix}Of {plural(len(rows), 'category', 'categories')}: {'; '.join(parts)}."]


def _ends_compared(prefix: str, table: CurveTable, level: str) -> list[str]:
    above, below, open_ = [], [], []
    ends: set[tuple[int, int]] = set()
    for row in table.rows:
        known = [point for point in row.points if point is not None and point.low is not None]
        if row.category == OVERALL or len(known) < 2:
            continue
        first, last = known[0], known[-1]
        ends.add((first.scale, last.scale))
        kind = above if last.low > first.high else below if last.high < first.low else open_
        kind.append(category_name(row.category))
    if len(ends) != 1:
        return []
    first_scale, last_scale = ends.pop()
    total = len(above) + len(below) + len(open_)
    start = "the base" if first_scale == 0 else f"{scale_name(first_scale)} records"
    parts = [
        f"{len(names)} {claim} ({listing(names)})"
        for names, claim in (
            (above, "rose"),
            (below, "fell"),
            (open_, "show no clear change: the intervals overlap"),
        )
        if names
    ]
    return [
        f"{prefix}From {start} to {scale_name(last_scale)} records, by {level} intervals that do "
        f"not overlap, of {plural(total, 'category', 'categories')}: {'; '.join(parts)}."
    ]
