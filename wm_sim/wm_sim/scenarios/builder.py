"""Puts a scene together piece by piece and packs it into arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wm_sim import scene as at
from wm_sim.network.lanes import Crosswalk, RoadNetwork
from wm_sim.network.ribbons import ribbons
from wm_sim.scenarios.scenario import Localisation, Scenario
from wm_sim.scene import LINE_STEP_M, Scene
from wm_sim.sensors.appearance import LINE_WIDTH
from wm_sim.vehicle import EGO_STATE_SIZE, SPEED, YAW, VehicleParameters, X, Y

ROUTE_BEYOND_M = 80.0  # the published route goes on past the finish, as far as the look-ahead reaches
ROUTE_SPACING_M = 2.0


@dataclass(frozen=True)
class EgoStart:
    """The ego at time zero, relative to its path at the start of the route."""

    lateral_m: float = 0.0
    heading_rad: float = 0.0
    speed_mps: float = 0.0


@dataclass(frozen=True)
class Conditions:
    """What a scenario draws beside the road: car, look and receiver."""

    vehicle: VehicleParameters
    look: NDArray[np.float64]  # [APPEARANCE_SIZE]
    localisation: Localisation
    noise: bool


class SceneBuilder:
    """Collects paths, road users, lights and rules. The first path is the ego's."""

    def __init__(self, conditions: Conditions) -> None:
        self.conditions = conditions
        self.ego = EgoStart()
        self.start_s = 0.0
        self.route_length_m = 0.0
        self.time_limit_s = 0.0
        self.network: RoadNetwork | None = None
        self.faults = np.zeros(4)  # entries FAULT_* of the setup
        self.overlaps: NDArray[np.float64] | None = None  # [P, P, 3]; None: no path shares ground with another
        self.conflicts: NDArray[np.float64] = np.zeros((0, at.CONFLICT_SIZE))
        self.paths: list[NDArray[np.float64]] = []  # each [m, PATH_SIZE]
        self.agents: list[NDArray[np.float64]] = []  # each [AGENT_SIZE]
        self._scripts: list[NDArray[np.float64]] = []
        self.signals: list[NDArray[np.float64]] = []
        self._tracks: list[NDArray[np.float64]] = []

    def add_path(self, samples: NDArray[np.float64]) -> int:
        """Add a path [m, PATH_SIZE]; its number."""
        self.paths.append(samples)
        return len(self.paths) - 1

    def add_agent(self, agent: NDArray[np.float64], script: ArrayLike = ((0.0, 0.0, 0.0),)) -> int:
        """Add a road user [AGENT_SIZE] with its script [R, 3], placed on its path; its number."""
        path = self.paths[int(agent[at.PATH])]
        agent[[at.CX, at.CY, at.CYAW]] = point_on(path, agent[at.S], agent[at.D])
        self.agents.append(agent)
        self._scripts.append(np.asarray(script, dtype=np.float64))
        return len(self.agents) - 1

    def add_track(self, track: NDArray[np.float64]) -> int:
        """Add a recorded track [T, 5]; its number."""
        self._tracks.append(track)
        return len(self._tracks) - 1

    def add_signal(
        self, path: int, stop_s: float, xyz: Sequence[float], yaw: float, phases: Sequence[float], offset_s: float
    ) -> int:
        """Add a light that stops `path` at stop_s. yaw of the traffic it faces; phases: green, yellow, red (s)."""
        self.signals.append(np.array([path, stop_s, *xyz, yaw, *phases, offset_s]))
        return len(self.signals) - 1

    def add_crosswalk(self, crosswalk: Crosswalk) -> None:
        """Paint a crossing on the network."""
        if self.network is not None:
            self.network = replace(self.network, crosswalks=(*self.network.crosswalks, crosswalk))

    def build(self, family: str, seed: int) -> Scenario:
        """The finished scenario."""
        route, conditions = self.paths[0], self.conditions
        x, y, yaw = point_on(route, self.start_s, self.ego.lateral_m)
        ego = np.zeros(EGO_STATE_SIZE)
        ego[[X, Y, SPEED]] = x, y, self.ego.speed_mps
        ego[YAW] = math.remainder(yaw + self.ego.heading_rad, 2.0 * math.pi)
        start = route[min(round(self.start_s / LINE_STEP_M), len(route) - 1)]
        drawn = (np.zeros((0, at.RIBBON_SIZE)), np.zeros((0, at.EDGE_SIZE)))
        if self.network is not None:
            drawn = ribbons(self.network, float(conditions.look[LINE_WIDTH]))
        scene = Scene(
            paths=np.ascontiguousarray(np.concatenate(self.paths)),
            first=np.concatenate([[0], np.cumsum([len(path) for path in self.paths])]).astype(np.int64),
            overlaps=self._own_ground() if self.overlaps is None else self.overlaps,
            conflicts=np.ascontiguousarray(self.conflicts),
            signals=_stack(self.signals, (at.SIGNAL_SIZE,)),
            scripts=_stack([_padded(script, self._rows()) for script in self._scripts], (1, 3)),
            tracks=_stack(self._tracks, (1, 5)),
            ribbons=drawn[0],
            edges=drawn[1],
            route=polyline(route, self.start_s, self.start_s + self.route_length_m + ROUTE_BEYOND_M),
            look=conditions.look,
            vehicle=conditions.vehicle.as_array(),
            setup=self._setup(seed),
            agents=_stack(self.agents, (at.AGENT_SIZE,)),
            ego=ego,
        )
        return Scenario(
            scene=scene,
            family=family,
            seed=seed,
            speed_limit_mps=float(start[at.LIMIT_MPS]),
            lane_width_m=float(start[at.LANE_WIDTH_M]),
            start_s=self.start_s,
            route_length_m=self.route_length_m,
            time_limit_s=self.time_limit_s,
            vehicle=conditions.vehicle,
            localisation=conditions.localisation,
            noise=conditions.noise,
            network=self.network,
        )

    def _rows(self) -> int:
        return max((len(script) for script in self._scripts), default=1)

    def _own_ground(self) -> NDArray[np.float64]:
        table = np.tile(np.array([1.0, -1.0, 0.0]), (len(self.paths), len(self.paths), 1))
        for p, path in enumerate(self.paths):
            table[p, p] = 0.0, (len(path) - 1) * LINE_STEP_M, 0.0
        return table

    def _setup(self, seed: int) -> NDArray[np.float64]:
        conditions, receiver = self.conditions, self.conditions.localisation
        setup = np.zeros(at.SETUP_SIZE)
        setup[[at.START_S, at.FINISH_S]] = self.start_s, self.start_s + self.route_length_m
        setup[[at.TIME_LIMIT_S, at.NOISE_ON, at.SEED]] = self.time_limit_s, conditions.noise, seed
        setup[[at.BIAS_X, at.BIAS_Y, at.BIAS_YAW]] = receiver.bias
        setup[[at.DRIFT_X, at.DRIFT_Y]] = receiver.drift_m
        setup[[at.DRIFT_RADPS, at.DRIFT_PHASE]] = receiver.drift_radps, receiver.drift_phase
        setup[at.FAULT_DELAY_STEPS : at.FAULT_DROP_SHARE + 1] = self.faults
        return setup


