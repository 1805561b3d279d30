"""The node base inside one process: gates, counters, parameters."""

import os
import time
from pathlib import Path

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from wm_msgs.msg import Plan, SafetyState, VehicleStatus
from wm_ros.diagnostics import Flow, Health
from wm_ros.errors import MessageError, WmRosError
from wm_ros.node import StackNode
from wm_ros.topics import CAMERA, PLAN, SAFETY, STATUS

pytestmark = pytest.mark.ros


@pytest.fixture
def ros():
    rclpy.init()
    executor = SingleThreadedExecutor()
    made: list[StackNode] = []

    def make(node_class: type[StackNode], *args, start: bool = True) -> StackNode:
        node = node_class(*args)
        made.append(node)
        executor.add_node(node)
        if start:
            node.start()
        return node

    make.spin_until = lambda done: spin_until(executor, done)
    yield make
    for node in made:
        node.stop()
    executor.shutdown()
    for node in made:
        node.destroy_node()
    rclpy.shutdown()


def spin_until(executor, done) -> None:
    limit = time.monotonic() + 20.0
    while not done():
        assert time.monotonic() < limit, "nothing came"
        executor.spin_once(timeout_sec=0.05)


class Talker(StackNode):
    def __init__(self) -> None:
        super().__init__("talker")

    def configure(self) -> None:
        self.plans = self.advertise(PLAN)
        self.states = self.advertise(SAFETY)


class Listener(StackNode):
    def __init__(self) -> None:
        super().__init__("listener")
        self.plans: list[Plan] = []
        self.raw: list[bytes] = []
        self.states: list[SafetyState] = []

    def configure(self) -> None:
        self.subscribe(PLAN, self.plans.append)
        self.subscribe(PLAN, self.raw.append, raw=True)
        self.subscribe(SAFETY, self.states.append)


def test_messages_flow_only_between_active_nodes(ros) -> None:
    talker, listener = ros(Talker), ros(Listener)
    ros.spin_until(lambda: talker.plans.get_subscription_count() == 2)
    talker.plans.publish(Plan(seq=1))
    ros.spin_until(lambda: listener.plans and listener.raw)
    assert isinstance(listener.raw[0], bytes)

    listener.trigger_deactivate()
    talker.plans.publish(Plan(seq=2))
    ros.spin_until(lambda: listener.health.flows["in plan"].count == 2)
    listener.trigger_activate()
    talker.trigger_deactivate()
    talker.plans.publish(Plan(seq=3))
    talker.trigger_activate()
    talker.plans.publish(Plan(seq=4))
    ros.spin_until(lambda: listener.plans[-1].seq == 4)
    assert [plan.seq for plan in listener.plans] == [1, 4]


def test_what_is_latched_reaches_a_node_that_comes_late_and_one_that_is_not_active_yet(ros) -> None:
    talker = ros(Talker)
    talker.states.publish(SafetyState(state=SafetyState.ACTIVE))
    late = ros(Listener, start=False)
    late.trigger_configure()
    ros.spin_until(lambda: late.states)
    assert late.states[0].state == SafetyState.ACTIVE
    assert not late.active


def test_every_topic_counts_its_own_messages(ros) -> None:
    node = ros(Talker)
    assert [node.next_seq(PLAN), node.next_seq(STATUS), node.next_seq(PLAN), node.next_seq()] == [0, 0, 1, 0]


def test_seq_wraps_where_uint32_ends(ros) -> None:
    node = ros(Talker)
    node._seqs[STATUS.name] = 2**32 - 1
    VehicleStatus(seq=node.next_seq(STATUS))
    assert node.next_seq(STATUS) == 0


def test_nodes_follow_ros_time_unless_told_otherwise(ros) -> None:
    assert ros(Talker).get_parameter("use_sim_time").value is True


def threads_of_the_middleware() -> list[str]:
    names = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    return [name for name in names if name.startswith("dds.") and name != "dds.shm.wdog"]


@pytest.mark.skipif(os.environ["RMW_IMPLEMENTATION"] != "rmw_fastrtps_cpp", reason="counts threads of Fast DDS")
def test_a_destroyed_node_leaves_the_middleware_at_once() -> None:
    rclpy.init()
    node = Talker()
    node.start()
    limit = time.monotonic() + 20.0
    while len(threads_of_the_middleware()) < 5:  # a thread names itself once it runs
        assert time.monotonic() < limit
        time.sleep(0.01)
    node.stop()
    node.destroy_node()  # `node` still refers to it: no garbage collector helps
    rclpy.shutdown()
    assert not threads_of_the_middleware()


