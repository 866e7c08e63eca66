"""The gold answers, the rule of agreement, and the tables of docs/gold.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from instruct_scaling.common.files import read_jsonl
from instruct_scaling.common.records import EvalItem, checks_of
from instruct_scaling.evaluation.judge.judgements import Outcome
from instruct_scaling.evaluation.judge.metric import DEFAULT_SCORERS, SCORERS
from instruct_scaling.evaluation.judge.responses import answer_of

FOLDER = Path(__file__).parent
Verdict = Literal["right", "partly", "wrong"]
# The scores that agree with each verdict, both ends included.
BANDS: dict[Verdict, tuple[float, float]] = {
    "right": (0.75, 1.0),
    "partly": (0.25, 0.75),
    "wrong": (0.0, 0.25),
}
LEAST_OVERALL, LEAST_IN_PART = 0.97, 0.93


@dataclass(frozen=True, slots=True)
class GoldAnswer:
    """One answer to an item, and what a careful person makes of it."""

    id: str
    category: str
    language: Literal["en", "zh"]
    prompt: str
    reference: str | None
    checks: dict[str, object] | None
    response: str
    expected: Verdict
    note: str = ""

    @property
    def item(self) -> EvalItem:
        """The item that is answered."""
        return EvalItem.make(
            self.category,
            self.prompt,
            reference=self.reference,
            checks=self.checks,
            language=self.language,
        )


@dataclass(frozen=True, slots=True)
class Tried:
    """A gold answer with the outcome of its category's default scorer."""

    gold: GoldAnswer
    outcome: Outcome

    @property
    def agrees(self) -> bool:
        """Whether the score is one that goes with the verdict; a missing one never is."""
        low, high = BANDS[self.gold.expected]
        return self.outcome.score is not None and low <= self.outcome.score <= high


def read_gold(folder: Path = FOLDER) -> list[GoldAnswer]:
    """Every answer of the folder's files, by file name."""
    adapter = TypeAdapter(GoldAnswer)
    return [
        adapter.validate_python(row)
        for path in sorted(folder.glob("*.jsonl"))
        for _, row in read_jsonl(path)
    ]


def try_all(answers: Iterable[GoldAnswer]) -> list[Tried]:
    """Each answer scored by the default scorer of its category.

    Raises:
        ValueError: an answer of a category whose scorer runs programs.
    """
    return [Tried(gold, _score(gold)) for gold in answers]


def _score(gold: GoldAnswer) -> Outcome:
    scorer = SCORERS[DEFAULT_SCORERS[gold.category]]
    if scorer.function is None:
        raise ValueError(f"{gold.id}: programs are not scored here")
    text = answer_of(gold.response, gold.prompt)
    return scorer.function(gold.item, checks_of(gold.item), text)


def share(tried: Sequence[Tried]) -> float:
    """The share that agrees."""
    return sum(one.agrees for one in tried) / len(tried)


def misses(tried: Iterable[Tried]) -> list[Tried]:
    """Those that do not agree."""
    return [one for one in tried if not one.agrees]


def parts(tried: Iterable[Tried]) -> dict[str, list[Tried]]:
    """The answers of each category and of each language."""
    found: dict[str, list[Tried]] = {}
    for one in tried:
        for part in (one.gold.category, one.gold.language):
            found.setdefault(part, []).append(one)
    return found


def table(tried: Sequence[Tried]) -> str:
    """A Markdown table: a row for each category, agreeing answers of all by language."""
    lines = ["| category | scorer | English | Chinese | all |", "|---|---|---|---|---|"]
    for category in dict.fromkeys(one.gold.category for one in tried):
        rows = [one for one in tried if one.gold.category == category]
        lines.append(_row(category, f"`{DEFAULT_SCORERS[category]}`", rows))
    lines.append(_row("all", "", tried))
    return "\n".join(lines)


def _row(name: str, scorer: str, tried: Sequence[Tried]) -> str:
    groups = [[one for one in tried if one.gold.language == language] for language in ("en", "zh")]
    return "| " + " | ".join([name, scorer, *map(_counted, [*groups, tried])]) + " |"


def _counted(tried: Sequence[Tried]) -> str:
    if not tried:
        return ""
    agreeing = sum(one.agrees for one in tried)
    return f"{agreeing} of {len(tried)} ({100 * agreeing / len(tried):.1f}%)"


def miss_list(tried: Iterable[Tried]) -> str:
    """A Markdown table of every miss."""
    lines = ["| id | reference | answer | expected | score |", "|---|---|---|---|---|"]
    for one in misses(tried):
        gold, score = one.gold, one.outcome.score
        shown = one.outcome.status if score is None else f"{score:.2f}"
        cells = [gold.id, gold.reference or "", gold.response, gold.expected, shown]
        lines.append("| " + " | ".join(map(_cell, cells)) + " |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    shown = " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("$", "\\$")
    return shown if len(shown) <= 120 else shown[:117] + "..."


def verdict_counts(tried: Iterable[Tried]) -> Counter[tuple[str, str]]:
    """How many answers of each (category, expected verdict)."""
    return Counter((one.gold.category, one.gold.expected) for one in tried)
