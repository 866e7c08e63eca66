"""How many entries of each source were read, left out and kept."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from instruct_scaling.common.records import EvalItem
from instruct_scaling.data.evalset.sources import SourceItems


@dataclass(slots=True)
class SourceCounts:
    """What became of one source's entries."""

    source: SourceItems
    other_categories: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    over_limit: int = 0

    @property
    def read(self) -> int:
        """All entries, invalid ones too."""
        return len(self.source.items) + self.source.invalid.count

    @property
    def kept(self) -> int:
        """Items that came into the eval set."""
        left_out = self.other_categories.total() + self.duplicates + self.over_limit
        return len(self.source.items) - left_out


def audit(items: list[EvalItem], counts: list[SourceCounts]) -> dict[str, Any]:
    """The audit as a JSON value.

    `steps` has the form of a pool's audit: a list of `{name, read, kept, removed, broken, reasons:
    {reason: {count, examples}}}`, where `read` finds broken entries, with their line and what is
    wrong. `renamed_categories` lists the names in the files that are not the standard ones.
    """
    steps = _steps(counts)
    return {
        "read": sum(count.read for count in counts),
        "kept": len(items),
        "removed": sum(step["removed"] for step in steps),
        "broken": sum(step["broken"] for step in steps),
        "steps": steps,
        "by_category": _by_category(items),
        "by_source": [
            {
                "source": count.source.name,
                "sha256": count.source.sha256,
                **({"license": count.source.license} if count.source.license else {}),
                "read": count.read,
                "broken": count.source.invalid.count,
                "other_categories": count.other_categories.total(),
                "duplicates": count.duplicates,
                "over_limit": count.over_limit,
                "kept": count.kept,
            }
            for count in counts
        ],
        "renamed_categories": [
            row for count in counts for row in count.source.categories.renamed(count.source.name)
        ],
    }


def _steps(counts: list[SourceCounts]) -> list[dict[str, Any]]:
    others: Counter[str] = Counter()
    for count in counts:
        others += count.other_categories
    removed_by: dict[str, dict[str, int]] = {
        "categories": dict(others),
        "deduplicate": {"identical": sum(count.duplicates for count in counts)},
        "limit_per_category": {"over_limit": sum(count.over_limit for count in counts)},
    }
    left = sum(len(count.source.items) for count in counts)
    broken = {
        "count": sum(count.source.invalid.count for count in counts),
        "examples": [
            {
                "source": count.source.name,
                count.source.invalid.unit: entry.number,
                "reason": entry.reason,
            }
            for count in counts
            for entry in count.source.invalid.examples
        ],
    }
    steps = [_step("read", left + broken["count"], 0, broken["count"], {"broken": broken})]
    for name, reasons in removed_by.items():
        removed = sum(reasons.values())
        details = {reason: {"count": n, "examples": []} for reason, n in reasons.items()}
        steps.append(_step(name, left, removed, 0, details))
        left -= removed
    return steps


def _step(
    name: str, read: int, removed: int, broken: int, reasons: dict[str, Any]
) -> dict[str, Any]:
    kept = read - removed - broken
    counts = {"read": read, "kept": kept, "removed": removed, "broken": broken}
    return {"name": name, **counts, "reasons": reasons}


def _by_category(items: list[EvalItem]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for category in dict.fromkeys(item.category for item in items):
        own = [item for item in items if item.category == category]
        found[category] = {
            "items": len(own),
            "with_reference": sum(item.reference is not None for item in own),
            "with_checks": sum(item.checks is not None for item in own),
            "mean_prompt_chars": round(sum(len(item.full_prompt) for item in own) / len(own), 1),
        }
    return found
