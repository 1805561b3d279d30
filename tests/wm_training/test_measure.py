"""The measures themselves, on made-up forecasts, pictures and drives whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from wm_dynamics.rssm import RssmConfig
from wm_dynamics.world_model import WorldModel, WorldModelConfig
from wm_training import measure, surprise
from wm_training.batches import BatchSource
from wm_training.calibration import Forecast, auroc, calibration, conformal, conformal_threshold
from wm_training.dreams import structural_similarity
from wm_training.filtering import batch_of, draw_free_windows, draw_windows, filter_windows
from wm_training.measure import measure_model
from wm_training.open_loop import QUANTITIES, constant_velocity, crash_at_constant_velocity
from wm_training.sensor_faults import CAMERA_FAULTS, LATE_STEPS, SCAN_FAULTS
from wm_training.sequences import Sequences
from wm_training.surprise import measure_surprise

SMALL = WorldModelConfig(rssm=RssmConfig(recognised=16, deter=16, groups=4, classes=4, hidden=16, prior_hidden=8))
LENGTH, EPISODES = 40, 6


@pytest.fixture
def sequences() -> Sequences:
    """Six drives at 10 m/s along a straight road, 0.02 rad to the left; the last third of each is taught."""
    frames = LENGTH * EPISODES
    rng = np.random.default_rng(0)
    along = np.tile(np.arange(LENGTH), EPISODES)
    state = np.zeros((frames, 15), np.float32)
    state[:, 0] = 10.0
    collided = along == LENGTH - 1
    return Sequences(
        camera=rng.integers(0, 256, (frames, 64, 64, 3), dtype=np.uint8),
        scan=rng.uniform(1, 60, (frames, 72)).astype(np.float32), state=state,
        action=rng.uniform(-1, 1, (frames, 2)).astype(np.float32), taught=along >= 26,
        reward=np.ones(frames, np.float32), collided=collided, off_road=np.zeros(frames, bool),
        ran_red=np.zeros(frames, bool), done=collided,
        lateral_error=(0.1 * 10.0 * np.sin(0.02) * along).astype(np.float32),
        heading_error=np.full(frames, 0.02, np.float32), curvature=np.zeros(frames, np.float32),
        gap_ahead=np.full(frames, 60, np.float32), closing_speed=np.zeros(frames, np.float32),
        red_light_gap=np.full(frames, 60, np.float32), crossing_time=np.full(frames, 6, np.float32),
        lane_width=np.full(frames, 3.5, np.float32), episode_start=np.arange(EPISODES + 1) * LENGTH, digest="made up",
    )  # fmt: skip


@pytest.fixture
def few_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, sizes in ((measure, (24, 12)), (surprise, (12, 12))):
        monkeypatch.setattr(module, "WINDOWS", sizes[0])
        monkeypatch.setattr(module, "BATCH", sizes[1])
    monkeypatch.setattr(measure, "PICTURE_WINDOWS", 12)


def test_ties_count_half_in_the_area_under_the_curve() -> None:
    truth = np.array([0, 0, 1, 1])
    assert auroc(truth, np.array([0.1, 0.2, 0.3, 0.4])) == 1.0
    assert auroc(truth, np.zeros(4)) == 0.5
    assert auroc(np.zeros(4), np.arange(4.0)) is None


def test_forecasts_that_come_true_as_often_as_they_say_are_calibrated() -> None:
    rng = np.random.default_rng(0)
    probability = rng.random(50_000)
    honest = calibration(Forecast(probability, rng.random(50_000) < probability))
    bold = calibration(Forecast(probability, rng.random(50_000) < 0.5 * probability))
    assert honest["ece"] < 0.01
    assert bold["ece"] == pytest.approx(0.25, abs=0.01)
    assert honest["brier"] == pytest.approx(1 / 6, abs=0.005)


def test_at_most_a_tenth_of_new_bad_windows_stay_below_the_conformal_threshold() -> None:
    rng = np.random.default_rng(0)
    missed = [rng.beta(2, 2) < conformal_threshold(rng.beta(2, 2, 29), 0.1) for _ in range(4000)]
    assert 0.08 < np.mean(missed) < 0.115


def test_too_few_bad_windows_call_nothing_safe() -> None:
    assert conformal_threshold(np.array([0.9, 0.8]), 0.1) == 0.0


def test_the_conformal_check_never_judges_a_drive_by_itself() -> None:
    """One half of the drives has low risks: under the other half's threshold all its accidents are missed."""
    episode = np.repeat(np.arange(2), 100)
    risk = np.where(episode == 0, 0.2, 0.8) + np.linspace(0.0, 0.01, 200)
    found = conformal(Forecast(risk, np.ones(200, bool)), episode, 0.1)
    assert found["missed_in_the_other_half"] == 0.5


def test_constant_velocity_is_exact_for_a_car_that_keeps_speed_and_yaw_rate() -> None:
    speed, yaw_rate = 10.0, 0.2
    now = torch.zeros(1, len(QUANTITIES))
    now[0, :2] = torch.tensor([speed, yaw_rate])
    straight, bent = (constant_velocity(now, 15, bend=bend) for bend in (False, True))
    assert torch.equal(straight, bent)
    time_s = 0.1 * torch.arange(1, 16)
    lateral = speed / yaw_rate * (1.0 - torch.cos(yaw_rate * time_s))
    assert torch.allclose(straight[0, :, QUANTITIES.index("lateral_error")], lateral, atol=1e-3)
    now[0, QUANTITIES.index("curvature")] = yaw_rate / speed
    along = constant_velocity(now, 15, bend=True)
    assert along[0, :, QUANTITIES.index("lateral_error")].abs().max() < 1e-6


