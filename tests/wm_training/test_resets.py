"""Time that runs backwards in a recording: cut there, both sides kept, and said."""

from __future__ import annotations

import logging
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wm_ros.topic_table import bag_qos
from wm_training.bags.info import bag_info, format_info
from wm_training.bags.reader import open_bag
from wm_training.bags.resets import APART_NS, stretches, timeline
from wm_training.bags.writer import BagWriter, WriterConfig
from wm_training.collect import TOPICS
from wm_training.sequences import ARRAYS, load_sequences

S = 1_000_000_000


def seconds(*values: float) -> np.ndarray:
    return (np.array(values) * 1e9).astype(np.int64)


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(2, 60)), min_size=1, max_size=5))
def test_every_drive_of_a_recording_is_a_stretch_of_its_own(drives: list[tuple[int, int]]) -> None:
    parts = [first * S // 10 + np.arange(count) * S // 10 for first, count in drives]
    cut = np.cumsum([0] + [b[0] < a.max() - S for a, b in pairwise(parts)])
    ahead = [b[0] > a[-1] + S for a, b in pairwise(parts)]
    if any(ahead):
        return  # a drive that begins later than the one before ended may be taken for the end of a glitch
    expected = np.concatenate([np.full(len(part), k) for part, k in zip(parts, cut.tolist(), strict=True)])
    assert stretches(np.concatenate(parts)).tolist() == expected.tolist()


def test_messages_that_come_late_make_no_stretch() -> None:
    late = np.concatenate((np.arange(50), np.arange(5), np.arange(50, 90))) * S // 10
    assert not stretches(late).any()
    assert not stretches(seconds(0, 1, 2, 3, 0.5), least=2).any()
    assert stretches(seconds(0, 1, 2, 3, 0.5, 1.5), least=2).tolist() == [0, 0, 0, 0, 1, 1]
    assert not stretches(seconds(0.0, 1.0, 0.5, 1.5)).any() and not len(stretches(seconds()))


def test_topics_are_cut_by_their_own_jump_and_rare_ones_by_what_leads_around_them() -> None:
    camera = np.tile(np.arange(50) * S // 10, 2)
    odometry = np.tile(np.arange(100) * S // 20, 2)
    stamps = {"camera": camera, "odom": odometry, "route": seconds(0, 0, 3)}
    order = {"camera": np.arange(100) * 10 + 5, "odom": np.arange(200) * 5 + 21, "route": np.array([1, 500, 800])}
    line = timeline(stamps, order, "camera")
    shift = 4_900_000_000 + APART_NS
    assert line.jumps == (4_900_000_000,) and line.note("bag").startswith("bag: time runs back once, by 4.9 s; ")
    assert line.shifts["camera"].tolist() == [0] * 50 + [shift] * 50
    assert line.shifts["odom"].tolist() == [0] * 100 + [shift] * 100  # though one came after the first new picture
    assert line.shifts["route"].tolist() == [0, shift, shift]  # published with the reset, before the first picture
    assert timeline({"camera": camera[:50]}, {"camera": np.arange(50)}, "camera").note("bag") == ""


@pytest.mark.parametrize("log_step_s", [0, 1_000])
@pytest.mark.parametrize("split_s", [0, 7])
def test_a_simulator_reset_while_recording_costs_no_frame_on_either_side(
    short_bag: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, log_step_s: int, split_s: int
) -> None:
    types = {f"/{topic.name.lstrip('/')}": topic for topic in TOPICS}
    with open_bag(short_bag) as reader, BagWriter(tmp_path / "bag", WriterConfig(split_ns=split_s * S)) as writer:
        for connection in reader.connections:
            spec = types[connection.topic]
            writer.add_topic(connection.topic, spec.type, bag_qos(spec))
        for again in range(2):
            for connection, stamp, raw in reader.messages():
                writer.write(connection.topic, stamp + again * log_step_s * S, raw)
    once, info = load_sequences(short_bag), bag_info(tmp_path / "bag")
    with caplog.at_level(logging.WARNING, "wm_training"):
        both = load_sequences(tmp_path / "bag")
    assert both.episode_start.tolist() == [*once.episode_start[:-1], *(once.episode_start + len(once))]
    for name in ARRAYS:
        alone, array = np.asarray(getattr(once, name)), np.asarray(getattr(both, name))
        np.testing.assert_array_equal(array[: len(once)], alone, err_msg=name)
        np.testing.assert_array_equal(array[len(once) :], alone, err_msg=name)
    sentence = f"time runs back once, by {info.jumps_ns[0] / S:.1f} s"
    assert f"{sentence}; what is before and after are separate episodes." in caplog.text
    assert sentence in format_info(info) and info.dropped == 0


def test_info_says_nothing_of_time_that_goes_forward(short_bag: Path) -> None:
    info = bag_info(short_bag)
    assert not info.jumps_ns and "runs back" not in format_info(info)
