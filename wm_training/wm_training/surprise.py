"""Does the model notice that a sensor fails? Surprise, and doubts sensor by sensor, on healthy and faulted drives.

The surprise of the latent is small where the model can explain a fault: a frozen picture is a slow road. `DOUBTS`
are what else can be known at run time; each is scaled so that healthy drives stay below 1 in 99.9 % of the frames,
and their highest over the last half second is the detector proposed here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wm_dynamics.world_model import WorldModel
from wm_perception.normalise import camera_to_unit
from wm_perception.scan_memory import LOOK_BACK_FRAMES
from wm_sim.observation import SCAN_MAX_M
from wm_training.batches import Batch, BatchSource
from wm_training.calibration import auroc
from wm_training.filtering import batch_of, draw_windows, filter_windows
from wm_training.sensor_faults import CAMERA_FAULTS, SCAN_FAULTS
from wm_training.sequences import Sequences

ONSET, LENGTH = 10, 24  # frames: the first faulty one, and all
HALF_S = 5  # frames
WARM = 3  # frames until the filter is judged
WINDOWS, BATCH = 160, 32
FEW_RETURNS = 2  # a scan with fewer cannot lose them
DOUBTS = ("camera_error", "camera_change", "camera_still", "scan_repeated", "scan_lost", "scan_unsteady")
STATISTICS = ("surprise", "surprise_max5", "surprise_mean5", "doubt")
Readings = dict[str, np.ndarray]  # name -> [B, T]


@torch.inference_mode()
def measure_surprise(model: WorldModel, sequences: Sequences, episodes: np.ndarray, seed: int) -> dict[str, Any]:
    """AUROC of each statistic for each fault, within half a second of its onset and while it lasts.

    Scales come from every second episode, figures from the others. Recordings that hold a repeated picture are left
    out (their camera failed while recording), as are faults that change nothing: a scan without returns cannot vanish.
    """
    windows = draw_windows(sequences, episodes, LENGTH, WINDOWS, seed)
    source = BatchSource(sequences, episodes, LENGTH, seed)
    generator = torch.Generator().manual_seed(seed)
    parts: dict[str, list[Readings]] = {}
    for chosen in windows.batches(BATCH):
        batch = batch_of(source, chosen)
        for name, camera, scan in _faulted(batch, generator):
            parts.setdefault(name, []).append(_readings(model, batch, camera, scan))
    found = {name: {key: np.concatenate([p[key] for p in part]) for key in part[0]} for name, part in parts.items()}
    healthy = found["none"]["usable"].all(axis=1)
    to_scale = np.isin(windows.episode, np.unique(windows.episode)[::2])
    if not (healthy & to_scale).any() or not (healthy & ~to_scale).any():
        return {}
    scales = {name: _scale(found["none"][name][healthy & to_scale]) for name in DOUBTS}
    scored = {name: _statistics(readings, scales) for name, readings in found.items()}
    kept = healthy & ~to_scale
    faults = [name for name in found if name != "none"]
    return {
        "windows": int(kept.sum()),
        "auroc": {name: _auroc_of(scored[name], scored["none"], found[name]["changed"] > 0, kept) for name in faults},
        "overall": _overall(scored, found, kept, faults),
        "doubt_scales": {name: [round(float(v), 5) for v in scale] for name, scale in scales.items()},
        "doubt_ms": round(_cost_ms(model), 2),
    }


def _faulted(batch: Batch, generator: torch.Generator) -> Iterator[tuple[str, Tensor, Tensor]]:
    """(fault, camera, scan), healthy first."""
    yield "none", batch.camera, batch.scan
    for name, fault in CAMERA_FAULTS.items():
        yield name, fault(batch.camera, ONSET, generator), batch.scan
    for name, fault in SCAN_FAULTS.items():
        yield name, batch.camera, fault(batch.scan, ONSET, generator)


def _readings(model: WorldModel, batch: Batch, camera: Tensor, scan: Tensor) -> Readings:
    """Surprise and doubts of every frame, whether the frame differs from the recorded one, whether it may be used."""
    seen = filter_windows(model, camera, _with_earlier(scan, batch.earlier_scan), batch.state)
    picture = camera_to_unit(camera.flatten(0, 1))  # [B * T, 3, 64, 64]
    error = (model.camera_decoder(seen.foretold.flatten(0, 1)) - picture).square().mean(dim=(1, 2, 3))
    change = torch.ones(scan.shape[:2])
    picture = picture.unflatten(0, scan.shape[:2])
    change[:, 1:] = (picture[:, 1:] - picture[:, :-1]).square().mean(dim=(2, 3, 4))
    change[:, 0] = change[:, 1]
    changed = (camera != batch.camera).flatten(2).any(dim=-1) | (scan != batch.scan).any(dim=-1)
    readings = {
        "surprise": seen.surprise,
        "camera_error": (error.unflatten(0, scan.shape[:2]) + 1e-7).log(),
        "camera_change": (change + 1e-7).log(),
        "camera_still": -(change + 1e-7).log(),
        **_scan_doubts(scan),
        "changed": changed.float() * batch.valid,
        "usable": batch.valid * (change > 0),
    }
    return {name: value.numpy() for name, value in readings.items()}


def _with_earlier(scan: Tensor, recorded: Tensor) -> Tensor:
    """Scans [B, T, 2, 72] of windows: each beside that of half a second before, which at first is as recorded."""
    earlier = torch.cat((recorded[:, :LOOK_BACK_FRAMES], scan[:, :-LOOK_BACK_FRAMES]), dim=1)
    return torch.stack((scan, earlier), dim=2)


def _scan_doubts(scan: Tensor) -> dict[str, Tensor]:
    """Of scans [B, T, 72] against those before: share repeated to the bit, share of returns lost, unsteadiness (m)."""
    before = torch.cat((scan[:, :1], scan[:, :-1]), dim=1)
    earlier = torch.cat((before[:, :1], before[:, :-1]), dim=1)
    has, had = scan < SCAN_MAX_M, before < SCAN_MAX_M
    repeated = ((scan == before) & has).sum(-1) / (has | had).sum(-1).clamp(min=1)
    repeated[:, 0] = 0.0
    lost = (had.sum(-1) - has.sum(-1)) / had.sum(-1).clamp(min=1) * (had.sum(-1) >= FEW_RETURNS)
    # What moves smoothly has small second differences, noise has large ones.
    jolt = torch.where(has & had & (earlier < SCAN_MAX_M), (scan - 2.0 * before + earlier).abs(), torch.nan)
    unsteady = jolt.nanmedian(dim=-1)[0].nan_to_num(0.0)
    return {"scan_repeated": repeated, "scan_lost": lost, "scan_unsteady": (unsteady + 0.03).log()}


def _scale(readings: np.ndarray) -> tuple[float, float]:
    """Median and what stands above it at the 99.9th percentile, of readings [N, T] of healthy drives."""
    middle, high = np.quantile(readings[:, WARM:], (0.5, 0.999))
    return float(middle), float(max(high - middle, 0.02))


def _statistics(readings: Readings, scales: dict[str, tuple[float, float]]) -> Readings:
    """The run-time statistics [B, T] under comparison."""
    doubts = [(readings[name] - middle) / width for name, (middle, width) in scales.items()]
    surprise = readings["surprise"]
    return {
        "surprise": surprise,
        "surprise_max5": _over_half_a_second(surprise, np.max),
        "surprise_mean5": _over_half_a_second(surprise, np.mean),
        "doubt": _over_half_a_second(np.maximum.reduce(doubts), np.max),
    }


def _over_half_a_second(values: np.ndarray, reduce: Any) -> np.ndarray:
    """`reduce` over each frame and the four before it, none before WARM. values [B, T]."""
    steps = range(values.shape[1])
    return np.stack([reduce(values[:, min(max(WARM, t - HALF_S + 1), t) : t + 1], axis=1) for t in steps], axis=1)


def _moments(scores: np.ndarray, chosen: np.ndarray, lasting: bool) -> np.ndarray:
    """Scores to compare: the highest of the half second after the onset [N], or every later frame's [M]."""
    if not lasting:
        touched = chosen[:, ONSET : ONSET + HALF_S]
        return np.where(touched, scores[:, ONSET : ONSET + HALF_S], -np.inf).max(axis=1)[touched.any(axis=1)]
    return scores[:, ONSET + HALF_S :][chosen[:, ONSET + HALF_S :]]


