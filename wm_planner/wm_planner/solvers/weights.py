"""How much each sequence counts, and the mean and spread that follow."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def exponential_weights(score: Array, scale: float) -> Array:
    """Weights [N] that sum to one, exp(score / scale); the largest score is subtracted first, so nothing overflows."""
    weights = np.exp((score - score.max()) / np.float32(scale + 1e-6))
    normalised: Array = (weights / weights.sum()).astype(np.float32)
    return normalised


def moments(weights: Array, actions: Array) -> tuple[Array, Array]:
    """Weighted mean and variance [H, 2] of sequences [N, H, 2]."""
    centre = np.tensordot(weights, actions, axes=1)
    variance = np.tensordot(weights, np.square(actions - centre), axes=1)
    return centre, variance


def blend(old: Array, new: Array, momentum: float) -> Array:
    """`new` with a part `momentum` of `old` kept."""
    part = np.float32(momentum)
    blended: Array = (part * old + (1 - part) * new).astype(np.float32)
    return blended
