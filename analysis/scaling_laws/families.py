"""Families of curves, fitted by generalized least squares to many draws of the means at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import expit, logit

_EXPONENTS = np.geomspace(0.02, 3.0, 60)
_STEPS = 25
_EDGE = 1e-4


@dataclass(frozen=True)
class Fitted:
    """A family fitted to B draws.

    Attributes:
        parameters: (B, p).
        chi2: (B,) generalized least squares misfit.
    """

    parameters: np.ndarray
    chi2: np.ndarray


class Family(Protocol):
    """A curve mu(n). Records n are given as multiples of the largest measured scale."""

    name: str
    names: tuple[str, ...]
    least_scales: int

    def fit(self, x: np.ndarray, means: np.ndarray, whiten: np.ndarray) -> Fitted:
        """Fit (B, K) means at (K,) x; whiten' whiten is the inverse covariance (K, K)."""

    def predict(self, parameters: np.ndarray, x: np.ndarray) -> np.ndarray:
        """(B, M) curve values in [0, 1] at (M,) x for (B, p) parameters."""

    def inverse(self, parameters: np.ndarray, score: float) -> np.ndarray:
        """(B,) x at which the curve rises through the score; inf if never."""


class PowerLaw:
    """mu(x) = a - b x^-c with 0 <= a <= 1: linear in (a, b) at each exponent of a grid."""

    name = "saturating power law"
    names = ("ceiling", "gap", "exponent")
    least_scales = 5

    def fit(self, x: np.ndarray, means: np.ndarray, whiten: np.ndarray) -> Fitted:
        """See Family."""
        y = means @ whiten.T
        best = np.full(len(means), np.inf)
        parameters = np.zeros((len(means), 3))
        one = whiten @ np.ones_like(x)
        for c in _EXPONENTS:
            falling = -(whiten @ x**-c)
            a, b = _two_columns(one, falling, y)
            a = np.clip(a, 0.0, 1.0)
            b = (y - a[:, None] * one) @ falling / (falling @ falling)
            chi2 = ((y - a[:, None] * one - b[:, None] * falling) ** 2).sum(1)
            better = chi2 < best
            best = np.where(better, chi2, best)
            parameters[better] = np.stack([a, b, np.full_like(a, c)], axis=1)[better]
        return Fitted(parameters, best)

    def predict(self, parameters: np.ndarray, x: np.ndarray) -> np.ndarray:
        """See Family."""
        a, b, c = parameters.T[:, :, None]
        return np.clip(a - b * x[None, :] ** -c, 0.0, 1.0)

    def inverse(self, parameters: np.ndarray, score: float) -> np.ndarray:
        """See Family."""
        a, b, c = parameters.T
        rising = (b > 0) & (a > score)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            x = ((a - score) / b) ** (-1 / c)
        return np.where(rising, x, np.inf)


class LogitLinear:
    """logit mu(x) = intercept + slope log2 x."""

    name = "logit-linear"
    names = ("intercept", "slope")
    least_scales = 4

    def fit(self, x: np.ndarray, means: np.ndarray, whiten: np.ndarray) -> Fitted:
        """See Family."""
        return fit_logit(np.stack([np.ones_like(x), np.log2(x)], axis=1), means, whiten)

    def predict(self, parameters: np.ndarray, x: np.ndarray) -> np.ndarray:
        """See Family."""
        return expit(parameters[:, :1] + parameters[:, 1:] * np.log2(x)[None, :])

    def inverse(self, parameters: np.ndarray, score: float) -> np.ndarray:
        """See Family."""
        return _inverse_line(parameters[:, 0], parameters[:, 1], score)


class BrokenLogit:
    """logit mu(x) = intercept + slope log2 x + bend max(0, log2 (x / break)).

    The break runs through the inner scales. A break costs two parameters and shows itself only
    on long ladders, so ten scales are required.
    """

    name = "broken logit-linear"
    names = ("intercept", "slope", "bend", "break")
    least_scales = 10

    def fit(self, x: np.ndarray, means: np.ndarray, whiten: np.ndarray) -> Fitted:
        """See Family."""
        best = np.full(len(means), np.inf)
        parameters = np.zeros((len(means), 4))
        for at in x[2:-2]:
            line = np.log2(x)
            hinge = np.maximum(0.0, np.log2(x / at))
            fitted = fit_logit(np.stack([np.ones_like(x), line, hinge], axis=1), means, whiten)
            better = fitted.chi2 < best
            best = np.where(better, fitted.chi2, best)
            breaks = np.full((len(means), 1), at)
            parameters[better] = np.hstack([fitted.parameters, breaks])[better]
        return Fitted(parameters, best)

    def predict(self, parameters: np.ndarray, x: np.ndarray) -> np.ndarray:
        """See Family."""
        intercept, slope, bend, at = parameters.T[:, :, None]
        line = np.log2(x)[None, :]
        return expit(intercept + slope * line + bend * np.maximum(0.0, line - np.log2(at)))

    def inverse(self, parameters: np.ndarray, score: float) -> np.ndarray:
        """See Family (of the part beyond the break)."""
        intercept, slope, bend, at = parameters.T
        return _inverse_line(intercept - bend * np.log2(at), slope + bend, score)


FAMILIES: dict[str, Family] = {f.name: f for f in (PowerLaw(), LogitLinear(), BrokenLogit())}


def fit_logit(design: np.ndarray, means: np.ndarray, whiten: np.ndarray) -> Fitted:
    """Least squares of whitened means on expit(design @ parameters), Levenberg and Marquardt.

    Args:
        design: (K, p).
        means: (B, K).
        whiten: (K, K).
    """
    clipped = logit(np.clip(means, 0.01, 0.99))
    parameters = clipped @ np.linalg.pinv(design).T
    damping = np.full(len(means), 1e-3)
    chi2, residual, jacobian = _linearize(design, means, whiten, parameters)
    identity = np.eye(design.shape[1])
    for _ in range(_STEPS):
        normal = np.einsum("bki,bkj->bij", jacobian, jacobian)
        scale = np.trace(normal, axis1=1, axis2=2) + 1e-12
        gradient = np.einsum("bki,bk->bi", jacobian, residual)
        damped = normal + (damping * scale)[:, None, None] * identity
        trial = parameters + np.linalg.solve(damped, gradient[..., None])[..., 0]
        new_chi2, new_residual, new_jacobian = _linearize(design, means, whiten, trial)
        better = new_chi2 < chi2
        parameters = np.where(better[:, None], trial, parameters)
        residual = np.where(better[:, None], new_residual, residual)
        jacobian = np.where(better[:, None, None], new_jacobian, jacobian)
        chi2 = np.where(better, new_chi2, chi2)
        damping = np.where(better, damping / 10, damping * 10).clip(1e-9, 1e6)
    return Fitted(parameters, chi2)


def _linearize(
    design: np.ndarray, means: np.ndarray, whiten: np.ndarray, parameters: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    mu = expit(parameters @ design.T)
    residual = (means - mu) @ whiten.T
    jacobian = whiten @ ((mu * (1 - mu))[:, :, None] * design[None])
    return (residual**2).sum(1), residual, jacobian


def _two_columns(
    first: np.ndarray, second: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Least squares of each row of y on two columns."""
    columns = np.stack([first, second], axis=1)
    solution = y @ np.linalg.pinv(columns).T
    return solution[:, 0], solution[:, 1]


def _inverse_line(intercept: np.ndarray, slope: np.ndarray, score: float) -> np.ndarray:
    target = logit(np.clip(score, _EDGE, 1 - _EDGE))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        x = np.exp2((target - intercept) / slope)
    return np.where(slope > 0, x, np.inf)
