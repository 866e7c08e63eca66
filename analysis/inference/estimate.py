"""An estimate with its standard error and degrees of freedom: t intervals and p values."""

from __future__ import annotations

from dataclasses import dataclass

from scipy.special import stdtr, stdtrit


@dataclass(frozen=True)
class Estimate:
    """A contrast of scale means with its standard error and degrees of freedom."""

    value: float
    se: float
    df: float

    def interval(self, coverage: float) -> tuple[float, float]:
        """Two-sided t interval."""
        half = float(stdtrit(self.df, 0.5 + coverage / 2)) * self.se
        return self.value - half, self.value + half

    def p_above(self, threshold: float = 0.0) -> float:
        """One-sided p value of the null that the truth is at or below the threshold."""
        if self.se == 0:
            return 0.0 if self.value > threshold else 1.0
        return float(stdtr(self.df, (threshold - self.value) / self.se))

    def p_below(self, threshold: float = 0.0) -> float:
        """One-sided p value of the null that the truth is at or above the threshold."""
        return Estimate(-self.value, self.se, self.df).p_above(-threshold)

    def p_different(self) -> float:
        """Two-sided p value of the null that the truth is 0."""
        if self.se == 0:
            return 0.0 if self.value else 1.0
        return float(2 * stdtr(self.df, -abs(self.value) / self.se))

    def p_within(self, margin: float) -> float:
        """p value of the null that the truth is not inside plus or minus the margin.

        The larger of two one-sided tests (Schuirmann, J. Pharmacokin. Biopharm. 15, 1987): below
        (1 - coverage) / 2 exactly when the interval of that coverage lies inside the margin.
        """
        return max(self.p_above(-margin), self.p_below(margin))
