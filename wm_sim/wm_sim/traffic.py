"""Other cars: they follow the lane by arc length, either as IDM drivers or by a script of speeds."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import kernel
from wm_sim.observation import EGO_CENTRE_X_M, EGO_FRONT_X_M, EGO_LENGTH_M, EGO_WIDTH_M
from wm_sim.roads import LCOS, LCURVATURE, LINE_STEP_M, LSIN, LX, LY, LYAW, locate
from wm_sim.vehicle import SPEED, YAW, X, Y

# Columns of the array of cars. S is the arc length of a car's middle, D its offset to the left of the lane centre.
S, D, V, A, LENGTH, WIDTH, HEIGHT, SCRIPTED, DESIRED, PHASE, WAITED, CX, CY, CYAW, RED, GREEN, BLUE, ACTIVE = range(18)
CAR_SIZE = 18

# Columns of a script: drive at this speed, getting there at this rate, then hold it this long.
SCRIPT_SPEED, SCRIPT_RATE, SCRIPT_HOLD = range(3)

IDM_ACCEL, IDM_BRAKE, IDM_HEADWAY, IDM_GAP, IDM_BRAKE_MAX = 1.8, 2.5, 1.4, 3.0, 8.0
GAP_MAX_M = 60.0


@kernel
def idm(speed: float, desired: float, gap: float, closing: float, headway: float, standstill: float) -> float:
    """Acceleration of the Intelligent Driver Model (Treiber et al. 2000); gap bumper to bumper, inf if none."""
    free = 1.0 - (speed / max(desired, 0.1)) ** 4
    wish = standstill + max(0.0, speed * headway + speed * closing / (2.0 * math.sqrt(IDM_ACCEL * IDM_BRAKE)))
    acceleration = IDM_ACCEL * (free - (wish / max(gap, 0.1)) ** 2)
    return min(max(acceleration, -IDM_BRAKE_MAX), IDM_ACCEL)


@kernel
def step_traffic(
    cars: NDArray[np.float64], scripts: NDArray[np.float64], line: NDArray[np.float64], duration: float
) -> None:
    """Move every active car on by `duration` s, in place. scripts [K, P, 3] goes with cars [K, CAR_SIZE]."""
    count = len(cars)
    road_end = (len(line) - 1) * LINE_STEP_M - 3.0
    for k in range(count):
        if cars[k, ACTIVE] == 0.0:
            continue
        speed = cars[k, V]
        if cars[k, SCRIPTED] > 0.0:
            phase = min(int(cars[k, PHASE]), scripts.shape[1] - 1)
            change = scripts[k, phase, SCRIPT_SPEED] - speed
            most = scripts[k, phase, SCRIPT_RATE] * duration
            acceleration = min(max(change, -most), most) / duration
            if abs(change) < 1e-9:
                cars[k, WAITED] += duration
                if cars[k, WAITED] >= scripts[k, phase, SCRIPT_HOLD] and phase < scripts.shape[1] - 1:
                    cars[k, PHASE] = phase + 1
                    cars[k, WAITED] = 0.0
        else:
            gap = math.inf
            closing = 0.0
            for j in range(count):
                ahead = cars[j, S] - cars[k, S]
                if j != k and cars[j, ACTIVE] > 0.0 and ahead > 0.0:
                    free = ahead - 0.5 * (cars[j, LENGTH] + cars[k, LENGTH])
                    if free < gap:
                        gap = free
                        closing = speed - cars[j, V]
            acceleration = idm(speed, cars[k, DESIRED], gap, closing, IDM_HEADWAY, IDM_GAP)
        after = max(0.0, speed + acceleration * duration)
        cars[k, A] = (after - speed) / duration
        cars[k, V] = after
        cars[k, S] += 0.5 * (speed + after) * duration
        if cars[k, S] > road_end:
            cars[k, ACTIVE] = 0.0
    place_cars(cars, line)


@kernel
def place_cars(cars: NDArray[np.float64], line: NDArray[np.float64]) -> None:
    """Fill in x, y, yaw of every car from its arc length and offset."""
    for k in range(len(cars)):
        i = min(max(int(np.rint(cars[k, S] / LINE_STEP_M)), 0), len(line) - 1)
        along = cars[k, S] - i * LINE_STEP_M
        cars[k, CX] = line[i, LX] + along * line[i, LCOS] - cars[k, D] * line[i, LSIN]
        cars[k, CY] = line[i, LY] + along * line[i, LSIN] + cars[k, D] * line[i, LCOS]
        cars[k, CYAW] = line[i, LYAW] + line[i, LCURVATURE] * along


@kernel
def boxes_overlap(
    ax: float, ay: float, ayaw: float, al: float, aw: float, bx: float, by: float, byaw: float, bl: float, bw: float
) -> bool:
    """Whether two oriented boxes (middle, yaw, length, width) touch, by separating axes."""
    dx, dy = bx - ax, by - ay
    cos, sin = abs(math.cos(byaw - ayaw)), abs(math.sin(byaw - ayaw))
    for yaw, l1, w1, l2, w2 in ((ayaw, al, aw, bl, bw), (byaw, bl, bw, al, aw)):
        along = abs(dx * math.cos(yaw) + dy * math.sin(yaw))
        across = abs(dy * math.cos(yaw) - dx * math.sin(yaw))
        if along > 0.5 * (l1 + l2 * cos + w2 * sin) or across > 0.5 * (w1 + l2 * sin + w2 * cos):
            return False
    return True


@kernel
def measure(
    ego: NDArray[np.float64], cars: NDArray[np.float64], line: NDArray[np.float64], index: int
) -> tuple[int, float, float, float, float, float, float, int]:
    """Where the ego stands: sample, s, d, heading error, curvature, gap ahead, closing speed, car touched or -1."""
    index, s, d = locate(line, index, ego[X], ego[Y])
    heading = ego[YAW] - line[index, LYAW] - line[index, LCURVATURE] * (s - index * LINE_STEP_M)
    heading -= 2.0 * math.pi * math.floor((heading + math.pi) / (2.0 * math.pi))
    gap = GAP_MAX_M
    closing = 0.0
    touched = -1
    middle_x = ego[X] + EGO_CENTRE_X_M * math.cos(ego[YAW])
    middle_y = ego[Y] + EGO_CENTRE_X_M * math.sin(ego[YAW])
    for k in range(len(cars)):
        if cars[k, ACTIVE] == 0.0:
            continue
        ahead = cars[k, S] - 0.5 * cars[k, LENGTH] - s - EGO_FRONT_X_M
        in_lane = abs(cars[k, D]) < 0.5 * (cars[k, WIDTH] + EGO_WIDTH_M)
        if in_lane and ahead > -cars[k, LENGTH] and ahead < gap:
            gap = max(ahead, 0.0)
            closing = ego[SPEED] - cars[k, V]
        if (cars[k, CX] - middle_x) ** 2 + (cars[k, CY] - middle_y) ** 2 < 200.0 and boxes_overlap(
            middle_x, middle_y, ego[YAW], EGO_LENGTH_M, EGO_WIDTH_M,
            cars[k, CX], cars[k, CY], cars[k, CYAW], cars[k, LENGTH], cars[k, WIDTH],
        ):  # fmt: skip
            touched = k
    return index, s, d, heading, line[index, LCURVATURE], gap, closing, touched


@kernel
def time_to_reach(
    cars: NDArray[np.float64], scripts: NDArray[np.float64], line: NDArray[np.float64], s: float
) -> float:
    """How long (s, at most 20 minutes) car 0, left to itself, takes to arrive at arc length s. Moves the cars."""
    time = 0.0
    while cars[0, S] < s and cars[0, ACTIVE] > 0.0 and time < 1200.0:
        step_traffic(cars, scripts, line, 0.05)
        time += 0.05
    return time
