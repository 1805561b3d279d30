"""What is in a bag: the core of `wm info`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rosbags.rosbag2 import Reader

from wm_ros import topic_table as topics
from wm_training.bags.cdr import decode
from wm_training.bags.reader import find_topic, open_bag, read_raw
from wm_training.bags.recorded import log_jumps
from wm_training.bags.resets import APART_NS, header_stamps, timeline, told
from wm_training.bags.schema import typestore_of
from wm_training.errors import TrainingError

CAMERA_STEP_NS = 100_000_000


@dataclass(frozen=True)
class TopicInfo:
    """One topic of a bag."""

    name: str
    type: str
    count: int
    rate_hz: float | None  # None for fewer than two messages
    dropped: int | None  # messages lost while recording, by seq or camera stamps; None where nothing counts


@dataclass(frozen=True)
class BagInfo:
    """A bag at a glance."""

    path: Path
    bytes: int
    start_s: float
    duration_s: float
    messages: int
    topics: tuple[TopicInfo, ...]
    source: str  # who wrote it: "wm collect", "recorder_node", or the ROS distribution
    jumps_ns: tuple[int, ...] = ()  # how far time runs back, each time that it does, by log times or camera stamps

    @property
    def dropped(self) -> int:
        """Messages lost, over all topics that count."""
        return sum(topic.dropped or 0 for topic in self.topics)


def bag_info(path: Path | str) -> BagInfo:
    """Topics, counts, rates and drops of a bag. TrainingError, in one sentence, for what is no bag or a damaged one."""
    path = Path(path)
    with open_bag(path) as reader:
        lost = {c.topic: _dropped(reader, c.topic, c.msgtype) for c in reader.connections}
        camera, lost_pictures, jumps = _camera(reader)
        lost[camera] = lost_pictures
        duration_s = max(reader.duration - 1, 0) * 1e-9  # rosbags counts one nanosecond beyond the last message
        found = tuple(
            TopicInfo(c.topic, c.msgtype, c.msgcount, _rate(c.msgcount, duration_s), lost[c.topic])
            for c in sorted(reader.connections, key=lambda c: c.topic)
        )
        custom = getattr(reader.storage.metadata, "custom", None) or {}
        return BagInfo(
            path=path,
            bytes=sum(p.stat().st_size for p in (path.iterdir() if path.is_dir() else [path]) if p.is_file()),
            start_s=reader.start_time * 1e-9 if reader.message_count else 0.0,
            duration_s=duration_s,
            messages=reader.message_count,
            topics=found,
            source=custom.get("source") or reader.ros_distro or "unknown",
            jumps_ns=jumps or tuple(log_jumps(reader)),
        )


def _camera(reader: Reader) -> tuple[str, int | None, tuple[int, ...]]:
    """Name of the stack's own camera topic ("": none), pictures lost, and how far its stamps run back."""
    camera = find_topic(reader, topics.CAMERA.name)
    if camera is None:
        return "", None, ()
    if camera.msgtype != topics.CAMERA.type:
        return camera.topic, None, ()
    raw = read_raw(reader, [camera])[camera.topic]
    stamps, order = header_stamps(raw.messages), np.array(raw.order, np.int64)
    line = timeline({camera.topic: stamps}, {camera.topic: order}, camera.topic)
    steps = np.diff(np.unique(stamps + line.shifts[camera.topic]))
    steps = steps[steps < APART_NS] if line.jumps else steps
    return camera.topic, int(np.maximum(np.rint(steps / CAMERA_STEP_NS).astype(int) - 1, 0).sum()), line.jumps


def _rate(count: int, duration_s: float) -> float | None:
    return (count - 1) / duration_s if count > 1 and duration_s > 0 else None


def _dropped(reader: Reader, topic: str, msgtype: str) -> int | None:
    """Messages that are missing between the first and the last one of a topic."""
    if not msgtype.startswith("wm_msgs/"):
        return None
    connections = [c for c in reader.connections if c.topic == topic]
    raw = read_raw(reader, connections)[topic].messages
    try:
        groups = decode(raw, msgtype, typestore_of(connections[0])) if raw else []
    except TrainingError:
        return None  # another definition of the message than the bag says: nothing to count by
    seq = np.zeros(len(raw), np.int64)
    for indices, table in groups:
        seq[indices] = table["seq"]
    return count_gaps(seq)


def count_gaps(seq: np.ndarray) -> int:
    """Numbers left out of a `seq` that counts up by one; a smaller number is a restarted publisher, not a loss."""
    steps = np.diff(seq)
    return int((steps[steps > 1] - 1).sum())


def format_info(info: BagInfo) -> str:
    """A table for people."""
    rows = [("topic", "type", "messages", "Hz", "dropped")]
    for topic in info.topics:
        rate = "" if topic.rate_hz is None else f"{topic.rate_hz:.1f}"
        dropped = "" if topic.dropped is None else str(topic.dropped)
        rows.append((topic.name, topic.type, str(topic.count), rate, dropped))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        f"bag       {info.path}",
        f"written   by {info.source}",
        f"size      {info.bytes / 1e6:.1f} MB",
        f"duration  {info.duration_s:.1f} s, from {info.start_s:.1f} s",
        f"messages  {info.messages}, dropped {info.dropped}",
        *(
            [f"warning   {told(info.jumps_ns)}; training keeps what is before and after as separate episodes"]
            if info.jumps_ns
            else []
        ),
        "",
    ]
    for row in rows:
        cells = [cell.ljust(w) if i < 2 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
