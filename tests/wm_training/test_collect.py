"""Collecting: what is refused, what repeats, and what the drives show."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from wm_sim.drivers import ExpertDriver
from wm_sim.scenarios import FAMILIES
from wm_sim.world import World, WorldConfig
from wm_training import TrainingError
from wm_training.collect import CollectConfig, Episode, collect, drive
from wm_training.exploration import ExplorationConfig, Explorer, Mood
from wm_training.sequences import load_sequences


@pytest.mark.parametrize("seed, episodes", [(1_000_000, 1), (999_999, len(FAMILIES) + 1), (-1, 1), (2**40, 1)])
def test_reporting_seeds_are_never_collected(tmp_path: Path, seed: int, episodes: int) -> None:
    with pytest.raises(TrainingError, match="reporting"):
        collect(CollectConfig(out=tmp_path / "x", episodes=episodes, seed=seed, progress=False))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options, named",
    [({"suite": "moon"}, "moon"), ({"episodes": 0}, "episodes"), ({"workers": 0}, "workers")],
)
def test_a_bad_request_is_refused_in_a_sentence(tmp_path: Path, options: dict, named: str) -> None:
    with pytest.raises(TrainingError, match=named):
        collect(CollectConfig(out=tmp_path / "x", progress=False, **options))
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
        frames, actions = drive(world, explorer, Episode("stop_go", 70_000 + seed))
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
            frames, _ = drive(world, calm, Episode(family, 80_000 + seed))
            assert frames[-1].events[-1].type == "route_done"
