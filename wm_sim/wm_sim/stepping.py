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
    RIBBONS,
    ROUTE,
    SAMPLE,
    SEGMENT,
    SIGNALS,
    STEERING,
    TICKS,
    WorldArrays,
)
from wm_sim.geometry import locate_between
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
from wm_sim.kernel import hash_unit, lean_kernel
from wm_sim.observation import EGO_CENTRE_X_M, PHYSICS_STEP_S, SCAN_MAX_M
from wm_sim.observe import look_along_route, receive_pose
from wm_sim.reward import CRASH_REWARD, step_reward
from wm_sim.scene import (
    FAULT_DELAY_STEPS,
    FAULT_DROP_SHARE,
    FAULT_FREEZE_EVERY_S,
    FAULT_FREEZE_S,
    FINISH_S,
    LANE_WIDTH_M,
    LCURVATURE,
    LEFT_M,
    LIMIT_MPS,
    LINE_STEP_M,
    LYAW,
    NOISE_ON,
    RIGHT_M,
    SEED,
    START_S,
    TIME_LIMIT_S,
)
from wm_sim.sensors.camera import Scratch, draw_camera
from wm_sim.sensors.lidar import RANGE_NOISE_M, cast_scan
from wm_sim.traffic.motion import pace_curves, place_all, step_traffic
from wm_sim.traffic.neighbours import EGO_A, EGO_COS, EGO_D, EGO_S, EGO_SIN, EGO_V, EGO_X, EGO_Y
from wm_sim.vehicle import ACCELERATION as EGO_ACCELERATION
from wm_sim.vehicle import SPEED, STEER, YAW, YAW_RATE, X, Y, step_vehicle

# What `run` does with each world, in this order; bits.
BEGIN, TICK, COMMAND, TICK_AGAIN, LOOK, CAMERA, SCAN = 1, 2, 4, 8, 16, 32, 64
STEP = TICK | COMMAND | TICK_AGAIN | LOOK

_NOISE_MASK = 0x7FFFFFFFFFFF


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


@lean_kernel
def see_ego(
    seen: NDArray[np.float64], clock: NDArray[np.int64], ego: NDArray[np.float64], paths: NDArray[np.float64], last: int
) -> None:
    """Find the ego on its route: path 0, rows 0..last."""
    cos, sin = math.cos(ego[YAW]), math.sin(ego[YAW])
    clock[SAMPLE], seen[EGO_S], seen[EGO_D] = locate_between(paths, 0, last, clock[SAMPLE], ego[X], ego[Y])
    seen[EGO_V], seen[EGO_A] = ego[SPEED], ego[EGO_ACCELERATION]
    seen[EGO_X], seen[EGO_Y] = ego[X] + EGO_CENTRE_X_M * cos, ego[Y] + EGO_CENTRE_X_M * sin
    seen[EGO_COS], seen[EGO_SIN] = cos, sin


@lean_kernel
def judge(
    clock: NDArray[np.int64], memory: NDArray[np.float64], seen: NDArray[np.float64], agents: NDArray[np.float64],
    count: int, sample: NDArray[np.float64], setup: NDArray[np.float64],
) -> None:  # fmt: skip
    """Latch what ends the episode, once. sample [PATH_SIZE] of the route at the ego."""
    if clock[LATCHED] & TERMINAL:
        return
    d = seen[EGO_D]
    hit = touched(agents, count, seen)
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


@lean_kernel
def tick(
    clock: NDArray[np.int64], memory: NDArray[np.float64], ego: NDArray[np.float64], seen: NDArray[np.float64],
    counts: NDArray[np.int64], setup: NDArray[np.float64], vehicle: NDArray[np.float64], agents: NDArray[np.float64],
    paths: NDArray[np.float64], paces: NDArray[np.float64], first: NDArray[np.int64], overlaps: NDArray[np.float64],
    conflicts: NDArray[np.float64], signals: NDArray[np.float64], scripts: NDArray[np.float64],
    tracks: NDArray[np.float64],
) -> None:  # fmt: skip
    """One physics step of one world."""
    step_vehicle(ego, vehicle, memory[STEERING], memory[ACCELERATION])
    before_s = seen[EGO_S]
    see_ego(seen, clock, ego, paths, first[1] - 1)
    count = counts[AGENTS]
    time_s = clock[TICKS] * PHYSICS_STEP_S
    if count > 0:
        step_traffic(
            agents, count, counts[PEOPLE] > 0, paths, paces, first, overlaps, conflicts, counts[CONFLICTS],
            signals, counts[SIGNALS], scripts, tracks, seen, time_s, clock[TICKS] % 2 == 0,
        )  # fmt: skip
    clock[TICKS] += 1
    if counts[SIGNALS] > 0 and crossed_red(signals, counts[SIGNALS], before_s, seen[EGO_S], time_s + PHYSICS_STEP_S):
        clock[RED_LIGHTS] += 1
        clock[PENDING] |= RED_LIGHT
    judge(clock, memory, seen, agents, count, paths[clock[SAMPLE]], setup)


