"""Bags → sequences: exactly what the simulator showed, and nothing glued over a gap."""

from __future__ import annotations

import json
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from wm_sim.drivers import ExpertDriver
from wm_sim.scenarios import FAMILIES
from wm_sim.world import World
from wm_training import TrainingError
from wm_training.bag_frames import KNOWN_NAMES
from wm_training.bags.schema import message, typestore
from wm_training.collect import Episode, drive
from wm_training.exploration import Explorer
from wm_training.moods import ExplorationConfig, Mood
from wm_training.sequences import ARRAYS, load_sequences

NEEDED = ("camera/image_raw", "scan", "odom", "vehicle/status", "route", "truth", "events")
CALM = ExplorationConfig(share={Mood.CLEAN: 1.0})


def drive_again(exploration: ExplorationConfig, episodes: int) -> list:
    """(frames, actions, taught) of the episodes that a collection with seed 11 holds, without a bag."""
    world, explorer, found, families = World(), Explorer(ExpertDriver(), exploration), [], list(FAMILIES)
    for index in range(episodes):
        episode = Episode(families[index % len(families)], 11 + index // len(families))
        frames, actions, _ = drive(world, explorer, episode)
        found.append((frames, actions, list(explorer.taught)))
    return found


@pytest.mark.parametrize(
    "folder, exploration, episodes", [("collected", CALM, 4), ("explored", ExplorationConfig(), 12)]
)
def test_sequences_are_bit_for_bit_what_the_simulator_showed(request, folder, exploration, episodes) -> None:
    sequences, drives = load_sequences(request.getfixturevalue(folder)), drive_again(exploration, episodes)
    assert sequences.episodes == len(drives)
    assert np.diff(sequences.episode_start).tolist() == [len(frames) for frames, _, _ in drives]
    for start, end, (frames, actions, taught) in zip(
        sequences.episode_start, sequences.episode_start[1:], drives, strict=False
    ):
        part = slice(start, end)
        np.testing.assert_array_equal(sequences.state[part], [f.state for f in frames])
        np.testing.assert_array_equal(sequences.camera[part], [f.camera for f in frames])
        np.testing.assert_array_equal(sequences.scan[part], [f.scan for f in frames])
        labels = {
            "reward": "reward",
            "lateral_error": "lateral_error_m",
            "heading_error": "heading_error_rad",
            "curvature": "curvature_1pm",
            "gap_ahead": "gap_ahead_m",
            "closing_speed": "closing_speed_mps",
            "lane_width": "lane_width_m",
            "red_light_gap": "red_light_gap_m",
            "crossing_time": "crossing_time_s",
            "collided": "collided",
            "off_road": "off_road",
        }
        for name, field in labels.items():
            column = getattr(sequences, name)
            expected = np.array([getattr(f.truth, field) for f in frames]).astype(column.dtype)
            np.testing.assert_array_equal(column[part], expected, err_msg=name)
        reds = [any(event.type == "red_light" for event in f.events) for f in frames]
        np.testing.assert_array_equal(sequences.ran_red[part], reds)
        np.testing.assert_array_equal(sequences.done[part], [f.terminated for f in frames])
        np.testing.assert_allclose(sequences.action[start : end - 1], actions, atol=1e-6)
        np.testing.assert_array_equal(sequences.action[start : end - 1], sequences.state[start + 1 : end, 4:6])
        np.testing.assert_array_equal(sequences.taught[start : end - 1], taught)
        assert not sequences.action[end - 1].any() and not sequences.taught[end - 1]


def test_shapes_and_types_are_those_of_the_trainer(short_bag) -> None:
    sequences = load_sequences(short_bag)
    count = len(sequences)
    shapes = {"camera": (count, 64, 64, 3), "scan": (count, 72), "state": (count, 15), "action": (count, 2)}
    for name in ARRAYS:
        array = getattr(sequences, name)
        assert array.shape == shapes.get(name, (count,)), name
        kinds = {"camera": np.uint8, **dict.fromkeys(("collided", "off_road", "ran_red", "done", "taught"), np.bool_)}
        assert array.dtype == kinds.get(name, np.float32), name
    assert sequences.episode_start.dtype == np.int64 and sequences.episode_start[-1] == count


@pytest.mark.parametrize("topic", NEEDED)
def test_a_missing_topic_is_named(rewrite, topic) -> None:
    bag = rewrite(lambda name, stamp, raw: [] if name == f"/{topic}" else [(name, stamp, raw)])
    with pytest.raises(TrainingError, match=f"topic {topic} is not in the bag"):
        load_sequences(bag)


@pytest.mark.parametrize("topic", ["camera/image_raw", "scan", "odom", "vehicle/status", "truth"])
def test_a_lost_message_ends_a_sequence_instead_of_being_glued_over(rewrite, short_bag, topic) -> None:
    whole = load_sequences(short_bag)
    seen: Counter[str] = Counter()

    def edit(name, stamp, raw):
        seen[name] += 1
        return [] if name == f"/{topic}" and seen[name] == 41 else [(name, stamp, raw)]

    cut = load_sequences(rewrite(edit))
    assert cut.episode_start[:3].tolist() == [0, 40, whole.episode_start[1] - 1]
    assert not cut.action[39].any() and not cut.done[39]
    np.testing.assert_array_equal(cut.state[:40], whole.state[:40])
    np.testing.assert_array_equal(cut.state[40:], whole.state[41:])


def test_a_live_recording_reads_like_a_collected_bag(rewrite, short_bag) -> None:
    """Topics in a namespace, faster odometry and commands, a standing world before and after, longer frame names."""
    seen: Counter[str] = Counter()
    store = typestore()

    def shifted(raw: bytes, ns: int) -> bytes:
        sec, nanosec = struct.unpack_from("<iI", raw, 4)
        now = sec * 10**9 + nanosec + ns
        return raw[:4] + struct.pack("<iI", *divmod(now, 10**9)) + raw[12:]

    def edit(name, stamp, raw):
        seen[name] += 1
        here = f"/car_1{name}"
        if name == "/camera/image_raw":
            image = store.deserialize_cdr(raw, "sensor_msgs/msg/Image")
            image.header.frame_id = f"car_1/{'x' * (seen[name] % 3)}camera"
            raw = bytes(store.serialize_cdr(image, "sensor_msgs/msg/Image"))
        if name in ("/odom", "/vehicle/status"):
            between = shifted(raw, 50_000_000)
            junk = bytearray(between)
            junk[-12:-4] = struct.pack("<d", 99.0)
            return [(here, stamp, raw), (here, stamp + 50_000_000, bytes(junk))]
        if name == "/control_cmd":
            return [(here, stamp + i * 20_000_000, raw) for i in range(5)]
        standing = name in ("/camera/image_raw", "/scan", "/truth") and seen[name] == 1
        return [(here, stamp, raw), *([(here, stamp, raw)] if standing else [])]

    live, whole = load_sequences(rewrite(edit)), load_sequences(short_bag)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(live, name), getattr(whole, name), err_msg=name)
    np.testing.assert_array_equal(live.episode_start, whole.episode_start)


