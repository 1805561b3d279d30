"""recorder_node: every recorded topic of the table, as serialised bytes, into a bag."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from rclpy.qos import QoSProfile

from wm_ros.node import StackNode
from wm_ros.run import run
from wm_ros.topics import CAMERA, ODOM, SCAN, STATUS, TOPICS, TRUTH, Topic
from wm_training.bags.writer import WriterConfig, free_name
from wm_training.errors import TrainingError
from wm_training.recorder import FLUSH_NS, Recording, RecordingConfig, choose_topics

TICK_S = FLUSH_NS * 1e-9  # wall time, for when no message comes that would flush
FRAME = (CAMERA, SCAN, ODOM, STATUS, TRUTH)  # topics that every frame of a simulator brings
QUEUE = 200  # messages a topic that may wait while the disk is busy


class RecorderNode(StackNode):
    """Writes what it hears, at ROS time, until it is deactivated. What a bag and a drop are stands in `recorder`."""

    def __init__(self) -> None:
        super().__init__("recorder_node")
        self.drains = True
        self.out = self.declare("out", "", "Folder of the new bag; it must not exist.")
        self.when_exists = self.declare(
            "when_exists",
            "refuse",
            "When the folder exists, or what a killed recorder left of it: refuse, or go on in OUT-2, OUT-3 and so on.",
            choices=("refuse", "number"),
        )
        self.topics = self.declare("topics", "", "Topics to record, separated by commas; empty: the table's.")
        declare = self.declare
        self.compress = declare("compress", False, "Compress the bag by zstd.")
        self.split_mb = declare("split_mb", 0.0, "A new file once one is this big, MB; 0: never.", range=(0.0, 1e6))
        self.split_s = declare("split_s", 0.0, "A new file after so long, s of ROS time; 0: never.", range=(0.0, 1e6))
        self.min_free_mb = declare(
            "min_free_mb", 200.0, "End the bag before the disk has less room than this, MB.", range=(0.0, 1e9)
        )
        self.when_full = declare(
            "when_full",
            "stay",
            "After the disk ended the bag: stay, so that a drive goes on without it, or end the process.",
            choices=("stay", "end"),
        )
        self.recording: Recording | None = None

    def configure(self) -> None:
        if not self.out:
            raise TrainingError("recorder_node: no folder to record into; start it with out:=FOLDER.")
        chosen = {spec.name for spec in choose_topics(self.topics)}
        self.chosen = [topic for topic in TOPICS if topic.name in chosen]
        names = [self.resolve_topic_name(topic.name) for topic in self.chosen]
        layout = WriterConfig(self.compress, int(self.split_mb * 1e6), int(self.split_s * 1e9), FLUSH_NS)
        config = RecordingConfig(layout, int(self.min_free_mb * 1e6))
        specs = [topic.spec for topic in self.chosen]
        out = Path(self.out).expanduser()
        self.recording = Recording(free_name(out) if self.when_exists == "number" else out, specs, names, config)
        self.unheard = {topic.name for topic in FRAME if topic in self.chosen}
        self.health.facts |= {"waits_for": ", ".join(sorted(self.unheard))}
        self.steady_timer(TICK_S, self.on_tick)
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
        self.unheard.discard(topic.name)
        try:
            with self.measure("write"):
                self.recording.add(topic.name, self.get_clock().now().nanoseconds, cdr)
        except TrainingError as error:
            self.end_early(error)
            return
        flow.missed = self.recording.drops[topic.name].dropped

    def on_tick(self) -> None:
        self.health.facts |= {"waits_for": ", ".join(self.waits_for())}
        if self.recording is None:
            return
        try:
            self.recording.tick()
        except TrainingError as error:
            self.end_early(error)

    def waits_for(self) -> list[str]:
        """Parts of a frame that somebody sends and that did not come yet: a drive that began now would lack them."""
        if self.recording is None:
            return []
        some = len(self.unheard) < sum(topic in self.chosen for topic in FRAME)  # who sends one sends them all
        return [name for name in sorted(self.unheard) if not some or self.count_publishers(name)]

    def end_early(self, error: TrainingError) -> None:
        """The disk ended the recording: close the bag, say so, and stay or leave."""
        self.report_error(str(error))
        self.close()
        if self.when_full == "end":
            self.finish(1)

    def close(self) -> None:
        """Finish the bag, once."""
        recording, self.recording = self.recording, None
        if recording is None:
            return
        try:
            summary, lost = recording.close(), recording.dropped
        except TrainingError as error:
            self.report_error(str(error))
            return
        (self.get_logger().warn if lost else self.get_logger().info)(summary)


def main(args: list[str] | None = None) -> None:
    run(RecorderNode, args)


if __name__ == "__main__":
    main()
