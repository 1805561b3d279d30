"""A centre line: where a car is along it and beside it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wm_sim.errors import SimError

WINDOW_M = 25.0  # searched to both sides of where the car was last
SMOOTH_M = 4.0  # the curvature is that of an arc about so long


class Line:
    """A polyline [W, 2] with the arc length, heading and curvature of its points. May be a closed loop."""

    def __init__(self, xy: ArrayLike, closed: bool = False) -> None:
        points = np.asarray(xy, dtype=np.float64)
        if closed:
            points = np.concatenate([points, points[:1]])
        steps = np.diff(points, axis=0)
        lengths = np.hypot(steps[:, 0], steps[:, 1])
        keep = np.concatenate([[True], lengths > 1e-6])
        if keep.sum() < 2:
            raise SimError(f"a centre line of {len(points)} points has no length: the map has no road here.")
        self.xy = points[keep]  # [W, 2]
        self._steps = np.diff(self.xy, axis=0)
        self._lengths = np.hypot(self._steps[:, 0], self._steps[:, 1])
        self.s = np.concatenate([[0.0], np.cumsum(self._lengths)])  # [W] m
        self.length_m = float(self.s[-1])
        self.closed = closed
        self._yaw = np.unwrap(np.arctan2(self._steps[:, 1], self._steps[:, 0]))  # [W - 1] of the segments
        self._curvature = self._curvatures()

    def _curvatures(self) -> NDArray[np.float64]:
        """Curvature of every segment [W - 1], 1/m, left positive: change of heading over about SMOOTH_M."""
        middle = 0.5 * (self.s[1:] + self.s[:-1])
        ahead = self._heading_at(middle + 0.5 * SMOOTH_M, middle)
        behind = self._heading_at(middle - 0.5 * SMOOTH_M, middle)
        return (ahead - behind) / SMOOTH_M

    def _heading_at(self, s: NDArray[np.float64], middle: NDArray[np.float64]) -> NDArray[np.float64]:
        if not self.closed:
            return np.interp(s, middle, self._yaw)
        turn = 2.0 * math.pi * round((self._yaw[-1] - self._yaw[0]) / (2.0 * math.pi))
        places = np.concatenate([middle[-8:] - self.length_m, middle, middle[:8] + self.length_m])
        return np.interp(s, places, np.concatenate([self._yaw[-8:] - turn, self._yaw, self._yaw[:8] + turn]))

    def locate(self, x: float, y: float, near_s: float | None = None) -> tuple[float, float, float, float]:
        """Arc length (m), offset (m, left positive), heading (rad) and curvature (1/m) of the line at a place.

        near_s: where it was last; only segments near there are looked at, so that a line may come back to itself.
        """
        which = np.arange(len(self._lengths))
        if near_s is not None:
            away = np.abs(0.5 * (self.s[1:] + self.s[:-1]) - near_s)
            if self.closed:
                away = np.minimum(away, self.length_m - away)
            which = which[away < WINDOW_M + 0.5 * self._lengths]
            if not len(which):
                which = np.arange(len(self._lengths))
        relative = np.array([x, y]) - self.xy[which]
        unit = self._steps[which] / self._lengths[which, None]
        along = np.clip((relative * unit).sum(1), 0.0, self._lengths[which])
        off = relative - along[:, None] * unit
        best = int(np.argmin((off**2).sum(1)))
        segment = int(which[best])
        beside = unit[best, 0] * relative[best, 1] - unit[best, 1] * relative[best, 0]
        lateral = math.copysign(math.hypot(off[best, 0], off[best, 1]), beside)
        s = float(self.s[segment] + along[best])
        return s, lateral, self.heading(s), float(self._curvature[segment])

    def heading(self, s: float) -> float:
        """Heading of the line at an arc length, rad, between the segments' own."""
        middle = 0.5 * (self.s[1:] + self.s[:-1])
        return float(self._heading_at(np.array([s]), middle)[0])

    def point(self, s: float) -> tuple[float, float]:
        """The point at an arc length; beyond the ends straight on, or round the loop."""
        if self.closed:
            s %= self.length_m
        segment = min(max(int(np.searchsorted(self.s, s, side="right")) - 1, 0), len(self._lengths) - 1)
        x, y = self.xy[segment] + (s - self.s[segment]) * self._steps[segment] / self._lengths[segment]
        return float(x), float(y)

    def curvature(self, s: float) -> float:
        """Curvature at an arc length, 1/m, left positive; beyond the ends that of the end."""
        if self.closed:
            s %= self.length_m
        segment = min(max(int(np.searchsorted(self.s, s, side="right")) - 1, 0), len(self._lengths) - 1)
        return float(self._curvature[segment])

    def route(self, spacing_m: float) -> NDArray[np.float64]:
        """Points [W, 2] every `spacing_m`, from the start to the end or a little past it."""
        count = math.ceil(self.length_m / spacing_m)
        return np.array([self.point(spacing_m * k) for k in range(count + 1)])
