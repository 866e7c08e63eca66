"""How far a verdict depends on the margins and on what counts as the tail."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from analysis.inference.contrasts import (
    TAIL_PART,
    Evidence,
    tail_scales,
    tail_weights,
    with_margins,
    with_tail,
)
from analysis.inference.curves import ArmCurves
from analysis.inference.multiplicity import correct
from analysis.inference.rules import decide, edge_verdict
from analysis.options import CurveOptions

MARGINS = {"half": 0.5, "double": 2.0}
TAILS = {"last two scales": 1.0, "last half": 2.0, "last quarter": TAIL_PART}


def sensitivities(
    arm: ArmCurves, claims: Mapping[str, Evidence], primary: set[str], options: CurveOptions
) -> dict[str, dict[str, str]]:
    """Columns of verdicts.csv by category: the verdict under other margins and other tails.

    Margins of slope and range are halved and doubled together; each time all categories are
    decided and corrected again. Tails that hold the same scales are one.

    Args:
        claims: evidence of the curves that may have a verdict.
        primary: those whose verdicts are primary claims.
    """
    if not claims:
        return {}
    usual = _verdicts(arm, claims, primary, options)
    by_margin = {
        name: _verdicts(arm, _with_margins(arm, claims, changed), primary, changed)
        for name, changed in _margins(options).items()
    }
    by_tail = {
        name: _verdicts(arm, _with_tail(arm, claims, part, options), primary, options)
        for name, part in _tails(arm.scales).items()
    }
    return {
        name: {
            "margin_sensitivity": _words(by_margin, name),
            "tail_sensitivity": _words(by_tail, name),
            "stable": _stable([*by_margin.values(), *by_tail.values()], name, usual[name]),
        }
        for name in claims
    }


def _margins(options: CurveOptions) -> dict[str, CurveOptions]:
    found = {}
    for name, factor in MARGINS.items():
        margins = {
            key: min(getattr(options, key) * factor, 1.0) for key in ("tail_margin", "range_margin")
        }
        found[name] = options.model_copy(update=margins)
    return found


def _tails(scales: np.ndarray) -> dict[str, float]:
    """Definitions of the tail that hold different scales; the usual one goes before others."""
    found: dict[bytes, tuple[str, float]] = {}
    for name, part in TAILS.items():
        found[tail_scales(scales, part).tobytes()] = (name, part)
    return dict(found.values())


def _with_margins(
    arm: ArmCurves, claims: Mapping[str, Evidence], options: CurveOptions
) -> dict[str, Evidence]:
    tail = tail_weights(arm.scales)
    return {
        name: with_margins(each, arm.curves[name].covariance, tail, options)
        for name, each in claims.items()
    }


def _with_tail(
    arm: ArmCurves, claims: Mapping[str, Evidence], part: float, options: CurveOptions
) -> dict[str, Evidence]:
    return {
        name: with_tail(each, arm.curves[name].covariance, arm.scales, part, options)
        for name, each in claims.items()
    }


def _verdicts(
    arm: ArmCurves, claims: Mapping[str, Evidence], primary: set[str], options: CurveOptions
) -> dict[str, str]:
    p_values = correct(dict(claims), options.corrected, primary)
    return {
        name: edge_verdict(arm, name, options) or decide(each, p_values[name], options)
        for name, each in claims.items()
    }


def _words(verdicts: Mapping[str, Mapping[str, str]], name: str) -> str:
    return "; ".join(f"{how}: {found[name]}" for how, found in verdicts.items())


def _stable(verdicts: list[dict[str, str]], name: str, usual: str) -> str:
    return "yes" if all(found[name] == usual for found in verdicts) else "no"