def point_on(path: NDArray[np.float64], s: float, d: float = 0.0) -> tuple[float, float, float]:
    """x, y, yaw of the point at arc length s of a path [m, ≥6], d metres to its left."""
    i = min(max(round(s / LINE_STEP_M), 0), len(path) - 1)
    row = path[i]
    along = s - i * LINE_STEP_M
    x = float(row[at.LX] + along * row[at.LCOS] - d * row[at.LSIN])
    y = float(row[at.LY] + along * row[at.LSIN] + d * row[at.LCOS])
    return x, y, float(row[at.LYAW] + row[at.LCURVATURE] * along)


def polyline(path: NDArray[np.float64], start_s: float, end_s: float) -> NDArray[np.float64]:
    """Points [M, 2] of a path from start_s to end_s, about 2 m apart; beyond its end it goes straight on."""
    s = np.linspace(start_s, end_s, max(2, round((end_s - start_s) / ROUTE_SPACING_M) + 1))
    own = np.arange(len(path)) * LINE_STEP_M
    beyond = np.maximum(s - own[-1], 0.0)
    x = np.interp(s, own, path[:, at.LX]) + beyond * path[-1, at.LCOS]
    y = np.interp(s, own, path[:, at.LY]) + beyond * path[-1, at.LSIN]
    return np.stack([x, y], axis=1)


def _padded(script: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    """A script with its last row repeated."""
    return np.concatenate([script, np.repeat(script[-1:], rows - len(script), axis=0)])


def _stack(arrays: list[NDArray[np.float64]], shape: tuple[int, ...]) -> NDArray[np.float64]:
    return np.stack(arrays) if arrays else np.zeros((0, *shape))