def _auroc_of(faulted: Readings, healthy: Readings, changed: np.ndarray, kept: np.ndarray) -> dict[str, Any]:
    chosen = changed & kept[:, None]
    out: dict[str, Any] = {"windows": int(chosen.any(axis=1).sum())}
    for moment, lasting in (("onset", False), ("lasting", True)):
        out[moment] = {
            name: _separation(_moments(faulted[name], chosen, lasting), _healthy_moments(healthy[name], kept, lasting))
            for name in STATISTICS
        }
    return out


def _overall(
    scored: dict[str, Readings], found: dict[str, Readings], kept: np.ndarray, faults: list[str]
) -> dict[str, Any]:
    """All faults pooled against the healthy drives."""
    out: dict[str, Any] = {}
    for moment, lasting in (("onset", False), ("lasting", True)):
        out[moment] = {}
        for name in STATISTICS:
            bad = [_moments(scored[f][name], (found[f]["changed"] > 0) & kept[:, None], lasting) for f in faults]
            out[moment][name] = _separation(np.concatenate(bad), _healthy_moments(scored["none"][name], kept, lasting))
    return out


def _healthy_moments(scores: np.ndarray, kept: np.ndarray, lasting: bool) -> np.ndarray:
    return _moments(scores, np.broadcast_to(kept[:, None], scores.shape), lasting)


def _separation(bad: np.ndarray, good: np.ndarray) -> float | None:
    area = auroc(np.r_[np.ones(len(bad)), np.zeros(len(good))], np.r_[bad, good])
    return None if area is None else round(area, 4)


def _cost_ms(model: WorldModel, repeats: int = 20) -> float:
    """Median wall time of what the doubts need beyond the filter: one decoded picture, one car, on this machine."""
    belief, times = model.rssm.initial(1), []
    for _ in range(repeats):
        began = time.perf_counter()
        model.camera_decoder(belief)
        times.append(time.perf_counter() - began)
    return 1e3 * float(np.median(times))
