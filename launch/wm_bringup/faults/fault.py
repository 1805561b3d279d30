"""What a fault is: plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wm_ros.topic_table import CONTROL, TopicSpec

StreamKind = Literal["freeze", "stuck", "drop", "lossy", "delay", "duplicate", "reorder", "corrupt"]
ClockKind = Literal["frozen", "forward", "back", "slow"]
Length = Literal["empty", "short", "long"]


@dataclass(frozen=True)
class Kill:
    """SIGKILL; the node is started again once the car was watched."""

    node: str


@dataclass(frozen=True)
class Stop:
    """SIGSTOP, and SIGCONT once the car was watched."""

    node: str


@dataclass(frozen=True)
class Stream:
    """What happens to all messages of a topic on their way."""

    topic: TopicSpec
    kind: StreamKind


@dataclass(frozen=True)
class Field:
    """One float field (all entries of an array) of every message of a topic reads `value`."""

    topic: TopicSpec
    path: str  # as in "pose.pose.position.x"
    value: float


@dataclass(frozen=True)
class WrongLength:
    """One array field of every message of a topic has the wrong length."""

    topic: TopicSpec
    path: str
    length: Length


@dataclass(frozen=True)
class Appear:
    """Something stands in the path all at once; the lidar alone sees it."""

    ahead_s: float  # so long it takes to its place at the present speed


@dataclass(frozen=True)
class WrongClock:
    """`/clock` as everybody but the simulator hears it."""

    kind: ClockKind


@dataclass(frozen=True)
class DiskFull:
    """The disk that the bag lies on has no byte left."""


@dataclass(frozen=True)
class CpuHogs:
    """As many busy processes as the machine has cores, times `per_core`."""

    per_core: int = 1


@dataclass(frozen=True)
class SecondPublisher:
    """Somebody else publishes full throttle on `control_cmd`."""

    rate_hz: float


Action = Kill | Stop | Stream | Field | WrongLength | Appear | WrongClock | DiskFull | CpuHogs | SecondPublisher


@dataclass(frozen=True)
class Fault:
    """A fault, in which drive it is put, and what has to come of it."""

    name: str
    group: str  # faults that one line of a summary may stand for
    action: Action
    limit_ms: float | None = None  # to the first braking; None: only nobody may be hurt
    limit_from: str = ""  # row of the safety table that the limit comes from
    scenario: str = "lane_follow"
    lasts_s: float = 4.0  # at most; a car that stands ends it

    @property
    def is_seen(self) -> bool:
        """Whether the gate's braking for what the scan shows is the answer, after which the car may drive again."""
        return isinstance(self.action, Appear)

    @property
    def is_behind_gate(self) -> bool:
        """Whether the fault meets the gate's commands on their way: the car does not hear what the gate said."""
        return isinstance(self.action, Field | WrongLength) and self.action.topic.name == CONTROL.name

    @property
    def needs_recorder(self) -> bool:
        action = self.action
        return isinstance(action, DiskFull) or (isinstance(action, Kill | Stop) and action.node == "recorder_node")
