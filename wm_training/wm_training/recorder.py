"""What a recording is, without ROS: serialised messages in, a bag with its count of drops out."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wm_ros import topic_table as topics
from wm_ros.topic_table import TopicSpec
from wm_training.bags.mcap_file import Opener, open_new
from wm_training.bags.writer import BagWriter, WriterConfig, is_full
from wm_training.errors import TrainingError

SEQ_MODULO = 1 << 32
CAMERA_STEP_NS = 100_000_000
FLUSH_NS = 500_000_000  # of log time: what a killed recorder may lose


class DropCounter:
    """Counts the messages that a topic lost: by `seq` where messages count themselves, by stamps for the camera."""

    def __init__(self, topic: TopicSpec):
        self.dropped = 0
        self._read = _seq if topic.has_seq else _stamp_ns if topic.name == topics.CAMERA.name else None
        self._step = 1 if topic.has_seq else CAMERA_STEP_NS
        self._modulo = SEQ_MODULO if topic.has_seq else 0  # 0: stamps do not wrap
        self._last: int | None = None

    @property
    def counts(self) -> bool:
        """False for topics whose messages carry nothing to count by."""
        return self._read is not None

    def saw(self, cdr: bytes) -> None:
        """One message came. A number that steps back is a publisher that began anew, not a loss."""
        if self._read is None:
            return
        number = self._read(cdr)
        if self._last is not None:
            steps = number - self._last
            if self._modulo and steps < -self._modulo // 2:
                steps += self._modulo
            self.dropped += max(round(steps / self._step) - 1, 0)
        self._last = number


def free_bytes(folder: Path) -> int:
    """Room on the disk that a folder is on."""
    return shutil.disk_usage(folder).free


@dataclass(frozen=True)
class RecordingConfig:
    """How a recording is laid out, and when it has to end."""

    layout: WriterConfig = field(default_factory=lambda: WriterConfig(flush_ns=FLUSH_NS))
    min_free_bytes: int = 0  # end the recording, whole, before the disk has less room than this


class Recording:
    """A bag being recorded. Messages that come before ROS time runs wait for its first value.

    `add` and `tick` raise TrainingError, one sentence, where the disk ends the recording; `close` it then as usual.
    """

    def __init__(
        self,
        out: Path,
        specs: Sequence[TopicSpec],
        names: Sequence[str],
        config: RecordingConfig | None = None,
        *,
        opener: Opener = open_new,
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        """names: full topic names, as resolved by namespace and remaps. `opener`, `free`: the disk."""
        self.out = out
        self._config = config or RecordingConfig()
        self._free = free
        self._names = dict(zip((spec.name for spec in specs), names, strict=True))
        self.drops = {spec.name: DropCounter(spec) for spec in specs}
        self._early: list[tuple[str, bytes]] = []
        self._writer = BagWriter(out, self._config.layout, opener=opener)
        for spec in specs:
            self._writer.add_topic(self._names[spec.name], spec.type, topics.bag_qos(spec))

    @property
    def counts(self) -> dict[str, int]:
        """Messages written so far, by full topic name."""
        return self._writer.counts

    @property
    def dropped(self) -> int:
        """Messages lost so far."""
        return sum(counter.dropped for counter in self.drops.values())

    def add(self, topic: str, now_ns: int, cdr: bytes) -> None:
        """One message of a topic (by its name in the table) at ROS time `now_ns`; 0: ROS time does not run yet."""
        self.drops[topic].saw(cdr)
        if now_ns == 0:
            self._early.append((topic, cdr))
            return
        try:
            self._write_early(now_ns)
            self._writer.write(self._names[topic], now_ns, cdr)
        except OSError as error:
            raise self._stopped_by(error) from error

    def tick(self) -> None:
        """Put everything so far on the disk and look how much room there is. Call it every half second or so."""
        try:
            self._writer.flush()
        except OSError as error:
            raise self._stopped_by(error) from error
        free = self._free(self.out.parent)
        if free < self._config.min_free_bytes:
            raise TrainingError(
                f"{self.out}: recording ended, {free / 1e6:.0f} MB are left on the disk and "
                f"{self._config.min_free_bytes / 1e6:.0f} MB have to stay free; make room or lower --min-free-mb."
            )

    def _stopped_by(self, error: OSError) -> TrainingError:
        if is_full(error):
            return TrainingError(f"{self.out}: recording ended, the disk is full; make room and record again.")
        return TrainingError(f"{self.out}: recording ended, the disk refuses: {error.strerror}.")

    def close(self) -> str:
        """Finish the bag. Returns one line about it."""
        self._write_early(0)
        lost = {self._names[name]: counter.dropped for name, counter in self.drops.items() if counter.counts}
        self._writer.note("source", "recorder_node")
        self._writer.note("dropped", json.dumps(lost))
        try:
            self._writer.close()
        except OSError as error:
            self._writer.abandon()
            raise TrainingError(
                f"{self.out}: the bag could not be finished ({error.strerror}); `wm info {self.out} --repair` makes "
                "one of what is there."
            ) from error
        total, cut = self._writer.in_bag, sum(self._writer.counts.values()) - self._writer.in_bag
        worst = ", ".join(f"{name} {count}" for name, count in lost.items() if count)
        line = f"bag {self.out}: {total} messages, dropped {self.dropped}{f' ({worst})' if worst else ''}"
        return line + (f", no room for {cut}" if cut else "")

    def _write_early(self, now_ns: int) -> None:
        for topic, cdr in self._early:
            self._writer.write(self._names[topic], now_ns, cdr)
        self._early.clear()


def choose_topics(names: str) -> list[TopicSpec]:
    """Recorded topics of the table; `names`, separated by commas, narrows them down and may ask for unrecorded ones."""
    wanted = [name.strip().strip("/") for name in names.split(",") if name.strip()]
    if not wanted:
        return list(topics.RECORDED)
    table = {topic.name.strip("/"): topic for topic in topics.TOPICS}
    unknown = [name for name in wanted if name not in table]
    if unknown:
        raise TrainingError(f"topics: {', '.join(unknown)} is no topic of the stack; choose among {', '.join(table)}.")
    return [table[name] for name in dict.fromkeys(wanted)]


def _stamp_ns(cdr: bytes) -> int:
    """Stamp of the header that a message begins with, ns."""
    seconds, nanoseconds = struct.unpack_from("<iI", cdr, 4)
    return seconds * 1_000_000_000 + nanoseconds


def _seq(cdr: bytes) -> int:
    """`seq` behind the header: after the stamp comes frame_id, then `seq` on the next multiple of four."""
    (length,) = struct.unpack_from("<I", cdr, 12)
    (seq,) = struct.unpack_from("<I", cdr, 16 + (length + 3) // 4 * 4)
    return seq
