"""highway-env behind the contract: `sim:=highway`, with racetrack-v0, highway-v0, merge-v0 and intersection-v0.

Its world is left-handed (y to the right): y, headings and steering change their sign here. It is stepped at 20 Hz, one
physics step a tick, and drives by ContinuousAction; traffic, roads and ends are its own, except that leaving the road
ends every scenario. Tried with highway-env 1.12.
"""

from __future__ import annotations

import importlib
import math
import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from wm_sim.action import ACCEL_MAX_MPS2, BRAKE_MAX_MPS2, STEER_MAX_RAD, to_physical
from wm_sim.bridges import boxes as at
from wm_sim.bridges.boxes import scan_of
from wm_sim.bridges.bridge import NO_GAP_M, Bridge, Look
from wm_sim.bridges.line import Line
from wm_sim.contract import Actuators, Declaration, Simulator, SimulatorConfig, SimulatorSpec
from wm_sim.errors import SimError
from wm_sim.frame import Pose
from wm_sim.observation import CAMERA_SHAPE, PHYSICS_STEP_S

if TYPE_CHECKING:
    from wm_sim.drivers.protocol import Driver

NAME = "highway"
TICK_HZ = round(1.0 / PHYSICS_STEP_S)
WHEELBASE_M = 5.0  # its bicycle turns about the ends of a car of 5 m
REAR_M = 2.5  # base_link behind the middle
FRONT_M = 5.0  # front bumper ahead of base_link
USUAL_LIMIT_MPS = 20.0  # of lanes that have none
VIEW_M, VIEW_AHEAD_M, VIEW_PPM = 64.0, 48.0, 2.0  # what the picture covers; pixels a metre while it is drawn
SPAWN_TICKS = TICK_HZ  # the intersection lets cars in and out once a second, as at its own pace of 1 Hz
IDM_LAWS = ("DISTANCE_WANTED", "COMFORT_ACC_MAX", "COMFORT_ACC_MIN")  # which the intersection changes for everybody


@dataclass(frozen=True)
class Track:
    """A scenario: its environment, and how long the route is."""

    environment: str  # module and class in highway_env.envs
    route_m: float
    destination: str = ""  # node of the network that the route leads to; "": wherever the lane goes on


TRACKS = {  # classes of racetrack-v0, highway-v0, merge-v0 and intersection-v0
    "racetrack": Track("racetrack_env.RacetrackEnv", 400.0),
    "highway": Track("highway_env.HighwayEnv", 800.0),
    "merge": Track("merge_env.MergeEnv", 330.0),
    "intersection": Track("intersection_env.IntersectionEnv", 80.0, destination="o1"),
}

DECLARATION = Declaration(
    name=NAME,
    about="highway-env: four of its environments, with its traffic.",
    scenarios=tuple(TRACKS),
    camera="from above, turned with the car: 64 x 64 m, 48 m of it ahead",
    camera_hfov_rad=None,
    scan="72 beams, 60 m, traced against every vehicle and obstacle; the road's edge is not seen",
    actuators=Actuators(STEER_MAX_RAD, ACCEL_MAX_MPS2, BRAKE_MAX_MPS2, "targets are met at once, without lag"),
    missing=frozenset({"crossing_time"}),
    own_score="the environment's reward, once a model step",
    settings={"vehicles": "how many other vehicles there are, instead of the environment's own number"},
    limits={
        "wheelbase_m": WHEELBASE_M,
        "understeer_s2pm2": 0.0,
        "half_width_m": 1.0,
        "front_bumper_m": FRONT_M,
        "speed_max_mps": 40.0,
    },
)


