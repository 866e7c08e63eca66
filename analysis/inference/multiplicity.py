"""Holm's and Benjamini and Hochberg's corrections, and which claims they take together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Sequence

import numpy as np

from analysis.inference.contrasts import Evidence
from analysis.tables import OVERALL

DIRECTIONAL = ("tail", "drop", "rise")
CLAIMS = ("flat", "drop", "plateau", "tail")
# Never are all four claims of a curve false: if nothing drops and the tail does not rise, the tail
# is level, so there was a rise before it (a plateau) or there is no change at all (flat).
MOST_FALSE = 3


def holm(
    p_values: Sequence[float], groups: Sequence[Hashable] = (), most_false: int | None = None
) -> np.ndarray:
    """Holm's step-down adjusted p values (Scand. J. Statistics 6, 1979), in the order given.

    Args:
        groups: a group for each claim, such as its category.
        most_false: how many claims of one group can be false at once. Each p value is then
            multiplied by the most claims that can be false among those not yet made, instead of
            by their number (Shaffer, J. American Statistical Association 81, 1986).
    """
    p = np.asarray(p_values, float)
    order = np.argsort(p, kind="stable")
    left = Counter(groups or [None] * len(p))
    cap = len(p) if most_false is None else most_false
    adjusted = np.empty_like(p)
    highest = 0.0
    for index in order:
        factor = sum(min(cap, count) for count in left.values())
        highest = max(highest, min(1.0, factor * p[index]))
        adjusted[index] = highest
        left[groups[index] if groups else None] -= 1
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> np.ndarray:
    """q values: the false discovery rate at which each claim is made, in the order given
    (Benjamini and Hochberg, J. Royal Statistical Society B 57, 1995)."""
    p = np.asarray(p_values, float)
    order = np.argsort(p, kind="stable")
    ranked = p[order] * len(p) / np.arange(1, len(p) + 1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(ranked[::-1])[::-1])
    return adjusted


def correct(
    evidence: dict[str, Evidence], which: str, primary: Collection[str] | None = None
) -> dict[str, dict[str, float]]:
    """p values by category: of CLAIMS, and of the whole ladder's slope (improved, declined).

    The primary categories are one family, corrected by Holm's method; the others are another, for
    which q values are returned. Overall is a family of its own, of one kind or the other. The
    ladder's slope, of which both directions are tested at the one-sided level, has a correction of
    its own.

    Args:
        which: the claims that are corrected together, `directional` or `all`.
        primary: the categories whose claims are primary; all by default.
    """
    corrected: dict[str, dict[str, float]] = {}
    for is_overall in (False, True):
        for is_primary in (True, False):
            family = {
                name: each
                for name, each in evidence.items()
                if (name == OVERALL) == is_overall
                and (primary is None or name in primary) == is_primary
            }
            adjust = holm if is_primary else _q_values
            claims = _claims(family, which, adjust)
            ladders = _by_claim(family, ("improved", "declined"), adjust)
            corrected |= {name: claims[name] | ladders[name] for name in family}
    return corrected


Adjust = Callable[[Sequence[float], Sequence[Hashable], int | None], np.ndarray]


def _q_values(
    p_values: Sequence[float], groups: Sequence[Hashable], most_false: int | None
) -> np.ndarray:
    return benjamini_hochberg(p_values)


def number_of_claims(categories: int, which: str) -> int:
    """How many claims are corrected together where this many categories have one verdict each."""
    return categories * (len(DIRECTIONAL) if which == "directional" else MOST_FALSE)


def _claims(family: dict[str, Evidence], which: str, adjust: Adjust) -> dict[str, dict[str, float]]:
    if which == "all":
        return _by_claim(family, CLAIMS, adjust, MOST_FALSE)
    return {
        name: {
            "flat": family[name].p_flat,
            "drop": p["drop"],
            "plateau": max(family[name].p_level, p["rise"]),
            "tail": p["tail"],
        }
        for name, p in _by_claim(family, DIRECTIONAL, adjust).items()
    }


def _by_claim(
    family: dict[str, Evidence],
    claims: Sequence[str],
    adjust: Adjust,
    most_false: int | None = None,
) -> dict[str, dict[str, float]]:
    keys = [(name, claim) for name in family for claim in claims]
    p_values = [family[name].p_value(claim) for name, claim in keys]
    adjusted = adjust(p_values, [name for name, _ in keys], most_false)
    by_key = dict(zip(keys, adjusted.tolist(), strict=True))
    return {name: {claim: by_key[name, claim] for claim in claims} for name in family}
