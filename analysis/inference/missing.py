"""Missing scores: how many of them a claim survives."""

from __future__ import annotations

from collections.abc import Callable

from analysis.inference.covariance import Covariance


def tipping_point(covariance: Covariance, claim: Callable[[Covariance], str], nothing: str) -> str:
    """What the scored answers alone would show, and how many missing ones may contradict it.

    A claim holds for every value that the missing scores could have, all the worst ones at once.
    Where the scored answers alone show more than that, this says how far it carries.

    Args:
        claim: what a curve shows with the given noise and missing scores.
        nothing: the claim that says nothing.

    Returns:
        The words; empty where no score is missing, or where the claim is the same without them.
    """
    number = _number_missing(covariance)
    if not number:
        return ""
    scored = claim(covariance.with_missing(0.0))
    if scored in (nothing, claim(covariance)):
        return ""
    kept, lost = 0, number
    while lost - kept > 1:
        middle = (kept + lost) // 2
        if claim(covariance.with_missing(middle / number)) == scored:
            kept = middle
        else:
            lost = middle
    return (
        f"{scored} by the scored answers alone: true unless more than {kept} of the {number} "
        "missing ones go against it"
    )


def _number_missing(covariance: Covariance) -> int:
    sample = covariance.sample
    return round(float(((sample.down + sample.up) * covariance.n_runs).sum() * sample.n_items))
