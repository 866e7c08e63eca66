"""Holm's correction, and which claims of a study it takes together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

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


def correct(evidence: dict[str, Evidence], which: str) -> dict[str, dict[str, float]]:
    """p values by category: of CLAIMS, and of the whole ladder's slope (improved, declined).

    The categories are one family, overall is another; the ladder's slope, of which both
    directions are tested at the one-sided level, has a correction of its own.

    Args:
        which: the claims that are corrected together, `directional` or `all`.
    """
    categories = {name: each for name, each in evidence.items() if name != OVERALL}
    overall = {name: each for name, each in evidence.items() if name == OVERALL}
    corrected: dict[str, dict[str, float]] = {}
    for family in (categories, overall):
        claims = _claims(family, which)
        ladders = _holm_by_claim(family, ("improved", "declined"))
        corrected |= {name: claims[name] | ladders[name] for name in family}
    return corrected


def number_of_claims(categories: int, which: str) -> int:
    """How many claims are corrected together where this many categories have one verdict each."""
    return categories * (len(DIRECTIONAL) if which == "directional" else MOST_FALSE)


def _claims(family: dict[str, Evidence], which: str) -> dict[str, dict[str, float]]:
    if which == "all":
        return _holm_by_claim(family, CLAIMS, MOST_FALSE)
    return {
        name: {
            "flat": family[name].p_flat,
            "drop": p["drop"],
            "plateau": max(family[name].p_level, p["rise"]),
            "tail": p["tail"],
        }
        for name, p in _holm_by_claim(family, DIRECTIONAL).items()
    }


def _holm_by_claim(
    family: dict[str, Evidence], claims: Sequence[str], most_false: int | None = None
) -> dict[str, dict[str, float]]:
    keys = [(name, claim) for name in family for claim in claims]
    p_values = [family[name].p_value(claim) for name, claim in keys]
    adjusted = holm(p_values, [name for name, _ in keys], most_false)
    by_key = dict(zip(keys, adjusted.tolist(), strict=True))
    return {name: {claim: by_key[name, claim] for claim in claims} for name in family}
