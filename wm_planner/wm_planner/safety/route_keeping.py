"""Steering of a stop whose plan is lost: along the route, beside it as the car was.

A plan's later steps were made for a car that does not brake and are its least certain ones; after its end there is
nothing. The route says how the road goes on, and how much the car turns under its present steering is measured, so that
neither the receiver's place (metres off) nor the car's own steering (gain, bias) is believed.
"""

import math
from dataclasses import replace

from wm_planner.safety.limits import MEASURABLE_MPS, Limits, effective_wheelbase
from wm_planner.safety.route import Route, arc_beside, left_of
from wm_planner.safety.types import GateState

_AHEAD_MIN_M, _AHEAD_S = 3.0, 0.8  # how far ahead the line is met
_SETTLES_S = 0.4  # in which the car's turning follows what is wanted: more than its steering lags


def keep_route(route: Route | None, memory: GateState, elapsed_s: float, limits: Limits) -> tuple[float, GateState]:
    """Steering angle in rad, and the memory with the line that is followed; the last steering where nothing is known.

    elapsed_s: since the last decision.
    """
    kept = 0.0 if memory.command is None else memory.command.steering_angle_rad
    pose, speed = memory.pose, memory.speed_mps
    if route is None or pose is None or speed < MEASURABLE_MPS:
        return kept, memory
    beside = left_of(route, pose[0], pose[1])
    if abs(beside) > limits.departure_max_m:
        return kept, memory
    if memory.kept_beside_m is None:
        memory = replace(memory, kept_beside_m=beside)
    else:
        beside = memory.kept_beside_m
    wanted = arc_beside(route, pose, beside, max(_AHEAD_MIN_M, _AHEAD_S * speed))
    lacking = wanted - memory.yaw_rate_radps / speed  # 1/m
    share = min(1.0, elapsed_s / _SETTLES_S)
    return kept + share * math.atan(effective_wheelbase(speed, limits) * lacking), memory
