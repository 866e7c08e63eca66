"""What becomes of every record on its way into a pool, counted: read = kept + removed + broken."""

from __future__ import annotations

import re
from array import array
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from instruct_scaling.common.records import Record
from instruct_scaling.common.rows import InvalidRow
from instruct_scaling.data.pool.sources import RecordSource
from instruct_scaling.data.pool.steps import Broken, Outcome, Step

MAX_EXAMPLES = 5
EXCERPT_CHARS = 80
QUANTILES = {"min": 0.0, "p5": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95, "max": 1}
BROKEN = "broken"

# Special tokens of other models' formats, as text; a tokenizer may read them as its own.
SPECIAL_TOKENS = re.compile(r"<\|\w+\|>|</?s>|\[/?INST\]|<</?SYS>>|<pad>|<unk>")


@dataclass(frozen=True, slots=True)
class Entry:
    """A record on its way, and where it was read: position of the source, line or row."""

    source: int
    number: int
    record: Record


@dataclass(slots=True)
class StepCounts:
    """What one step did: of the records `read`, it kept some, changed some of these, and counts
    the others by reason."""

    name: str
    read: int = 0
    kept: int = 0
    changed: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def broken(self) -> int:
        """Records that the step could do nothing with."""
        return self.reasons[BROKEN]

    @property
    def removed(self) -> int:
        """Records that the step took out."""
        return self.reasons.total() - self.broken

    def count(self, reason: str, example: dict[str, Any]) -> None:
        """Count a record that goes no further; the first few of a reason are examples."""
        self.reasons[reason] += 1
        examples = self.examples.setdefault(reason, [])
        if len(examples) < MAX_EXAMPLES:
            examples.append(example)

    def to_json(self) -> dict[str, Any]:
        """The step as the audit shows it."""
        row: dict[str, Any] = {
            "name": self.name,
            "read": self.read,
            "kept": self.kept,
            "removed": self.removed,
            "broken": self.broken,
        }
        if self.changed:
            row["changed"] = self.changed
        reasons = {
            reason: {"count": count, "examples": self.examples.get(reason, [])}
            for reason, count in self.reasons.items()
            if count or reason != BROKEN
        }
        return row | {"reasons": reasons}