@lean_kernel
def begin(
    clock: NDArray[np.int64], memory: NDArray[np.float64], ego: NDArray[np.float64], seen: NDArray[np.float64],
    counts: NDArray[np.int64], setup: NDArray[np.float64], agents: NDArray[np.float64], paths: NDArray[np.float64],
    first: NDArray[np.int64], tracks: NDArray[np.float64],
) -> None:  # fmt: skip
    """Place everybody at time 0."""
    clock[SAMPLE] = min(int(np.rint(setup[START_S] / LINE_STEP_M)), first[1] - 1)
    clock[SEGMENT] = -1
    clock[PENDING] = RESET
    see_ego(seen, clock, ego, paths, first[1] - 1)
    place_all(agents, counts[AGENTS], paths, first, tracks)
    memory[LAST_S] = seen[EGO_S]
    memory[LAST_ACCELERATION] = ego[EGO_ACCELERATION]
    memory[LAST_STEER] = ego[STEER]


@lean_kernel
def reward_since(
    clock: NDArray[np.int64], memory: NDArray[np.float64], ego: NDArray[np.float64], seen: NDArray[np.float64],
    sample: NDArray[np.float64], gap: float, closing: float,
) -> float:  # fmt: skip
    """Reward since the last look; 0 once the episode is over."""
    duration = (clock[TICKS] - clock[LAST_TICKS]) * PHYSICS_STEP_S
    if duration <= 0.0 or clock[OVER]:
        return 0.0
    if clock[LATCHED] & (COLLISION | OFF_ROAD):
        return CRASH_REWARD
    return step_reward(
        duration, seen[EGO_S] - memory[LAST_S], seen[EGO_D], sample[LANE_WIDTH_M], ego[SPEED], sample[LIMIT_MPS],
        gap, closing, (ego[EGO_ACCELERATION] - memory[LAST_ACCELERATION]) / duration,
        (ego[STEER] - memory[LAST_STEER]) / duration,
    )  # fmt: skip


@lean_kernel
def look(
    clock: NDArray[np.int64], memory: NDArray[np.float64], ego: NDArray[np.float64], seen: NDArray[np.float64],
    counts: NDArray[np.int64], setup: NDArray[np.float64], agents: NDArray[np.float64], paths: NDArray[np.float64],
    first: NDArray[np.int64], overlaps: NDArray[np.float64], route: NDArray[np.float64], state: NDArray[np.float32],
    pose: NDArray[np.float64], truth: NDArray[np.float64],
) -> None:  # fmt: skip
    """What one world looks like now: state, pose and truth, and the reward since the last look."""
    index = clock[SAMPLE]
    sample = paths[index]
    gap, closing = gap_ahead(agents, counts[AGENTS], paths, first, overlaps, seen, index)
    reward = reward_since(clock, memory, ego, seen, sample, gap, closing)
    receive_pose(pose, setup, ego[X], ego[Y], ego[YAW], clock[TICKS] * PHYSICS_STEP_S)
    state[0], state[1], state[2], state[3] = ego[SPEED], ego[EGO_ACCELERATION], ego[YAW_RATE], ego[STEER]
    state[4], state[5], state[6] = memory[COMMANDED_STEER], memory[COMMANDED_ACCEL], sample[LIMIT_MPS]
    clock[SEGMENT] = look_along_route(state, route, counts[ROUTE], clock[SEGMENT], pose[0], pose[1], pose[2])
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
    memory[LAST_S], clock[LAST_TICKS] = seen[EGO_S], clock[TICKS]
    memory[LAST_ACCELERATION], memory[LAST_STEER] = ego[EGO_ACCELERATION], ego[STEER]


