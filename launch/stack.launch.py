"""`ros2 launch wm_bringup stack.launch.py`: the stack's topology as launch_ros nodes.

    ros2 launch wm_bringup stack.launch.py scenario:=stop_go seed:=7 mode:=realtime record:=runs/bag
    ros2 service call /safety/engage std_srvs/srv/SetBool "{data: true}"

`drive:=FOLDER` adds drive_node, which engages by itself, writes its report into that folder and ends the launch.
"""

from pathlib import Path

from wm_bringup.errors import BringupError
from wm_bringup.launching import description, given_values, lifecycle_nodes
from wm_bringup.paths import MODEL, find_model, stack_parameters
from wm_bringup.topology import Setup, topology
from wm_sim.contract import known_simulators

ARGUMENTS = (
    ("sim", "builtin", "Simulator.", tuple(known_simulators())),
    ("sim_settings", "", "The simulator's own settings, as host=10.0.0.2,port=2000.", None),
    ("scenario", "", "Scenario of the simulator; empty: its usual one.", None),
    ("seed", "7", "Seed of the first episode.", None),
    ("mode", "realtime", "What moves the world: the wall clock, or each command.", ("realtime", "lockstep")),
    ("model", MODEL, "Model folder.", None),
    ("record", "", "Folder of a new bag; empty: record nothing.", None),
    ("drive", "", "Existing folder for the report of one drive; empty: engage and stop by hand.", None),
    ("params_file", "", "ROS parameter file over the stack's own.", None),
    ("namespace", "", "Namespace of every node.", None),
    ("respawn", "true", "Start a node again that dies; else its death ends the launch.", ("true", "false")),
    ("log_level", "info", "Log level of every node.", ("debug", "info", "warn", "error", "fatal")),
)


def nodes(context):
    """One LifecycleNode a process of the topology; supervisor_node configures and activates them in order."""
    given = given_values(ARGUMENTS, context)
    if given["record"] and Path(given["record"]).expanduser().exists():
        raise BringupError(f"bag {given['record']} exists already. Name another folder with record:=.")
    setup = Setup(
        scenario=given["scenario"],
        seed=int(given["seed"]),
        mode=given["mode"],
        model=str(find_model(given["model"])),
        sim=given["sim"],
        sim_settings=given["sim_settings"],
        bag=given["record"],
        report=given["drive"],
        supervise=True,
    )
    files = [str(stack_parameters()), *([given["params_file"]] if given["params_file"] else [])]
    respawn = given["respawn"] == "true"
    return lifecycle_nodes(topology(setup), files, given["log_level"], given["namespace"], respawn)


def generate_launch_description():
    return description(ARGUMENTS, nodes)
