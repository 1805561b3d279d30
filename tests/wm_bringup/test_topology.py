"""The list of processes, and the launch file made of it (launch itself is not on PyPI: a stub stands in for it)."""

from __future__ import annotations

import importlib.util
import runpy
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml

from wm_bringup.errors import BringupError
from wm_bringup.paths import stack_parameters
from wm_bringup.supervision import RespawnPolicy
from wm_bringup.topology import Setup, Through, parameter_file, replay_topology, topology
from wm_planner.car_limits import parse_limits
from wm_sim import contract
from wm_sim.contract import Declaration, SimulatorSpec, find_simulator, known_simulators

ROOT = Path(__file__).resolve().parents[2]
LAUNCH_FILE = ROOT / "launch/stack.launch.py"
DRIVING = ["sim_node", "perception_node", "dynamics_node", "planner_node", "safety_gate_node"]


class Made:
    """Whatever a launch file makes: remembers how."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs

    def perform(self, context: dict[str, str]) -> str:
        return context[self.args[0]]


def module(name: str, **content: Any) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(content)
    return made


@pytest.fixture
def launch(monkeypatch) -> SimpleNamespace:
    """The stack's launch file."""
    return load(monkeypatch, LAUNCH_FILE)


def load(monkeypatch, file: Path) -> SimpleNamespace:
    """A launch file, loaded against stubs of launch and launch_ros."""
    kinds = {
        name: type(name, (Made,), {})
        for name in (
            "LaunchDescription",
            "DeclareLaunchArgument",
            "OpaqueFunction",
            "Shutdown",
            "LaunchConfiguration",
            "LifecycleNode",
        )
    }
    actions = ("DeclareLaunchArgument", "OpaqueFunction", "Shutdown")
    stubs = {
        "launch": module("launch", LaunchDescription=kinds["LaunchDescription"]),
        "launch.actions": module("launch.actions", **{name: kinds[name] for name in actions}),
        "launch.substitutions": module("launch.substitutions", LaunchConfiguration=kinds["LaunchConfiguration"]),
        "launch_ros": module("launch_ros"),
        "launch_ros.actions": module("launch_ros.actions", LifecycleNode=kinds["LifecycleNode"]),
    }
    for name, stub in stubs.items():
        monkeypatch.setitem(sys.modules, name, stub)
    monkeypatch.delitem(sys.modules, "wm_bringup.launching", raising=False)  # it may hold the stubs of a test before
    entities = runpy.run_path(str(file))["generate_launch_description"]().args[0]
    declared = {item.args[0]: item.kwargs for item in entities if isinstance(item, kinds["DeclareLaunchArgument"])}
    functions = [item.kwargs["function"] for item in entities if isinstance(item, kinds["OpaqueFunction"])]

    def nodes(**given: str) -> list[Made]:
        context = {name: options["default_value"] for name, options in declared.items()} | given
        made = [node for function in functions for node in function(context)]
        assert all(isinstance(node, kinds["LifecycleNode"]) for node in made)
        return made

    return SimpleNamespace(declared=declared, nodes=nodes)


def test_seven_processes_make_a_recorded_drive() -> None:
    names = [process.name for process in topology(Setup(bag="bag", report="out"))]
    assert names == [*DRIVING, "recorder_node", "drive_node"]


def test_without_bag_and_report_only_the_driving_nodes_run() -> None:
    assert [process.name for process in topology(Setup())] == DRIVING


def test_every_process_is_a_module_with_a_main() -> None:
    for process in topology(Setup(bag="bag", report="out", supervise=True)):
        source = importlib.util.find_spec(process.module).origin
        assert "def main(" in Path(source).read_text(), process.module


def test_lockstep_waits_for_every_plan() -> None:
    parameters = {process.name: process.parameters for process in topology(Setup(mode="lockstep"))}
    assert parameters["planner_node"]["deadline_s"] == 0.0
    assert parameters["sim_node"]["mode"] == parameters["safety_gate_node"]["mode"] == "lockstep"
    assert "deadline_s" not in {process.name: process.parameters for process in topology(Setup())}["planner_node"]


def test_plans_take_at_most_half_of_the_time_between_frames_that_come_faster_than_10_hz() -> None:
    at = {speed: topology(Setup(speed=speed))[3].parameters.get("deadline_s") for speed in (0.5, 1.0, 2.0, 4.0)}
    assert at == {0.5: None, 1.0: None, 2.0: 0.025, 4.0: 0.0125}


