"""Action sequences: coloured noise through knots, and the bounds that every candidate obeys."""

import numpy as np
from numpy.typing import NDArray

from wm_planner.solvers.protocol import Bounds

Array = NDArray[np.float32]


def interpolation(horizon: int, knots: int) -> Array:
    """Linear interpolation [H, K] from evenly spaced knots to steps; rows are weights that sum to one."""
    position = np.linspace(0.0, horizon - 1.0, knots)
    basis = np.eye(knots)
    steps = np.arange(horizon)
    return np.stack([np.interp(steps, position, basis[k]) for k in range(knots)], axis=1).astype(np.float32)


def coloured_mixing(horizon: int, knots: int, exponent: float) -> Array:
    """Matrix [K, K] that turns white noise into unit-variance noise at the knots with power spectrum 1/f^exponent.

    As iCEM's coloured noise (Pinneri et al. 2020, eq. 3), drawn at the knots directly: the factor of its covariance.
    """
    position = np.linspace(0.0, horizon - 1.0, knots)
    apart = np.abs(position[:, None] - position[None, :])  # [K, K] steps
    frequency = np.arange(1, horizon + 1)
    power = frequency ** -float(exponent)  # the lowest frequency counts twice: it also carries the constant part
    waves = np.cos(2.0 * np.pi * frequency[:, None, None] * apart / (2.0 * horizon))
    covariance = 1.0 + np.einsum("f,fij->ij", power, waves)
    covariance /= covariance[0, 0]
    return np.linalg.cholesky(covariance + 1e-6 * np.eye(knots)).astype(np.float32)


def restrict(actions: Array, bounds: Bounds) -> Array:
    """Clip sequences [N, H, 2] in place to the bounds and, from the action before, to the steps allowed."""
    np.clip(actions, bounds.low, bounds.high, out=actions)
    before = np.broadcast_to(bounds.before, actions[:, 0].shape)
    for step in range(actions.shape[1]):
        now = actions[:, step]
        np.maximum(now, before - bounds.fall, out=now)
        np.minimum(now, before + bounds.rise, out=now)
        before = now
    return actions


def shifted(actions: Array) -> Array:
    """Sequences [..., H, 2] one step later; the last action is repeated."""
    return np.concatenate([actions[..., 1:, :], actions[..., -1:, :]], axis=-2)
