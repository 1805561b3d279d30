"""Collecting: what is refused, what repeats, and what the drives show."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wm_sim.contract import find_simulator
from wm_sim.drivers import ExpertDriver
from wm_sim.scenarios import FAMILIES
from wm_sim.world import Frame, World, WorldConfig
from wm_training import TrainingError
from wm_training import collect as collect_module
from wm_training.collect import CollectConfig, Episode, collect, drive
from wm_training.collect_plan import plan_episodes
from wm_training.collect_watch import Watch
from wm_training.exploration import Explorer
from wm_training.moods import ExplorationConfig, Manoeuvre, Mood, mild, undisturbed
from wm_training.sequences import load_sequences


@pytest.mark.parametrize("seed, episodes", [(1_000_000, 1), (999_999, len(FAMILIES) + 1), (-1, 1), (2**40, 1)])
def test_reporting_seeds_are_never_collected(tmp_path: Path, seed: int, episodes: int) -> None:
    with pytest.raises(TrainingError, match="reporting"):
        collect(CollectConfig(out=tmp_path / "x", episodes=episodes, seed=seed, progress=False))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options, named",
    [
        ({"suite": "moon"}, "moon"),
        ({"suite": "lane_follow,moon"}, "moon"),
        ({"episodes": 0}, "episodes"),
        ({"workers": 0}, "workers"),
        ({"agent": "random"}, "agent 'random'"),
        ({"weights": "merge=0"}, "merge=0"),
        ({"weights": "merge"}, "merge"),
        ({"weights": "merge=2", "suite": "cut_in"}, "not in --suite"),
        ({"clip_at": "dissent"}, "clip-s has to say"),
        ({"give_up_s": 0.0}, "give-up-s"),
    ],
)
def test_a_bad_request_is_refused_in_a_sentence(tmp_path: Path, options: dict, named: str) -> None:
    with pytest.raises(TrainingError, match=named):
        collect(CollectConfig(out=tmp_path / "x", progress=False, **options))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [{"clip_at": "dissent", "clip_s": 4.4}, {"give_up_s": 5.0}])
def test_comparing_with_an_expert_is_refused_where_the_simulator_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict
) -> None:
    ours = find_simulator("builtin")
    without = replace(ours, drivers={"idm": ours.drivers["idm"]}, teachers=("idm",))
    monkeypatch.setattr(collect_module, "find_simulator", lambda name: without)
    with pytest.raises(TrainingError, match="has no expert to compare"):
        collect(CollectConfig(out=tmp_path / "x", agent="idm", progress=False, **options))
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_refused_and_left_alone(collected: Path) -> None:
    before = sorted(p.name for p in collected.iterdir())
    with pytest.raises(TrainingError, match="exists already"):
        collect(CollectConfig(out=collected, episodes=1, progress=False))
    assert sorted(p.name for p in collected.iterdir()) == before


def test_the_manifest_says_what_was_collected(collected: Path) -> None:
    manifest = json.loads((collected / "collect.json").read_text())
    assert manifest["complete"] and manifest["bags"] == ["bag-0000", "bag-0001"]
    families = manifest["report"]["families"]
    assert {name: tally["seeds"] for name, tally in families.items()} == {name: [11, 11] for name in [*FAMILIES][:4]}
    assert manifest["report"]["frames"] == len(load_sequences(collected))
    assert manifest["config"]["seed"] == 11 and manifest["report"]["frames_per_core_s"] > 0


def test_the_manifest_and_the_table_tell_what_each_family_went_through(explored: Path) -> None:
    families = json.loads((explored / "collect.json").read_text())["report"]["families"]
    sequences = load_sequences(explored)
    for flag, name in (("collided", "collided"), ("off_road", "off_road"), ("ran_red", "red_lights")):
        assert sum(tally[name] for tally in families.values()) == np.asarray(getattr(sequences, flag)).sum()
    assert sum(tally["taught"] for tally in families.values()) == sequences.taught.sum()
    assert all(sum(tally["moods"].values()) == tally["episodes"] for tally in families.values())
    assert all(tally["near_crashes"] <= tally["episodes"] - tally["collided"] for tally in families.values())


def test_a_car_that_rolls_up_close_at_speed_is_a_near_crash_and_a_slow_one_is_not() -> None:
    world = World(WorldConfig(camera=False, scan=False))
    frame = world.reset("stop_go", 3)
    for speed, gap, near in ((9.0, 0.5, True), (9.0, 60.0, False), (0.5, 0.5, False)):
        watch = Watch()
        watch.see(replace(frame, speed_mps=speed, truth=replace(frame.truth, gap_ahead_m=gap)), world)
        assert watch.near_crash is near


def test_crashes_are_seen_coming_within_a_second() -> None:
    world, crashed = World(WorldConfig(camera=False, scan=False)), 0
    for seed in range(8):
        watch, flat_out = Watch(), Explorer(SensorsOnly(pedal=1.0), undisturbed())
        frames, *_ = drive(world, flat_out, Episode("stop_go", seed), watch)
        if frames[-1].truth.collided and frames[-1].truth.gap_ahead_m < 1.0:
            crashed += 1
            assert watch.near_crash
    assert crashed


def test_families_with_more_weight_are_driven_more_often_and_seeds_go_upward_in_each() -> None:
    plan = plan_episodes(12, "stop_go, merge,cut_in", "merge=2", seed=5)
    assert Counter(episode.family for episode in plan) == {"stop_go": 3, "merge": 6, "cut_in": 3}
    assert [e.seed for e in plan if e.family == "merge"] == [5, 6, 7, 8, 9, 10]
    assert len({e.family for e in plan[:3]}) > 1  # mixed, so that a collection that is cut short has all of them


def test_equal_weights_are_families_in_turn() -> None:
    names = list(FAMILIES)
    expected = [Episode(names[i % len(names)], 7 + i // len(names)) for i in range(40)]
    assert plan_episodes(40, "all", "", seed=7) == expected == plan_episodes(40, "all", "merge=1", seed=7)


class SensorsOnly:
    """A driver that holds its wheel and its pedal."""

    def __init__(self, pedal: float = 0.1) -> None:
        self.pedal = pedal

    def reset(self, world: World) -> None:
        pass

    def act(self, frame: Frame) -> np.ndarray:
        return np.array([0.0, self.pedal], np.float32)


def test_a_driver_that_sees_the_sensors_alone_teaches_nothing_and_never_looks_away() -> None:
    world = World(WorldConfig(camera=False, scan=False))
    for mood in (Mood.CLEAN, Mood.NOISY):
        config = replace(mild(), share={mood: 1.0}, rate_hz=dict.fromkeys(Mood, 0.0))
        explorer = Explorer(SensorsOnly(), config, sees_truth=False)
        _, actions, _ = drive(world, explorer, Episode("lane_follow", 3))
        assert not any(explorer.taught) and len(explorer.taught) == len(actions)
        assert (np.ptp(actions, axis=0) > 0).tolist() == [mood is Mood.NOISY] * 2


def test_a_models_drives_are_disturbed_less_and_never_by_what_it_cannot_see() -> None:
    usual, milder = ExplorationConfig(), mild()
    assert milder.share[Mood.CLEAN] > 5 * usual.share[Mood.CLEAN]
    assert sum(milder.share.values()) == pytest.approx(1.0) == sum(usual.share.values())
    assert all(Manoeuvre.LATE_BRAKE not in plans for plans in milder.plans.values())
    assert Manoeuvre.LATE_BRAKE in usual.plans[Mood.CARELESS]


@pytest.mark.parametrize("agent, taught", [("idm", True), ("model:somewhere", False), ("policy:somewhere", False)])
def test_bags_say_whose_actions_were_taught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agent: str, taught: bool
) -> None:
    monkeypatch.setattr(collect_module, "check_agent", lambda *_: None)
    monkeypatch.setattr(collect_module, "model_id", lambda _: "abc")
    monkeypatch.setattr(collect_module, "make_agent", lambda *_, **__: SensorsOnly())
    config = CollectConfig(tmp_path / "x", agent=agent, disturb=False, episodes=1, workers=1, progress=False)
    collect(config)
    sequences = load_sequences(tmp_path / "x")
    assert np.array_equal(sequences.taught[:-1], np.full(len(sequences) - 1, taught))
    manifest = json.loads((tmp_path / "x" / "collect.json").read_text())
    assert manifest["model_id"] == "abc" and manifest["config"]["agent"] == agent
    assert manifest["config"]["exploration"]["share"] == {"clean": 1.0}


def test_the_same_seed_collects_the_same_drives_however_they_are_shared_out(explored: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    collect(CollectConfig(out=again, episodes=12, seed=11, workers=1, episodes_per_bag=5, progress=False))
    first, second = load_sequences(explored), load_sequences(again)
    np.testing.assert_array_equal(first.state, second.state)
    np.testing.assert_array_equal(first.camera, second.camera)


def test_a_compressed_bag_is_smaller_and_reads_the_same(tmp_path: Path) -> None:
    folders = {compress: tmp_path / f"compressed-{compress}" for compress in (False, True)}
    reports = [
        collect(CollectConfig(out=out, episodes=1, workers=1, progress=False, compress=compress))
        for compress, out in folders.items()
    ]
    assert reports[1].bytes < 0.8 * reports[0].bytes
    plain, compressed = (load_sequences(out) for out in folders.values())
    np.testing.assert_array_equal(plain.camera, compressed.camera)
    np.testing.assert_array_equal(plain.state, compressed.state)


def test_collected_drives_show_crashes_recoveries_and_standing(tmp_path: Path) -> None:
    world = World(WorldConfig(camera=False, scan=False))
    explorer = Explorer(ExpertDriver(), ExplorationConfig())
    outcomes: Counter[str] = Counter()
    frames_seen = standing = starts = braking = 0
    episodes = 120
    for seed in range(episodes):
        frames, actions, _ = drive(world, explorer, Episode("stop_go", 70_000 + seed))
        frames_seen += len(frames)
        last = frames[-1].truth
        outcomes["collided" if last.collided else "off_road" if last.off_road else "arrived"] += 1
        speed = np.array([frame.speed_mps for frame in frames])
        standing += int((speed < 0.1).sum())
        starts += int(((speed[1:] >= 0.1) & (speed[:-1] < 0.1)).sum())
        braking += int((actions[:, 1] <= -1.0).sum())
        assert np.isfinite(actions).all() and np.abs(actions).max() <= 1.0
    assert outcomes["collided"] >= 0.05 * episodes and outcomes["off_road"] >= 0.03 * episodes
    assert standing > 0.02 * frames_seen and starts > episodes / 4 and braking > 0.01 * frames_seen


def test_a_calm_expert_arrives_in_every_family() -> None:
    world = World(WorldConfig(camera=False, scan=False))
    calm = Explorer(ExpertDriver(), ExplorationConfig(share={Mood.CLEAN: 1.0}))
    for family in ("lane_follow", "stop_go"):
        for seed in range(20):
            frames, *_ = drive(world, calm, Episode(family, 80_000 + seed))
            assert frames[-1].events[-1].type == "route_done"


class Standing:
    """A driver that never moves."""

    def reset(self, world: World) -> None: ...

    def act(self, frame: Frame) -> np.ndarray:
        return np.array([0.0, -1.0], np.float32)


@pytest.mark.parametrize("give_up_s, over", [(2.0, True), (None, False)])
def test_a_drive_that_stands_where_the_expert_would_drive_on_is_given_up(give_up_s: float | None, over: bool) -> None:
    world, explorer = World(), Explorer(Standing(), undisturbed(), False)
    frames, commands, advice = drive(
        world, explorer, Episode("lane_follow", 3), adviser=ExpertDriver(), give_up_s=give_up_s
    )
    assert (not (frames[-1].terminated or frames[-1].truncated)) == over
    assert len(commands) == len(advice) == len(frames) - 1
    if over:
        assert (advice[-20:, 1] > 0.0).all()
        assert max(frame.speed_mps for frame in frames[-20:-1]) < 0.1
