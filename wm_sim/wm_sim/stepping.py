"""The kernel that moves worlds on: ticks, commands and looks of many of them in one call."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.action import ACCEL_MAX_MPS2, BRAKE_MAX_MPS2, STEER_MAX_RAD
from wm_sim.arrays import (
    ACCELERATION,
    AGENTS,
    COMMANDED_ACCEL,
    COMMANDED_STEER,
    CONFLICTS,
    HIT,
    HIT_SIDE,
    IMPACT_MPS,
    LAST_ACCELERATION,
    LAST_S,
    LAST_STEER,
    LAST_TICKS,
    LATCHED,
    OVER,
    PATHS,
    PENDING,
    PEOPLE,
    RED_LIGHTS,
    ROUTE,
    SAMPLE,
    SEGMENT,
    SIGNALS,
    STEERING,
    TICKS,
    WorldArrays,
)
from wm_sim.geometry import locate_between
from wm_sim.hazards import crossing_time, red_light_in
from wm_sim.judge import (
    COLLISION,
    OFF_ROAD,
    RED_LIGHT,
    RESET,
    ROUTE_DONE,
    TERMINAL,
    TIMEOUT,
    crossed_red,
    gap_ahead,
    impact_of,
    touched,
)
from wm_sim.kernel import inner_kernel, lean_kernel
from wm_sim.observation import EGO_CENTRE_X_M, PHYSICS_STEP_S, SCAN_MAX_M
from wm_sim.observe import look_along_route, receive_pose
from wm_sim.reward import CRASH_REWARD, crossing_danger, danger, red_light_danger, step_reward
from wm_sim.scene import (
    CROSSING_MAX_S,
    FINISH_S,
    LANE_WIDTH_M,
    LCURVATURE,
    LEFT_M,
    LIMIT_MPS,
    LINE_STEP_M,
    LYAW,
    RED_LIGHT_MAX_M,
    RIGHT_M,
    START_S,
    TIME_LIMIT_S,
)
from wm_sim.sensing import use_camera, use_lidar
from wm_sim.sensors.camera import Scratch
from wm_sim.traffic.ground import Ground
from wm_sim.traffic.motion import pace_curves, place_all, step_traffic
from wm_sim.traffic.neighbours import EGO_A, EGO_COS, EGO_D, EGO_S, EGO_SIN, EGO_V, EGO_X, EGO_Y
from wm_sim.vehicle import ACCELERATION as EGO_ACCELERATION
from wm_sim.vehicle import SPEED, STEER, YAW, YAW_RATE, X, Y, step_vehicle

# What `run` does with each world, in this order; bits.
BEGIN, TICK, COMMAND, TICK_AGAIN, LOOK, CAMERA, SCAN = 1, 2, 4, 8, 16, 32, 64
STEP = TICK | COMMAND | TICK_AGAIN | LOOK


@lean_kernel
def set_command(memory: NDArray[np.float64], steer32: np.float32, accel32: np.float32) -> None:
    """Take an action over: clipped; full braking, the steering kept, where it is not a number."""
    steer, accel = float(steer32), float(accel32)
    if math.isnan(steer) or math.isnan(accel):
        if math.isnan(steer):
            steer = memory[COMMANDED_STEER]
        accel = -1.0
    steer, accel = min(max(steer, -1.0), 1.0), min(max(accel, -1.0), 1.0)
    most = ACCEL_MAX_MPS2 if accel > 0.0 else BRAKE_MAX_MPS2
    memory[STEERING], memory[ACCELERATION] = steer * STEER_MAX_RAD, accel * most
    # Rounded as vehicle/status carries it, physical and in float32, so that bags read back the same bits.
    steer_scale, accel_scale = np.float32(STEER_MAX_RAD), np.float32(most)
    memory[COMMANDED_STEER] = np.float32(np.float32(np.float32(steer) * steer_scale) / steer_scale)
    memory[COMMANDED_ACCEL] = np.float32(np.float32(np.float32(accel) * accel_scale) / accel_scale)


@inner_kernel
def see_ego(seen: NDArray[np.float64], clock: NDArray[np.int64], ego: NDArray[np.float64], ground: Ground) -> None:
    """Find the ego on its route, path 0."""
    cos, sin = math.cos(ego[YAW]), math.sin(ego[YAW])
    clock[SAMPLE], seen[EGO_S], seen[EGO_D] = locate_between(
        ground.paths, 0, ground.first[1] - 1, clock[SAMPLE], ego[X], ego[Y]
    )
    seen[EGO_V], seen[EGO_A] = ego[SPEED], ego[EGO_ACCELERATION]
    seen[EGO_X], seen[EGO_Y] = ego[X] + EGO_CENTRE_X_M * cos, ego[Y] + EGO_CENTRE_X_M * sin
    seen[EGO_COS], seen[EGO_SIN] = cos, sin


@inner_kernel
def judge(
    clock: NDArray[np.int64], memory: NDArray[np.float64], seen: NDArray[np.float64], agents: NDArray[np.float64],
    sample: NDArray[np.float64], setup: NDArray[np.float64],
) -> None:  # fmt: skip
    """Latch what ends the episode, once. sample [PATH_SIZE] of the route at the ego."""
    if clock[LATCHED] & TERMINAL:
        return
    d = seen[EGO_D]
    hit = touched(agents, seen)
    event = 0
    if hit >= 0:
        event = COLLISION
        clock[HIT] = hit
        memory[IMPACT_MPS], clock[HIT_SIDE] = impact_of(agents[hit], seen)
    elif d > sample[LEFT_M] or -d > sample[RIGHT_M]:
        event = OFF_ROAD
    elif seen[EGO_S] >= setup[FINISH_S]:
        event = ROUTE_DONE
    elif not clock[LATCHED] & TIMEOUT and clock[TICKS] * PHYSICS_STEP_S >= setup[TIME_LIMIT_S] - 1e-9:
        event = TIMEOUT
    clock[LATCHED] |= event
    clock[PENDING] |= event


@inner_kernel
def tick(
    clock: NDArray[np.int64], memory: NDArray[np.float64], ego: NDArray[np.float64], seen: NDArray[np.float64],
    setup: NDArray[np.float64], vehicle: NDArray[np.float64], agents: NDArray[np.float64], people: bool, ground: Ground,
) -> None:  # fmt: skip
    """One physics step of one world."""
    step_vehicle(ego, vehicle, memory[STEERING], memory[ACCELERATION])
    before_s = seen[EGO_S]
    see_ego(seen, clock, ego, ground)
    time_s = clock[TICKS] * PHYSICS_STEP_S
    if len(agents) > 0:
        step_traffic(agents, people, ground, seen, time_s, clock[TICKS] % 2 == 0)
    clock[TICKS] += 1
    if len(ground.signals) > 0 and crossed_red(ground.signals, before_s, seen[EGO_S], time_s + PHYSICS_STEP_S):
        clock[RED_LIGHTS] += 1
        clock[PENDING] |= RED_LIGHT
    judge(clock, memory, seen, agents, ground.paths[clock[SAMPLE]], setup)


@lean_kernel
def begin(
    clock: NDArray[np.int64], memory: NDArray[np.float64], ego: NDArray[np.float64], seen: NDArray[np.float64],
    setup: NDArray[np.float64], agents: NDArray[np.float64], ground: Ground,
) -> None:  # fmt: skip
    """Place everybody at time 0."""
    clock[SAMPLE] = min(int(np.rint(setup[START_S] / LINE_STEP_M)), ground.first[1] - 1)
    clock[SEGMENT] = -1
    clock[PENDING] = RESET
    see_ego(seen, clock, ego, ground)
    pace_curves(ground.paces, ground.paths, ground.first)
    place_all(agents, ground)
    memory[LAST_S] = seen[EGO_S]
    memory[LAST_ACCELERATION] = ego[EGO_ACCELERATION]
    memory[LAST_STEER] = ego[STEER]


@inner_kernel
def reward_since(
    clock: NDArray[np.int64], memory: NDArray[np.float64], ego: NDArray[np.float64], seen: NDArray[np.float64],
    sample: NDArray[np.float64], unsafe: float,
) -> float:  # fmt: skip
    """Reward since the last look; 0 once the episode is over."""
    duration = (clock[TICKS] - clock[LAST_TICKS]) * PHYSICS_STEP_S
    if duration <= 0.0 or clock[OVER]:
        return 0.0
    if (clock[LATCHED] & (COLLISION | OFF_ROAD)) or (clock[PENDING] & RED_LIGHT):
        return CRASH_REWARD
    return step_reward(
        duration, seen[EGO_S] - memory[LAST_S], seen[EGO_D], sample[LANE_WIDTH_M], ego[SPEED], sample[LIMIT_MPS],
        unsafe, (ego[EGO_ACCELERATION] - memory[LAST_ACCELERATION]) / duration,
        (ego[STEER] - memory[LAST_STEER]) / duration,
    )  # fmt: skip


@inner_kernel
def danger_now(speed: float, gap: float, closing: float, crossing_s: float, red_m: float) -> float:
    """How dangerous the ego's speed is, 0 to 1: for the car ahead, who crosses, or a red light."""
    for_traffic = max(danger(speed, gap, closing), crossing_danger(speed, crossing_s))
    return max(for_traffic, red_light_danger(speed, red_m))


