"""An estimate with its standard error and degrees of freedom: t intervals and p values.

Where scores are missing, the data bound an estimate instead of giving one: whatever the missing
scores are, it lies between `value - below` and `value + above`. Intervals and p values then hold
for every point between the two (Imbens and Manski, Econometrica 72, 2004).
"""

from __future__ import annotations

from dataclasses import dataclass

from scipy.optimize import brentq
from scipy.special import stdtr, stdtrit


@dataclass(frozen=True)
class Estimate:
    """A contrast of scale means with its standard error and degrees of freedom.

    Attributes:
        value: of the scores that there are.
        below, above: how much less and more it could be with the missing ones; at least 0.
    """

    value: float
    se: float
    df: float
    below: float = 0.0
    above: float = 0.0

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

    def p_below(self, threshold: float = 0.0) -> float:
        """One-sided p value of the null that the truth is at or above the threshold."""
        return self.mirrored().p_above(-threshold)

    def widened(self, by: float) -> Estimate:
        """The same with both bounds farther away."""
        return Estimate(self.value, self.se, self.df, self.below + by, self.above + by)

    def mirrored(self) -> Estimate:
        """Of the same contrast with the opposite sign."""
        return Estimate(-self.value, self.se, self.df, self.above, self.below)

    def p_within(self, margin: float) -> float:
        """p value of the null that the truth is not inside plus or minus the margin.

        The larger of two one-sided tests (Schuirmann, J. Pharmacokin. Biopharm. 15, 1987): below
        (1 - coverage) / 2 exactly when the t interval of that coverage lies inside the margin.
        """
        return max(self.p_above(-margin), self.p_below(margin))
