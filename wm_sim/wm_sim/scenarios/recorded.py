"""Recorded road users as agents: replayed as they were, or along their own path but braking for what is ahead."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wm_sim import scene as at
from wm_sim.network.line import line_of_points, project
from wm_sim.network.paths import Path, extended
from wm_sim.network.road_file import RoadUser
from wm_sim.scenarios.builder import SceneBuilder
from wm_sim.scenarios.draws import draw_car
from wm_sim.scene import LINE_STEP_M, TRACK_STEP_S

PATH_MIN_M = 4.0  # who moved less has no path of their own and is replayed
ONWARD_M = 60.0  # a path goes on straight this far beyond its recording
SMOOTH_M = 2.0
ROOM_M = 1.75


def add_users(
    builder: SceneBuilder, users: Sequence[RoadUser], route: Path, rng: np.random.Generator, reactive: bool
) -> list[Path]:
    """Add the users to the scene; the paths that came with them."""
    steps = max((len(user.track) for user in users), default=1)
    if any(len(user.track) == 1 for user in users):
        steps = max(steps, math.ceil(builder.time_limit_s / TRACK_STEP_S) + 2)
    paths: list[Path] = []
    for user in users:
        agent = draw_car(rng)
        agent[[at.LENGTH, at.WIDTH, at.HEIGHT, at.BODY]] = user.length_m, user.width_m, user.height_m, user.body
        track = np.full((steps, 5), np.nan)
        track[: len(user.track), :4] = user.track
        if len(user.track) == 1:
            track[:, :4] = user.track[0]
        there = np.flatnonzero(~np.isnan(track[:, at.TRACK_X]))
        begin = track[there[0]]
        own = _path(track[there, :2]) if reactive and user.body == at.CAR else None
        agent[at.KIND] = at.LOGGED if own is None else at.REACTIVE
        place = route if own is None else own
        if own is not None:
            agent[at.PATH] = builder.add_path(own.samples)
            paths.append(own)
        found = project(np.ascontiguousarray(track[there, :2]), place.samples, math.inf)
        track[there, at.TRACK_ALONG] = found[:, 0] * LINE_STEP_M
        agent[at.S], agent[at.D] = _on(place, begin)
        agent[at.V] = begin[at.TRACK_V]
        agent[at.DESIRED] = max(float(np.nanmax(track[:, at.TRACK_V])), 1.0)
        agent[at.TRACK] = builder.add_track(track)
        builder.add_agent(agent)
        agent[[at.CX, at.CY, at.CYAW]] = begin[[at.TRACK_X, at.TRACK_Y, at.TRACK_YAW]]
        agent[at.ACTIVE] = float(there[0] == 0)
    return paths


def _path(points: NDArray[np.float64]) -> Path | None:
    """The path along recorded places, straight on beyond the last; None for who hardly moved."""
    if np.hypot(*(points[-1] - points[0])) < PATH_MIN_M:
        return None
    line = line_of_points(_forward(points), SMOOTH_M)
    samples = np.zeros((len(line), at.PATH_SIZE))
    samples[:, : line.shape[1]] = line
    samples[:, [at.LEFT_M, at.RIGHT_M]], samples[:, at.LANE_WIDTH_M], samples[:, at.LIMIT_MPS] = (
        ROOM_M,
        2 * ROOM_M,
        30.0,
    )
    none = np.zeros(len(line), dtype=np.int64)
    return extended(Path(samples, (), np.zeros(0), none, none.astype(np.bool_)), 0.0, ONWARD_M)


def _forward(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The points without those of a car that stands: each at least half a metre on from the one before."""
    kept = [points[0]]
    for point in points[1:]:
        if np.hypot(*(point - kept[-1])) >= 0.5:
            kept.append(point)
    return np.array(kept)


def _on(path: Path, begin: NDArray[np.float64]) -> tuple[float, float]:
    """Arc length and offset of a place along a path."""
    place, away, _ = project(begin[None, :2].copy(), path.samples, math.inf)[0]
    row = path.samples[min(round(place), len(path.samples) - 1)]
    left = (begin[1] - row[at.LY]) * row[at.LCOS] - (begin[0] - row[at.LX]) * row[at.LSIN]
    return place * LINE_STEP_M, math.copysign(away, left)
