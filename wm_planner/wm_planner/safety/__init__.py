"""The safety gate: a pure decision with the last word over every command. Needs the standard library and numpy."""

from wm_planner.safety.decide import decide
from wm_planner.safety.limits import Limits, limits_from, load_limits, shipped_limits
from wm_planner.safety.reasons import Reason, Source, State, describe
from wm_planner.safety.route import Route, route_from
from wm_planner.safety.types import Clock, Command, Decision, GateState, Inputs, PlanInput

__all__ = [
    "Clock",
    "Command",
    "Decision",
    "GateState",
    "Inputs",
    "Limits",
    "PlanInput",
    "Reason",
    "Route",
    "Source",
    "State",
    "decide",
    "describe",
    "limits_from",
    "load_limits",
    "route_from",
    "shipped_limits",
]
