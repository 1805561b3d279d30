"""The topic table is one table, whoever reads it."""

import subprocess
import sys
from pathlib import Path

import pytest
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from rosbags.interfaces import QosDurability, QosReliability
from rosbags.rosbag2.metadata import dump_qos_v9, parse_qos

from wm_ros import topic_table, topics

ROOT = Path(__file__).parents[2]
IDS = [topic.name for topic in topics.TOPICS]
INFINITE_S = 9223372036


def message_type(topic: topics.Topic) -> str:
    return "/".join([topic.type.__module__.split(".")[0], "msg", topic.type.__name__])


def test_the_plain_table_and_the_rclpy_table_name_the_same_topics_in_the_same_order() -> None:
    assert tuple(topic.spec for topic in topics.TOPICS) == topic_table.TOPICS
    assert len(set(IDS)) == len(IDS)


@pytest.mark.parametrize("topic", topics.TOPICS, ids=IDS)
def test_type_string_and_message_class_agree(topic: topics.Topic) -> None:
    assert message_type(topic) == topic.spec.type
    assert ("header" in topic.type.get_fields_and_field_types()) == topic.stamped


@pytest.mark.parametrize("topic", topics.TOPICS, ids=IDS)
def test_bags_hold_the_qos_that_publishers_offer(topic: topics.Topic) -> None:
    [read] = parse_qos(topic_table.bag_qos(topic.spec))
    assert dump_qos_v9([read]) == topic_table.bag_qos(topic.spec)
    assert read.depth == topic.qos.depth
    assert (read.reliability == QosReliability.RELIABLE) == (topic.qos.reliability == ReliabilityPolicy.RELIABLE)
    latched = topic.qos.durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert (read.durability == QosDurability.TRANSIENT_LOCAL) == latched
    offered_ns = topic.qos.deadline.nanoseconds
    assert (read.deadline.sec == INFINITE_S) == (topic.spec.qos.deadline_ms is None)
    if topic.spec.qos.deadline_ms is not None:
        assert read.deadline.sec * 10**9 + read.deadline.nsec == offered_ns


@pytest.mark.parametrize("name", [name for name in IDS if name not in ("/clock", "/diagnostics")])
def test_names_are_relative_so_that_namespaces_and_remaps_work(name: str) -> None:
    assert not name.startswith("/")


def test_all_messages_of_ours_carry_header_seq_and_source_stamp() -> None:
    ours = [topic for topic in topics.TOPICS if topic.spec.has_seq]
    assert len(ours) == 8
    for topic in ours:
        fields = topic.type.get_fields_and_field_types()
        assert fields["header"] == "std_msgs/Header"
        assert fields["seq"] == "uint32"
        assert fields["source_stamp"] == "builtin_interfaces/Time"


def test_the_plain_table_imports_nothing_of_ros() -> None:
    program = (
        "import sys; import wm_ros.topic_table; "
        "print([name for name in sys.modules if name.partition('.')[0] in ('rclpy', 'wm_msgs', 'sensor_msgs')])"
    )
    environment = {"PYTHONPATH": str(ROOT / "wm_ros")}
    shown = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