def test_frames_of_a_standing_world_are_left_out(rewrite, short_bag) -> None:
    """Before the first command the simulator repeats step 0 with new stamps."""
    early = {"/camera/image_raw", "/scan", "/odom", "/vehicle/status", "/truth"}
    seen: Counter[str] = Counter()

    def at(raw: bytes, ns: int) -> bytes:
        return raw[:4] + struct.pack("<iI", *divmod(ns, 10**9)) + raw[12:]

    def edit(name, stamp, raw):
        seen[name] += 1
        waiting = [(name, 10**9 - k * 10**8, at(raw, 10**9 - k * 10**8)) for k in (3, 2, 1)]
        return [*(waiting if name in early and seen[name] == 1 else []), (name, stamp, raw)]

    live, whole = load_sequences(rewrite(edit)), load_sequences(short_bag)
    assert live.episode_start.tolist() == whole.episode_start.tolist()
    np.testing.assert_array_equal(live.state, whole.state)


def test_a_frame_whose_numbers_are_not_finite_ends_a_sequence_and_is_counted(rewrite, short_bag, caplog) -> None:
    whole, store = load_sequences(short_bag), typestore()
    seen: Counter[str] = Counter()

    def edit(name, stamp, raw):
        seen[name] += 1
        if name == "/vehicle/status" and seen[name] == 41:
            status = store.deserialize_cdr(raw, "wm_msgs/msg/VehicleStatus")
            status.speed = float("nan")
            raw = bytes(store.serialize_cdr(status, "wm_msgs/msg/VehicleStatus"))
        return [(name, stamp, raw)]

    cut = load_sequences(rewrite(edit))
    assert cut.episode_start[:3].tolist() == [0, 40, whole.episode_start[1] - 1] and np.isfinite(cut.state).all()
    assert "topic vehicle/status: 1 frames with numbers that are not finite are left out" in caplog.text
    assert cut.known.all()


