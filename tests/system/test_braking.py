"""The car comes to a stand when a part of the chain is gone. Times are the simulator's, a slow machine will do."""

from __future__ import annotations

import os
import signal

import pytest

from wm_msgs.msg import ControlCommand, VehicleStatus
from wm_ros.convert import to_ns

pytestmark = [pytest.mark.system, pytest.mark.slow]
STOPPING = (ControlCommand.SOURCE_SOFT_STOP, ControlCommand.SOURCE_EMERGENCY)


def test_the_car_brakes_to_a_stop_after_the_planner_is_killed(loose_stack) -> None:
    loose_stack.under_way()
    loose_stack.kill("planner_node")
    latched = lambda: loose_stack.commands[-1].source == ControlCommand.SOURCE_EMERGENCY  # noqa: E731
    loose_stack.until(lambda: latched() and loose_stack.stands(), "the gate brakes and the car stands")
    last_plan_ns = to_ns(loose_stack.plans[-1].source_stamp)
    stopping = [m for m in loose_stack.commands if m.source in STOPPING and to_ns(m.header.stamp) > last_plan_ns]
    after_s = (to_ns(stopping[0].header.stamp) - last_plan_ns) * 1e-9
    assert after_s <= 0.4  # plan late after 0.2 s; the clock ticks every 0.05 s, and may reach the gate one tick late
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
