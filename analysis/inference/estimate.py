"""An estimate with its standard error and degrees of freedom: t intervals and p values.

Where scores are missing, the data bound an estimate instead of giving one: whatever the missing
scores are, it lies between `value - below` and `value + above`. Intervals and p values then hold
for every point between the two (Imbens and Manski, Econometrica 72, 2004).

Two rules give quantiles. Intervals, and tests at the level as it stands, take t with
Satterthwaite's degrees of freedom. Claims that are corrected over many read p values far in the
tail, where that rule errs more often than it says if a part of the variance has few degrees of
freedom. With two seeds they take Howe's rule (`half_width`), which a part that is small by chance
cannot mislead; with three or more Satterthwaite's keeps the level of a family and finds more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq
from scipy.special import stdtr, stdtrit

Part = tuple[float, float]
FEW_RUNS = 2
"""With so many runs or fewer the parts of a variance are kept apart for corrected claims."""
_LEAST = 1e-40  # smallest p value that is looked for


def half_width(
    parts: Sequence[tuple[np.ndarray | float, np.ndarray | float]], level: float
) -> np.ndarray:
    """How far a one-sided bound of this level lies from an estimate.

    The quantile of a sum of independent terms sqrt(variance) t(df) is taken as the root of the sum
    of their squared quantiles (Howe, J. American Statistical Association 69, 1974). It is exact for
    one term and for normal ones, rises with every variance, and keeps the level far in the tail.

    Args:
        parts: estimated variances with their degrees of freedom, arrays of one shape.
        level: below one half.
    """
    return np.sqrt(sum(variance * stdtrit(df, level) ** 2 for variance, df in parts))


@dataclass(frozen=True)
class Estimate:
    """A contrast of scale means with its standard error and degrees of freedom.

    Attributes:
        value: of the scores that there are.
        below, above: how much less and more it could be with the missing ones; at least 0.
        parts: independent variances above 0 that se^2 is the sum of, with their degrees of freedom,
            for corrected claims; where there are not two, these take se^2 with `df`.
    """

    value: float
    se: float
    df: float
    below: float = 0.0
    above: float = 0.0
    parts: tuple[Part, ...] = ()

    def critical(self, coverage: float) -> float:
        """How many standard errors an interval goes beyond the two bounds.

        The quantile of t at (1 + coverage) / 2 where nothing is missing, at `coverage` where the
        bounds lie far apart: the truth can then be near one of them only (Imbens and Manski).
        """
        apart = self.below + self.above
        two_sided = float(stdtrit(self.df, 0.5 + coverage / 2))
        if apart <= 0 or self.se == 0:
            return two_sided
        one_sided = float(stdtrit(self.df, coverage))
        shift = apart / self.se

        def lacking(c: float) -> float:
            return float(stdtr(self.df, c + shift) - stdtr(self.df, -c) - coverage)

        if lacking(one_sided) >= 0:
            return one_sided
        if lacking(two_sided) <= 0:  # by rounding
            return two_sided
        return float(brentq(lacking, one_sided, two_sided))

    def interval(self, coverage: float) -> tuple[float, float]:
        """Two-sided t interval, around the two bounds where scores are missing."""
        half = self.critical(coverage) * self.se
        return self.value - self.below - half, self.value + self.above + half

    def upper(self, level: float) -> float:
        """One-sided upper bound: below a threshold exactly when `p_below` of it is below level."""
        return self.value + self.above + float(stdtrit(self.df, 1 - level)) * self.se

    def p_above(self, threshold: float = 0.0) -> float:
        """One-sided p value of the null that the truth is at or below the threshold."""
        lowest = self.value - self.below
        if self.se == 0:
            return 0.0 if lowest > threshold else 1.0
        return float(stdtr(self.df, (threshold - lowest) / self.se))

    def corrected_p_above(self, threshold: float = 0.0) -> float:
        """The same for claims that are corrected over many: valid at very small levels too."""
        if self.se == 0 or len(self.parts) < 2:
            return self.p_above(threshold)
        distance = self.value - self.below - threshold
        ends = [float(stdtr(df, -abs(distance) / self.se)) for _, df in self.parts]
        least, most = np.log(max(min(ends), _LEAST)), np.log(max(*ends, _LEAST))

        def lacking(log_level: float) -> float:
            return float(half_width(self.parts, np.exp(log_level))) - abs(distance)

        p = np.exp(most)
        if lacking(least) > 0 > lacking(most):  # else they are equal but for rounding
            p = np.exp(brentq(lacking, least, most, xtol=1e-9))
        return float(p if distance > 0 else 1 - p)

    def corrected_p_below(self, threshold: float = 0.0) -> float:
        """`corrected_p_above` of the null that the truth is at or above the threshold."""
        return self.mirrored().corrected_p_above(-threshold)

    def corrected_lower(self, level: float) -> float:
        """Lower bound above a threshold exactly when `corrected_p_above` of it is below level."""
        parts = self.parts if len(self.parts) > 1 else ((self.se**2, self.df),)
        return self.value - self.below - float(half_width(parts, level))

    def p_below(self, threshold: float = 0.0) -> float:
        """One-sided p value of the null that the truth is at or above the threshold."""
        return self.mirrored().p_above(-threshold)

    def widened(self, by: float) -> Estimate:
        """The same with both bounds farther away."""
        return replace(self, below=self.below + by, above=self.above + by)

    def mirrored(self) -> Estimate:
        """Of the same contrast with the opposite sign."""
        return replace(self, value=-self.value, below=self.above, above=self.below)

    def p_within(self, margin: float) -> float:
        """p value of the null that the truth is not inside plus or minus the margin.

        The larger of two one-sided tests (Schuirmann, J. Pharmacokin. Biopharm. 15, 1987): below
        (1 - coverage) / 2 exactly when the t interval of that coverage lies inside the margin.
        """
        return max(self.p_above(-margin), self.p_below(margin))