class Choosy(StackNode):
    def __init__(self) -> None:
        super().__init__("choosy")
        self.declare("samples", 64, "Candidates.", range=(64, 512), read_only=False)
        self.declare("gain", 1.0, "Gain.", read_only=False)
        self.declare("mode", "a", "Mode.", choices=("a", "b"))


def test_a_running_node_refuses_bad_values_with_a_sentence_and_takes_good_ones(ros) -> None:
    node = ros(Choosy)
    [refused] = node.set_parameters([Parameter("samples", value=1000)])
    assert not refused.successful
    assert all(word in refused.reason for word in ("samples", "64", "512", "1000"))
    [refused] = node.set_parameters([Parameter("gain", value=float("nan"))])
    assert refused.reason == "choosy: parameter gain is nan, but must be a number (Gain)."
    [taken] = node.set_parameters([Parameter("samples", value=128)])
    assert taken.successful
    assert node.get_parameter("samples").value == 128
    [fixed] = node.set_parameters([Parameter("mode", value="b")])
    assert not fixed.successful


def test_descriptors_tell_range_choices_and_that_a_value_is_fixed(ros) -> None:
    node = ros(Choosy)
    samples, mode = node.describe_parameters(["samples", "mode"])
    assert (samples.integer_range[0].from_value, samples.integer_range[0].to_value) == (64, 512)
    assert (samples.read_only, mode.read_only) == (False, True)
    assert mode.additional_constraints == "one of a, b"


class Broken(StackNode):
    def __init__(self, hook: str) -> None:
        super().__init__("broken")
        setattr(self, hook, self.fail)

    def fail(self) -> None:
        raise WmRosError("It is broken. Mend it.")


@pytest.mark.parametrize("hook", ["configure", "activate"])
def test_a_hook_that_fails_fails_the_start_with_its_own_words(ros, hook: str) -> None:
    node = ros(Broken, hook, start=False)
    with pytest.raises(WmRosError, match="Mend it"):
        node.start()
    assert not node.active


def test_a_reported_error_stands_in_the_diagnostics() -> None:
    health = Health("node")
    health.error("The model does not answer.")
    status = health.report("active").status[0]
    assert (status.level, status.message) == (DiagnosticStatus.ERROR, "The model does not answer.")


def test_a_periodic_topic_that_stops_is_named() -> None:
    health = Health("node")
    health.flow(f"in {CAMERA.name}", CAMERA.rate_hz).saw()
    health.flow("in events", None).saw()
    levels = [health.report("active").status[0] for _ in range(3)]
    assert [status.level for status in levels] == [DiagnosticStatus.OK, DiagnosticStatus.OK, DiagnosticStatus.WARN]
    assert levels[-1].message == f"silent: {CAMERA.name}"


@pytest.mark.parametrize(
    ("numbers", "missed"),
    [([0, 1, 2], 0), ([5, 7, 10], 3), ([2**32 - 1, 0, 1], 0), ([2**32 - 2, 1], 2), ([100, 0, 1], 0)],
)
def test_missed_messages_are_counted_over_the_wrap_and_a_new_start(numbers: list[int], missed: int) -> None:
    flow = Flow(None)
    for number in numbers:
        flow.saw(number)
    assert flow.missed == missed


def test_a_message_that_cannot_be_used_is_refused_and_the_node_goes_on(ros) -> None:
    class Picky(StackNode):
        def __init__(self) -> None:
            super().__init__("picky")
            self.taken: list[int] = []

        def configure(self) -> None:
            self.subscribe(PLAN, self.on_plan)

        def on_plan(self, plan: Plan) -> None:
            if not plan.acceleration:
                raise MessageError("plan without controls.")
            self.taken.append(plan.seq)

    picky, talker = ros(Picky), ros(Talker)
    ros.spin_until(talker.plans.get_subscription_count)
    sent = 0

    def refused_and_taken() -> bool:
        nonlocal sent
        talker.plans.publish(Plan(seq=sent, acceleration=[1.0] * (sent % 2)))
        sent += 1
        return len(picky.taken) >= 2

    ros.spin_until(refused_and_taken)
    assert all(seq % 2 for seq in picky.taken)
    assert "plan: message refused: plan without controls." in picky.health.report("active").status[0].message
