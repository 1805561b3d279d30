"""Writing bags: files split, chunks flushed, a full disk survived; read by rosbags and by mcap-ros2-support."""

from __future__ import annotations

import errno
import io
import json
import os
import struct
import sys
from pathlib import Path
from typing import BinaryIO

import pytest
import yaml
from mcap.exceptions import EndOfFile
from mcap.reader import make_reader
from mcap.stream_reader import StreamReader
from mcap_ros2.decoder import DecoderFactory
from rosbags.rosbag2 import Reader

from wm_ros import topic_table as topics
from wm_training import TrainingError
from wm_training.bags.info import bag_info
from wm_training.bags.mcap_file import LOOSE_CHUNKS, McapFile
from wm_training.bags.schema import serialise, typestore
from wm_training.bags.writer import BagWriter, WriterConfig

STEP_NS = 10**7
START_NS = 10**9


def status(seq: int) -> bytes:
    return serialise(topics.STATUS.type, {"header": {"frame_id": "base_link"}, "seq": seq, "speed": 0.5 * seq})


def fill(writer: BagWriter, count: int) -> None:
    writer.add_topic("/route", topics.ROUTE.type, topics.bag_qos(topics.ROUTE))
    writer.add_topic("/vehicle/status", topics.STATUS.type, topics.bag_qos(topics.STATUS))
    writer.write("/route", START_NS, serialise(topics.ROUTE.type, {}))
    for k in range(count):
        writer.write("/vehicle/status", START_NS + k * STEP_NS, status(k))


