"""States of the gate, sources of its commands, and why it does what it does. The numbers equal those in wm_msgs."""

from enum import IntEnum, IntFlag


class State(IntEnum):
    """wm_msgs/SafetyState.state."""

    STOPPED = 0
    ACTIVE = 1
    SOFT_STOP = 2
    EMERGENCY = 3  # latched until the driver disengages at standstill, or the world is reset


class Source(IntEnum):
    """wm_msgs/ControlCommand.source: who decided the command."""

    PLAN = 0
    HOLD = 1
    SOFT_STOP = 2
    EMERGENCY = 3
    STOPPED = 4
    SCAN_BRAKE = 5


class Reason(IntFlag):
    """wm_msgs/SafetyState.reasons: every reason that holds now, one bit each."""

    NONE = 0
    NOT_ENGAGED = 1
    PLAN_LATE = 2
    PLAN_LOST = 4
    SCAN_STALE = 8
    ODOM_STALE = 16
    CLOCK_FROZEN = 32
    PLAN_INVALID = 64
    PLAN_SEQUENCE = 128
    PLAN_FUTURE = 256
    OBSTACLE = 512
    SURPRISE = 1024
    LIMITED = 2048
    FAULT = 4096
    OFF_ROUTE = 8192


WORDS: dict[Reason, str] = {
    Reason.NOT_ENGAGED: "not engaged",
    Reason.PLAN_LATE: "plan late",
    Reason.PLAN_LOST: "plan missing",
    Reason.SCAN_STALE: "scan stale or missing",
    Reason.ODOM_STALE: "odometry or vehicle status stale, missing or not finite",
    Reason.CLOCK_FROZEN: "clock frozen",
    Reason.PLAN_INVALID: "plan refused: not finite or of the wrong length",
    Reason.PLAN_SEQUENCE: "plan refused: old or repeated",
    Reason.PLAN_FUTURE: "plan refused: stamped in the future",
    Reason.OBSTACLE: "something in the path",
    Reason.SURPRISE: "world model surprised",
    Reason.LIMITED: "command limited",
    Reason.FAULT: "fault inside the gate",
    Reason.OFF_ROUTE: "off the route",
}

REFUSALS = Reason.PLAN_INVALID | Reason.PLAN_SEQUENCE | Reason.PLAN_FUTURE


def describe(reasons: int) -> list[str]:
    """Words for every bit of a reason mask, lowest bit first."""
    return [words for reason, words in WORDS.items() if reasons & reason]