class Highway(Bridge):
    """One environment an episode. The same scenario, seed and actions give the same frames."""

    def __init__(self, config: SimulatorConfig) -> None:
        super().__init__(DECLARATION, config)
        _check_installed()
        idm = importlib.import_module("highway_env.vehicle.behavior").IDMVehicle
        self._idm, self._laws = idm, {name: getattr(idm, name) for name in IDM_LAWS}
        self._vehicles = _whole_number(config.settings.get("vehicles"))
        self._env: Any = None
        self._viewer: Any = None

    def begin(self, scenario: str, seed: int) -> NDArray[np.float64]:
        """Make the environment, reset it, and lay the route along the ego's lane."""
        self.close()
        for name, value in self._laws.items():
            setattr(self._idm, name, value)
        track = TRACKS[scenario]
        self._env = _environment(track)(config=self._settings())
        self._env.reset(seed=seed)
        most = self.config.route_length_m or track.route_m
        self.line = lay_route(self._env.road.network, self._env.vehicle, most, track.destination)
        x, y, _ = self.body
        self._s = self._start_s = self.line.locate(x, y, 0.0)[0]
        self._finish_s = self.line.length_m - FRONT_M
        self._own, self._end, self._detail = 0.0, "", ""
        return self.line.route(2.0)

    def _settings(self) -> dict[str, Any]:
        side = math.ceil(2.0 * math.hypot(VIEW_AHEAD_M, 0.5 * VIEW_M) * VIEW_PPM)
        found: dict[str, Any] = {
            "action": {
                "type": "ContinuousAction",
                "acceleration_range": [-BRAKE_MAX_MPS2, BRAKE_MAX_MPS2],
                "steering_range": [-STEER_MAX_RAD, STEER_MAX_RAD],
            },
            "simulation_frequency": TICK_HZ,
            "policy_frequency": TICK_HZ,
            "offscreen_rendering": True,
            "screen_width": side,
            "screen_height": side,
            "scaling": VIEW_PPM,
            "centering_position": [0.5, 0.5],
        }
        if self._vehicles is not None:
            for name in ("vehicles_count", "other_vehicles", "initial_vehicle_count"):
                found[name] = self._vehicles
        return found

    def advance(self) -> None:
        """One physics step of everybody; a car that brakes does not go backwards."""
        if self._end:
            return
        steering, acceleration = (float(value) for value in to_physical(self.action))
        ego = self._env.vehicle
        acceleration = max(acceleration, -ego.speed * TICK_HZ)
        action = np.array([acceleration / BRAKE_MAX_MPS2, -steering / STEER_MAX_RAD])
        self._env.time += PHYSICS_STEP_S
        self._env._simulate(action)
        if self.scenario == "intersection" and self.ticks % SPAWN_TICKS == 0:
            self._env._clear_vehicles()
            self._env._spawn_vehicle(spawn_probability=self._env.config["spawn_probability"])
        if self.ticks % 2 == 0:
            self._own += float(self._env._reward(action))
        self._judge()

    def _judge(self) -> None:
        ego = self._env.vehicle
        x, y, _ = self.body
        self._s = self.line.locate(x, y, self._s)[0]
        if ego.crashed:
            self._end, self._detail = "collision", f"car at {ego.speed:.1f} m/s"
        elif not ego.on_road:
            self._end, self._detail = "off_road", f"{abs(self.line.locate(x, y, self._s)[1]):.2f} m beside the lane"
        elif self._s >= self._finish_s:
            self._end, self._detail = "route_done", f"{self.line.length_m:.0f} m"
        elif self._env.time >= self._env.config.get("duration", math.inf):
            self._end, self._detail = "timeout", f"after {self._env.time:.0f} s"

    def look(self) -> Look:
        """Read the ego and everybody around it."""
        ego, pose = self._env.vehicle, self.body
        steering = 0.0 if ego.crashed else float(ego.action["steering"])
        slip = math.atan(0.5 * math.tan(steering))
        s, lateral, heading, curvature = self.line.locate(pose[0], pose[1], self._s)
        others = self._boxes()
        gap, closing = self._gap(others, s, float(ego.speed))
        own, self._own = self._own, 0.0
        return Look(
            camera=self._picture(pose[2]),
            scan=scan_of(others, pose),
            pose=pose,
            speed_mps=float(ego.speed) * math.cos(slip),
            yaw_rate_radps=-float(ego.speed) * math.sin(slip) / REAR_M,
            steering_angle_rad=-steering,
            limit_mps=float(ego.lane.speed_limit or USUAL_LIMIT_MPS),
            lateral_error_m=lateral,
            heading_error_rad=math.remainder(pose[2] - heading, 2.0 * math.pi),
            curvature_1pm=curvature,
            lane_width_m=float(ego.lane.width_at(0.0)),
            progress_m=min(max(s - self._start_s, 0.0), self._finish_s - self._start_s),
            route_length_m=self._finish_s - self._start_s,
            gap_ahead_m=gap,
            closing_speed_mps=closing,
            collided=bool(ego.crashed),
            off_road=not ego.on_road and not ego.crashed,
            end=self._end,
            detail=self._detail,
            own_reward=own,
        )

    @property
    def body(self) -> Pose:
        """True pose of base_link in our axes."""
        ego = self._env.vehicle
        yaw = math.remainder(-float(ego.heading), 2.0 * math.pi)
        return float(ego.position[0]) - REAR_M * math.cos(yaw), -float(ego.position[1]) - REAR_M * math.sin(yaw), yaw

    @property
    def along_m(self) -> float:
        """Arc length of base_link on `line`."""
        return self._s

    def _boxes(self) -> NDArray[np.float64]:
        """Everybody but the ego [K, 6], columns of boxes.py."""
        ego = self._env.vehicle
        everybody = [one for one in (*self._env.road.vehicles, *self._env.road.objects) if one is not ego and one.solid]
        rows = [
            (o.position[0], -o.position[1], -o.heading, o.LENGTH, o.WIDTH, getattr(o, "speed", 0.0)) for o in everybody
        ]
        return np.array(rows, np.float64).reshape(-1, 6)

    def _gap(self, others: NDArray[np.float64], s: float, speed: float) -> tuple[float, float]:
        """Bumper to bumper to whoever is ahead on the route's lane (m), and how fast it closes (m/s)."""
        x, y, _ = self.body
        best, closing = NO_GAP_M, 0.0
        for other in others[np.hypot(others[:, at.X] - x, others[:, at.Y] - y) < NO_GAP_M + 10.0]:
            along, beside, heading, _ = self.line.locate(other[at.X], other[at.Y], s + 0.5 * NO_GAP_M)
            gap = along - s - FRONT_M - 0.5 * other[at.LENGTH]
            ahead = along > s + REAR_M and abs(beside) < 0.5 * (other[at.WIDTH] + 2.0)
            if ahead and gap < best:
                best = max(gap, 0.0)
                closing = speed - other[at.SPEED] * math.cos(other[at.YAW] - heading)
        return float(best), float(closing)

    def _picture(self, yaw: float) -> NDArray[np.uint8]:
        """Its own drawing, turned so that the car looks up."""
        if self._viewer is None:
            viewer = importlib.import_module("highway_env.envs.common.graphics").EnvViewer
            self._viewer = viewer(self._env)
            self._viewer.enabled = True  # it draws on a surface of its own, whatever SDL's driver is
        self._viewer.display()
        drawn = np.ascontiguousarray(self._viewer.get_image())
        height, width, _ = CAMERA_SHAPE
        scale = 2.0 * width / VIEW_M  # pixels a metre of what is scaled down last
        # From the picture's pixels to those of the drawing, whose y points down as its world's does.
        cos, sin = math.cos(-yaw), math.sin(-yaw)
        turn = (VIEW_PPM / scale) * np.array([[-sin, -cos], [cos, -sin]])
        ego = np.array([width, 2.0 * height * VIEW_AHEAD_M / VIEW_M])  # where the car is in the picture, (x, y)
        shift = 0.5 * np.array([drawn.shape[1], drawn.shape[0]]) - turn @ ego
        turned = cv2.warpAffine(
            drawn, np.hstack([turn, shift[:, None]]), (2 * width, 2 * height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        )  # fmt: skip
        return np.asarray(cv2.resize(turned, (width, height), interpolation=cv2.INTER_AREA), np.uint8)

    def close(self) -> None:
        """Let go of the environment. Its own viewer's close would end pygame for everybody."""
        self._viewer = None
        env, self._env = self._env, None
        if env is not None:
            env.close()


def lay_route(network: Any, ego: Any, most_m: float, destination: str) -> Line:
    """The ego's lane and those that it leads to, from a little behind the ego to `most_m` ahead, in our axes."""
    index, lane = ego.lane_index, ego.lane
    nodes = network.shortest_path(index[1], destination) if destination else []
    begin = lane.local_coordinates(ego.position)[0] - REAR_M - 5.0
    points: list[tuple[float, float]] = []
    left_m = most_m + REAR_M + 5.0 + FRONT_M
    while left_m > 0.0:
        following = _next_lane(network, index, nodes)
        end = min(lane.length, begin + left_m) if following is not None else begin + left_m
        stations = np.append(np.arange(begin, end, 2.0), end if following is None else [])
        points += [(float(x), -float(y)) for x, y in (lane.position(s, 0.0) for s in stations)]
        left_m -= max(end - begin, 0.0)
        if following is None:
            break
        index, begin = following, 0.0
        lane = network.get_lane(index)
    return Line(points)


def _next_lane(network: Any, index: tuple[str, str, int], nodes: list[str]) -> tuple[str, str, int] | None:
    """The lane that this one leads to; None where the road ends."""
    if nodes:
        if index[1] == nodes[-1]:
            return None
        following = nodes[nodes.index(index[1]) + 1]
        return index[1], following, min(index[2], len(network.graph[index[1]][following]) - 1)
    lane = network.get_lane(index)
    found = network.next_lane(index, position=lane.position(lane.length, 0.0))
    return None if found == index else found


def _whole_number(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdigit():
        raise SimError(f"simulator highway: vehicles={text}: expected a number of vehicles, 0 or more.")
    return int(text)


def _environment(track: Track) -> Any:
    """The class of an environment; merge-v0 gets to know that a continuous action is no change of lane."""
    module, _, name = track.environment.partition(".")
    found = getattr(importlib.import_module(f"highway_env.envs.{module}"), name)
    if name != "MergeEnv":
        return found

    class ContinuousMerge(found):  # type: ignore[misc, valid-type]
        def _rewards(self, action: Any) -> Any:
            return super()._rewards(1)

    return ContinuousMerge


def _check_installed() -> None:
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # it draws on surfaces alone; no display is asked for
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    try:
        import highway_env  # noqa: F401
        import pygame  # noqa: F401
    except ImportError as error:
        raise SimError(
            f"simulator highway: the Python module {error.name} is not installed: "
            "pip install -r requirements-bench.txt (or: pip install highway-env)."
        ) from None


def make(config: SimulatorConfig) -> Simulator:
    """The bridge; SimError where highway-env is absent."""
    return Highway(config)


def _driver(name: str, seed: int) -> Driver:
    if name == "expert":
        from wm_sim.bridges.pursuit import PursuitConfig, PursuitDriver

        return PursuitDriver(PursuitConfig(WHEELBASE_M))
    from wm_sim.drivers import make_driver

    return make_driver(name, seed)


SIMULATOR = SimulatorSpec(
    declaration=DECLARATION,
    make=make,
    drivers={name: partial(_driver, name) for name in ("expert", "constant", "random")},
    teachers=("expert",),
)
