"""The sentences at the top: claims that the tables bear out, each with its interval."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from instruct_scaling.reporting.report.curves import OVERALL
from instruct_scaling.reporting.report.results import (
    ArmDifference,
    CurveRow,
    CurveTable,
    VerdictRow,
    VerdictTable,
)
from instruct_scaling.reporting.report.verdicts import VERDICT_ORDER
from instruct_scaling.reporting.report.wording import (
    category_name,
    interval,
    listing,
    number,
    plural,
    scale_name,
    short,
)

FEW_ARMS = 2
"""Up to so many arms each is told of in full; of more, counts without names."""
MOST_NAMES = 12
LADDER_CLAIMS = {"not shown": "no change shown"}


def headlines(
    curves: list[CurveTable],
    verdicts: list[VerdictTable],
    differences: list[ArmDifference],
    level: str,
    decimals: int,
) -> list[str]:
    """Sentences for the first judge: for each arm Overall and what the categories show, then
    how arms differ at their largest common scale.

    Args:
        curves: mean scores; those of the first judge are used.
        verdicts: may be empty; then the intervals at the two ends of the ladder are compared.
        differences: between arms, over all categories; may be empty.
        level: coverage of the intervals, as text.
        decimals: of a score.
    """
    if not curves:
        return []
    judge = curves[0].judge
    tables = [table for table in curves if table.judge == judge]
    by_arm = {table.arm: table for table in verdicts if table.judge == judge}
    sentences: list[str] = []
    for table in tables:
        prefix = f"Arm {table.arm}: " if len(tables) > 1 else ""
        verdict = by_arm.get(table.arm)
        parts = [*_overall(table, level, decimals)]
        if verdict is None:
            parts += _ends_compared(table, level)
        elif len(tables) > FEW_ARMS:
            parts += _verdict_counts(verdict, most_names=0)
        else:
            parts += [*_verdict_counts(verdict), *_tail(verdict, level)]
            parts += _whole_ladder(verdict, level)
        sentences += [prefix + part for part in parts]
    return sentences + list(
        _differences([row for row in differences if row.judge == judge], level, decimals)
    )


def _overall(table: CurveTable, level: str, decimals: int) -> Iterator[str]:
    row = next((row for row in table.rows if row.category == OVERALL), None)
    ends = None if row is None else _ends(row)
    if ends is None:
        return
    first, last = ends
    start = "the untuned base" if first.scale == 0 else f"{scale_name(first.scale)} records"
    yield (
        f"The mean over all categories is {number(last.mean, decimals)} "
        f"{interval(last.low, last.high, decimals)} at {scale_name(last.scale)} records, against "
        f"{number(first.mean, decimals)} {interval(first.low, first.high, decimals)} "
        f"for {start} ({level} intervals)."
    )


def _tail(table: VerdictTable, level: str) -> Iterator[str]:
    for verdict in table.rows:
        if verdict.category == OVERALL and verdict.tail.known:
            yield _slope(verdict, level)


def _slope(verdict: VerdictRow, level: str) -> str:
    margin = "" if verdict.margin is None else f" at a margin of {short(verdict.margin)}"
    return (
        "Over the tail of the ladder the mean over all categories changes by "
        f"{number(verdict.tail.value, 3, sign=True)} "
        f"{interval(verdict.tail.low, verdict.tail.high, 3, sign=True)} per doubling of the data "
        f"({level} interval); verdict: {verdict.verdict}{margin}."
    )


def _verdict_counts(table: VerdictTable, most_names: int = MOST_NAMES) -> Iterator[str]:
    rows = [row for row in table.rows if row.category != OVERALL]
    kinds = [*VERDICT_ORDER, *dict.fromkeys(row.verdict for row in rows)]
    parts = []
    for kind in dict.fromkeys(kinds):
        parts += _counted([row for row in rows if row.verdict == kind], rows, kind, most_names)
    if parts:
        yield f"Verdicts on {plural(len(rows), 'category', 'categories')}: {'; '.join(parts)}."


def _whole_ladder(table: VerdictTable, level: str) -> Iterator[str]:
    """What the claims on the whole ladder and the rises before the tail show."""
    rows = [row for row in table.rows if row.category != OVERALL]
    parts = []
    for claim in dict.fromkeys(row.ladder for row in rows if row.ladder):
        told = LADDER_CLAIMS.get(claim, claim)
        parts += _counted([row for row in rows if row.ladder == claim], rows, told)
    if parts:
        yield (
            f"Over the whole ladder, corrected for the number of categories: {'; '.join(parts)}."
        )
    risen = [row for row in rows if row.rise.known and row.rise.low > 0]
    known = [row for row in rows if row.rise.known]
    if known:
        yield (
            f"One by one, not corrected for the number of categories, the {level} interval of the "
            "rise from the first scale to the tail lies above 0 in "
            f"{len(risen) or 'none'} of {plural(len(known), 'category', 'categories')}"
            f"{' for which it is known' if len(known) < len(rows) else ''}{_named(risen)}."
        )


def _counted(
    some: list[VerdictRow], rows: list[VerdictRow], claim: str, most_names: int = MOST_NAMES
) -> list[str]:
    if not some:
        return []
    if len(some) == len(rows) > 1:
        return [f"{claim} in all"]
    return [f"{claim} in {len(some)}{_named(some, most_names)}"]


def _named(rows: list[VerdictRow], most: int = MOST_NAMES) -> str:
    """The categories in brackets, where they are few enough to be read."""
    if not rows or len(rows) > most:
        return ""
    return f" ({', '.join(category_name(row.category) for row in rows)})"


def _ends_compared(table: CurveTable, level: str) -> Iterator[str]:
    """Which categories' intervals at the two ends of the ladder do not overlap."""
    claims: dict[str, list[str]] = {"rose": [], "fell": [], "overlap": []}
    scales = set()
    for row in table.rows:
        ends = None if row.category == OVERALL else _ends(row)
        if ends is None:
            continue
        first, last = ends
        scales.add((first.scale, last.scale))
        claim = "rose" if last.low > first.high else "fell" if last.high < first.low else "overlap"
        claims[claim].append(category_name(row.category))
    if len(scales) != 1:
        return
    (start, end), *_ = scales
    told = {
        "rose": "lies above the other for",
        "fell": "lies below it for",
        "overlap": "overlaps with it for",
    }
    parts = [
        f"{told[claim]} {len(names)} of {sum(map(len, claims.values()))} "
        f"categories ({listing(names)})"
        for claim, names in claims.items()
        if names
    ]
    before = "the base" if start == 0 else f"{scale_name(start)} records"
    yield (
        f"Comparing the {level} intervals at {scale_name(end)} records and at {before}, the first "
        f"{'; it '.join(parts)}."
    )


def _ends(row: CurveRow) -> tuple | None:
    """First and last point that have an interval; None with fewer than two."""
    known = [point for point in row.points if point is not None and point.low is not None]
    return (known[0], known[-1]) if len(known) > 1 else None


def _differences(rows: Iterable[ArmDifference], level: str, decimals: int) -> Iterator[str]:
    last: dict[tuple[str, str], ArmDifference] = {}
    for row in rows:
        pair = (row.arm_a, row.arm_b)
        if row.difference.known and (pair not in last or row.scale > last[pair].scale):
            last[pair] = row
    for (arm_a, arm_b), row in last.items():
        change = row.difference
        yield (
            f"At {scale_name(row.scale)} records the mean of {arm_a} minus that of {arm_b} is "
            f"{number(change.value, decimals, sign=True)} "
            f"{interval(change.low, change.high, decimals, sign=True)} ({level} interval, paired)."
        )
