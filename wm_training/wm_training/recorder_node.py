"""recorder_node: every recorded topic of the table, as serialised bytes, into a bag."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from rclpy.qos import QoSProfile

from wm_ros.node import StackNode
from wm_ros.run import run
from wm_ros.topics import TOPICS, Topic
from wm_training.errors import TrainingError
from wm_training.recorder import Recording, choose_topics

QUEUE = 200  # messages a topic that may wait while the disk is busy


class RecorderNode(StackNode):
    """Writes what it hears, at ROS time, until it is deactivated. What a bag and a drop are stands in `recorder`."""

    def __init__(self) -> None:
        super().__init__("recorder_node")
        self.out = self.declare("out", "", "Folder of the new bag; it must not exist.")
        self.topics = self.declare("topics", "", "Topics to record, separated by commas; empty: the table's.")
        self.recording: Recording | None = None

    def configure(self) -> None:
        if not self.out:
            raise TrainingError("recorder_node: no folder to record into; start it with out:=FOLDER.")
        chosen = {spec.name for spec in choose_topics(self.topics)}
        self.chosen = [topic for topic in TOPICS if topic.name in chosen]
        names = [self.resolve_topic_name(topic.name) for topic in self.chosen]
        self.recording = Recording(Path(self.out).expanduser(), [topic.spec for topic in self.chosen], names)
        for topic in self.chosen:
            self.hear(topic)

    def cleanup(self) -> None:
        self.close()

    def deactivate(self) -> None:
        self.close()

    def hear(self, topic: Topic) -> None:
        """Subscribe with the topic's QoS and a longer queue."""
        qos = topic.reader_qos
        deep = QoSProfile(depth=QUEUE, reliability=qos.reliability, durability=qos.durability)
        flow = self.health.flow(f"in {topic.name}", topic.rate_hz)
        callback: Callable[[Any], None] = partial(self.on_message, topic, flow)
        self.create_subscription(topic.type, topic.name, callback, deep, raw=True)

    def on_message(self, topic: Topic, flow: Any, cdr: bytes) -> None:
        if self.recording is None:
            return
        flow.saw()
        with self.measure("write"):
            self.recording.add(topic.name, self.get_clock().now().nanoseconds, cdr)
        flow.missed = self.recording.drops[topic.name].dropped

    def close(self) -> None:
        """Finish the bag, once."""
        recording, self.recording = self.recording, None
        if recording is not None:
            summary, lost = recording.close(), recording.dropped
            (self.get_logger().warn if lost else self.get_logger().info)(summary)


def main(args: list[str] | None = None) -> None:
    run(RecorderNode, args)


if __name__ == "__main__":
    main()