@inner_kernel
def look(
    clock: NDArray[np.int64], memory: NDArray[np.float64], ego: NDArray[np.float64], seen: NDArray[np.float64],
    setup: NDArray[np.float64], agents: NDArray[np.float64], ground: Ground, route: NDArray[np.float64],
    state: NDArray[np.float32], pose: NDArray[np.float64], truth: NDArray[np.float64],
) -> None:  # fmt: skip
    """What one world looks like now: state, pose and truth, and the reward since the last look."""
    index = clock[SAMPLE]
    sample = ground.paths[index]
    gap, closing = gap_ahead(agents, ground, seen, index)
    time_s = clock[TICKS] * PHYSICS_STEP_S
    crossing_s, red_m = crossing_time(agents, seen), red_light_in(ground.signals, seen[EGO_S], time_s)
    unsafe = danger_now(ego[SPEED], gap, closing, crossing_s, red_m)
    reward = reward_since(clock, memory, ego, seen, sample, unsafe)
    receive_pose(pose, setup, ego[X], ego[Y], ego[YAW], time_s)
    state[0], state[1], state[2], state[3] = ego[SPEED], ego[EGO_ACCELERATION], ego[YAW_RATE], ego[STEER]
    state[4], state[5], state[6] = memory[COMMANDED_STEER], memory[COMMANDED_ACCEL], sample[LIMIT_MPS]
    clock[SEGMENT] = look_along_route(state, route, clock[SEGMENT], pose[0], pose[1], pose[2])
    heading = ego[YAW] - sample[LYAW] - sample[LCURVATURE] * (seen[EGO_S] - index * LINE_STEP_M)
    truth[0] = seen[EGO_D]
    truth[1] = heading - 2.0 * math.pi * math.floor((heading + math.pi) / (2.0 * math.pi))
    truth[2], truth[3] = sample[LCURVATURE], sample[LANE_WIDTH_M]
    truth[4], truth[5] = gap, closing
    truth[6], truth[7] = seen[EGO_S] - setup[START_S], setup[FINISH_S] - setup[START_S]
    truth[8] = reward
    truth[9] = 1.0 if clock[LATCHED] & COLLISION else 0.0
    truth[10] = 1.0 if clock[LATCHED] & OFF_ROAD else 0.0
    truth[11], truth[12] = clock[TICKS] // 2, sample[LIMIT_MPS]
    truth[13], truth[14] = 1.0 if clock[LATCHED] & ROUTE_DONE else 0.0, clock[RED_LIGHTS]
    truth[15], truth[16] = min(red_m, RED_LIGHT_MAX_M), min(crossing_s, CROSSING_MAX_S)
    memory[LAST_S], clock[LAST_TICKS] = seen[EGO_S], clock[TICKS]
    memory[LAST_ACCELERATION], memory[LAST_STEER] = ego[EGO_ACCELERATION], ego[STEER]


