"""One pass over responses and judgements: totals for the tables, full rows for the samples."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TypeVar

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import read_jsonl
from instruct_scaling.common.records import Judgement, Response

Row = TypeVar("Row", Response, Judgement)


@dataclass(slots=True)
class Usage:
    """Totals of one (arm, scale)."""

    responses: int = 0
    prompt_tokens: int = 0
    tokens: int = 0
    cut: int = 0
    """Responses that reached the length limit."""
    runs: set[int] = field(default_factory=set)
    """Seeds seen."""


@dataclass(slots=True)
class JudgeUsage:
    """Totals of one judge. Tokens and cost are None where no judgement states them."""

    version: str = ""
    repeats: set[int] = field(default_factory=set)
    tokens: int | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class ResponseSurvey:
    """Usage of every (arm, scale) and the responses to the sampled items."""

    usage: dict[tuple[str, int], Usage]
    sampled: list[Response]


@dataclass(frozen=True, slots=True)
class JudgementSurvey:
    """Judgements counted by (judge, category, status), and those of the sampled responses."""

    counts: Counter[tuple[str, str, str]]
    usage: dict[str, JudgeUsage]
    sampled: dict[str, list[Judgement]]


def survey_responses(paths: Iterable[Path], items: Collection[str]) -> ResponseSurvey:
    """Total up all responses; keep those to `items` (ids) in full.

    Raises:
        InputError: a file is missing, or a row is not a response (with file and line).
    """
    usage: dict[tuple[str, int], Usage] = defaultdict(Usage)
    sampled = []
    for _, _, row in _rows(paths, Response):
        total = usage[row.arm, row.scale]
        total.responses += 1
        total.prompt_tokens += row.prompt_tokens
        total.tokens += row.tokens
        total.cut += row.finish == "length"
        total.runs.add(row.seed)
        if row.item in items:
            sampled.append(row)
    return ResponseSurvey(dict(usage), sampled)


def survey_judgements(
    paths: Iterable[Path], category_of: dict[str, str], responses: Collection[str]
) -> JudgementSurvey:
    """Count all judgements; keep those of `responses` (ids) in full.

    Args:
        paths: `judgements/{judge}.jsonl` of all runs.
        category_of: category of each eval item, by id.

    Raises:
        InputError: a file is missing, a row is not a judgement, or it judges an item that is not
            in the eval set (with file and line).
    """
    counts: Counter[tuple[str, str, str]] = Counter()
    usage: dict[str, JudgeUsage] = defaultdict(JudgeUsage)
    sampled: dict[str, list[Judgement]] = defaultdict(list)
    for path, line, row in _rows(paths, Judgement):
        if row.item not in category_of:
            raise InputError(
                f"a judgement by {row.judge!r} is about item {row.item!r}, which is not in the "
                "eval set",
                where=path,
                line=line,
                fix="make the judgements again: they belong to another eval set",
            )
        counts[row.judge, category_of[row.item], row.status] += 1
        total = usage[row.judge]
        total.version = row.judge_version
        total.repeats.add(row.repeat)
        if row.tokens is not None:
            total.tokens = (total.tokens or 0) + row.tokens
        if row.cost is not None:
            total.cost = (total.cost or 0.0) + row.cost
        if row.response in responses:
            sampled[row.response].append(row)
    return JudgementSurvey(counts, dict(usage), dict(sampled))


def _rows(paths: Iterable[Path], kind: type[Row]) -> Iterator[tuple[Path, int, Row]]:
    known = {part.name for part in fields(kind)}
    for path in paths:
        for line, value in read_jsonl(path):
            try:
                row = kind(**{key: part for key, part in value.items() if key in known})
            except (TypeError, AttributeError) as error:
                raise InputError(
                    f"not a row of kind {kind.__name__}: {error}", where=path, line=line
                ) from error
            yield path, line, row