class Funnel:
    """Passes the records of some sources through some steps, and counts.

    Args:
        sources: what is read, in this order.
        steps: name of each step, and the step, in the order in which records meet them.
    """

    def __init__(self, sources: Sequence[RecordSource], steps: Sequence[tuple[str, Step]]) -> None:
        self._sources = sources
        self._steps = [step for _, step in steps]
        self._counts = [
            StepCounts(name, reasons=Counter(dict.fromkeys(step.reasons, 0)))
            for name, step in steps
        ]
        self._usable = [0] * len(sources)
        self._removed = [0] * len(sources)
        self._broken = [0] * len(sources)
        self._kept = [0] * len(sources)
        self._categories: Counter[str | None] = Counter()
        self._languages: Counter[str | None] = Counter()
        self._special_tokens: Counter[str] = Counter()
        self._prompt_chars = array("I")
        self._output_chars = array("I")

    def records(self, batches: Iterable[Sequence[Entry]]) -> Iterator[Record]:
        """The records that pass every step, in order; nothing is read ahead of what is asked for.

        Args:
            batches: what is read from the sources.

        Raises:
            InputError: a step can do nothing with a record, and its source says to stop then.
        """
        stream: Iterator[Sequence[Entry]] = self._reading(batches)
        for step, counts in zip(self._steps, self._counts, strict=True):
            stream = self._through(step, counts, stream)
        for batch in stream:
            for entry in batch:
                self._keep(entry)
                yield entry.record

    def _reading(self, batches: Iterable[Sequence[Entry]]) -> Iterator[Sequence[Entry]]:
        for batch in batches:
            for entry in batch:
                self._usable[entry.source] += 1
            yield batch

    def _through(
        self, step: Step, counts: StepCounts, batches: Iterator[Sequence[Entry]]
    ) -> Iterator[list[Entry]]:
        waiting: deque[Sequence[Entry]] = deque()

        def given() -> Iterator[list[Record]]:
            for batch in batches:
                counts.read += len(batch)
                waiting.append(batch)
                yield [entry.record for entry in batch]

        for outcomes in step(given()):
            pairs = zip(waiting.popleft(), outcomes, strict=True)
            left = [self._next(entry, outcome, counts) for entry, outcome in pairs]
            yield [entry for entry in left if entry is not None]
        assert not waiting, f"step {counts.name} did not answer for every batch"

    def _next(self, entry: Entry, outcome: Outcome, counts: StepCounts) -> Entry | None:
        """The entry as it reaches the next step, None if it goes no further."""
        if isinstance(outcome, Record):
            outcome = _with_own_id(entry.record, outcome)
        if isinstance(outcome, Record):
            counts.kept += 1
            if outcome is entry.record or outcome == entry.record:
                return entry
            counts.changed += 1
            return Entry(entry.source, entry.number, outcome)
        source = self._sources[entry.source]
        example = {
            "id": entry.record.id,
            "source": source.name,
            source.invalid.unit: entry.number,
            "prompt": entry.record.prompt[:EXCERPT_CHARS],
        }
        if isinstance(outcome, Broken):
            source.invalid.stop_at(
                InvalidRow(entry.number, f"step {counts.name}: {outcome.reason}")
            )
            self._broken[entry.source] += 1
            counts.count(BROKEN, example | {"reason": outcome.reason})
            return None
        if outcome.because_of is not None:
            example["because_of"] = outcome.because_of
        self._removed[entry.source] += 1
        counts.count(outcome.reason, example)
        return None

    def _keep(self, entry: Entry) -> None:
        record = entry.record
        self._kept[entry.source] += 1
        self._categories[record.category] += 1
        self._languages[record.language] += 1
        self._special_tokens.update(set(SPECIAL_TOKENS.findall(record.output)))
        self._prompt_chars.append(len(record.prompt))
        self._output_chars.append(len(record.output))

    @property
    def n_kept(self) -> int:
        """Records in the pool."""
        return sum(self._kept)

    def summary(self) -> str:
        """One line: what was read and what each step removed."""
        first, *steps = [self._read_counts(), *self._counts]
        removed = [f"{step.reasons.total()} by {step.name}" for step in steps]
        return f"read {first.read}, {first.broken} broken, removed {', '.join(removed) or 'none'}"

    def to_json(self) -> dict[str, Any]:
        """The audit's counts.

        `steps` is a list of `{name, read, kept, removed, broken, reasons: {reason: {count,
        examples}}}` in the order in which records meet them, the first being `read`, which knows
        broken entries only; a step has `changed` if it changed records. In each, in every source
        and in the whole, read = kept + removed + broken. `unpinned` of a source names its revision
        and the commit behind it, where the config names no commit. `special_tokens` counts the
        kept records whose output holds a special token of another model's format. `characters`
        holds quantiles of the lengths of kept records.
        """
        steps = [self._read_counts(), *self._counts]
        return {
            "read": steps[0].read,
            "kept": self.n_kept,
            "removed": sum(step.removed for step in steps),
            "broken": sum(step.broken for step in steps),
            "steps": [step.to_json() for step in steps],
            "by_category": _counts(self._categories),
            "by_language": _counts(self._languages),
            "by_source": [self._source_json(index) for index in range(len(self._sources))],
            "renamed_categories": [
                row for source in self._sources for row in source.renamed_categories
            ],
            "special_tokens": dict(self._special_tokens.most_common()),
            "characters": {
                "prompt": _quantiles(self._prompt_chars),
                "output": _quantiles(self._output_chars),
            },
        }

    def _source_json(self, index: int) -> dict[str, Any]:
        source = self._sources[index]
        return {
            "source": source.name,
            "location": source.location,
            "sha256": source.sha256,
            **({"license": source.license} if source.license else {}),
            **({"unpinned": source.unpinned} if source.unpinned else {}),
            "read": self._usable[index] + source.invalid.count,
            "kept": self._kept[index],
            "removed": self._removed[index],
            "broken": source.invalid.count + self._broken[index],
            "suffixes_stripped": source.suffixes_stripped,
        }

    def _read_counts(self) -> StepCounts:
        """The reading of the sources as the first step; it has all examples that they kept."""
        examples = [
            {"source": source.name, source.invalid.unit: entry.number, "reason": entry.reason}
            for source in self._sources
            for entry in source.invalid.examples
        ]
        broken = sum(source.invalid.count for source in self._sources)
        usable = sum(self._usable)
        return StepCounts(
            "read", usable + broken, usable, 0, Counter({BROKEN: broken}), {BROKEN: examples}
        )


def _with_own_id(before: Record, after: Record) -> Record | Broken:
    """The record with the id of its texts; broken if they are no conversation any more."""
    if after.messages == before.messages:
        return after
    try:
        return Record.of_messages(
            after.messages,
            category=after.category,
            language=after.language,
            source=after.source,
            tags=after.tags,
        )
    except ValueError as error:
        return Broken(str(error))


def _counts(counter: Counter[str | None]) -> dict[str, int]:
    """Counts by name, most frequent first; records that state none come under "unstated"."""
    ordered = sorted(counter.items(), key=lambda entry: (-entry[1], entry[0] or ""))
    return {name or "unstated": count for name, count in ordered}


def _quantiles(lengths: array[int]) -> dict[str, float]:
    values = np.quantile(np.asarray(lengths), list(QUANTILES.values()))
    return {name: round(float(value), 1) for name, value in zip(QUANTILES, values, strict=True)}
