"""What a privileged driver sees: the world's arrays, told along the ego's route. The one place that reads them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_sim.drivers.forecast import (
    F_D,
    F_HALF_D,
    F_HALF_S,
    F_S,
    FAR_M,
    FORECAST_SIZE,
    FORECAST_STEP_S,
    FORECAST_STEPS,
    forecast,
    project,
)
from wm_sim.drivers.roles import assign_roles, lamp
from wm_sim.scene import (
    ACTIVE,
    BODY,
    CAR,
    CROSSING,
    CYCLIST,
    KIND,
    LEFT_M,
    LINE_STEP_M,
    LX,
    LY,
    LYAW,
    PATH,
    PEDESTRIAN,
    RIGHT_M,
    SIGNAL_PATH,
    STANDING,
    START_S,
    STOP_S,
    TRIGGERED,
    YIELDS,
)
from wm_sim.world import Frame, World

GRAVITY_MPS2 = 9.81


@dataclass(frozen=True)
class Block:
    """A standing thing near the route: arc lengths it covers, offsets it covers (left positive)."""

    agent: int
    first_s: float
    last_s: float
    right_d: float
    left_d: float


@dataclass(frozen=True)
class Light:
    """A signal of the route: where to stop, what it shows and for how long still."""

    stop_s: float
    shows: int
    left_s: float  # s


@dataclass(frozen=True)
class Sight:
    """The ego and everybody around it at one time."""

    time_s: float
    s: float  # of base_link along the route
    d: float
    v: float
    sample: int  # of the route, at s
    cast: NDArray[np.float64]  # [K, FORECAST_STEPS + 1, FORECAST_SIZE]
    roles: NDArray[np.int64]  # [K]
    blocks: list[Block]
    lights: list[Light]
    waiting: list[tuple[float, float]]  # s and distance to the route's middle of people who stand beside it


class Situation:
    """Looks at one world through an episode."""

    def __init__(self, world: World) -> None:
        scene = world.scenario.scene
        self._world = world
        self.scene = scene
        self.line = np.ascontiguousarray(scene.paths[scene.first[0] : scene.first[1]])
        self.start_s = float(scene.setup[START_S])
        self.conflicts = scene.conflicts[scene.conflicts[:, YIELDS] == 0.0]
        self._signals = scene.signals[scene.signals[:, SIGNAL_PATH] == 0.0]
        self._beside = np.empty((len(scene.paths), 3))
        project(self.line, np.ascontiguousarray(scene.paths[:, [LX, LY, LYAW]]), self._beside)
        own = np.arange(len(self.line))
        self._beside[own] = np.stack([own * LINE_STEP_M, 0.0 * own, 0.0 * own], axis=1)
        flat = np.ascontiguousarray(scene.tracks[..., :3]).reshape(-1, 3)
        track_beside = np.empty(flat.shape)
        project(self.line, flat, track_beside)
        self._track_beside = track_beside.reshape(*scene.tracks.shape[:2], 3)

    @property
    def friction(self) -> float:
        """Of the tyres on the road, 1 where it is dry."""
        return self._world.scenario.vehicle.friction

    def path_of(self, agent: int) -> int:
        """The path that a road user follows."""
        return int(self._world.cars[agent, PATH])

    def edges(self, sample: int) -> tuple[float, float]:
        """How far right (negative) and left of the route the ego's rear axle may go there."""
        row = self.line[min(max(sample, 0), len(self.line) - 1)]
        return -float(row[RIGHT_M]), float(row[LEFT_M])

    def sample(self, s: float) -> int:
        """The route's sample at or before an arc length."""
        return min(max(int(s / LINE_STEP_M), 0), len(self.line) - 1)

    def forecast(self, step_s: float, steps: int) -> NDArray[np.float64]:
        """Where everybody is now and at `steps` later times [K, steps + 1, FORECAST_SIZE]."""
        scene, agents = self.scene, self._world.cars
        cast = np.empty((len(agents), steps + 1, FORECAST_SIZE))
        forecast(agents, scene.paths, scene.first, self._beside, scene.tracks, self._track_beside, step_s, cast)
        return cast

    def look(self, frame: Frame) -> Sight:
        """The situation at a frame."""
        agents = self._world.cars
        s = self.start_s + frame.truth.progress_m
        d = frame.truth.lateral_error_m
        cast = self.forecast(FORECAST_STEP_S, FORECAST_STEPS)
        scene = self.scene
        roles = np.empty(len(agents), dtype=np.int64)
        assign_roles(agents, cast, scene.conflicts, scene.signals, frame.time_s, s, d, roles)
        blocks, waiting = self._standing(agents, cast, s)
        return Sight(
            time_s=frame.time_s,
            s=s,
            d=d,
            v=frame.speed_mps,
            sample=self.sample(s),
            cast=cast,
            roles=roles,
            blocks=blocks,
            lights=self.lights(frame.time_s, s),
            waiting=waiting,
        )

    def lights(self, time_s: float, s: float) -> list[Light]:
        """The route's signals that are not behind."""
        return [Light(float(row[STOP_S]), *lamp(row, time_s)) for row in self._signals if row[STOP_S] > s]

    @staticmethod
    def _standing(
        agents: NDArray[np.float64], cast: NDArray[np.float64], s: float
    ) -> tuple[list[Block], list[tuple[float, float]]]:
        blocks, waiting = [], []
        for k in np.flatnonzero(agents[:, ACTIVE] > 0.0):
            row, kind = cast[k, 0], agents[k, KIND]
            if row[F_D] == FAR_M or row[F_S] + row[F_HALF_S] < s - 2.0:
                continue
            if kind == STANDING:
                along, across = row[F_HALF_S], row[F_HALF_D]
                blocks.append(Block(int(k), row[F_S] - along, row[F_S] + along, row[F_D] - across, row[F_D] + across))
            elif (kind == CROSSING and agents[k, TRIGGERED] == 0.0) and agents[k, BODY] in (PEDESTRIAN, CYCLIST, CAR):
                waiting.append((float(row[F_S]), abs(float(row[F_D]))))
        return blocks, waiting