@inner_kernel
def ground_of(w: WorldArrays, n: int) -> Ground:
    """The still parts of world n, cut to what it uses."""
    counts = w.counts[n]
    return Ground(
        w.paths[n], w.paces[n], w.first[n, : counts[PATHS] + 1], w.overlaps[n], w.conflicts[n, : counts[CONFLICTS]],
        w.signals[n, : counts[SIGNALS]], w.scripts[n], w.tracks[n],
    )  # fmt: skip


@lean_kernel
def run(w: WorldArrays, actions: NDArray[np.float32], scratch: Scratch, begin_n: int, end_n: int, what: int) -> None:
    """Do `what` (bits above) with worlds begin_n..end_n - 1; actions [N, 2] in [-1, 1]."""
    for n in range(begin_n, end_n):
        clock, memory, ego, seen, setup = w.clock[n], w.memory[n], w.ego[n], w.seen[n], w.setup[n]
        agents, people = w.agents[n, : w.counts[n, AGENTS]], w.counts[n, PEOPLE] > 0
        ground = ground_of(w, n)
        if what & BEGIN:
            begin(clock, memory, ego, seen, setup, agents, ground)
            w.scan[n, :] = SCAN_MAX_M
        for part in (TICK, TICK_AGAIN):
            if what & part:
                tick(clock, memory, ego, seen, setup, w.vehicle[n], agents, people, ground)
            if part == TICK and what & COMMAND:
                set_command(memory, actions[n, 0], actions[n, 1])
        if what & LOOK:
            look(
                clock, memory, ego, seen, setup, agents, ground, w.route[n, : w.counts[n, ROUTE]], w.state[n],
                w.pose[n], w.truth[n],
            )  # fmt: skip
            w.events[n] = clock[PENDING]
            w.terminated[n] = clock[LATCHED] & TERMINAL > 0
            w.truncated[n] = clock[LATCHED] & TIMEOUT > 0
            clock[PENDING] = 0
            clock[OVER] = w.terminated[n] or w.truncated[n]
        if what & SCAN:
            use_lidar(w, n)
        if what & CAMERA:
            use_camera(w, n, scratch)
