"""How a value is written in digits."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction


def written(value: Fraction | Decimal | int) -> str:
    """Digits of a value: an integer or a finite decimal, else a fraction."""
    fraction = Fraction(value)
    if fraction.denominator == 1:
        return str(fraction.numerator)
    rest = fraction.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest != 1:
        return f"{fraction.numerator}/{fraction.denominator}"
    return format(Decimal(fraction.numerator) / Decimal(fraction.denominator), "f")
