"""The gate as a node: light, alone, and able to say why it will not engage."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.ros

LIGHT = """
import sys, rclpy
from wm_planner.safety_gate_node import SafetyGateNode
rclpy.init()
node = SafetyGateNode()
node.start()
print(",".join(name for name in ("torch", "onnxruntime", "numba", "tensorrt") if name in sys.modules))
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


def output(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
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
