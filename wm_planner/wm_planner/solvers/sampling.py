"""Action sequences: coloured noise through knots, seeds, and the bounds that every candidate obeys."""

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


def noise_basis(horizon: int, knots: int, exponent: float) -> Array:
    """Matrix [H, K] that turns white noise at the knots into noise at the steps with power spectrum 1/f^exponent."""
    return interpolation(horizon, knots) @ coloured_mixing(horizon, knots, exponent)


def around(mean: Array, std: Array, basis: Array, count: int, rng: np.random.Generator) -> Array:
    """Sequences [count, H, 2] drawn around a mean [H, 2] with spread std [H, 2]; noise through basis [H, K]."""
    drawn = rng.standard_normal((2, basis.shape[1], count), dtype=np.float32)
    noise = basis @ drawn  # [2, H, count]
    sequences: Array = mean + std * noise.transpose(2, 1, 0)
    return sequences


def seeded(actions: Array, seeds: Array, bounds: Bounds) -> Array:
    """Candidates [N, H, 2] with seeds in the first places, all inside the bounds."""
    seeds = seeds[: len(actions)]
    actions[: len(seeds)] = seeds
    return np.ascontiguousarray(restrict(actions, bounds))  # in this order: a step of noise lies in one piece


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
