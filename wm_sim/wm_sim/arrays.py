"""N worlds as one tuple of arrays, world first: what the stepping kernel reads and writes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wm_sim.observation import SCAN_SIZE, STATE_SIZE, route_segments
from wm_sim.scenarios.scenario import Scenario
from wm_sim.scene import (
    AGENT_SIZE,
    BODY,
    CAR,
    CONFLICT_SIZE,
    EDGE_SIZE,
    FAULT_DELAY_STEPS,
    PATH,
    PATH_SIZE,
    RIBBON_SIZE,
    SETUP_SIZE,
    SIGNAL_SIZE,
)
from wm_sim.sensors.appearance import APPEARANCE_SIZE
from wm_sim.traffic.neighbours import SEEN_EGO_SIZE
from wm_sim.vehicle import EGO_STATE_SIZE, VEHICLE_SIZE

# Columns of `counts`: how much of each padded array a world uses.
AGENTS, PATHS, CONFLICTS, SIGNALS, RIBBONS, EDGES, ROUTE, TRACKS, PEOPLE = range(9)
COUNTS_SIZE = 9  # PEOPLE: 1 where somebody is not a car, or stands beside every path

# Columns of `clock`, whole numbers. LATCHED and PENDING hold bits of judge.py: what has happened at all, and since the
# last look.
TICKS, SAMPLE, SEGMENT, LAST_TICKS, LATCHED, PENDING, OVER, HIT, HIT_SIDE, RED_LIGHTS = range(10)
CLOCK_SIZE = 10

# Columns of `memory`: targets of the wheels, the action as vehicle/status carries it, and what the last look saw.
STEERING, ACCELERATION, COMMANDED_STEER, COMMANDED_ACCEL, LAST_S, LAST_ACCELERATION, LAST_STEER, IMPACT_MPS = range(8)
MEMORY_SIZE = 8

TRUTH_NAMES = (
    "lateral_error_m",
    "heading_error_rad",
    "curvature_1pm",
    "lane_width_m",
    "gap_ahead_m",
    "closing_speed_mps",
    "progress_m",
    "route_length_m",
    "reward",
    "collided",
    "off_road",
    "step",
    "limit_mps",
    "route_done",
    "red_lights",
    "red_light_gap_m",
    "crossing_time_s",
)
TRUTH_SIZE = len(TRUTH_NAMES)


class WorldArrays(NamedTuple):
    """N worlds. First what a scene brings, padded to a common size; then what moves; then what a look gives."""

    paths: NDArray[np.float64]  # [N, M, PATH_SIZE]
    paces: NDArray[np.float64]  # [N, M] speed that the curves from there on allow, m/s
    first: NDArray[np.int64]  # [N, P + 1]
    overlaps: NDArray[np.float64]  # [N, P, P, 3]
    conflicts: NDArray[np.float64]  # [N, C, CONFLICT_SIZE]
    signals: NDArray[np.float64]  # [N, G, SIGNAL_SIZE]
    scripts: NDArray[np.float64]  # [N, K, R, 3]
    tracks: NDArray[np.float64]  # [N, Q, T, 5]
    ribbons: NDArray[np.float64]  # [N, B, RIBBON_SIZE]
    edges: NDArray[np.float64]  # [N, E, EDGE_SIZE]
    route: NDArray[np.float64]  # [N, W, 5] observation.route_segments
    look: NDArray[np.float64]  # [N, APPEARANCE_SIZE]
    vehicle: NDArray[np.float64]  # [N, VEHICLE_SIZE]
    setup: NDArray[np.float64]  # [N, SETUP_SIZE]
    counts: NDArray[np.int64]  # [N, COUNTS_SIZE]
    agents: NDArray[np.float64]  # [N, K, AGENT_SIZE]
    ego: NDArray[np.float64]  # [N, EGO_STATE_SIZE]
    seen: NDArray[np.float64]  # [N, SEEN_EGO_SIZE] the ego as others see it
    memory: NDArray[np.float64]  # [N, MEMORY_SIZE]
    clock: NDArray[np.int64]  # [N, CLOCK_SIZE]
    camera: NDArray[np.uint8]  # [N, H, W, 3], H = 0 without a camera
    late: NDArray[np.uint8]  # [N, slots, H, W, 3] pictures on their way, where the camera is late
    scan: NDArray[np.float32]  # [N, 72]
    state: NDArray[np.float32]  # [N, 15]
    pose: NDArray[np.float64]  # [N, 3] as the receiver reports it: x, y, yaw
    truth: NDArray[np.float64]  # [N, TRUTH_SIZE]
    events: NDArray[np.int64]  # [N] bits of judge.py: what happened since the look before
    terminated: NDArray[np.bool_]  # [N]
    truncated: NDArray[np.bool_]  # [N]


_PER_SCENE = ("paths", "conflicts", "signals", "ribbons", "edges")


def empty_arrays(count: int, camera_size: tuple[int, int]) -> WorldArrays:
    """Worlds without an episode and without room for one."""
    height, width = camera_size
    return WorldArrays(
        paths=np.zeros((count, 0, PATH_SIZE)),
        paces=np.zeros((count, 0)),
        first=np.zeros((count, 1), dtype=np.int64),
        overlaps=np.zeros((count, 0, 0, 3)),
        conflicts=np.zeros((count, 0, CONFLICT_SIZE)),
        signals=np.zeros((count, 0, SIGNAL_SIZE)),
        scripts=np.zeros((count, 0, 1, 3)),
        tracks=np.zeros((count, 0, 0, 5)),
        ribbons=np.zeros((count, 0, RIBBON_SIZE)),
        edges=np.zeros((count, 0, EDGE_SIZE)),
        route=np.zeros((count, 0, 5)),
        look=np.zeros((count, APPEARANCE_SIZE)),
        vehicle=np.zeros((count, VEHICLE_SIZE)),
        setup=np.zeros((count, SETUP_SIZE)),
        counts=np.zeros((count, COUNTS_SIZE), dtype=np.int64),
        agents=np.zeros((count, 0, AGENT_SIZE)),
        ego=np.zeros((count, EGO_STATE_SIZE)),
        seen=np.zeros((count, SEEN_EGO_SIZE)),
        memory=np.zeros((count, MEMORY_SIZE)),
        clock=np.zeros((count, CLOCK_SIZE), dtype=np.int64),
        camera=np.zeros((count, height, width, 3), dtype=np.uint8),
        late=np.zeros((count, 0, height, width, 3), dtype=np.uint8),
        scan=np.zeros((count, SCAN_SIZE), dtype=np.float32),
        state=np.zeros((count, STATE_SIZE), dtype=np.float32),
        pose=np.zeros((count, 3)),
        truth=np.zeros((count, TRUTH_SIZE)),
        events=np.zeros(count, dtype=np.int64),
        terminated=np.zeros(count, dtype=np.bool_),
        truncated=np.zeros(count, dtype=np.bool_),
    )


def _sizes(scenario: Scenario, route_rows: int) -> dict[str, tuple[int, ...]]:
    """Shape that each padded array needs for a scenario."""
    scene = scenario.scene
    sizes = {name: getattr(scene, name).shape for name in (*_PER_SCENE, "first", "overlaps", "agents", "tracks")}
    sizes["scripts"] = (len(scene.agents), *scene.scripts.shape[1:])
    sizes["route"] = (route_rows, 5)
    sizes["paces"] = (len(scene.paths),)
    return sizes


def _grown(array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """The array with room for `shape` in each world, a quarter more than asked where it has to grow."""
    have = array.shape[1:]
    if all(a >= b for a, b in zip(have, shape, strict=True)):
        return array
    small = (2, 3, 5)
    room = tuple(h if h >= s else (s if s in small else s + s // 4) for h, s in zip(have, shape, strict=True))
    grown = np.zeros((len(array), *room), dtype=array.dtype)
    grown[tuple(slice(0, size) for size in array.shape)] = array
    return grown


def load_scenario(arrays: WorldArrays, n: int, scenario: Scenario) -> WorldArrays:
    """Put a scenario into world n as it is at time 0; the arrays, new ones where they had to grow."""
    scene = scenario.scene
    route = route_segments(scene.route)
    wanted = _sizes(scenario, len(route))
    late = int(scene.setup[FAULT_DELAY_STEPS]) if arrays.camera.size else 0
    if late:
        wanted["late"] = (late + 1, *arrays.camera.shape[1:])
    changed = {name: _grown(getattr(arrays, name), shape) for name, shape in wanted.items()}
    changed = {name: array for name, array in changed.items() if array is not getattr(arrays, name)}
    if changed:
        arrays = arrays._replace(**changed)
    for name, shape in wanted.items():
        if name in ("late", "route", "paces"):
            continue
        getattr(arrays, name)[(n, *(slice(0, size) for size in shape))] = getattr(scene, name)
    arrays.tracks[n, :, scene.tracks.shape[1] :] = np.nan  # nobody is there beyond the recording
    arrays.route[n, : len(route)] = route
    arrays.look[n], arrays.vehicle[n], arrays.setup[n] = scene.look, scene.vehicle, scene.setup
    agents = scene.agents
    people = bool(np.any((agents[:, BODY] != CAR) | (agents[:, PATH] < 0.0)))
    arrays.counts[n] = (
        len(agents), len(scene.first) - 1, len(scene.conflicts), len(scene.signals), len(scene.ribbons),
        len(scene.edges), len(route), len(scene.tracks), people,
    )  # fmt: skip
    arrays.ego[n] = scene.ego
    arrays.memory[n] = 0.0
    arrays.clock[n] = 0
    return arrays
