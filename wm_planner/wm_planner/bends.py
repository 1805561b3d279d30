"""Slowing down in time for the bends that the route shows: a car that is too fast may not steer as they need."""

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.observation import ROUTE_LOOKAHEAD_M

Array = NDArray[np.float32]

_MARKS_M = np.array([0.0, *ROUTE_LOOKAHEAD_M])  # the car, and where the route's points lie along it
_LENGTHS_M = np.diff(_MARKS_M)  # of the stretches between them
_BEGINS_M = (_MARKS_M[:-2] + _MARKS_M[1:-1]) / 2.0  # a turn between two stretches is spread over half of either
_NEAREST_M = 3.0  # nothing is asked to happen sooner


def bend_curvatures(route_ahead: Array) -> NDArray[np.float64]:
    """Mean curvature (1/m, left positive) where the route turns ahead, of route points [4, 2] in base_link.

    A receiver that is metres off moves all points alike and turns them a little: only the first value feels it.
    """
    points = np.vstack([np.zeros((1, 2)), np.asarray(route_ahead, np.float64)])  # [5, 2]
    along = np.diff(points, axis=0)  # [4, 2]
    heading = np.arctan2(along[:, 1], along[:, 0])
    turn = np.remainder(np.diff(heading) + math.pi, math.tau) - math.pi  # [3]
    return np.asarray(turn / ((_LENGTHS_M[:-1] + _LENGTHS_M[1:]) / 2.0))


def most_acceleration(speed_mps: float, route_ahead: Array, lateral_mps2: float, comfort_mps2: float) -> float:
    """Acceleration in m/s² that still slows the car in time for every bend ahead; infinite where none asks for it.

    A bend may be driven with `lateral_mps2` across. Braking begins where it takes `comfort_mps2`, not before.
    """
    allowed = lateral_mps2 / np.maximum(np.abs(bend_curvatures(route_ahead)), 1e-6)  # m²/s², [3]
    needed = float(np.max((speed_mps * speed_mps - allowed) / (2.0 * np.maximum(_BEGINS_M, _NEAREST_M))))
    return -needed if needed >= comfort_mps2 else math.inf