def test_who_is_waited_for_asks_for_realtime_scheduling_where_time_does_not_wait() -> None:
    def asked(processes) -> dict[str, int]:
        return {it.name: it.parameters["realtime_priority"] for it in processes if "realtime_priority" in it.parameters}

    shipped = yaml.safe_load(stack_parameters().read_text())
    priorities = {name: shipped[f"/**/{name}"]["ros__parameters"]["realtime_priority"] for name in DRIVING}
    assert priorities["safety_gate_node"] == max(priorities.values())  # whatever else happens, the gate decides
    assert priorities["planner_node"] == min(priorities.values()) > 0  # it takes longest
    assert asked(topology(Setup(bag="bag", report="out"))) == {}
    assert asked(topology(Setup(bag="bag", report="out", mode="lockstep"))) == dict.fromkeys(DRIVING, 0)
    assert set(asked(replay_topology(Through("bag"))).values()) == {0}


@pytest.mark.parametrize("sim", known_simulators())
def test_gate_and_planner_start_with_the_limits_of_the_simulator_that_drives(launch, tmp_path: Path, sim: str) -> None:
    declared = find_simulator(sim).declaration.limits
    drive = {process.name: process.parameters for process in topology(Setup(sim=sim, supervise=True))}
    launched = {
        node.kwargs["name"]: node.kwargs["parameters"][-1] for node in launch.nodes(model=str(tmp_path), sim=sim)
    }
    for started in (drive, launched):
        assert [name for name, given in started.items() if "limits" in given] == (
            ["planner_node", "safety_gate_node"] if declared else []
        )
        for name in ("planner_node", "safety_gate_node"):
            assert parse_limits(started[name].get("limits", "")) == declared


def test_a_simulator_with_limits_that_are_none_starts_nothing(monkeypatch) -> None:
    odd = SimulatorSpec(Declaration("odd", "", ("road",), camera="front", limits={"wheels": 4.0}), make=lambda _: None)
    monkeypatch.setattr(contract, "find_simulator", lambda name: odd)
    with pytest.raises(BringupError, match=r"^simulator odd declares limits that do not fit: .*unknown limit 'wheels'"):
        topology(Setup(sim="odd"))


def test_drive_node_waits_for_everybody_else() -> None:
    *others, last = topology(Setup(bag="bag", report="out"))
    assert last.parameters["wait_for"] == [process.name for process in others]


def test_the_parameter_file_fits_any_namespace_and_survives_yaml() -> None:
    content = yaml.safe_load(yaml.safe_dump(parameter_file(topology(Setup(seed=12, bag="b", report="r")))))
    assert content["/**/sim_node"]["ros__parameters"]["seed"] == 12


def declared(module: str) -> str:
    """The rows of docs/parameters.md, which is made from the nodes' code, for a node and for every node."""
    sections = (ROOT / "docs/parameters.md").read_text().split("\n## ")
    return "".join(it for it in sections if it.startswith((f"{module.rpartition('.')[2]} (", "Every node")))


def test_every_parameter_in_the_stacks_file_is_declared_by_its_node() -> None:
    modules = {process.name: process.module for process in topology(Setup(bag="bag", report="out"))}
    for key, content in yaml.safe_load(stack_parameters().read_text()).items():
        for name in content["ros__parameters"]:
            assert f"| `{name}` |" in declared(modules[key.removeprefix("/**/")]), f"{key} {name}"


def test_every_parameter_of_the_topology_is_declared_by_its_node() -> None:
    for process in topology(Setup(bag="bag", report="out", mode="lockstep", supervise=True)):
        for name in process.parameters:
            assert f"| `{name}` |" in declared(process.module), f"{process.name} {name}"


def test_the_launch_file_declares_the_documented_arguments(launch) -> None:
    documented = {"sim", "scenario", "seed", "mode", "model", "record", "params_file", "namespace", "log_level"}
    assert documented <= set(launch.declared)
    assert launch.declared["mode"]["choices"] == ("realtime", "lockstep")
    for name, options in launch.declared.items():
        assert options["description"].endswith("."), name
        assert isinstance(options["default_value"], str), name


