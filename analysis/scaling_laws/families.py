"""Families of curves, fitted by least squares to many draws of the means at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import expit, logit

_EXPONENTS = np.geomspace(0.02, 3.0, 60)
_RECTIFIED = np.stack(
    np.meshgrid(np.geomspace(0.05, 3.0, 40), np.geomspace(0.003, 3.0, 16), indexing="ij"), -1
).reshape(-1, 2)
_CLOSED = 0.01  # an asymptote this near to 0 or 1 is where the law is cut off
_STEPS = 25
_REFINED = 12
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
    from_base: bool  # finite at x = 0, so that the untuned base is a point of the curve

    def fit(self, x: np.ndarray, means: np.ndarray) -> Fitted:
        """Fit (B, K) means at (K,) x, every scale with the same weight."""

    def predict(self, parameters: np.ndarray, x: np.ndarray) -> np.ndarray:
        """(B, M) curve values in [0, 1] at (M,) x for (B, p) parameters."""

    def inverse(self, parameters: np.ndarray, score: float) -> np.ndarray:
        """(B,) x at which the curve rises through the score; inf if never."""

    def asymptote(self, parameters: np.ndarray) -> np.ndarray | None:
        """(B,) the score that the curve nears; NaN where it is not bounded inside (0, 1) or the
        law has none that the points could show. None for a family without a free asymptote."""


class PowerLaw:
    """mu(x) = a - b x^-c with 0 <= a <= 1: linear in (a, b) at each exponent of a grid."""

    name = "saturating power law"
    names = ("ceiling", "gap", "exponent")
    least_scales = 5
    from_base = False

    def fit(self, x: np.ndarray, means: np.ndarray) -> Fitted:
        """See Family."""
        ceiling, gap, best, squares = _fit_shapes(x[None] ** -_EXPONENTS[:, None], means)
        return Fitted(np.stack([ceiling, gap, _EXPONENTS[best]], axis=1), squares)

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

    def asymptote(self, parameters: np.ndarray) -> np.ndarray:
        """See Family."""
        ceiling, _, exponent = parameters.T
        return _bounded(ceiling, exponent > _EXPONENTS[0] * 1.001)


class RectifiedPowerLaw:
    """mu(x) = a - b / (d + x^c), 0 <= a <= 1: the law of Lin et al. for losses (arXiv 2402.02314),
    B / (D + n^beta) + E, mirrored for scores. Finite at x = 0; linear in (a, b) on a grid of
    (c, d), from whose best point all four are refined."""

    name = "rectified power law"
    names = ("ceiling", "gap", "exponent", "offset")
    least_scales = 6
    from_base = True

    def fit(self, x: np.ndarray, means: np.ndarray) -> Fitted:
        """See Family."""
        exponents, offsets = _RECTIFIED.T
        shapes = 1 / (offsets[:, None] + x[None] ** exponents[:, None])
        ceiling, gap, best, _ = _fit_shapes(shapes, means)
        with np.errstate(divide="ignore"):
            log_x = np.log(x)

        def linearize(parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            a, b, log_c, log_d = parameters.T[:, :, None]
            c, d = np.exp(log_c), np.exp(log_d)
            power = x**c
            shape = 1 / (d + power)
            slope = b * shape**2
            with np.errstate(invalid="ignore"):
                by_exponent = slope * np.where(x > 0, power * log_x, 0.0) * c
            return means - a + b * shape, np.stack(
                [np.ones_like(shape), -shape, by_exponent, slope * d], axis=-1
            )

        start = np.column_stack([ceiling, gap, np.log(_RECTIFIED[best])])
        low, high = np.log(_RECTIFIED.min(0)), np.log(_RECTIFIED.max(0))
        bounds = (np.array([0, -np.inf, *low]), np.array([1, np.inf, *high]))
        found = _levenberg(linearize, start, _REFINED, bounds)
        found.parameters[:, 2:] = np.exp(found.parameters[:, 2:])
        return found

    def predict(self, parameters: np.ndarray, x: np.ndarray) -> np.ndarray:
        """See Family."""
        a, b, c, d = parameters.T[:, :, None]
        return np.clip(a - b / (d + x[None, :] ** c), 0.0, 1.0)

    def inverse(self, parameters: np.ndarray, score: float) -> np.ndarray:
        """See Family; 0 where the untuned base is there already."""
        a, b, c, d = parameters.T
        rising = (b > 0) & (a > score)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            x = np.maximum(b / (a - score) - d, 0.0) ** (1 / c)
        return np.where(rising, x, np.inf)

    def asymptote(self, parameters: np.ndarray) -> np.ndarray:
        """See Family."""
        ceiling, _, exponent, _ = parameters.T
        return _bounded(ceiling, exponent > _RECTIFIED[0, 0] * 1.001)


class LogitLinear:
    """logit mu(x) = intercept + slope log2 x."""

    name = "logit-linear"
    names = ("intercept", "slope")
    least_scales = 4
    from_base = False

    def fit(self, x: np.ndarray, means: np.ndarray) -> Fitted:
        """See Family."""
        return fit_logit(np.stack([np.ones_like(x), np.log2(x)], axis=1), means)

    def predict(self, parameters: np.ndarray, x: np.ndarray) -> np.ndarray:
        """See Family."""
        return expit(parameters[:, :1] + parameters[:, 1:] * np.log2(x)[None, :])

    def inverse(self, parameters: np.ndarray, score: float) -> np.ndarray:
        """See Family."""
        return _inverse_line(parameters[:, 0], parameters[:, 1], score)

    def asymptote(self, parameters: np.ndarray) -> None:
        """None: a line in logits nears 0 or 1 whatever the data say."""


FAMILIES: dict[str, Family] = {f.name: f for f in (PowerLaw(), LogitLinear(), RectifiedPowerLaw())}


def _fit_shapes(
    shapes: np.ndarray, means: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Least squares of (B, K) means on a - b f, 0 <= a <= 1, for the best of (G, K) shapes f.

    Returns:
        (B,) a, b, the position of the shape, and the sum of squared distances.
    """
    center, middle = shapes.mean(1), means.mean(1, keepdims=True)
    off = shapes - center[:, None]
    b = -(means - middle) @ (off / np.square(off).sum(1, keepdims=True)).T  # (B, G)
    a = np.clip(middle + b * center, 0.0, 1.0)
    # Given a, which may be at its bound, b is the slope through the origin of a - y on f.
    b = (a * shapes.sum(1) - means @ shapes.T) / np.square(shapes).sum(1)
    total = np.square(means).sum(1, keepdims=True) + means.shape[1] * a**2
    total -= 2 * a * means.sum(1, keepdims=True)
    best = (total - b**2 * np.square(shapes).sum(1)).argmin(1)
    rows = np.arange(len(means))
    a, b = a[rows, best], b[rows, best]
    return a, b, best, np.square(means - a[:, None] + b[:, None] * shapes[best]).sum(1)


