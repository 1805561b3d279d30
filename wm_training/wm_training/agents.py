"""Who drives in an evaluation: the reference drivers, and the planner inside a world model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from wm_sim.contract import BUILTIN, find_simulator
from wm_training.errors import TrainingError

if TYPE_CHECKING:
    from wm_sim.world import Frame, World

DRIVERS = ("expert", "idm", "pdm", "constant", "random")
PLANS, ALONE = "model", "policy"  # a world model drives by search in it, or by its policy's first proposal alone
TEACHERS = ("expert", "idm", "pdm")  # they see the simulator's truth


class DrivingAgent(Protocol):
    """Anything that drives: told of the world once, then asked once a model step."""

    def reset(self, world: World) -> None: ...
    def act(self, frame: Frame) -> np.ndarray: ...


def make_agent(
    name: str,
    seed: int,
    settings: Mapping[str, Any] | None = None,
    gate: bool = True,
    sim: str = BUILTIN,
    limits_file: str = "",
) -> DrivingAgent:
    """A fresh agent for one drive in the simulator `sim`, so that drives do not depend on each other.

    For those that plan: `settings` of the planner by the names of planner_node's parameters, whether the safety gate
    stands behind it, and a file of limits over those shipped and declared.
    """
    simulator = find_simulator(sim)
    if name in simulator.drivers:
        return simulator.drivers[name](seed)
    from wm_planner.agent import AgentConfig, ModelDriver
    from wm_planner.car_limits import car_limits
    from wm_planner.planner_settings import planner_config

    # Without settings the nodes' defaults: both drive alike.
    limits = car_limits(simulator.declaration.limits, limits_file)
    planner = replace(planner_config(settings or {}), limits=limits)
    config = AgentConfig(gate=gate, planner=planner, limits=limits, policy_only=name.partition(":")[0] == ALONE)
    return ModelDriver(shared_engine(model_path(name)), config)


def gate_says(agent: DrivingAgent) -> list[str]:
    """Why the gate behind an agent decided as it did on the last frame, in words; nothing where there is no gate."""
    decision = getattr(agent, "last_decision", None)
    if decision is None:
        return []
    from wm_planner.safety.reasons import describe

    return describe(decision.reasons)


def check_agent(agent: str, drivers: tuple[str, ...], command: str) -> None:
    """Refuse an agent that `command` does not know, and a model that cannot be loaded: once, not by every worker."""
    if agent in drivers:
        return
    if agent.partition(":")[0] not in (PLANS, ALONE):
        known = ", ".join((*drivers, *(form for kind in (PLANS, ALONE) for form in (kind, f"{kind}:PATH"))))
        raise TrainingError(f"agent {agent!r}: {command} knows {known}.")
    shared_engine(model_path(agent))


def model_id(agent: str) -> str | None:
    """Which model drives; None for a driver that is none."""
    return str(shared_engine(model_path(agent)).config.model_id) if plans(agent) else None


def plans(agent: str) -> bool:
    """Whether a world model drives."""
    return agent.partition(":")[0] in (PLANS, ALONE)


def model_path(agent: str) -> Path:
    """The model folder that `model`, `model:PATH`, `policy` or `policy:PATH` stands for."""
    _, _, given = agent.partition(":")
    if given:
        return Path(given)
    for root in (Path.cwd(), *Path(__file__).resolve().parents):
        if (root / "models" / "default" / "config.yaml").is_file():
            return root / "models" / "default"
    raise TrainingError(
        "the shipped model is not here: no folder models/default above this directory or the installation. "
        "Name one with --agent model:PATH."
    )


_ENGINES: dict[Path, Any] = {}  # one per process: loading checks and warms three graphs


def shared_engine(path: Path) -> Any:
    """The engine of a model folder, loaded once a process."""
    if path not in _ENGINES:
        from wm_dynamics.engines import load_engine

        _ENGINES[path] = load_engine(path)
    return _ENGINES[path]


def blind(frame: Frame, blackout: str) -> Frame:
    """The frame without its camera picture (black) or without its scan (nothing in range)."""
    if blackout == "camera":
        return replace(frame, camera=np.zeros_like(frame.camera))
    if blackout == "scan":
        from wm_sim.observation import SCAN_MAX_M

        return replace(frame, scan=np.full_like(frame.scan, SCAN_MAX_M))
    return frame
