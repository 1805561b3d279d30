"""Bags to test with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from wm_dynamics.rssm import RssmConfig
from wm_dynamics.world_model import WorldModelConfig
from wm_ros.topic_table import bag_qos
from wm_training import train as train_module
from wm_training.bags.schema import typestore
from wm_training.bags.writer import BagWriter
from wm_training.collect import TOPICS, CollectConfig, collect
from wm_training.moods import ExplorationConfig, Mood
from wm_training.sequences import Sequences
from wm_training.train import TrainConfig

Edit = Callable[[str, int, bytes], Iterable[tuple[str, int, bytes]]]


LENGTHS = (40, 25, 12, 60)
SMALL = WorldModelConfig(rssm=RssmConfig(recognised=16, deter=16, groups=4, classes=4, hidden=16, prior_hidden=8))
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


@pytest.fixture
def older_bag(short_bag: Path, tmp_path: Path) -> Path:
    """`short_bag` as it was recorded before Truth told of hazards, written by rosbags with the definition of then."""
    ours, kind = typestore(), "wm_msgs/msg/Truth"
    then = get_typestore(Stores.ROS2_JAZZY)
    for name, definition in ours.fielddefs.items():
        if name.startswith("wm_msgs/"):
            constants, fields = definition
            kept = [f for f in fields if name != kind or f[0] not in ("red_light_gap", "crossing_time")]
            then.register({name: (constants, kept)})
    with (
        Reader(short_bag) as reader,
        Writer(tmp_path / "older", version=9, storage_plugin=StoragePlugin.MCAP) as writer,
    ):
        channels = {c.id: writer.add_connection(c.topic, c.msgtype, typestore=then) for c in reader.connections}
        for connection, stamp, raw in reader.messages():
            now = ours.deserialize_cdr(raw, connection.msgtype)
            names = [name for name, _ in then.fielddefs[connection.msgtype][1]]
            as_then = then.types[connection.msgtype](*(getattr(now, name) for name in names))
            cdr = then.serialize_cdr(as_then, kind) if connection.msgtype == kind else raw
            writer.write(channels[connection.id], stamp, cdr)
    return tmp_path / "older"


@pytest.fixture(scope="session")
def read_topic() -> Callable[[Path, str], list[tuple[int, Any]]]:
    """(log time, message) of all messages of a topic, by rosbags."""

    def read(bag: Path, topic: str) -> list[tuple[int, Any]]:
        with Reader(bag) as reader:
            chosen = [c for c in reader.connections if c.topic == topic]
            return [(t, typestore().deserialize_cdr(raw, c.msgtype)) for c, t, raw in reader.messages(chosen)]

    return read


@pytest.fixture(autouse=True, scope="session")
def one_torch_thread() -> None:
    """Small tensors gain nothing by a second thread, and threads that wait for a busy core take minutes."""
    torch.set_num_threads(1)


@pytest.fixture
def sequences() -> Sequences:
    """Four episodes; the second ends in a collision, the third off the road."""
    rng = np.random.default_rng(0)
    frames = sum(LENGTHS)
    episode_start = np.concatenate(([0], np.cumsum(LENGTHS))).astype(np.int64)

    def numbers(*shape: int) -> np.ndarray:
        return rng.normal(0, 1, (frames, *shape)).astype(np.float32)

    collided, off_road = np.zeros(frames, bool), np.zeros(frames, bool)
    collided[episode_start[2] - 1] = True
    off_road[episode_start[3] - 1] = True
    action = rng.uniform(-1, 1, (frames, 2)).astype(np.float32)
    return Sequences(
        camera=rng.integers(0, 256, (frames, 64, 64, 3), dtype=np.uint8),
        scan=rng.uniform(1, 60, (frames, 72)).astype(np.float32),
        state=0.05 * numbers(15), action=action, taught=np.zeros(frames, bool), reward=numbers(),
        collided=collided, off_road=off_road, ran_red=np.zeros(frames, bool),
        done=collided | off_road, lateral_error=numbers(), heading_error=numbers(), curvature=numbers(),
        gap_ahead=np.full(frames, 60, np.float32), closing_speed=np.zeros(frames, np.float32),
        red_light_gap=np.full(frames, 60, np.float32), crossing_time=np.full(frames, 6, np.float32),
        lane_width=np.full(frames, 3.5, np.float32), episode_start=episode_start, digest="made up",
    )  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    return TrainConfig(
        out=tmp_path / "run",
        perception_steps=2,
        perception_batch=6,
        joint_steps=2,
        dynamics_steps=2,
        imagination_steps=2,
        imagination_batch=4,
        pictures_every=0,
        accelerator="cpu",
        batch=3,
        dynamics_batch=4,
        length=20,
        checkpoint_every=2,
        held_out=0.25,
        threads=1,
    )


@pytest.fixture
def tiny_training(sequences: Sequences, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, torch.Tensor]]:
    """wm train on the made-up drive with a small model; the weights that it would have exported."""
    exported: list[dict[str, torch.Tensor]] = []
    monkeypatch.setattr(train_module, "load_sequences", lambda *_, **__: sequences)
    monkeypatch.setattr(train_module, "WorldModelConfig", lambda: SMALL)
    monkeypatch.setattr(train_module, "export_model", lambda model, *_: exported.append(deepcopy(model.state_dict())))
    return exported