def _bounded(ceiling: np.ndarray, curved: np.ndarray) -> np.ndarray:
    """Asymptotes inside (0, 1) of curves that bend; NaN for the others."""
    inside = (ceiling > _CLOSED) & (ceiling < 1 - _CLOSED)
    return np.where(inside & curved, ceiling, np.nan)


def fit_logit(design: np.ndarray, means: np.ndarray) -> Fitted:
    """Least squares of means on expit(design @ parameters), Levenberg and Marquardt.

    Args:
        design: (K, p).
        means: (B, K).
    """
    start = logit(np.clip(means, 0.01, 0.99)) @ np.linalg.pinv(design).T

    def linearize(parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mu = expit(parameters @ design.T)
        return means - mu, (mu * (1 - mu))[:, :, None] * design[None]

    return _levenberg(linearize, start, _STEPS)


def _levenberg(
    linearize: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    parameters: np.ndarray,
    steps: int,
    bounds: tuple[np.ndarray, np.ndarray] | None = None,
) -> Fitted:
    """Levenberg and Marquardt's least squares from (B, p) starting parameters, all at once.

    Args:
        linearize: parameters to (B, K) residuals and their (B, K, p) negative derivatives.
        bounds: (p,) lowest and highest parameters; a step beyond is cut there.
    """
    residual, jacobian = linearize(parameters)
    squares = np.square(residual).sum(1)
    damping = np.full(len(parameters), 1e-3)
    identity = np.eye(parameters.shape[1])
    for _ in range(steps):
        normal = np.einsum("bki,bkj->bij", jacobian, jacobian)
        # Marquardt's scaling: each parameter has a size of its own.
        own = np.einsum("bii->bi", normal)
        scale = own + 1e-9 * own.sum(1, keepdims=True) + 1e-12
        gradient = np.einsum("bki,bk->bi", jacobian, residual)
        damped = normal + (damping[:, None] * scale)[:, None, :] * identity
        trial = parameters + np.linalg.solve(damped, gradient[..., None])[..., 0]
        if bounds is not None:
            trial = np.clip(trial, *bounds)
        new_residual, new_jacobian = linearize(trial)
        new_squares = np.square(new_residual).sum(1)
        better = new_squares < squares
        parameters = np.where(better[:, None], trial, parameters)
        residual = np.where(better[:, None], new_residual, residual)
        jacobian = np.where(better[:, None, None], new_jacobian, jacobian)
        squares = np.where(better, new_squares, squares)
        damping = np.where(better, damping / 10, damping * 10).clip(1e-9, 1e6)
    return Fitted(parameters, squares)


def _inverse_line(intercept: np.ndarray, slope: np.ndarray, score: float) -> np.ndarray:
    target = logit(np.clip(score, _EDGE, 1 - _EDGE))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        x = np.exp2((target - intercept) / slope)
    return np.where(slope > 0, x, np.inf)
