"""The world: one episode at a time, stepped by hand. The same family, seed and actions give the same frames exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wm_sim import arrays as at
from wm_sim.contract import Simulator
from wm_sim.errors import SimError
from wm_sim.events import events_of
from wm_sim.frame import Event, Frame, Truth, WorldConfig
from wm_sim.observation import PHYSICS_STEP_S
from wm_sim.scenarios import FAMILIES, Scenario, build_scenario
from wm_sim.worlds import Worlds

__all__ = ["Event", "Frame", "Truth", "World", "WorldConfig"]


class World(Simulator):
    """A road, a car, other road users and sensors: one slot of `Worlds`, by default one of its own.

    `step(action)` is a model step of 0.1 s: half of it still under the previous command, because a command decided
    from a frame reaches the wheels one physics step later; the ROS stack has the same delay.
    """

    def __init__(self, config: WorldConfig | None = None) -> None:
        self._attach(Worlds(1, config), 0)

    @classmethod
    def of(cls, worlds: Worlds, n: int) -> World:
        """World n of several, as it stands."""
        world = cls.__new__(cls)
        world._attach(worlds, n)
        return world

    def _attach(self, worlds: Worlds, n: int) -> None:
        self.worlds, self._n, self.config = worlds, n, worlds.config
        self.trail: list[tuple[float, float]] = []  # where the ego was at each look, for pictures

    @property
    def arrays(self) -> at.WorldArrays:
        """Everything that moves; this world is row 0, or its number among several."""
        return self.worlds.arrays

    @property
    def scenario(self) -> Scenario:
        """The running episode's scenario."""
        scenario = self.worlds.scenarios[self._n]
        if scenario is None:
            raise SimError("the world has no episode yet: call reset(family, seed) first.")
        return scenario

    @property
    def family(self) -> str:
        """The running episode's family, "" before the first."""
        scenario = self.worlds.scenarios[self._n]
        return scenario.family if scenario else ""

    @property
    def seed(self) -> int:
        """The running episode's seed."""
        scenario = self.worlds.scenarios[self._n]
        return scenario.seed if scenario else 0

    @property
    def route(self) -> NDArray[np.float64]:
        """The published route [W, 2], about 2 m from point to point."""
        scenario = self.worlds.scenarios[self._n]
        return scenario.scene.route if scenario else np.zeros((0, 2))

    @property
    def ego(self) -> NDArray[np.float64]:
        """The ego's state [EGO_STATE_SIZE], a view."""
        return self.arrays.ego[self._n]

    @property
    def cars(self) -> NDArray[np.float64]:
        """All other road users [K, AGENT_SIZE], a view."""
        return self.arrays.agents[self._n, : self.arrays.counts[self._n, at.AGENTS]]

    @property
    def time_s(self) -> float:
        """Since the episode's start."""
        return float(self.arrays.clock[self._n, at.TICKS]) * PHYSICS_STEP_S

    @property
    def progress_m(self) -> float:
        """How far along the route the ego is."""
        return float(self.arrays.seen[self._n, 0]) - self.scenario.start_s

    @property
    def road_index(self) -> int:
        """The sample of path 0 nearest to the ego."""
        return int(self.arrays.clock[self._n, at.SAMPLE])

    def reset(self, scenario: str, seed: int) -> Frame:
        """Start the episode that a family, or `road:FILE`, and a seed stand for and look at it."""
        return self.reset_to(build_scenario(scenario, int(seed), self.config.options))

    def reset_to(self, scenario: Scenario) -> Frame:
        """Start a scenario and look at it."""
        self.worlds.load(self._n, scenario)
        self.trail = []
        return self._frame()

    def command(self, action: ArrayLike) -> None:
        """Execute an action [2] from the next tick on; clipped, and full braking where it is not a number."""
        steer, accel = np.asarray(action, dtype=np.float32).reshape(2).tolist()
        self.worlds.command(self._n, steer, accel)

    def tick(self) -> None:
        """One physics step of 0.05 s."""
        _ = self.scenario
        self.worlds.tick(self._n)

    def step(self, action: ArrayLike) -> Frame:
        """A model step of 0.1 s; the action takes effect after half of it."""
        _ = self.scenario
        if len(self.worlds) == 1:
            self.worlds.step(np.asarray(action, dtype=np.float32).reshape(1, 2))
            return self._frame()
        self.tick()
        self.command(action)
        self.tick()
        return self.sense()

    def prepare(self) -> None:
        """Compile every kernel that an episode needs, in another world."""
        world = World(self.config)
        for family in FAMILIES:
            world.reset(family, 0)
            world.step((0.0, 0.0))

    def close(self) -> None:
        """Nothing is held open."""

    def sense(self) -> Frame:
        """Look at the world as it is now: sensors, labels, and the events since the last look."""
        _ = self.scenario
        self.worlds.look(self._n)
        return self._frame()

    def _frame(self) -> Frame:
        worlds, n, scenario = self.worlds, self._n, self.scenario
        x, y, yaw, speed, steer, _, acceleration, yaw_rate = self.ego.tolist()
        self.trail.append((x, y))
        row = worlds.truth[n].tolist()
        memory = worlds.arrays.memory[n]
        truth = Truth(
            lateral_error_m=row[0],
            heading_error_rad=row[1],
            curvature_1pm=row[2],
            lane_width_m=row[3],
            gap_ahead_m=row[4],
            closing_speed_mps=row[5],
            progress_m=row[6],
            route_length_m=row[7],
            reward=row[8],
            collided=row[9] > 0.0,
            off_road=row[10] > 0.0,
            scenario=scenario.family,
            episode=scenario.seed,
            step=int(row[11]),
            limit_mps=row[12],
            red_lights=int(row[14]),
            red_light_gap_m=row[15],
            crossing_time_s=row[16],
        )
        px, py, pyaw = worlds.pose[n].tolist()
        return Frame(
            time_s=self.time_s,
            camera=worlds.camera[n].copy(),
            scan=worlds.scan[n].copy(),
            state=worlds.state[n].copy(),
            pose=(px, py, pyaw),
            true_pose=(x, y, yaw),
            speed_mps=speed,
            acceleration_mps2=acceleration,
            yaw_rate_radps=yaw_rate,
            steering_angle_rad=steer,
            speed_limit_mps=truth.limit_mps,
            commanded=memory[[at.COMMANDED_STEER, at.COMMANDED_ACCEL]].astype(np.float32),
            truth=truth,
            events=events_of(worlds, n),
            terminated=bool(worlds.terminated[n]),
            truncated=bool(worlds.truncated[n]),
        )

    def picture(self, size: tuple[int, int]) -> NDArray[np.uint8]:
        """What the front camera sees now, at any size (height, width): the model's 64x64 or one for people."""
        _ = self.scenario
        return self.worlds.picture(self._n, size)

    def top_view(self, size_px: int = 480, trail: ArrayLike | None = None, metres: float = 80.0) -> NDArray[np.uint8]:
        """The scene from above for people, `metres` wide, heading up; see `view.draw_top_view`."""
        from wm_sim.view import draw_top_view

        return draw_top_view(self, size_px, trail, metres)

    @staticmethod
    def observation(frame: Frame) -> dict[str, NDArray[np.generic]]:
        """The part of a frame that a driver may see."""
        return {"camera": frame.camera, "scan": frame.scan, "state": frame.state}
