"""How many records each step of a pool removed, with examples, and what is left."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from instruct_scaling.common.records import Record
from instruct_scaling.data.pool.sources import RecordSource
from instruct_scaling.data.pool.steps import Removal, Step

MAX_EXAMPLES = 5
EXCERPT_CHARS = 80
QUANTILES = {"min": 0.0, "p5": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95, "max": 1}

# Special tokens of other models' formats, as text; a tokenizer may read them as its own.
SPECIAL_TOKENS = re.compile(r"<\|\w+\|>|</?s>|\[/?INST\]|<</?SYS>>|<pad>|<unk>")


class Funnel:
    """Counts what happens to every record on its way into the pool."""

    def __init__(self, sources: Sequence[RecordSource], steps: Sequence[Step]) -> None:
        self._sources = sources
        self._steps = steps
        self._usable = [0] * len(sources)
        self._kept = [0] * len(sources)
        self._removed = {step.name: Counter(dict.fromkeys(step.reasons, 0)) for step in steps}
        self._examples: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self._categories: Counter[str | None] = Counter()
        self._languages: Counter[str | None] = Counter()
        self._special_tokens: Counter[str] = Counter()
        self._prompt_chars = array("I")
        self._output_chars = array("I")

    def usable(self, source: int) -> None:
        """A well-formed record was read."""
        self._usable[source] += 1

    def removed(
        self, step: str, removal: Removal, source: int, number: int, record: Record
    ) -> None:
        """A step removed a record that it found at this line or row of this source."""
        self._removed[step][removal.reason] += 1
        examples = self._examples.setdefault((step, removal.reason), [])
        if len(examples) < MAX_EXAMPLES:
            example = {
                "id": record.id,
                "source": self._sources[source].name,
                self._sources[source].invalid.unit: number,
                "prompt": record.prompt[:EXCERPT_CHARS],
            }
            if removal.because_of is not None:
                example["because_of"] = removal.because_of
            examples.append(example)

    def kept(self, source: int, record: Record) -> None:
        """A record passed every step."""
        self._kept[source] += 1
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
        steps = [f"{step['removed']} by {step['name']}" for step in self._step_counts()[1:]]
        return f"read {self._n_read()}, removed {', '.join(steps)}, kept {self.n_kept}"

    def to_json(self) -> dict[str, Any]:
        """The audit's counts.

        `steps` is a list of `{name, removed, kept, reasons: {reason: {count, examples}}}` in
        the order in which records meet them, the first being `read`, which removes invalid
        entries; `kept` is what is left after the step. `unpinned` of a source names its revision
        and the commit behind it, where the config names no commit. `special_tokens` counts the
        kept records whose output holds a special token of another model's format. `characters`
        holds quantiles of the lengths of kept records.
        """
        return {
            "read": self._n_read(),
            "kept": self.n_kept,
            "steps": self._step_counts(),
            "by_category": _counts(self._categories),
            "by_language": _counts(self._languages),
            "by_source": [
                {
                    "source": source.name,
                    "location": source.location,
                    "sha256": source.sha256,
                    **({"license": source.license} if source.license else {}),
                    **({"unpinned": source.unpinned} if source.unpinned else {}),
                    "read": usable + source.invalid.count,
                    "invalid": source.invalid.count,
                    "suffixes_stripped": source.suffixes_stripped,
                    "kept": kept,
                }
                for source, usable, kept in zip(
                    self._sources, self._usable, self._kept, strict=True
                )
            ],
            "renamed_categories": [
                row for source in self._sources for row in source.renamed_categories
            ],
            "special_tokens": dict(self._special_tokens.most_common()),
            "characters": {
                "prompt": _quantiles(self._prompt_chars),
                "output": _quantiles(self._output_chars),
            },
        }

    def _n_read(self) -> int:
        return sum(self._usable) + sum(source.invalid.count for source in self._sources)

    def _step_counts(self) -> list[dict[str, Any]]:
        left = sum(self._usable)
        invalid = {
            "count": self._n_read() - left,
            "examples": [
                {"source": source.name, source.invalid.unit: entry.number, "reason": entry.reason}
                for source in self._sources
                for entry in source.invalid.examples
            ],
        }
        rows: list[dict[str, Any]] = [
            {
                "name": "read",
                "removed": invalid["count"],
                "kept": left,
                "reasons": {"invalid": invalid},
            }
        ]
        for step in self._steps:
            reasons = self._removed[step.name]
            left -= reasons.total()
            rows.append(
                {
                    "name": step.name,
                    "removed": reasons.total(),
                    "kept": left,
                    "reasons": {
                        reason: {
                            "count": count,
                            "examples": self._examples.get((step.name, reason), []),
                        }
                        for reason, count in reasons.items()
                    },
                }
            )
        return rows


def _counts(counter: Counter[str | None]) -> dict[str, int]:
    """Counts by name, most frequent first; records that state none come under "unstated"."""
    ordered = sorted(counter.items(), key=lambda entry: (-entry[1], entry[0] or ""))
    return {name or "unstated": count for name, count in ordered}


def _quantiles(lengths: array[int]) -> dict[str, float]:
    values = np.quantile(np.asarray(lengths), list(QUANTILES.values()))
    return {name: round(float(value), 1) for name, value in zip(QUANTILES, values, strict=True)}
