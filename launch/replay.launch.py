"""`ros2 launch wm_bringup replay.launch.py`: a bag onto its topics, with /clock.

    ros2 launch wm_bringup replay.launch.py bag:=runs/drive/bag rate:=2.0 start_s:=10.0 topics:=camera/image_raw,scan
    ros2 service call /player_node/pause std_srvs/srv/SetBool "{data: true}"
    ros2 service call /player_node/step std_srvs/srv/Trigger

`through:=planner` feeds the drive's sensors to freshly started perception, dynamics and planner instead and reports how
their plans differ from the recorded ones.
"""

from wm_bringup.launching import description, given_values, lifecycle_nodes
from wm_bringup.paths import MODEL, find_model, stack_parameters
from wm_bringup.replay import recorded_setup
from wm_bringup.topology import Process, Through, replay_topology

ARGUMENTS = (
    ("bag", "", "Bag to replay.", None),
    ("rate", "1.0", "Bag seconds a wall second.", None),
    ("start_s", "0.0", "Where in the bag to start, s from its beginning.", None),
    ("loop", "false", "At the end, begin again.", ("true", "false")),
    ("paused", "false", "Begin paused.", ("true", "false")),
    ("topics", "", "Topics to play, separated by commas; empty: all.", None),
    ("remap", "", "Other names to publish on, OLD:=NEW, separated by commas.", None),
    ("through", "nothing", "Play, or feed the sensors to freshly started nodes.", ("nothing", "planner")),
    ("model", MODEL, "Model folder, with through:=planner.", None),
    ("log_level", "info", "Log level of every node.", ("debug", "info", "warn", "error", "fatal")),
)


def processes(given):
    """What runs, as plain data."""
    if given["through"] == "planner":
        model = str(find_model(given["model"]))
        return replay_topology(Through(given["bag"], model, *recorded_setup(given["bag"])))
    numbers = {name: float(given[name]) for name in ("rate", "start_s")}
    switches = {name: given[name] == "true" for name in ("loop", "paused")}
    words = {name: given[name] for name in ("bag", "topics", "remap")}
    return (Process("wm_training", "player_node", words | numbers | switches),)


def nodes(context):
    """One LifecycleNode a process; the launch ends with the first that ends."""
    given = given_values(ARGUMENTS, context)
    return lifecycle_nodes(processes(given), [str(stack_parameters())], given["log_level"])


def generate_launch_description():
    return description(ARGUMENTS, nodes)
