"""The car comes to a stand when a part of the chain is gone. Times are the simulator's, a slow machine will do."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import rclpy
import yaml
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import SetBool

from wm_bringup.drive import command_line, environment
from wm_bringup.paths import stack_parameters
from wm_bringup.topology import Setup, parameter_file, topology
from wm_msgs.msg import ControlCommand, Plan, VehicleStatus
from wm_ros.convert import to_ns
from wm_ros.topics import CONTROL, PLAN, STATUS

pytestmark = [pytest.mark.system, pytest.mark.slow]
PATIENCE_S = 90.0
STOPPING = (ControlCommand.SOURCE_SOFT_STOP, ControlCommand.SOURCE_EMERGENCY)


class LooseStack:
    """The five driving nodes without a manager: what dies stays dead, and the rest goes on."""

    def __init__(self, model: Path, folder: Path, domain: int) -> None:
        processes = topology(Setup(scenario="lane_follow", seed=3, model=str(model)))
        chosen = folder / "parameters.yaml"
        chosen.write_text(yaml.safe_dump(parameter_file(processes)))
        files, env = [stack_parameters(), chosen], environment(domain)
        self.nodes = {process.name: subprocess.Popen(command_line(process, files), env=env) for process in processes}
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.observer = rclpy.create_node("observer", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.observer)
        self.statuses: list[VehicleStatus] = []
        self.commands: list[ControlCommand] = []
        self.plans: list[Plan] = []
        for topic, kept in ((STATUS, self.statuses), (CONTROL, self.commands), (PLAN, self.plans)):
            self.observer.create_subscription(topic.type, topic.name, kept.append, topic.reader_qos)
        self.client = self.observer.create_client(SetBool, "safety/engage")

    def until(self, done: Callable[[], object], what: str) -> None:
        limit = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < limit, f"waited in vain until {what}"
            self.executor.spin_once(timeout_sec=0.02)

    def engage(self) -> None:
        self.until(self.client.service_is_ready, "the gate is there")
        while True:
            asked = self.client.call_async(SetBool.Request(data=True))
            self.until(asked.done, "the gate answers")
            if asked.result().success:
                return
            time.sleep(0.1)

    def under_way(self, frames: int = 8) -> None:
        """Engage and drive for some frames."""
        self.engage()

        def driving() -> bool:
            moving = sum(status.mode == VehicleStatus.MODE_DRIVING for status in self.statuses)
            return moving >= frames and self.commands[-1].source == ControlCommand.SOURCE_PLAN

        self.until(driving, "the car drives")

    def kill(self, name: str) -> None:
        self.nodes[name].send_signal(signal.SIGKILL)
        self.nodes[name].wait()

    def end(self) -> None:
        for process in self.nodes.values():
            process.terminate()
        for process in self.nodes.values():
            try:
                process.wait(10.0)
            except subprocess.TimeoutExpired:
                process.kill()
        self.executor.shutdown()
        self.observer.destroy_node()
        self.context.try_shutdown()

    def stands(self) -> bool:
        return bool(self.statuses) and self.statuses[-1].speed < 0.1


@pytest.fixture
def loose_stack(model: Path, free_domain, tmp_path: Path, monkeypatch) -> Iterator[LooseStack]:
    domain = free_domain()
    monkeypatch.setenv("WM_TEST_STACK", str(domain))
    stack = LooseStack(model, tmp_path, domain)
    yield stack
    stack.end()


def test_the_car_brakes_to_a_stop_after_the_planner_is_killed(loose_stack) -> None:
    loose_stack.under_way()
    loose_stack.kill("planner_node")
    latched = lambda: loose_stack.commands[-1].source == ControlCommand.SOURCE_EMERGENCY  # noqa: E731
    loose_stack.until(lambda: latched() and loose_stack.stands(), "the gate brakes and the car stands")
    last_plan_ns = to_ns(loose_stack.plans[-1].source_stamp)
    stopping = [m for m in loose_stack.commands if m.source in STOPPING and to_ns(m.header.stamp) > last_plan_ns]
    after_s = (to_ns(stopping[0].header.stamp) - last_plan_ns) * 1e-9
    assert 0.2 <= after_s <= 0.4  # plan late after 0.2 s, and the clock ticks every 0.05 s
    assert all(m.acceleration <= 0.0 for m in stopping)
    emergency = next(m for m in stopping if m.source == ControlCommand.SOURCE_EMERGENCY)
    assert (to_ns(emergency.header.stamp) - last_plan_ns) * 1e-9 <= 0.7


def test_the_vehicle_brakes_by_itself_after_the_gate_is_killed(loose_stack) -> None:
    loose_stack.under_way()
    loose_stack.kill("safety_gate_node")
    watching = lambda: loose_stack.statuses[-1].mode == VehicleStatus.MODE_WATCHDOG  # noqa: E731
    loose_stack.until(watching, "the vehicle's watchdog takes over")
    last_command_ns = to_ns(loose_stack.commands[-1].header.stamp)
    first = next(m for m in loose_stack.statuses if m.mode == VehicleStatus.MODE_WATCHDOG)
    assert (to_ns(first.header.stamp) - last_command_ns) * 1e-9 <= 0.75  # 0.5 s, seen with the next frame
    loose_stack.until(loose_stack.stands, "the car stands")
    assert loose_stack.statuses[-1].commanded_acceleration == -6.0


def test_the_gate_brakes_fully_when_the_simulator_and_its_clock_are_gone(loose_stack) -> None:
    loose_stack.under_way()
    os.kill(loose_stack.nodes["sim_node"].pid, signal.SIGSTOP)
    try:
        braking = lambda: loose_stack.commands[-1].source == ControlCommand.SOURCE_EMERGENCY  # noqa: E731
        loose_stack.until(braking, "the gate brakes")
    finally:
        os.kill(loose_stack.nodes["sim_node"].pid, signal.SIGCONT)
    assert loose_stack.commands[-1].acceleration == -6.0
