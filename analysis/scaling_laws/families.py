"""Families of curves, fitted by least squares to many draws of the means at once."""

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
        squares: (B,) sum of squared distances of the means from the curve.
    """

    parameters: np.ndarray
    squares: np.ndarray


class Family(Protocol):
    """A curve mu(n). Records n are given as multiples of the largest measured scale."""

    name: str
    names: tuple[str, ...]
    least_scales: int

    def fit(self, x: np.ndarray, means: np.ndarray) -> Fitted:
        """Fit (B, K) means at (K,) x, every scale with the same weight."""

    def predict(self, parameters: np.ndarray, x: np.ndarray) -> np.ndarray:
        """(B, M) curve values in [0, 1] at (M,) x for (B, p) parameters."""

    def inverse(self, parameters: np.ndarray, score: float) -> np.ndarray:
        """(B,) x at which the curve rises through the score; inf if never."""


class PowerLaw:
    """mu(x) = a - b x^-c with 0 <= a <= 1: linear in (a, b) at each exponent of a grid."""

    name = "saturating power law"
    names = ("ceiling", "gap", "exponent")
    least_scales = 5

    def fit(self, x: np.ndarray, means: np.ndarray) -> Fitted:
        """See Family."""
        best = np.full(len(means), np.inf)
        parameters = np.zeros((len(means), 3))
        for c in _EXPONENTS:
            falling = -(x**-c)
            a = np.clip(means @ np.linalg.pinv(np.stack([np.ones_like(x), falling], 1))[0], 0, 1)
            b = (means - a[:, None]) @ falling / (falling @ falling)
            squares = ((means - a[:, None] - b[:, None] * falling) ** 2).sum(1)
            better = squares < best
            best = np.where(better, squares, best)
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

    def fit(self, x: np.ndarray, means: np.ndarray) -> Fitted:
        """See Family."""
        return fit_logit(np.stack([np.ones_like(x), np.log2(x)], axis=1), means)

    def predict(self, parameters: np.ndarray, x: np.ndarray) -> np.ndarray:
        """See Family."""
        return expit(parameters[:, :1] + parameters[:, 1:] * np.log2(x)[None, :])

    def inverse(self, parameters: np.ndarray, score: float) -> np.ndarray:
        """See Family."""
        return _inverse_line(parameters[:, 0], parameters[:, 1], score)


FAMILIES: dict[str, Family] = {f.name: f for f in (PowerLaw(), LogitLinear())}


def fit_logit(design: np.ndarray, means: np.ndarray) -> Fitted:
    """Least squares of means on expit(design @ parameters), Levenberg and Marquardt.

    Args:
        design: (K, p).
        means: (B, K).
    """
    clipped = logit(np.clip(means, 0.01, 0.99))
    parameters = clipped @ np.linalg.pinv(design).T
    damping = np.full(len(means), 1e-3)
    squares, residual, jacobian = _linearize(design, means, parameters)
    identity = np.eye(design.shape[1])
    for _ in range(_STEPS):
        normal = np.einsum("bki,bkj->bij", jacobian, jacobian)
        scale = np.trace(normal, axis1=1, axis2=2) + 1e-12
        gradient = np.einsum("bki,bk->bi", jacobian, residual)
        damped = normal + (damping * scale)[:, None, None] * identity
        trial = parameters + np.linalg.solve(damped, gradient[..., None])[..., 0]
        new_squares, new_residual, new_jacobian = _linearize(design, means, trial)
        better = new_squares < squares
        parameters = np.where(better[:, None], trial, parameters)
        residual = np.where(better[:, None], new_residual, residual)
        jacobian = np.where(better[:, None, None], new_jacobian, jacobian)
        squares = np.where(better, new_squares, squares)
        damping = np.where(better, damping / 10, damping * 10).clip(1e-9, 1e6)
    return Fitted(parameters, squares)


def _linearize(
    design: np.ndarray, means: np.ndarray, parameters: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    mu = expit(parameters @ design.T)
    residual = means - mu
    jacobian = (mu * (1 - mu))[:, :, None] * design[None]
    return (residual**2).sum(1), residual, jacobian


def _inverse_line(intercept: np.ndarray, slope: np.ndarray, score: float) -> np.ndarray:
    target = logit(np.clip(score, _EDGE, 1 - _EDGE))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        x = np.exp2((target - intercept) / slope)
    return np.where(slope > 0, x, np.inf)
