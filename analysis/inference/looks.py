"""looks.csv: at which numbers of seeds the results of an arm were looked at.

A study that is extended by seeds after its results were seen has several chances of a false claim.
Looks are kept in a file of JSON lines beside the tables, which only grows. A look is a judge, an
arm and a number of seeds: the same tables made again are no new one, so that equal looks give equal
tables. Time and options are in the file for people, and enter no table.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from analysis.errors import InputError
from analysis.inference.curves import join
from analysis.inference.score_array import ScoreArray
from analysis.inference.spending import false_claims, nominal_levels, spent
from analysis.options import CurveOptions

NONE = "none"


@dataclass(frozen=True, order=True)
class Look:
    """The results of one arm by one judge, seen at a number of seeds (the most of any scale)."""

    judge: str
    arm: str
    seeds: int


def looks_at(scores: Iterable[ScoreArray]) -> list[Look]:
    """The looks that tables of these scores are."""
    return [Look(one.judge, one.arm, int(one.runs.sum(1).max())) for one in scores]


def read_looks(path: Path) -> list[Look]:
    """Looks of a file, each once, sorted; none where there is no file.

    Raises:
        InputError: a line is no look.
    """
    if not path.exists():
        return []
    found = set()
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            found.add(Look(str(row["judge"]), str(row["arm"]), int(row["seeds"])))
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                "not a look (judge, arm, seeds)",
                where=path,
                line=number,
                fix="restore the file from a copy; its lines are written by the stage curves",
            ) from error
    return sorted(found)


def record_looks(path: Path, looks: Iterable[Look], options: CurveOptions) -> None:
    """Append the looks that the file does not have, with time and a hash of the options."""
    new = sorted(set(looks) - set(read_looks(path)))
    if not new:
        return
    about = {
        "options": hashlib.sha256(options.model_dump_json().encode()).hexdigest()[:16],
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        stream.writelines(json.dumps(asdict(look) | about) + "\n" for look in new)


def options_at(look: Look, before: Iterable[Look], options: CurveOptions) -> CurveOptions:
    """The options with the interval of this look, where alpha is spent over looks.

    The interval then has the stated coverage over all looks at once (repeated confidence
    intervals; Jennison and Turnbull, J. Royal Statistical Society B 51, 1989).

    Args:
        before: all looks known, this one among them or not.

    Raises:
        InputError: more seeds than planned.
    """
    if options.looks.spending == NONE:
        return options
    level = _levels(_seeds(look, before, options), options)[-1]
    return options.model_copy(update={"interval": 1 - 2 * level})


def look_rows(
    looks: Iterable[Look], before: Iterable[Look], options: CurveOptions
) -> list[dict[str, Any]]:
    """A row per look of each arm, up to the seeds that it has now.

    Args:
        looks: the present ones, one of each judge and arm.
        before: all looks known.
    """
    before = list(before)
    return [row for look in looks for row in _rows(look, before, options)]


def _rows(look: Look, before: Sequence[Look], options: CurveOptions) -> list[dict[str, Any]]:
    seeds = _seeds(look, before, options)
    levels = _levels(seeds, options)
    testing = [one for one in seeds if one > 1 or options.run_sd is not None]
    later = sorted({one.seeds for one in _same(look, before) if one.seeds > look.seeds})
    rows = []
    for number, (at, level) in enumerate(zip(seeds, levels, strict=True), 1):
        tested = [one for one in testing if one <= at]
        row: dict[str, Any] = {
            "judge": look.judge,
            "arm": look.arm,
            "look": number,
            "seeds": at,
            "spending": options.looks.spending,
            "level": level,
            "false_claims": false_claims(tested, levels[len(seeds) - len(testing) :][: len(tested)])
            if tested
            else 0.0,
            "note": "" if tested else "one seed: no claim is made",
        }
        if options.looks.spending != NONE:
            fraction = at / options.looks.planned
            row |= {
                "planned": options.looks.planned,
                "spent": spent(fraction, options.level, options.looks.spending),
            }
        rows.append(row)
    if later:
        known = ", ".join(map(str, later))
        rows[-1]["note"] = join(rows[-1]["note"], f"more seeds were looked at before: {known}")
    return rows


def _same(look: Look, before: Iterable[Look]) -> list[Look]:
    return [one for one in before if (one.judge, one.arm) == (look.judge, look.arm)]


def _seeds(look: Look, before: Iterable[Look], options: CurveOptions) -> list[int]:
    """Numbers of seeds of the looks up to this one, rising."""
    planned = options.looks.planned
    if options.looks.spending != NONE and look.seeds > planned:
        raise InputError(
            f"arm {look.arm} has {look.seeds} seeds, and {planned} were planned: by then all of "
            "the error is spent",
            where="analysis.looks.planned",
            fix="leave the further seeds out, or plan more and say that it was done after a look",
        )
    return sorted({look.seeds} | {one.seeds for one in _same(look, before) if one <= look})


def _levels(seeds: Sequence[int], options: CurveOptions) -> list[float]:
    """One-sided level of a claim at each look."""
    if options.looks.spending == NONE:
        return [options.level] * len(seeds)
    fractions = [one / options.looks.planned for one in seeds]
    return nominal_levels(fractions, options.level, options.looks.spending).tolist()
