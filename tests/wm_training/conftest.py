"""Bags to test with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from rosbags.rosbag2 import Reader

from wm_ros.topic_table import bag_qos
from wm_training.bags.schema import typestore
from wm_training.bags.writer import BagWriter
from wm_training.collect import TOPICS, CollectConfig, collect
from wm_training.exploration import ExplorationConfig, Mood

Edit = Callable[[str, int, bytes], Iterable[tuple[str, int, bytes]]]


CALM = ExplorationConfig(share={Mood.CLEAN: 1.0})


@pytest.fixture(scope="session")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two bags with two whole drives each, by the expert alone."""
    out = tmp_path_factory.mktemp("collected") / "drives"
    config = CollectConfig(
        out=out, episodes=4, seed=11, workers=1, episodes_per_bag=2, exploration=CALM, progress=False
    )
    collect(config)
    return out


@pytest.fixture(scope="session")
def explored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two bags with six drives each, disturbed as in every collection."""
    out = tmp_path_factory.mktemp("explored") / "drives"
    collect(CollectConfig(out=out, episodes=12, seed=11, workers=1, episodes_per_bag=6, progress=False))
    return out


@pytest.fixture(scope="session")
def short_bag(collected: Path) -> Path:
    """A bag with a drive of lane_follow and one of stop_go."""
    return collected / "bag-0000"


@pytest.fixture
def rewrite(short_bag: Path, tmp_path: Path) -> Callable[[Edit], Path]:
    """Writes `short_bag` anew, each message (topic, log time, cdr) replaced by those that `edit` gives."""

    def run(edit: Edit) -> Path:
        out = tmp_path / f"edited-{len(list(tmp_path.iterdir()))}"
        types = {f"/{topic.name.lstrip('/')}": topic for topic in TOPICS}
        with Reader(short_bag) as reader, BagWriter(out) as writer:
            for connection, stamp, raw in reader.messages():
                for topic, log_time, cdr in edit(connection.topic, stamp, raw):
                    if topic not in writer.counts:
                        bare = next(name for name in types if topic.endswith(name))
                        writer.add_topic(topic, types[bare].type, bag_qos(types[bare]))
                    writer.write(topic, log_time, cdr)
        return out

    return run


@pytest.fixture(scope="session")
def read_topic() -> Callable[[Path, str], list[tuple[int, Any]]]:
    """(log time, message) of all messages of a topic, by rosbags."""

    def read(bag: Path, topic: str) -> list[tuple[int, Any]]:
        with Reader(bag) as reader:
            chosen = [c for c in reader.connections if c.topic == topic]
            return [(t, typestore().deserialize_cdr(raw, c.msgtype)) for c, t, raw in reader.messages(chosen)]

    return read
