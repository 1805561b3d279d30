"""The stack's processes as plain data: what runs, under which name, with which parameters.

`wm drive` starts them under honcho, `stack.launch.py` under launch_ros. Nothing else lists them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from wm_bringup.errors import BringupError
from wm_sim.observation import STEP_S

# Lockstep waits for every plan, and nobody has to answer before somebody else's work.
ORDINARY = {"realtime_priority": 0}
UNHURRIED = {"deadline_s": 0.0}
PLAN_SHARE = 0.5  # of a frame's wall time, where that is short: encoder, filter, gate and topics need the rest


@dataclass(frozen=True)
class Process:
    """One node in one process; `python -m package.executable` and `ros2 run package executable` both start it."""

    package: str
    executable: str
    parameters: dict[str, Any] = field(default_factory=dict)  # over the defaults in params/stack.yaml
    respawn: bool = True  # whether it is worth starting again when it dies under a supervisor
    ends_last: bool = False  # stopped after all others, so that it sees how they end

    @property
    def name(self) -> str:
        return self.executable

    @property
    def module(self) -> str:
        return f"{self.package}.{self.executable}"


@dataclass(frozen=True)
class Setup:
    """What a user may choose about a run."""

    scenario: str = ""  # empty: the simulator's usual one
    road: str = ""  # map file instead of a scenario's road, as sim_node's parameter
    seed: int = 7
    mode: str = "realtime"  # realtime | lockstep
    model: str = "models/default"
    speed: float = 1.0  # simulated seconds per wall second, realtime only
    route_length_m: float = 0.0  # 0: the family's own
    sim: str = "builtin"  # a name of wm_sim.contract's registry
    sim_settings: str = ""  # its own, as name=value, some separated by commas
    bag: str = ""  # folder to record into; empty: no recorder
    report: str = ""  # folder for the report of one drive; empty: nobody engages, nobody reports
    engage: bool = True
    supervise: bool = False  # supervisor_node brings the nodes up in order and watches; else each starts by itself


def topology(setup: Setup) -> tuple[Process, ...]:
    """Every process of a run, in the order in which they start.

    BringupError or SimError in one sentence where the simulator cannot be known or declares limits that are none.
    """
    model, limits = {"model": setup.model}, declared_limits(setup.sim)
    processes = [
        Process(
            "wm_sim",
            "sim_node",
            {
                "sim": setup.sim,
                "sim_settings": setup.sim_settings,
                "scenario": setup.scenario,
                "road": setup.road,
                "seed": setup.seed,
                "mode": setup.mode,
                "speed": setup.speed,
                "route_length_m": setup.route_length_m,
            },
            respawn=False,  # a new simulator would be a new world on a clock that begins again
        ),
        Process("wm_perception", "perception_node", model),
        Process("wm_dynamics", "dynamics_node", model),
        Process("wm_planner", "planner_node", model | limits | time_to_plan(setup)),
        Process("wm_planner", "safety_gate_node", {"mode": setup.mode} | limits),
    ]
    if setup.mode == "lockstep":
        processes = [replace(process, parameters=process.parameters | ORDINARY) for process in processes]
    if setup.bag:
        given = {"out": setup.bag} | ({"when_exists": "number"} if setup.supervise else {})
        processes.append(Process("wm_training", "recorder_node", given, ends_last=True))
    watched = [process.name for process in processes]
    if setup.supervise:
        processes = [replace(process, parameters=process.parameters | {"autostart": False}) for process in processes]
        processes.append(Process("wm_bringup", "supervisor_node", {"nodes": list(watched), "mode": setup.mode}))
    if setup.report:
        processes.append(
            Process(
                "wm_bringup",
                "drive_node",
                {
                    "out": setup.report,
                    "engage": setup.engage,
                    "mode": setup.mode,
                    "scenario": f"road:{setup.road}" if setup.road else setup.scenario,
                    "seed": setup.seed,
                    "wait_for": watched,
                    "bag": setup.bag,
                },
                respawn=False,  # its end is that of the drive
            )
        )
    return tuple(processes)


def time_to_plan(setup: Setup) -> dict[str, float]:
    """The planner's deadline where frames do not come at 10 Hz of wall time, for which the parameter file has it."""
    if setup.mode == "lockstep":
        return UNHURRIED
    return {"deadline_s": PLAN_SHARE * STEP_S / setup.speed} if setup.speed > 1.0 else {}


def declared_limits(sim: str) -> dict[str, str]:
    """The parameter `limits` of gate and planner: what the simulator declares of its car; none where it is ours."""
    from wm_planner.car_limits import car_limits, limits_text
    from wm_planner.errors import PlannerError
    from wm_sim.contract import find_simulator

    declared = find_simulator(sim).declaration.limits
    try:
        car_limits(declared)
    except PlannerError as error:
        raise BringupError(f"simulator {sim} declares limits that do not fit: {error}") from None
    return {"limits": limits_text(declared)} if declared else {}


@dataclass(frozen=True)
class Through:
    """What a user may choose about replaying a drive's sensors through freshly started nodes."""

    bag: str
    model: str = "models/default"
    search: str = "full"  # as planner_node's: that of the recorded plans
    sim: str = "builtin"  # that of the recorded drive
    compare: bool = True
    tolerance: float = 1e-4  # rad, m/s²
    json: str = ""
    frames: int = 0  # 0: all


def replay_topology(through: Through) -> tuple[Process, ...]:
    """From camera to plan, no car: the processes that a drive's sensors are replayed through."""
    model = {"model": through.model} | ORDINARY
    planner = model | declared_limits(through.sim) | UNHURRIED | {"search": through.search}
    given = {name: getattr(through, name) for name in ("bag", "compare", "tolerance", "json", "frames")}
    return (
        Process("wm_perception", "perception_node", model),
        Process("wm_dynamics", "dynamics_node", model),
        Process("wm_planner", "planner_node", planner),
        Process("wm_training", "replay_node", given),
    )


def parameter_file(processes: tuple[Process, ...]) -> dict[str, Any]:
    """The parameters of every process as a ROS parameter file holds them; `/**/` fits any namespace."""
    return {f"/**/{process.name}": {"ros__parameters": dict(process.parameters)} for process in processes}
