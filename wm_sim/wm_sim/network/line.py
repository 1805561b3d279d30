"""Lines: points every LINE_STEP_M with heading and curvature, and where other points lie along them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.errors import SimError
from wm_sim.kernel import kernel
from wm_sim.scene import LCOS, LCURVATURE, LINE_STEP_M, LSIN, LX, LY

LINE_SIZE = 6  # x, y, cos yaw, sin yaw, curvature (1/m, left positive), yaw (rad, continuous)
SAME_POINT_M = 0.02
LENGTH_MAX_M = 200_000.0
CHUNK = 16  # segments that share an enclosing circle in `project`


def line_of_curvature(curvature: NDArray[np.float64], yaw: float) -> NDArray[np.float64]:
    """Integrate curvatures [N], one per LINE_STEP_M, into a line [N, 6] that starts at the origin with `yaw`."""
    middle = 0.5 * (curvature[1:] + curvature[:-1]) * LINE_STEP_M
    yaws = yaw + np.concatenate([[0.0], np.cumsum(middle)])
    half = 0.5 * (yaws[1:] + yaws[:-1])
    x = np.concatenate([[0.0], np.cumsum(np.cos(half) * LINE_STEP_M)])
    y = np.concatenate([[0.0], np.cumsum(np.sin(half) * LINE_STEP_M)])
    return np.ascontiguousarray(np.stack([x, y, np.cos(yaws), np.sin(yaws), curvature, yaws], axis=1))


def distinct(points: NDArray[np.float64], apart: float = SAME_POINT_M) -> NDArray[np.float64]:
    """The points [N, 2] without those nearer than `apart` to the one kept before; both ends stay."""
    kept: NDArray[np.float64] = points[_kept(np.ascontiguousarray(points), apart)]
    return kept


@kernel
def _kept(points: NDArray[np.float64], apart: float) -> NDArray[np.bool_]:
    """Which points `distinct` keeps."""
    last = len(points) - 1
    keep = np.zeros(last + 1, dtype=np.bool_)
    keep[0], keep[last] = True, True
    before = 0
    for i in range(1, last):
        near = (points[i, 0] - points[before, 0]) ** 2 + (points[i, 1] - points[before, 1]) ** 2
        end = (points[i, 0] - points[last, 0]) ** 2 + (points[i, 1] - points[last, 1]) ** 2
        if min(near, end) >= apart * apart:
            keep[i] = True
            before = i
    return keep


def length_along(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance along a polyline [N, 2] at each of its points [N]."""
    return _length_along(np.ascontiguousarray(points, dtype=np.float64))


@kernel
def _length_along(points: NDArray[np.float64]) -> NDArray[np.float64]:
    along = np.zeros(len(points))
    for i in range(1, len(points)):
        along[i] = along[i - 1] + math.hypot(points[i, 0] - points[i - 1, 0], points[i, 1] - points[i - 1, 1])
    return along