@lean_kernel
def picture_arrives(setup: NDArray[np.float64], ticks: int) -> bool:
    """Whether the camera delivers at a tick: not while it is frozen, and not what is dropped on the way."""
    if ticks == 0:
        return True
    time_s = ticks * PHYSICS_STEP_S
    every = setup[FAULT_FREEZE_EVERY_S]
    if every > 0.0 and time_s >= every and time_s - every * math.floor(time_s / every) < setup[FAULT_FREEZE_S]:
        return False
    return setup[FAULT_DROP_SHARE] <= 0.0 or hash_unit(int(setup[SEED]), ticks, 77) >= setup[FAULT_DROP_SHARE]


@lean_kernel
def noise_seed(setup: NDArray[np.float64], ticks: int) -> int:
    """What the sensors' noise at a tick is drawn from."""
    return (int(setup[SEED]) * 100_003 + ticks) & _NOISE_MASK


@lean_kernel
def take_picture(w: WorldArrays, n: int, image: NDArray[np.uint8], scratch: Scratch) -> None:
    """Draw what the camera of world n sees now, at the size of `image` [H, W, 3] and scratch."""
    ego, counts, ticks = w.ego[n], w.counts[n], w.clock[n, TICKS]
    draw_camera(
        image, scratch, w.ribbons[n, : counts[RIBBONS]], w.edges[n], w.signals[n, : counts[SIGNALS]],
        w.agents[n, : counts[AGENTS]], w.look[n], ego[X], ego[Y], ego[YAW], ticks * PHYSICS_STEP_S,
        noise_seed(w.setup[n], ticks),
    )  # fmt: skip


@lean_kernel
def use_camera(w: WorldArrays, n: int, scratch: Scratch) -> None:
    """Bring the camera of world n up to date, as late and as gappy as its faults make it."""
    setup, ticks = w.setup[n], w.clock[n, TICKS]
    late = int(setup[FAULT_DELAY_STEPS])
    arrives = picture_arrives(setup, ticks)
    if late > 0:
        frame = ticks // 2
        take_picture(w, n, w.late[n, frame % (late + 1)], scratch)
        if arrives:
            seen, shown = w.late[n, max(frame - late, 0) % (late + 1)].reshape(-1), w.camera[n].reshape(-1)
            for i in range(len(seen)):
                shown[i] = seen[i]
    elif arrives:
        take_picture(w, n, w.camera[n], scratch)


@lean_kernel
def run(
    w: WorldArrays, actions: NDArray[np.float32], scratch: Scratch, begin_n: int, end_n: int, what: int
) -> None:
    """Do `what` (bits above) with worlds begin_n..end_n - 1; actions [N, 2] in [-1, 1]."""
    for n in range(begin_n, end_n):
        clock, memory, ego, seen = w.clock[n], w.memory[n], w.ego[n], w.seen[n]
        counts, setup, agents, paths, first = w.counts[n], w.setup[n], w.agents[n], w.paths[n], w.first[n]
        if what & BEGIN:
            pace_curves(w.paces[n], paths, first, counts[PATHS])
            begin(clock, memory, ego, seen, counts, setup, agents, paths, first, w.tracks[n])
        for part in (TICK, TICK_AGAIN):
            if what & part:
                tick(
                    clock, memory, ego, seen, counts, setup, w.vehicle[n], agents, paths, w.paces[n], first,
                    w.overlaps[n], w.conflicts[n], w.signals[n], w.scripts[n], w.tracks[n],
                )  # fmt: skip
            if part == TICK and what & COMMAND:
                set_command(memory, actions[n, 0], actions[n, 1])
        if what & LOOK:
            look(
                clock, memory, ego, seen, counts, setup, agents, paths, first, w.overlaps[n], w.route[n], w.state[n],
                w.pose[n], w.truth[n],
            )  # fmt: skip
            w.events[n] = clock[PENDING]
            w.terminated[n] = clock[LATCHED] & TERMINAL > 0
            w.truncated[n] = clock[LATCHED] & TIMEOUT > 0
            clock[PENDING] = 0
            clock[OVER] = w.terminated[n] or w.truncated[n]
        if what & SCAN:
            noise = RANGE_NOISE_M if setup[NOISE_ON] > 0.0 else 0.0
            cast_scan(
                w.scan[n], agents[: counts[AGENTS]], ego[X], ego[Y], ego[YAW], noise, noise_seed(setup, clock[TICKS])
            )
        elif what & BEGIN:
            w.scan[n, :] = SCAN_MAX_M
        if what & CAMERA:
            use_camera(w, n, scratch)
