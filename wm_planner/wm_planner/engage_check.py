"""The self-check before engaging, in words: what is missing or stale, and which node is behind it. No ROS import."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from wm_planner.safety.reasons import Reason, describe
from wm_planner.safety.types import Clock, Decision, Inputs

CHAIN = ("perception_node", "dynamics_node", "planner_node")
ADVICE = {
    Reason.SCAN_STALE: "is the simulator or lidar running?",
    Reason.ODOM_STALE: "is the simulator or vehicle running?",
    Reason.PLAN_LOST: "are perception, dynamics and planner running?",
    Reason.OFF_ROUTE: "is the car on its route, and is odometry in the route's frame?",
    Reason.CLOCK_FROZEN: "does somebody publish /clock?",
    Reason.SURPRISE: "wait until it is not, or load a model that knows this place",
}
LATCHED = "emergency stop is latched: let the car stand, call safety/engage false, then true again."


@dataclass(frozen=True)
class Surroundings:
    """What the gate knows of the graph around it."""

    stamps_ns: Mapping[str, int | None]  # newest stamp of each topic that the gate needs; None: never heard
    absent: Sequence[str] = ()  # nodes of the chain that once were there and are not active: "planner_node is inactive"
    rivals: Mapping[str, Sequence[str]] = field(default_factory=dict)  # topic: nodes that publish it, where one should


def stamps_of(inputs: Inputs) -> dict[str, int | None]:
    """The newest stamp of each topic that the gate cannot drive without."""
    plan = inputs.plan
    return {
        "scan": inputs.scan_stamp_ns,
        "odom": inputs.odom_stamp_ns,
        "vehicle/status": inputs.status_stamp_ns,
        "plan": None if plan is None else plan.source_stamp_ns,
    }


def may_engage(decision: Decision, around: Surroundings) -> bool:
    """Whether the decision that engaging would bring is to drive, and nobody else speaks for planner or gate."""
    driving = decision.state.name == "ACTIVE" and not decision.reasons & Reason.SURPRISE
    return driving and not around.rivals


def refusal(decision: Decision, latched: bool, now: Clock, around: Surroundings) -> str:
    """Why engaging is refused and what to do, in words."""
    if latched:
        return LATCHED
    sentences = [_said(reason, now, around) for reason in Reason if decision.reasons & reason and reason not in _SILENT]
    sentences += [
        f"{topic} has {len(who)} publishers, {', '.join(who)}: stop one" for topic, who in around.rivals.items()
    ]
    return "; ".join(sentences) or f"the gate is in state {decision.state.name.lower()}"


_SILENT = (Reason.NOT_ENGAGED, Reason.LIMITED)
_TOPICS = {
    Reason.SCAN_STALE: ("scan",),
    Reason.ODOM_STALE: ("odom", "vehicle/status"),
    Reason.PLAN_LATE: ("plan",),
    Reason.PLAN_LOST: ("plan",),
}


def _said(reason: Reason, now: Clock, around: Surroundings) -> str:
    """One reason with what lies behind it."""
    ages = ", ".join(_age(topic, now, around.stamps_ns.get(topic)) for topic in _TOPICS.get(reason, ()))
    behind = around.absent if reason in (Reason.PLAN_LATE, Reason.PLAN_LOST) else ()
    advice = ", ".join(behind) or ADVICE.get(reason, "")
    return describe(reason)[0] + (f", {ages}" if ages else "") + (f" ({advice})" if advice else "")


def _age(topic: str, now: Clock, stamp_ns: int | None) -> str:
    if stamp_ns is None:
        return f"{topic} never came"
    return f"{topic} is {(now.ros_ns - stamp_ns) * 1e-9:.1f} s old"