def test_a_bag_of_before_hazards_were_recorded_is_read_by_its_own_definition_and_they_are_unknown(
    short_bag, older_bag
) -> None:
    older, whole = load_sequences(older_bag), load_sequences(short_bag)
    assert (older.red_light_gap == 60.0).all() and (older.crossing_time == 6.0).all()
    unknown = {name for name, known in zip(KNOWN_NAMES, older.known.T, strict=True) if not known.any()}
    assert unknown == {"red_light_gap", "crossing_time"} and older.known.sum() == len(older) * (len(KNOWN_NAMES) - 2)
    for name in ARRAYS:
        if name not in unknown:
            np.testing.assert_array_equal(getattr(older, name), getattr(whole, name), err_msg=name)
    both = load_sequences([older_bag, short_bag])
    assert both.known[:, KNOWN_NAMES.index("crossing_time")].sum() == len(whole) == len(both) - len(older)


def test_several_bags_are_seen_as_one_without_being_copied(collected) -> None:
    bags, whole = sorted(collected.glob("bag-*")), load_sequences(collected)
    first, second = (load_sequences(bag) for bag in bags)
    assert not isinstance(whole.camera, np.ndarray) and len(whole.camera) == len(first) + len(second)
    around = np.arange(len(first) - 5, len(first) + 5)
    both = np.concatenate((first.camera[-5:], second.camera[:5]))
    np.testing.assert_array_equal(whole.camera[around], both)


def test_pictures_of_another_size_are_refused(rewrite) -> None:
    small = message(
        "sensor_msgs/msg/Image", {"height": 2, "width": 2, "encoding": "rgb8", "data": np.zeros(12, np.uint8)}
    )
    raw = bytes(typestore().serialize_cdr(small, "sensor_msgs/msg/Image"))
    bag = rewrite(lambda name, stamp, cdr: [(name, stamp, raw if name == "/camera/image_raw" else cdr)])
    with pytest.raises(TrainingError, match="2x2 rgb8, expected 64x64"):
        load_sequences(bag)


def test_the_second_load_maps_what_the_first_one_wrote(rewrite) -> None:
    bag = rewrite(lambda name, stamp, raw: [(name, stamp, raw)])
    first = load_sequences(bag)
    [cache] = bag.glob(".sequences-*")
    second = load_sequences(bag)
    assert isinstance(second.camera, np.memmap) and second.digest == first.digest
    (cache / "camera.npy").write_bytes(b"damaged")
    np.testing.assert_array_equal(load_sequences(bag).state, first.state)


def test_another_content_has_another_digest_and_the_old_cache_goes(rewrite) -> None:
    bag = rewrite(lambda name, stamp, raw: [(name, stamp, raw)])
    before = load_sequences(bag)
    [file] = bag.glob("*.mcap")
    other = rewrite(lambda name, stamp, raw: [(name, stamp, raw)] if stamp < 20 * 10**9 else [])
    [shorter] = other.glob("*.mcap")
    file.write_bytes(shorter.read_bytes())
    (bag / "metadata.yaml").write_text((other / "metadata.yaml").read_text().replace(shorter.name, file.name))
    after = load_sequences(bag)
    assert len(after) < len(before) and after.digest != before.digest
    assert len(list(bag.glob(".sequences-*"))) == 1


def test_a_cache_that_does_not_say_its_format_is_not_taken_over(rewrite) -> None:
    bag = rewrite(lambda name, stamp, raw: [(name, stamp, raw)])
    first = load_sequences(bag)
    state = np.array(first.state)
    [cache] = bag.glob(".sequences-*")
    facts = json.loads((cache / "digest.json").read_text())
    for form in (None, facts["format"] - 1):
        stale = {name: value for name, value in facts.items() if name != "format"}
        (cache / "digest.json").write_text(json.dumps(stale | ({"format": form} if form else {})))
        np.save(cache / "state.npy", np.zeros_like(state))
        old = cache.rename(bag / ".sequences-0123456789abcdef")
        np.testing.assert_array_equal(load_sequences(bag).state, state)
        assert not old.exists() and list(bag.glob(".sequences-*")) == [cache]
    # One of today's format is, whatever its key.
    np.save(cache / "state.npy", state + 1.0)
    cache.rename(old)
    np.testing.assert_array_equal(load_sequences(bag).state, state + 1.0)


def test_nothing_to_load_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no such bag"):
        load_sequences(tmp_path / "missing")
    with pytest.raises(TrainingError, match="no bag in it"):
        load_sequences(tmp_path)
