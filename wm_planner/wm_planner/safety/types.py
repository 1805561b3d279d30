"""What the gate is told, what it remembers and what it answers. Stamps are integer nanoseconds, so ages are exact."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from wm_planner.safety.crossing import Edges
from wm_planner.safety.reasons import Source, State
from wm_planner.safety.route import Pose, Route
from wm_planner.safety.sightings import Sightings

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Clock:
    """Now, on both clocks: ROS time for ages of data, a steady clock for noticing that ROS time stands still."""

    ros_ns: int
    steady_ns: int


@dataclass(frozen=True, eq=False)
class PlanInput:
    """A plan as received: controls from `source_stamp_ns` on, one every `dt_s`."""

    seq: int
    source_stamp_ns: int  # stamp of the camera frame that the plan descends from
    dt_s: float
    steering_angle: Array  # [H] rad at the tyre, left positive
    acceleration: Array  # [H] m/s^2


@dataclass(frozen=True, eq=False)
class Inputs:
    """The newest of everything that the gate listens to; None where nothing has come yet."""

    engaged: bool  # the driver's wish, as last set by the engage service
    plan: PlanInput | None = None
    speed_mps: float = 0.0  # vehicle status
    yaw_rate_radps: float = 0.0  # vehicle status
    steering_angle_rad: float = 0.0  # vehicle status, measured
    status_stamp_ns: int | None = None
    odom_stamp_ns: int | None = None
    scan: Array | None = None  # [72] m, nearest return in each sector, first sector starting at -pi
    scan_stamp_ns: int | None = None
    surprise_nats: float | None = None  # of the newest belief, where known
    pose: Pose | None = None  # odometry's, in the route's frame; None: not known
    route: Route | None = None  # None: not heard, nothing is said about leaving it
    speed_limit_mps: float | None = None  # the road's, vehicle status; None, 0 or no number: not known


@dataclass(frozen=True)
class Command:
    """What the car may execute now; every number finite, inside the limits and exactly a float32."""

    steering_angle_rad: float
    steering_rate_radps: float
    acceleration_mps2: float
    speed_mps: float  # expected one plan step ahead
    source: Source
    limited: bool


@dataclass(frozen=True, eq=False)
class GateState:
    """All that the gate remembers. `GateState()` is a gate just started: nothing seen, STOPPED."""

    state: State = State.STOPPED
    command: Command | None = None
    ros_ns: int | None = None  # of the last decision
    advanced_steady_ns: int = 0  # steady time at which ROS time last moved
    plan: PlanInput | None = None  # last accepted
    refused_since_ns: int | None = None  # first refusal since the last accepted plan
    speed_mps: float = 0.0  # last finite
    yaw_rate_radps: float = 0.0  # last finite
    status_ns: int | None = None  # stamp of the last usable vehicle status
    odom_ns: int | None = None  # stamp of the last usable odometry
    pose: Pose | None = None  # its pose
    scan_ns: int | None = None  # stamp of the last usable scan
    scan: Array | None = None  # its ranges
    steering_credit_s: float = 0.0  # slew time saved up
    throttle_credit_s: float = 0.0  # the same for acceleration that rises
    sightings: Sightings | None = None  # of the last usable scan
    edges: Edges | None = None  # of the same
    speed_limit_mps: float | None = None  # the road's, last heard; None: not known
    surprised: int = 0  # decisions in a row above the surprise limit
    surprise_plan_seq: int | None = None
    kept_beside_m: float | None = None  # left of the route: the line that is kept since the plan was lost


@dataclass(frozen=True, eq=False)
class Decision:
    """The command, the state, why, and what to hand back next time."""

    command: Command
    state: State
    reasons: int
    command_age_s: float  # age of the plan in use; inf without one
    clock_age_s: float  # steady seconds since ROS time last moved
    gate_state: GateState = field(repr=False)
    fault: str = ""  # what went wrong inside the gate, where the reasons hold FAULT
