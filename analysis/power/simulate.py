"""What a design shows of the tail slope, by simulating its estimate and its mean squares.

The rule is that of the verdicts: variance from the mean squares of items, seeds and the residual,
with its floor, the quantiles of intervals (Satterthwaite) and of corrected claims (Howe's with two
seeds), and the correction over the claims of all categories. The mean squares are drawn from
chi-squared distributions, the estimate from a normal one; each draw then makes a claim or does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from analysis.inference.estimate import FEW_RUNS, half_width
from analysis.power.design import Components

_DRAWS = 2000
_DF = np.geomspace(1.0, 1e6, 400)


@dataclass(frozen=True)
class Power:
    """What designs show; arrays of one shape.

    Attributes:
        detectable: smallest tail slope that is called improving with the wanted power; NaN where
            that is more than 1, which no score in [0, 1] can gain in a doubling.
        level: chance that a slope of 0 is shown to lie within the margin.
        at_margin, at_twice: chance that a slope of the margin, and of twice the margin, is called
            improving.
    """

    detectable: np.ndarray
    level: np.ndarray
    at_margin: np.ndarray
    at_twice: np.ndarray


def simulate_power(
    components: Components,
    items: np.ndarray,
    seeds: np.ndarray,
    margin: float,
    level: float,
    claims: int,
    power: float,
) -> Power:
    """Power of designs with these numbers of items and seeds (arrays of one shape).

    Args:
        level: of a one-sided claim.
        claims: that are corrected together. A rise is counted as made only if its p value is
            below level / claims: so the power holds whatever the other claims turn out to be.
        power: the wanted power.
    """
    drawn = _draw(components, np.asarray(items, float), np.asarray(seeds, float))
    few = np.asarray(seeds) < FEW_RUNS + 1
    usual = _critical(drawn.df, level / claims) * drawn.se
    # Slopes above this are called improving.
    least = np.where(few, half_width(drawn.parts, level / claims), usual) - drawn.error
    within = np.abs(drawn.error) < margin - _critical(drawn.df, level) * drawn.se
    detectable = np.quantile(least, power, axis=0)
    return Power(
        np.where(detectable > 1, np.nan, detectable),
        within.mean(0),
        (least < margin).mean(0),
        (least < 2 * margin).mean(0),
    )


@dataclass(frozen=True)
class _Draws:
    """(draws, ...) errors of the slope, standard errors and degrees of freedom; variances of the
    item and the seed part, with degrees of freedom (...)."""

    error: np.ndarray
    se: np.ndarray
    df: np.ndarray
    parts: tuple[tuple[np.ndarray, np.ndarray], ...]


def _draw(parts: Components, items: np.ndarray, seeds: np.ndarray) -> _Draws:
    rng = np.random.default_rng(0)
    shape = (_DRAWS, *items.shape)
    item_df = np.maximum(1.0, items / parts.cluster - 1)
    seed_df = np.maximum(1.0, (seeds - 1) * parts.shared)
    rest = parts.item_run / items / seeds
    of_items, of_seeds = parts.item / items + rest, parts.run / seeds + rest
    error = rng.standard_normal(shape) * np.sqrt(parts.item / items + of_seeds)
    ms_items = of_items * rng.chisquare(np.broadcast_to(item_df, shape)) / item_df
    ms_seeds = of_seeds * rng.chisquare(np.broadcast_to(seed_df, shape)) / seed_df
    estimated = (seeds > 1) & (not parts.run_known)
    ms_seeds = np.where(estimated, ms_seeds, parts.run / seeds)
    left = np.where(estimated, ms_items - rest, ms_items)
    variance = np.maximum(np.maximum(0.0, left) + ms_seeds, ms_items / 2)
    divisor = ms_items**2 / item_df + np.where(estimated, ms_seeds**2 / seed_df, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.where(divisor > 0, variance**2 / divisor, _DF[-1])
    of_parts = (variance - ms_seeds, item_df), (ms_seeds, np.where(estimated, seed_df, np.inf))
    return _Draws(error, np.sqrt(variance), np.clip(df, 1.0, _DF[-1]), of_parts)


def _critical(df: np.ndarray, level: float) -> np.ndarray:
    """Upper quantiles of t, from a table of 400 degrees of freedom."""
    return np.interp(np.log(df), np.log(_DF), stdtrit(_DF, 1 - level))