def offset(line: NDArray[np.float64], d: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """Points [N, 2] that lie d metres left of a line [N, 6]."""
    return np.stack([line[:, LX] - d * line[:, LSIN], line[:, LY] + d * line[:, LCOS]], axis=1)


def smooth_curve(points: NDArray[np.float64], spacing: float) -> NDArray[np.float64]:
    """Points [M, 2] about `spacing` apart on the cubic curve through distinct points [N, 2]."""
    along = length_along(points)
    if along[-1] > LENGTH_MAX_M:
        raise SimError(f"a line {along[-1] / 1000.0:.0f} km long: its coordinates are no metres, or it is cut wrongly.")
    step = np.diff(along)
    slope = np.diff(points, axis=0) / step[:, None]
    tangent = np.empty_like(points)
    if len(points) > 2:  # slope of the parabola through three points
        share = (step[:-1] / (step[:-1] + step[1:]))[:, None]
        tangent[1:-1] = (1.0 - share) * slope[:-1] + share * slope[1:]
        tangent[0], tangent[-1] = 2.0 * slope[0] - tangent[1], 2.0 * slope[-1] - tangent[-2]
    else:
        tangent[:] = slope[0]
    at = np.linspace(0.0, along[-1], max(2, math.ceil(along[-1] / spacing) + 1))
    i = np.clip(np.searchsorted(along, at, side="right") - 1, 0, len(step) - 1)
    h = step[i][:, None]
    u = ((at - along[i]) / step[i])[:, None]
    curve: NDArray[np.float64] = (
        (1.0 + 2.0 * u) * (1.0 - u) ** 2 * points[i]
        + u * (1.0 - u) ** 2 * h * tangent[i]
        + u * u * (3.0 - 2.0 * u) * points[i + 1]
        + u * u * (u - 1.0) * h * tangent[i + 1]
    )
    return curve


def blur(points: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Evenly spaced points [N, 2] smoothed by a Gaussian of `sigma` samples; both ends stay."""
    reach = min(math.ceil(3.0 * sigma), len(points) - 1)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights /= weights.sum()
    before = 2.0 * points[0] - points[reach:0:-1]  # turned about the end, so that the end is its own mean
    after = 2.0 * points[-1] - points[-2 : -reach - 2 : -1]
    wide = np.concatenate([before, points, after])
    return np.stack([np.convolve(wide[:, k], weights, mode="valid") for k in range(2)], axis=1)


def even(points: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """Points [M, 2] `step` apart along a polyline, from its first point on; less than a step is left at the end."""
    along = length_along(points)
    at = np.arange(int(along[-1] / step + 1e-6) + 1) * step
    return np.stack([np.interp(at, along, points[:, k]) for k in range(2)], axis=1)


def ring_of_points(points: NDArray[np.float64], smooth_m: float, step: float = LINE_STEP_M) -> NDArray[np.float64]:
    """Points [M, 2] about `step` apart on the closed curve through points [N, 2]; the last is the first again."""
    points = distinct(points, 0.5 * smooth_m)
    if math.dist(points[0], points[-1]) < 0.5 * smooth_m:
        points = points[:-1]
    reach = min(3, len(points) - 1)
    around = np.concatenate([points[-reach:], points, points[: reach + 1]])
    along = length_along(around)
    fine = smooth_curve(around, 0.5 * step)
    at = np.linspace(0.0, along[-1], len(fine))
    ring = fine[(at >= along[reach]) & (at < along[reach + len(points)])]
    wide = np.concatenate([ring[-len(ring) // 2 :], ring, ring[: len(ring) // 2]])
    ring = blur(wide, smooth_m / (0.5 * step))[len(ring) - len(ring) // 2 :][: len(ring)]
    ring = np.concatenate([ring, ring[:1]])
    length = length_along(ring)
    want = np.linspace(0.0, length[-1], max(8, round(length[-1] / step)) + 1)
    return np.stack([np.interp(want, length, ring[:, k]) for k in range(2)], axis=1)


def line_of_points(
    points: NDArray[np.float64], smooth_m: float = 0.0, step: float = LINE_STEP_M
) -> NDArray[np.float64]:
    """A line [M, 6] through points [N, 2], `step` apart; with `smooth_m` their scatter is smoothed away."""
    points = distinct(np.asarray(points, dtype=np.float64), max(SAME_POINT_M, 0.5 * smooth_m))
    if length_along(points)[-1] < 2.0 * step:
        raise SimError(f"a line {length_along(points)[-1]:.2f} m long is too short to drive on; give it at least 1 m.")
    fine = smooth_curve(points, 0.5 * step)
    if smooth_m > 0.0:
        fine = blur(fine, smooth_m / (0.5 * step))
    xy = even(fine, step)
    heading = np.unwrap(np.arctan2(np.diff(xy[:, 1]), np.diff(xy[:, 0])))
    inner = 0.5 * (heading[1:] + heading[:-1])
    if len(heading) > 1:
        yaw = np.concatenate([[1.5 * heading[0] - 0.5 * heading[1]], inner, [1.5 * heading[-1] - 0.5 * heading[-2]]])
    else:
        yaw = np.repeat(heading, 2)
    curvature = np.gradient(yaw, step)
    return np.ascontiguousarray(np.stack([xy[:, 0], xy[:, 1], np.cos(yaw), np.sin(yaw), curvature, yaw], axis=1))


@kernel
def locate(line: NDArray[np.float64], index: int, x: float, y: float) -> tuple[int, float, float]:
    """Nearest sample, arc length s and lateral offset d (left positive) of (x, y), walking on from sample `index`."""
    last = len(line) - 1
    along = 0.0
    d = 0.0
    for _ in range(12):
        rx = x - line[index, LX]
        ry = y - line[index, LY]
        d = ry * line[index, LCOS] - rx * line[index, LSIN]
        # Points left of a left curve are nearer to its centre: a metre there is more than a metre of the line.
        along = (rx * line[index, LCOS] + ry * line[index, LSIN]) / max(0.2, 1.0 - line[index, LCURVATURE] * d)
        step = int(np.rint(along / LINE_STEP_M))
        moved = min(max(index + step, 0), last)
        if moved == index:
            break
        index = moved
    return index, index * LINE_STEP_M + along, d


@kernel
def project(points: NDArray[np.float64], line: NDArray[np.float64], reach: float) -> NDArray[np.float64]:
    """For each point [N, ≥2] the nearest place on a polyline [M, ≥2], found exactly: [N, 3].

    Columns: the place counted in segments (2.5: halfway along the third), distance (infinite beyond `reach`), and 1
    where it lies sideways of the polyline rather than beyond an end.
    """
    count, last = len(points), len(line) - 1
    chunks = (last + CHUNK - 1) // CHUNK
    circle = np.empty((chunks, 3))
    for c in range(chunks):
        first, end = c * CHUNK, min(c * CHUNK + CHUNK, last)
        circle[c, 0] = 0.5 * (line[first, 0] + line[end, 0])
        circle[c, 1] = 0.5 * (line[first, 1] + line[end, 1])
        circle[c, 2] = 0.0
        for i in range(first, end + 1):
            away = math.sqrt((line[i, 0] - circle[c, 0]) ** 2 + (line[i, 1] - circle[c, 1]) ** 2)
            circle[c, 2] = max(circle[c, 2], away)
    found = np.empty((count, 3))
    start = 0
    for n in range(count):
        x, y = points[n, 0], points[n, 1]
        best, place, aside = reach, -1.0, 0.0
        for k in range(chunks):
            c = start + k  # the chunk of the point before is the likeliest
            if c >= chunks:
                c -= chunks
            cx, cy, far = x - circle[c, 0], y - circle[c, 1], best + circle[c, 2]
            if cx * cx + cy * cy >= far * far:
                continue
            for i in range(c * CHUNK, min(c * CHUNK + CHUNK, last)):
                ex, ey = line[i + 1, 0] - line[i, 0], line[i + 1, 1] - line[i, 1]
                rx, ry = x - line[i, 0], y - line[i, 1]
                u = (rx * ex + ry * ey) / max(ex * ex + ey * ey, 1e-12)
                beyond = (u < 0.0 and i == 0) or (u > 1.0 and i == last - 1)
                u = min(max(u, 0.0), 1.0)
                distance = math.sqrt((rx - u * ex) ** 2 + (ry - u * ey) ** 2)
                if distance < best:
                    best, place, aside = distance, i + u, 0.0 if beyond else 1.0
        if place >= 0.0:
            start = min(int(place) // CHUNK, chunks - 1)
            found[n, 0], found[n, 1], found[n, 2] = place, best, aside
        else:
            found[n, 0], found[n, 1], found[n, 2] = 0.0, math.inf, 0.0
    return found