def test_every_process_of_the_topology_becomes_a_lifecycle_node(launch, tmp_path: Path) -> None:
    made = launch.nodes(model=str(tmp_path), record="bags/new", drive=str(tmp_path), namespace="ego", seed="41")
    expected = topology(Setup(seed=41, model=str(tmp_path), bag="bags/new", report=str(tmp_path), supervise=True))
    found = [(node.kwargs["package"], node.kwargs["executable"], node.kwargs["name"]) for node in made]
    assert found == [(process.package, process.executable, process.name) for process in expected]
    for node, process in zip(made, expected, strict=True):
        assert node.kwargs["namespace"] == "ego"
        assert node.kwargs["parameters"] == [str(stack_parameters()), process.parameters]


def test_a_parameter_file_of_the_user_comes_over_the_stacks_and_under_the_command_line(launch, tmp_path: Path) -> None:
    stack, mine, given = launch.nodes(model=str(tmp_path), params_file="mine.yaml")[0].kwargs["parameters"]
    assert (stack, mine) == (str(stack_parameters()), "mine.yaml")
    assert given["sim"] == "builtin"


def ended(code: int) -> SimpleNamespace:
    return SimpleNamespace(returncode=code)


def test_without_respawn_a_node_that_ends_shuts_the_launch_down(launch, tmp_path: Path) -> None:
    for node in launch.nodes(model=str(tmp_path), respawn="false"):
        assert not node.kwargs["respawn"]
        assert f"{node.kwargs['name']} ended" in node.kwargs["on_exit"](ended(0), None).kwargs["reason"]


def test_launch_starts_a_node_again_until_it_dies_too_often(launch, tmp_path: Path) -> None:
    planner = next(node for node in launch.nodes(model=str(tmp_path)) if node.kwargs["name"] == "planner_node")
    assert planner.kwargs["respawn"] and planner.kwargs["respawn_delay"] == RespawnPolicy().delay_s
    answers = [planner.kwargs["on_exit"](ended(-9), None) for _ in range(RespawnPolicy().tries + 1)]
    assert answers[:-1] == [None] * RespawnPolicy().tries
    assert answers[-1].kwargs["reason"] == "planner_node ended 4 times (killed by SIGKILL)"


def test_the_world_and_the_drive_are_not_started_again(launch, tmp_path: Path) -> None:
    made = {node.kwargs["name"]: node.kwargs for node in launch.nodes(model=str(tmp_path), drive=str(tmp_path))}
    assert {name for name, options in made.items() if not options["respawn"]} == {"sim_node", "drive_node"}


def test_a_bag_that_exists_is_refused_before_anything_starts(launch, tmp_path: Path) -> None:
    with pytest.raises(BringupError, match="exists already"):
        launch.nodes(model=str(tmp_path), record=str(tmp_path))


def test_under_a_supervisor_the_nodes_wait_for_it_and_it_knows_their_order() -> None:
    found = {process.name: process for process in topology(Setup(bag="bag", report="out", supervise=True))}
    assert list(found) == [*DRIVING, "recorder_node", "supervisor_node", "drive_node"]
    assert found["supervisor_node"].parameters["nodes"] == [*DRIVING, "recorder_node"]
    assert {name for name, process in found.items() if process.parameters.get("autostart", True)} == {
        "supervisor_node",
        "drive_node",
    }
    assert [name for name, process in found.items() if process.ends_last] == ["recorder_node"]


def test_the_replay_launch_file_plays_a_bag_or_feeds_it_to_the_chain(monkeypatch, tmp_path: Path) -> None:
    import wm_bringup.replay

    monkeypatch.setattr(wm_bringup.replay, "recorded_setup", lambda bag: ("half", "carracing"))
    launch = load(monkeypatch, ROOT / "launch/replay.launch.py")
    [player] = launch.nodes(bag="b", rate="2", loop="true")
    assert player.kwargs["parameters"][-1] == {
        "bag": "b", "topics": "", "remap": "", "rate": 2.0, "start_s": 0.0, "loop": True, "paused": False
    }  # fmt: skip
    chain = launch.nodes(bag="b", through="planner", model=str(tmp_path))
    assert [node.kwargs["executable"] for node in chain] == [p.name for p in replay_topology(Through("b"))]
    assert chain[2].kwargs["parameters"][-1]["search"] == "half"
    assert "departure_max_m=30.0" in chain[2].kwargs["parameters"][-1]["limits"]  # the plans were made within these
    for node in [player, *chain]:
        assert "ended" in node.kwargs["on_exit"](ended(0), None).kwargs["reason"]


def test_every_parameter_of_a_replay_is_declared_by_its_node() -> None:
    for process in replay_topology(Through("bag")):
        for name in process.parameters:
            assert f"| `{name}` |" in declared(process.module), f"{process.name} {name}"
