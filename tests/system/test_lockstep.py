"""A drive in lockstep, from the command to what it leaves behind; and the same drive twice, and without ROS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.system, pytest.mark.slow]
FAMILY, SEED, LENGTH_M = "lane_follow", 3, 60.0
ROUTE = ("--scenario", FAMILY, "--seed", str(SEED), "--mode", "lockstep", "--length-m", str(LENGTH_M))


def messages(bag: Path, topic: str) -> Iterator[Any]:
    """Decoded messages of one topic of a bag."""
    from mcap.reader import make_reader
    from mcap_ros2.decoder import DecoderFactory

    with next(bag.glob("*.mcap")).open("rb") as file:
        for _, _, _, message in make_reader(file, decoder_factories=[DecoderFactory()]).iter_decoded_messages([topic]):
            yield message


def truths(bag: Path) -> np.ndarray:
    """Truth of a drive [T, 5]: one row a step, a frame that was sent again once."""
    steps = {
        message.step: (
            message.lateral_error,
            message.heading_error,
            message.progress,
            message.gap_ahead,
            message.reward,
        )
        for message in messages(bag, "/truth")
    }
    assert sorted(steps) == list(range(len(steps)))
    return np.array([steps[step] for step in sorted(steps)], np.float32)


@pytest.fixture(scope="module")
def finished(start_drive, tmp_path_factory) -> Path:
    """The folder of a drive that ran to its end."""
    drive = start_drive(tmp_path_factory.mktemp("lockstep") / "drive", *ROUTE)
    code, text = drive.wait()
    assert code == 0, text
    assert "outcome" in text
    return drive.out


@pytest.fixture(scope="module")
def report(finished: Path) -> dict[str, Any]:
    return json.loads((finished / "report.json").read_text())


@pytest.fixture(scope="module")
def in_process(model: Path) -> list[Any]:
    """Frames of the same drive without ROS."""
    from wm_planner.agent import model_driver
    from wm_sim.world import World, WorldConfig

    world, driver = World(WorldConfig(route_length_m=LENGTH_M)), model_driver(model)
    frames = [world.reset(FAMILY, SEED)]
    driver.reset(world)
    while not (frames[-1].terminated or frames[-1].truncated):
        frames.append(world.step(driver.act(frames[-1])))
    return frames


def test_the_drive_leaves_report_picture_film_and_bag(finished: Path, report: dict[str, Any]) -> None:
    assert report["outcome"] in ("route_done", "collision", "off_road", "timeout")
    assert report["frames"] > 10
    assert report["plan_ms"]["p50"] > 0
    assert report["camera_to_control_ms"]["p50"] > report["plan_ms"]["p50"]
    assert report["lost_messages"] == {}
    for name in ("report.txt", "picture.png", "drive.mp4", "bag/metadata.yaml", "parameters.yaml"):
        assert (finished / name).stat().st_size > 200, name


def test_the_film_has_a_picture_for_every_frame(finished: Path, report: dict[str, Any]) -> None:
    import cv2

    film = cv2.VideoCapture(str(finished / "drive.mp4"))
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) == report["frames"]
    assert film.read()[1].std() > 10


def test_the_bag_becomes_the_sequence_that_was_driven(finished: Path, report: dict[str, Any]) -> None:
    from wm_training.sequences import load_sequences

    sequences = load_sequences([finished / "bag"])
    assert len(sequences.episode_start) == 2
    assert len(sequences.camera) == report["frames"]


def test_nothing_of_the_drive_is_lost_on_its_way_into_the_bag(finished: Path) -> None:
    for topic in ("/observation", "/belief", "/plan", "/control_cmd"):
        numbers = [message.seq for message in messages(finished / "bag", topic)]
        assert len(numbers) > 10
        assert set(np.diff(numbers)) <= {0, 1}, topic  # 0: a frame sent again got its answer again


def test_every_command_descends_from_a_frame_and_comes_from_the_plan(finished: Path) -> None:
    frames = {(m.header.stamp.sec, m.header.stamp.nanosec) for m in messages(finished / "bag", "/camera/image_raw")}
    commands = list(messages(finished / "bag", "/control_cmd"))
    assert all((m.source_stamp.sec, m.source_stamp.nanosec) in frames for m in commands)


def test_the_same_seed_gives_the_same_drive_over_ros(finished: Path, start_drive, tmp_path: Path) -> None:
    drive = start_drive(tmp_path / "again", *ROUTE)
    code, text = drive.wait()
    assert code == 0, text
    assert np.array_equal(truths(finished / "bag"), truths(drive.out / "bag"))


def test_ros_in_lockstep_and_the_agent_in_process_drive_the_same(finished: Path, report, in_process) -> None:
    assert report["outcome"] == in_process[-1].events[-1].type
    last = in_process[-1].truth
    completion = 1.0 if report["outcome"] == "route_done" else last.progress_m / last.route_length_m
    assert report["route_completion"] == pytest.approx(completion, abs=0.01)
    lateral = np.array([frame.truth.lateral_error_m for frame in in_process], np.float32)
    assert np.array_equal(truths(finished / "bag")[:, 0], lateral)
