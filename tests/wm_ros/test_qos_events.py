"""Who joins a topic in a way that does not fit is told once; nobody looks for that at every message."""

import time

import pytest
import rclpy
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import String

from wm_ros.node import StackNode
from wm_ros.qos_events import QosEvents
from wm_ros.topics import CAMERA

pytestmark = pytest.mark.ros

SURE, UNSURE = (
    QoSProfile(depth=1, reliability=it) for it in (ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT)
)


@pytest.fixture
def nodes():
    """One of ours, and a stranger's."""
    rclpy.init()
    ours, stranger = StackNode("ours"), Node("stranger")
    yield ours, stranger
    ours.stop()
    ours.destroy_node()
    stranger.destroy_node()
    rclpy.shutdown()


@pytest.fixture
def warnings(monkeypatch) -> list[str]:
    """What the handlers of the events that are watched from now on say."""
    said: list[str] = []
    for kind in (PublisherEventCallbacks, SubscriptionEventCallbacks):
        made = kind.create_event_handlers

        def handlers(self, group, entity, topic, made=made):
            found = made(self, group, entity, topic)
            for handler in found:
                handler.callback = lambda _, topic=topic: said.append(topic)
            return found

        monkeypatch.setattr(kind, "create_event_handlers", handlers)
    return said


def settle(node: StackNode, done) -> None:
    limit = time.monotonic() + 20.0
    while not done():
        assert time.monotonic() < limit, "no warning came"
        node._qos_events.check(node.context)
        time.sleep(0.02)


def test_a_publisher_and_a_subscription_that_do_not_fit_are_told_once(nodes, warnings):
    ours, stranger = nodes
    ours.create_subscription(String, "heard", print, SURE)
    ours.create_publisher(String, "said", UNSURE)
    stranger.create_publisher(String, "heard", UNSURE)
    stranger.create_subscription(String, "said", print, SURE)
    settle(ours, lambda: {"/heard", "/said"} <= set(warnings))
    for _ in range(5):
        ours._qos_events.check(ours.context)
    assert sorted(warnings) == ["/heard", "/said"]


def test_what_fits_is_not_warned_of(nodes, warnings):
    ours, stranger = nodes
    heard: list[String] = []
    ours.create_subscription(String, "heard", heard.append, UNSURE)
    publisher = stranger.create_publisher(String, "heard", SURE)
    settle(ours, lambda: publisher.get_subscription_count() == 1)
    ours._qos_events.check(ours.context)
    assert warnings == []


def test_no_event_stands_among_what_a_node_waits_for(nodes):
    ours, _ = nodes
    ours.advertise(CAMERA)
    ours.subscribe(CAMERA, print)
    assert list(ours.waitables) == []


def test_without_publishers_and_subscriptions_there_is_nothing_to_look_at(nodes):
    ours, _ = nodes
    none = QosEvents()
    none.check(ours.context)
    none.destroy()