def test_hazards_come_nearer_at_constant_velocity_and_none_stays_none() -> None:
    now = torch.zeros(2, len(QUANTITIES))
    red, crossing = QUANTITIES.index("red_light_gap"), QUANTITIES.index("crossing_time")
    now[:, 0] = 10.0
    now[0, red], now[0, crossing] = 12.0, 0.45
    now[1, red], now[1, crossing] = 60.0, 6.0
    guess = constant_velocity(now, 15, bend=False)
    assert guess[0, [0, 9, 14], red].tolist() == pytest.approx([11.0, 2.0, 0.0])
    assert guess[0, [0, 3, 9], crossing].tolist() == pytest.approx([0.35, 0.05, 0.0])
    assert (guess[1, :, red] == 60.0).all() and (guess[1, :, crossing] == 6.0).all()


def test_closing_in_faster_than_brakes_can_undo_is_a_certain_crash() -> None:
    guess = torch.zeros(3, 1, len(QUANTITIES))
    guess[:, 0, QUANTITIES.index("gap_ahead")] = torch.tensor([60.0, 10.0, 30.0])
    guess[:, 0, QUANTITIES.index("closing_speed")] = torch.tensor([-5.0, 15.0, 6.0])
    assert crash_at_constant_velocity(guess)[:, 0].tolist() == pytest.approx([0.0, 1.0, 0.1])


def test_equal_pictures_have_an_ssim_of_one_and_noise_has_less() -> None:
    torch.manual_seed(0)
    picture = torch.rand(2, 3, 64, 64)
    assert torch.allclose(structural_similarity(picture, picture), torch.ones(2), atol=1e-5)
    assert structural_similarity(picture, torch.rand(2, 3, 64, 64)).max() < 0.2


def test_windows_free_of_teaching_imagine_no_taught_action(sequences: Sequences) -> None:
    windows = draw_free_windows(sequences, np.arange(EPISODES), 10, 10, 50, seed=0)
    assert windows is not None
    for start, end in zip(windows.start, windows.end, strict=True):
        assert not sequences.taught[start + 9 : min(start + 19, end - 1)].any()


def test_a_drive_under_teaching_all_through_has_no_free_windows(sequences: Sequences) -> None:
    sequences.taught[:] = True
    assert draw_free_windows(sequences, np.arange(EPISODES), 10, 10, 50, seed=0) is None


def test_windows_are_filtered_as_the_exported_graphs_filter(sequences: Sequences) -> None:
    from wm_dynamics.graphs import EncodeGraph, ObserveGraph

    torch.manual_seed(0)
    model = WorldModel(SMALL).eval()
    windows = draw_windows(sequences, np.arange(EPISODES), 12, 3, seed=0)
    batch = batch_of(BatchSource(sequences, np.arange(EPISODES), 12, 0), windows)
    with torch.inference_mode():
        seen = filter_windows(model, batch.camera, batch.scans, batch.state)
        encode, observe, belief = EncodeGraph(model), ObserveGraph(model), torch.zeros(SMALL.rssm.belief)
        for step in range(12):
            embedding = encode(batch.camera[1, step], batch.scans[1, step], batch.state[1, step])
            belief, nats = observe(belief, batch.state[1, step, 4:6], embedding)
            assert torch.allclose(belief, seen.beliefs[1, step], atol=1e-5)
            assert torch.allclose(nats, seen.surprise[1, step], atol=1e-4)


def test_faults_leave_what_was_before_them_untouched(sequences: Sequences) -> None:
    camera = torch.from_numpy(sequences.camera[:24])[None]
    scan = torch.from_numpy(sequences.scan[:24])[None]
    generator = torch.Generator().manual_seed(0)
    for sensor, faults in ((camera, CAMERA_FAULTS), (scan, SCAN_FAULTS)):
        for fault in faults.values():
            faulty = fault(sensor, 10, generator)
            assert torch.equal(faulty[:, :10], sensor[:, :10])
            assert not torch.equal(faulty, sensor)
    late = CAMERA_FAULTS["camera late"](camera, 10, generator)
    assert torch.equal(late[:, 10 + LATE_STEPS :], camera[:, 10:-LATE_STEPS])


@pytest.mark.usefixtures("few_windows")
def test_an_untrained_model_doubts_stuck_sensors(sequences: Sequences) -> None:
    found = measure_surprise(WorldModel(SMALL).eval(), sequences, np.arange(EPISODES), seed=0)
    for fault in ("camera frozen", "camera black", "scan gone", "scan frozen"):
        assert found["auroc"][fault]["onset"]["doubt"] == 1.0


@pytest.mark.usefixtures("few_windows")
def test_metrics_hold_every_step_and_the_baseline_that_is_exact_here(sequences: Sequences) -> None:
    measured = measure_model(WorldModel(SMALL), sequences, np.arange(EPISODES), seed=0)
    for mask in ("interventions", "all"):
        found = measured.metrics["open_loop"][mask]
        assert len(found["mae"]["lateral_error"]["model"]) == 15
        assert found["mae"]["lateral_error"]["constant_velocity"][9] == pytest.approx(0.0, abs=2e-3)
        assert found["mae"]["speed"]["copy_last"][9] == 0.0
    assert len(measured.metrics["pictures"]["psnr_db"]) == 13
    assert set(measured.risk_thresholds) == {"collision", "off_road"}


@pytest.mark.usefixtures("few_windows")
def test_a_model_of_before_hazards_were_labels_is_measured_on_those_that_it_knows(sequences: Sequences) -> None:
    found = measure_model(WorldModel(replace(SMALL, labels=5)), sequences, np.arange(EPISODES), seed=0)
    mae = found.metrics["open_loop"]["all"]["mae"]
    assert "closing_speed" in mae and not {"red_light_gap", "crossing_time"} & set(mae)
