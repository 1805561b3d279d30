"""Clips: of every drive a stretch, so that as many frames show more worlds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from wm_sim.drivers import ExpertDriver
from wm_sim.world import World
from wm_training import TrainingError
from wm_training.bag_frames import MIN_FRAMES
from wm_training.clips import dissent_of, stretch
from wm_training.collect import CollectConfig, Episode, collect, drive
from wm_training.exploration import Explorer
from wm_training.moods import ExplorationConfig
from wm_training.sequences import Sequences, load_sequences

CLIP_S = 5.0
EPISODES = [Episode(family, 11 + seed) for seed in range(3) for family in ("lane_follow", "stop_go")]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("clips") / "drives"
    collect(CollectConfig(
        out=out, episodes=6, suite="lane_follow,stop_go", seed=11, workers=1, episodes_per_bag=3, clip_s=CLIP_S,
        progress=False,
    ))  # fmt: skip
    return out


def test_a_stretch_is_as_long_as_asked_and_a_shorter_drive_stays_whole() -> None:
    for seed in range(200):
        episode = Episode("merge", seed)
        first, end = stretch(321, 10.0, episode)
        assert end - first == 100 and first >= 0 and end <= 321
        assert stretch(100, 10.0, episode) == (0, 100) and stretch(7, 10.0, episode) == (0, 7)
        assert stretch(321, None, episode) == (0, 321)
        first, end = stretch(321, 0.01, episode)
        assert end - first == MIN_FRAMES


def test_about_one_stretch_in_three_is_how_the_drive_ended_and_the_others_lie_anywhere() -> None:
    found = np.array([stretch(1000, 10.0, Episode("merge", seed)) for seed in range(3000)])
    ends = found[:, 1] == 1000
    assert 0.30 < ends.mean() < 0.37
    spread, _ = np.histogram(found[~ends, 0], bins=9, range=(0, 900))
    assert spread.min() > 0.7 * spread.mean()


def test_a_stretch_depends_on_the_episode_alone() -> None:
    episodes = [Episode(family, seed) for family in ("merge", "cut_in") for seed in range(50)]
    first, again = ([stretch(500, 10.0, episode) for episode in order] for order in (episodes, episodes[::-1]))
    assert first == again[::-1]
    assert first[:50] != first[50:]  # and families differ


def test_clips_are_bit_for_bit_the_frames_of_the_whole_drives(clips: Path) -> None:
    sequences: Sequences = load_sequences(clips)
    world, explorer = World(), Explorer(ExpertDriver(), ExplorationConfig())
    assert sequences.episodes == len(EPISODES)
    for index, episode in enumerate(EPISODES):
        frames, _, advice = drive(world, explorer, episode, adviser=ExpertDriver())
        first, end = stretch(len(frames), CLIP_S, episode)
        part = slice(*sequences.episode_start[index : index + 2])
        kept = frames[first:end]
        np.testing.assert_array_equal(sequences.state[part], [f.state for f in kept])
        np.testing.assert_array_equal(sequences.camera[part], [f.camera for f in kept])
        np.testing.assert_array_equal(sequences.done[part], [f.terminated for f in kept])
        np.testing.assert_array_equal(sequences.taught[part][:-1], explorer.taught[first : end - 1])
        np.testing.assert_allclose(sequences.advice[part][:-1], advice[first : end - 1], atol=1e-6)


def test_the_manifest_counts_the_frames_that_were_kept(clips: Path) -> None:
    manifest = json.loads((clips / "collect.json").read_text())
    sequences = load_sequences(clips)
    assert manifest["config"]["clip_s"] == CLIP_S
    assert manifest["report"]["frames"] == len(sequences) <= 6 * 50
    taught = sum(tally["taught"] for tally in manifest["report"]["families"].values())
    assert taught == sequences.taught.sum()


@pytest.mark.parametrize("clip_s", [0.0, -1.0, float("nan"), float("inf")])
def test_a_clip_without_length_or_without_end_is_refused(tmp_path: Path, clip_s: float) -> None:
    with pytest.raises(TrainingError, match="clip-s: .*give seconds above 0, or leave it out"):
        collect(CollectConfig(out=tmp_path / "x", episodes=1, clip_s=clip_s, progress=False))
    assert not list(tmp_path.iterdir())


def test_clips_show_where_driver_and_expert_differ_the_more_often_the_more_they_do() -> None:
    commands = np.zeros((199, 2), np.float32)
    advice = commands.copy()
    advice[100:110, 1], advice[30:40, 0] = 1.0, 0.5  # a quarter of the other's square
    clips = [stretch(200, 3.0, Episode("merge", seed), dissent_of(commands, advice)) for seed in range(400)]
    assert all(b - a == 30 for a, b in clips)
    late = sum(a < 110 and b > 101 for a, b in clips)
    early = sum(a < 40 and b > 31 for a, b in clips)
    assert late + early == len(clips)
    assert 0.7 < late / len(clips) < 0.9


def test_clips_lie_anywhere_where_nobody_differs() -> None:
    same = np.zeros((199, 2), np.float32)
    clips = {stretch(200, 3.0, Episode("merge", seed), dissent_of(same, same)) for seed in range(50)}
    assert (170, 200) in clips
    assert len(clips) > 20
