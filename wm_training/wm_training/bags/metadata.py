"""rosbag2's metadata.yaml, version 9."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

VERSION = 9
DISTRO = "jazzy"  # whose message definitions these are


@dataclass(frozen=True)
class BagTopic:
    """A topic of a bag, as it is announced."""

    name: str  # full
    type: str  # "package/msg/Name"
    definition: str  # the text of the type and of those that it is made of
    encoding: str = "ros2msg"  # of the definition
    hash: str = ""  # RIHS01 of the type
    qos: Sequence[Mapping[str, Any]] = ()  # offered, as rosbag2 writes it in version 9


@dataclass(frozen=True)
class BagFile:
    """A file of a bag, as far as it is written."""

    name: str
    counts: Mapping[str, int] = field(default_factory=dict)  # messages by topic
    span_ns: tuple[int, int] | None = None  # first and last log time; None without messages


def information(topics: Sequence[BagTopic], files: Sequence[BagFile], notes: Mapping[str, str]) -> dict[str, Any]:
    """What stands below `rosbag2_bagfile_information`."""
    spans = [file.span_ns for file in files if file.span_ns is not None]
    whole = (min(start for start, _ in spans), max(end for _, end in spans)) if spans else None
    return {
        "version": VERSION,
        "storage_identifier": "mcap",
        **_times(whole),
        "message_count": sum(sum(file.counts.values()) for file in files),
        "topics_with_message_count": [
            {
                "topic_metadata": {
                    "name": topic.name,
                    "type": topic.type,
                    "serialization_format": "cdr",
                    "offered_qos_profiles": plain(topic.qos),
                    "type_description_hash": topic.hash,
                },
                "message_count": sum(file.counts.get(topic.name, 0) for file in files),
            }
            for topic in topics
        ],
        "compression_format": "",  # chunks may be compressed; rosbag2 leaves that to the storage
        "compression_mode": "",
        "relative_file_paths": [file.name for file in files],
        "files": [
            {"path": file.name, **_times(file.span_ns), "message_count": sum(file.counts.values())} for file in files
        ],
        "custom_data": dict(notes) or None,
        "ros_distro": DISTRO,
    }


def metadata_yaml(information: Mapping[str, Any]) -> str:
    """The text of metadata.yaml."""
    return to_yaml({"rosbag2_bagfile_information": dict(information)})


def to_yaml(value: Any) -> str:
    """YAML in the order given, without references."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=1000)


def plain(qos: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Copies of QoS profiles as plain dictionaries."""
    return [{key: dict(value) if isinstance(value, Mapping) else value for key, value in p.items()} for p in qos]


def _times(span_ns: tuple[int, int] | None) -> dict[str, dict[str, int]]:
    start, end = span_ns or (0, 0)
    return {"starting_time": {"nanoseconds_since_epoch": start}, "duration": {"nanoseconds": end - start}}


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True