def files(bag: Path) -> list[Path]:
    metadata = yaml.safe_load((bag / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    return [bag / name for name in metadata["relative_file_paths"]]


def by_rosbags(bag: Path) -> list[tuple[str, int, int]]:
    """(topic, log time, seq)"""
    with Reader(bag) as reader:
        return [
            (c.topic, t, getattr(typestore().deserialize_cdr(raw, c.msgtype), "seq", -1))
            for c, t, raw in reader.messages()
        ]


def by_mcap(bag: Path) -> list[tuple[str, int, int]]:
    found = []
    for file in files(bag):
        with file.open("rb") as stream:
            reader = make_reader(stream, validate_crcs=True, decoder_factories=[DecoderFactory()])
            found += [(c.topic, m.log_time, getattr(d, "seq", -1)) for _, c, m, d in reader.iter_decoded_messages()]
    return found


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("split", [{"split_ns": 10**9}, {"split_bytes": 10_000}, {}])
def test_both_libraries_read_every_message_of_every_file(tmp_path: Path, compress: bool, split: dict) -> None:
    config = WriterConfig(compress=compress, flush_ns=2 * 10**8, **split)
    with BagWriter(tmp_path / "bag", config) as writer:
        fill(writer, 400)
    expected = [("/vehicle/status", START_NS + k * STEP_NS, k) for k in range(400)]
    assert by_rosbags(tmp_path / "bag") == by_mcap(tmp_path / "bag") == [("/route", START_NS, -1), *expected]
    assert [file.name for file in files(tmp_path / "bag")] == [
        f"bag_{k}.mcap" for k in range(len(files(tmp_path / "bag")))
    ]
    assert (len(files(tmp_path / "bag")) > 1) == bool(split)
    assert bag_info(tmp_path / "bag").messages == 401


def test_metadata_and_every_file_tell_counts_times_qos_and_type_hashes(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag", WriterConfig(split_ns=10**9)) as writer:
        fill(writer, 250)
        writer.note("source", "a test")
    metadata = yaml.safe_load((tmp_path / "bag/metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert metadata["version"] == 9 and metadata["custom_data"] == {"source": "a test"}
    assert metadata["starting_time"]["nanoseconds_since_epoch"] == START_NS
    assert metadata["duration"]["nanoseconds"] == 249 * STEP_NS
    assert [file["message_count"] for file in metadata["files"]] == [101, 100, 50]
    assert sum(entry["message_count"] for entry in metadata["topics_with_message_count"]) == 251
    hashes = {
        entry["topic_metadata"]["type"]: entry["topic_metadata"]["type_description_hash"]
        for entry in metadata["topics_with_message_count"]
    }
    assert hashes == {t.type: typestore().hash_rihs01(t.type) for t in (topics.ROUTE, topics.STATUS)}
    for file, entry in zip(files(tmp_path / "bag"), metadata["files"], strict=True):
        with file.open("rb") as stream:
            summary = make_reader(stream).get_summary()
        assert summary.statistics.message_count == entry["message_count"]
        assert summary.statistics.message_start_time == entry["starting_time"]["nanoseconds_since_epoch"]
        assert summary.statistics.metadata_count == len(summary.metadata_indexes) == 1
        assert {c.topic for c in summary.channels.values()} == {"/route", "/vehicle/status"}
        for channel in summary.channels.values():
            kind = summary.schemas[channel.schema_id].name
            assert channel.metadata["topic_type_hash"] == hashes[kind]
            assert yaml.safe_load(channel.metadata["offered_qos_profiles"])[0]["history"] == "keep_last"


@pytest.mark.parametrize("topic", topics.TOPICS, ids=lambda topic: topic.name)
def test_the_type_hashes_are_those_that_ros_generated(topic) -> None:
    package, _, name = topic.type.split("/")
    prefixes = [Path(prefix) for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)]
    found = [
        path
        for prefix in [*prefixes, Path(sys.prefix)]
        if (path := prefix / f"share/{package}/msg/{name}.json").is_file()
    ]
    if not found:
        pytest.skip(f"{topic.type}: no generated description of it here")
    hashes = json.loads(found[0].read_text())["type_hashes"]
    assert {"type_name": topic.type, "hash_string": typestore().hash_rihs01(topic.type)} in hashes


def test_what_is_older_than_the_flush_time_is_on_the_disk(tmp_path: Path) -> None:
    writer = BagWriter(tmp_path / "bag", WriterConfig(flush_ns=5 * 10**8))
    fill(writer, 300)
    seen = [0]
    with (tmp_path / "bag.partial/bag_0.mcap").open("rb") as stream, pytest.raises((EndOfFile, struct.error)):
        for record in StreamReader(stream).records:
            seen.append(getattr(record, "log_time", seen[-1]))
    writer.abort()
    assert seen[-1] > START_NS + 300 * STEP_NS - 6 * 10**8


class Disk:
    """A disk of some bytes for all files together."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.files: list[Limited] = []

    def open(self, path: Path) -> BinaryIO:
        self.files.append(Limited(path, self))
        return self.files[-1]

    @property
    def free(self) -> int:
        return self.size - sum(file.used for file in self.files if file.path.exists())


class Limited(io.FileIO):
    """A file on a small disk: the write that fills it goes half way, the next one fails."""

    def __init__(self, path: Path, disk: Disk) -> None:
        super().__init__(path, "xb")
        self.used, self.path, self.disk = 0, path, disk

    def write(self, data) -> int:
        room = self.disk.free + self.used - self.tell()
        if room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = super().write(memoryview(data)[:room])
        self.used = max(self.used, self.tell())
        return done

    def truncate(self, size: int | None = None) -> int:
        self.used = super().truncate(size)
        return self.used


@pytest.mark.parametrize("size", [9_000, 20_000, 30_011, 41_000, 47_777])
@pytest.mark.parametrize("split_ns", [0, 10**9])
def test_a_full_disk_leaves_a_whole_bag_up_to_there(tmp_path: Path, size: int, split_ns: int) -> None:
    disk = Disk(size)
    config = WriterConfig(flush_ns=10**8, split_ns=split_ns)
    writer = BagWriter(tmp_path / "bag", config, opener=disk.open)
    with pytest.raises(OSError, match="No space"):
        fill(writer, 5000)
    writer.close()
    found = by_rosbags(tmp_path / "bag")
    assert found == by_mcap(tmp_path / "bag") and disk.free >= 0
    assert [seq for _, _, seq in found] == list(range(-1, len(found) - 1))
    assert writer.in_bag == len(found) < sum(writer.counts.values())
    if size > 20_000:
        assert len(found) > 50


def test_a_folder_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match=r"cannot be written.*another folder"):
        BagWriter(tmp_path / "file" / "bag")


def test_a_second_writer_is_told_that_the_first_one_writes(tmp_path: Path) -> None:
    first = BagWriter(tmp_path / "bag")
    with pytest.raises(TrainingError, match="is being written"):
        BagWriter(tmp_path / "bag")
    first.close()


def test_a_closed_bag_is_on_the_disk_before_it_has_its_name_and_no_message_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []

    def note(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))

    monkeypatch.setattr(os, "fsync", note)
    writer = BagWriter(tmp_path / "bag", WriterConfig(flush_ns=10**8))
    fill(writer, 50)
    assert not synced
    writer.split()
    writer.write("/vehicle/status", START_NS + 60 * STEP_NS, status(60))
    writer.close()
    grew, named = tmp_path / "bag.partial", synced.index(tmp_path)
    assert {grew, grew / "metadata.yaml", grew / "bag_0.mcap", grew / "bag_1.mcap"} <= set(synced[:named])


def test_a_long_file_keeps_its_whole_index_and_little_of_it_in_memory(tmp_path: Path) -> None:
    """Three times as many chunks as stay loose: every message is found by the summary, counts and times are whole."""
    chunks = 3 * LOOSE_CHUNKS
    file = McapFile(tmp_path / "long.mcap")
    schema = file.add_schema("std_msgs/msg/Empty", "ros2msg", "")
    channels = [file.add_channel(f"/t{n}", schema, {}) for n in range(3)]
    for number in range(chunks):
        for channel in channels:
            file.write(channel, 10 * number + channel, b"\0\1\0\0")
        file.flush()
    assert file.counts == dict.fromkeys(channels, chunks)
    assert file.span_ns == (channels[0], 10 * (chunks - 1) + channels[-1])
    assert len(file._chunks) < 2 * LOOSE_CHUNKS
    file.finish("")
    file.close()
    with (tmp_path / "long.mcap").open("rb") as stream:
        reader = make_reader(stream)
        summary = reader.get_summary()
        assert summary.statistics.chunk_count == len(summary.chunk_indexes) == chunks
        assert summary.statistics.message_count == 3 * chunks
        seen = [message.log_time for _, _, message in reader.iter_messages(topics=["/t1"])]
    assert seen == [10 * number + channels[1] for number in range(chunks)]
