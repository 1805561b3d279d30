"""Nodes as processes: messages over the middleware, clean ends, one sentence for what is wrong."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from wm_msgs.msg import Belief, Plan
from wm_ros.convert import to_stamp
from wm_ros.exit_codes import EXIT_CONFIG
from wm_ros.topics import BELIEF, DIAGNOSTICS, PLAN

pytestmark = pytest.mark.ros

PINGER = Path(__file__).with_name("pinger.py")
FAULTS = ("none", "configure", "callback", "bug", "leave")
PATIENCE_S = 30.0


@pytest.fixture
def observer():
    rclpy.init()
    node = Node("observer")
    node.executor_here = SingleThreadedExecutor()
    node.executor_here.add_node(node)
    yield node
    node.executor_here.shutdown()
    node.destroy_node()
    rclpy.shutdown()


@pytest.fixture
def pinger():
    started: list[subprocess.Popen] = []

    def start(*parameters: str) -> subprocess.Popen:
        words = [word for parameter in parameters for word in ("-p", parameter)]
        command = [sys.executable, str(PINGER), "--ros-args", *words]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_for(observer: Node, done: Callable[[], object]) -> None:
    limit = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < limit, "nothing came"
        observer.executor_here.spin_once(timeout_sec=0.05)


def ask_until_answered(observer: Node, plan: Plan) -> list[Belief]:
    answers: list[Belief] = []
    observer.create_subscription(Belief, BELIEF.name, answers.append, BELIEF.reader_qos)
    questions = observer.create_publisher(Plan, PLAN.name, PLAN.qos)

    def answered() -> bool:
        questions.publish(plan)
        return bool(answers)

    wait_for(observer, answered)
    return answers


def test_two_processes_exchange_messages_and_the_answer_names_the_frame_that_it_descends_from(observer, pinger) -> None:
    pinger("gain:=3.0")
    answer = ask_until_answered(observer, Plan(dt=0.5, source_stamp=to_stamp(7.25)))[0]
    assert answer.surprise == 1.5
    assert answer.source_stamp == to_stamp(7.25)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_node_cleanly_even_when_it_comes_three_times(pinger, number: int) -> None:
    process = pinger()
    assert process.stdout.readline() == "active\n"
    for _ in range(3):
        process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out, err) == (0, "cleaned up\n", "")


@pytest.mark.parametrize(
    ("parameter", "sentence"),
    [
        ("gain:=11.0", "pinger: parameter gain is 11.0, but must be from 0 to 10 (Gain of the answer)."),
        ("gain:=.nan", "pinger: parameter gain is nan, but must be a number (Gain of the answer)."),
        ("gain:=much", "pinger: parameter gain is 'much', but must be of type float (Gain of the answer)."),
        ("fault:=all", f"pinger: parameter fault is 'all', but must be one of {', '.join(FAULTS)} (Fault)."),
        ("fault:=configure", "model nowhere: no such folder. Name a model folder."),
    ],
)
def test_what_is_wrong_at_start_is_one_sentence_and_an_exit_code_of_its_own(
    pinger, parameter: str, sentence: str
) -> None:
    process = pinger(parameter)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == EXIT_CONFIG
    assert err == sentence + "\n"
    assert "active" not in out


def test_a_whole_number_is_taken_for_a_float_parameter(observer, pinger) -> None:
    pinger("gain:=4")
    assert ask_until_answered(observer, Plan(dt=0.5))[0].surprise == 2.0


@pytest.mark.parametrize("priority", [5, 0])
def test_an_active_node_is_scheduled_as_its_parameter_asks_and_as_its_diagnostics_say(
    observer, pinger, priority: int
) -> None:
    process = pinger(f"realtime_priority:={priority}", "autostart:=true")
    said: dict[str, str] = {}

    def hear(message: DiagnosticArray) -> None:
        for status in message.status:
            if (status.name, status.message) == ("pinger", "active"):
                said.update({item.key: item.value for item in status.values})

    observer.create_subscription(DiagnosticArray, DIAGNOSTICS.name, hear, DIAGNOSTICS.reader_qos)
    wait_for(observer, lambda: said)
    threads = [int(name) for name in os.listdir(f"/proc/{process.pid}/task")]
    found = {(os.sched_getscheduler(it), os.sched_getparam(it).sched_priority) for it in threads}
    permitted = priority and said["scheduling"] == f"SCHED_FIFO {priority}"
    assert found == ({(os.SCHED_FIFO, priority)} if permitted else {(os.SCHED_OTHER, 0)})
    assert permitted or said["scheduling"].startswith("ordinary")


def test_an_error_of_ours_in_a_callback_ends_the_process_with_its_sentence_after_cleaning_up(observer, pinger) -> None:
    process = pinger("fault:=callback")
    questions = observer.create_publisher(Plan, PLAN.name, PLAN.qos)
    wait_for(observer, lambda: questions.publish(Plan()) or process.poll() is not None)
    out, err = process.communicate()
    assert (process.returncode, err) == (1, "plan unreadable. Send another.\n")
    assert "cleaned up" in out


def test_a_bug_shows_its_traceback(observer, pinger) -> None:
    process = pinger("fault:=bug")
    questions = observer.create_publisher(Plan, PLAN.name, PLAN.qos)
    wait_for(observer, lambda: questions.publish(Plan()) or process.poll() is not None)
    assert "ZeroDivisionError: a bug" in process.communicate()[1]
    assert process.returncode == 1


def test_a_node_that_hangs_while_it_leaves_the_middleware_ends_and_shows_where(pinger) -> None:
    process = pinger("fault:=leave")
    assert process.stdout.readline() == "active\n"
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (1, "cleaned up\n")
    assert "in destroy_node" in err


def test_a_node_that_finishes_chooses_its_exit_code(observer, pinger) -> None:
    process = pinger()
    questions = observer.create_publisher(Plan, PLAN.name, PLAN.qos)
    wait_for(observer, lambda: questions.publish(Plan(status=Plan.STATUS_TIMEOUT)) or process.poll() is not None)
    assert process.returncode == 3


def test_what_a_node_made_at_start_is_never_gone_through_again_for_garbage(observer, pinger) -> None:
    process = pinger()
    questions = observer.create_publisher(Plan, PLAN.name, PLAN.qos)
    wait_for(observer, lambda: questions.publish(Plan(status=Plan.STATUS_TIMEOUT)) or process.poll() is not None)
    aside, of = map(int, re.search(r"(\d+) of (\d+) put aside", process.stdout.read()).groups())
    assert aside > 0.9 * of > 10_000


def test_diagnostics_tell_state_rates_latency_and_lost_messages(observer, pinger) -> None:
    pinger()
    reports: list[DiagnosticStatus] = []

    def keep(message: DiagnosticArray) -> None:
        reports.extend(message.status)

    observer.create_subscription(DiagnosticArray, DIAGNOSTICS.name, keep, DIAGNOSTICS.reader_qos)
    ask_until_answered(observer, Plan(seq=1))
    questions = observer.create_publisher(Plan, PLAN.name, PLAN.qos)
    seq = 1

    def told() -> bool:
        nonlocal seq
        seq += 2  # every second one is lost
        questions.publish(Plan(seq=seq))
        values = {entry.key: entry.value for entry in reports[-1].values} if reports else {}
        return "answer.p50_ms" in values and "in plan.missed" in values

    wait_for(observer, told)
    values = {entry.key: entry.value for entry in reports[-1].values}
    assert reports[-1].name == "pinger"
    assert reports[-1].level == DiagnosticStatus.OK
    assert values["state"] == "active"
    assert float(values["in plan.rate_hz"]) > 0
    assert float(values["out belief.rate_hz"]) > 0
    assert 0 < float(values["answer.p50_ms"]) <= float(values["answer.max_ms"])


def test_without_autostart_a_node_waits_for_its_lifecycle_commands(observer, pinger) -> None:
    from lifecycle_msgs.msg import State, Transition
    from lifecycle_msgs.srv import ChangeState, GetState

    pinger("autostart:=false")
    change = observer.create_client(ChangeState, "pinger/change_state")
    state = observer.create_client(GetState, "pinger/get_state")
    assert change.wait_for_service(PATIENCE_S)
    assert state.wait_for_service(PATIENCE_S)

    def call(client, request):
        future = client.call_async(request)
        observer.executor_here.spin_until_future_complete(future, timeout_sec=PATIENCE_S)
        return future.result()

    assert call(state, GetState.Request()).current_state.id == State.PRIMARY_STATE_UNCONFIGURED
    for step, reached in (
        (Transition.TRANSITION_CONFIGURE, State.PRIMARY_STATE_INACTIVE),
        (Transition.TRANSITION_ACTIVATE, State.PRIMARY_STATE_ACTIVE),
        (Transition.TRANSITION_DEACTIVATE, State.PRIMARY_STATE_INACTIVE),
        (Transition.TRANSITION_CLEANUP, State.PRIMARY_STATE_UNCONFIGURED),
        (Transition.TRANSITION_CONFIGURE, State.PRIMARY_STATE_INACTIVE),
    ):
        assert call(change, ChangeState.Request(transition=Transition(id=step))).success
        assert call(state, GetState.Request()).current_state.id == reached


def test_tests_have_a_ros_domain_of_their_own() -> None:
    domain = os.environ["ROS_DOMAIN_ID"]
    assert domain == os.environ.get("WM_TEST_DOMAIN_ID") or 20 <= int(domain) <= 33
