"""The gate as a node: light, alone, and able to say why it will not engage."""

import subprocess
import sys

import pytest

from wm_msgs.msg import ControlCommand
from wm_ros.exit_codes import EXIT_CONFIG

pytestmark = pytest.mark.ros

LIGHT = """
import sys, rclpy
from wm_planner.safety_gate_node import SafetyGateNode
rclpy.init()
node = SafetyGateNode()
node.start()
print(",".join(name for name in ("torch", "onnxruntime", "numba", "tensorrt") if name in sys.modules))
"""

LIMITED = """
import sys, rclpy
from wm_planner.safety_gate_node import SafetyGateNode
rclpy.init(args=["--ros-args", *sys.argv[1:]])
node = SafetyGateNode()
node.start()
print(node.limits.wheelbase_m, node.limits.half_width_m, node.limits.departure_max_m, node.health.facts["limits"])
"""

ENGAGE = """
import rclpy
from std_srvs.srv import SetBool
from wm_planner.safety_gate_node import SafetyGateNode
rclpy.init()
node = SafetyGateNode()
node.start()
answer = node.on_engage(SetBool.Request(data=True), SetBool.Response())
print(answer.success, answer.message, node.inputs.engaged)
print(node.on_engage(SetBool.Request(data=False), SetBool.Response()).success)
"""


def output(program: str, *words: str) -> str:
    command = [sys.executable, "-c", program, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_running_gate_holds_neither_torch_nor_onnxruntime_nor_numba() -> None:
    assert output(LIGHT).strip() == ""


def test_engage_is_refused_in_words_while_nothing_is_heard_and_disengage_always_works() -> None:
    refused, disengaged = output(ENGAGE).splitlines()
    assert refused.startswith("False ")
    assert refused.endswith(" False")
    for words in ("scan never came (is the simulator", "vehicle/status never came", "plan never came (are perception"):
        assert words in refused
    assert disengaged == "True"


def test_the_gate_takes_the_limits_of_the_car_under_those_of_a_file(tmp_path) -> None:
    assert output(LIMITED).split() == ["2.75", "0.805", "6.0", "as", "shipped"]
    given = ["-p", "limits:=wheelbase_m=3.24,departure_max_m=30"]
    assert output(LIMITED, *given).split() == ["3.24", "0.805", "30.0", "wheelbase_m=3.24,departure_max_m=30.0"]
    (tmp_path / "mine.yaml").write_text("departure_max_m: 8.0\n")
    both = output(LIMITED, *given, "-p", f"limits_file:={tmp_path}/mine.yaml")
    assert both.split() == ["3.24", "0.805", "8.0", "wheelbase_m=3.24,departure_max_m=8.0"]


UNENGAGED = """
import rclpy
from wm_planner.safety.decide import Decision
from wm_planner.safety.reasons import Source, State
from wm_planner.safety.types import Command
from wm_planner.safety_gate_node import SafetyGateNode
rclpy.init()
node = SafetyGateNode()
node.start()
braking = Command(0.0, 0.0, -6.0, 0.0, Source.SCAN_BRAKE, limited=False)
for state in (State.STOPPED, State.ACTIVE):
    print(node.command_msg(Decision(braking, state, 0, 0.0, 0.0, node.memory, ""), 0).source)
"""


def test_a_gate_that_is_not_engaged_says_that_it_stops_even_where_something_is_in_the_path() -> None:
    assert output(UNENGAGED).split() == [str(ControlCommand.SOURCE_STOPPED), str(ControlCommand.SOURCE_SCAN_BRAKE)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("wheelbase_m=long", "limits 'wheelbase_m=long': expected name=number, some separated by commas."),
        ("wheels=4", "limits of the car: unknown limit 'wheels'; known are "),
        ("wheelbase_m=nan", "limit wheelbase_m: nan is outside 1.0..6.0 m; change it."),
    ],
)
def test_bad_limits_of_the_car_are_one_sentence_and_the_end(text: str, sentence: str) -> None:
    command = [sys.executable, "-m", "wm_planner.safety_gate_node", "--ros-args", "-p", f"limits:={text}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == EXIT_CONFIG and done.stderr.startswith(sentence) and done.stderr.count("\n") == 1
