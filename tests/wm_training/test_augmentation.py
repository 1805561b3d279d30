"""Observations vary as stated, stay in their ranges, and what is not varied is untouched."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from wm_sim.observation import SCAN_MAX_M, STATE_NAMES
from wm_training.augmentation import ROUTE, AugmentationConfig, augment, hide_patch, vary_light, vary_scans
from wm_training.batches import Batch, BatchSource
from wm_training.sequences import Sequences

STILL = AugmentationConfig(0.0, 0.0, 0.0, 0.0, 0.0)


@pytest.fixture
def windows(sequences: Sequences) -> Batch:
    """Sixteen windows of three frames."""
    return BatchSource(sequences, np.arange(4), 3, seed=0).draw(0, 16, pictures=0)


def test_nothing_varies_when_nothing_shall(windows: Batch) -> None:
    same = augment(windows, STILL)
    assert torch.equal(same.camera, windows.camera.float())
    assert torch.equal(same.scan, windows.scan.clamp(max=SCAN_MAX_M)) and torch.equal(same.state, windows.state)


def test_only_what_is_seen_varies_and_of_the_state_only_the_route(windows: Batch) -> None:
    torch.manual_seed(0)
    seen = augment(windows, AugmentationConfig())
    kept = [index for index in range(len(STATE_NAMES)) if index not in ROUTE]
    assert torch.equal(seen.state[..., kept], windows.state[..., kept])
    moved = (seen.state - windows.state)[..., ROUTE]
    assert float(moved.std()) == pytest.approx(0.3, rel=0.1)
    for item in fields(Batch):
        if item.name not in ("camera", "earlier_scan", "scan", "state"):
            was, now = getattr(windows, item.name), getattr(seen, item.name)
            assert torch.equal(torch.nan_to_num(was), torch.nan_to_num(now)), item.name


def test_light_varies_window_by_window_within_the_range() -> None:
    torch.manual_seed(0)
    pictures = torch.randint(0, 256, (8, 1, 4, 4, 3), dtype=torch.uint8).expand(8, 2, 4, 4, 3).clone()
    pictures[4:] = pictures[0]
    varied = vary_light(pictures, 0.15)
    assert varied.min() >= 0.0 and varied.max() <= 255.0
    assert len({float(picture.mean()) for picture in varied[4:]}) == 4
    assert torch.equal(varied[:, 0], varied[:, 1])
    assert (varied - pictures.float()).abs().max() <= 0.15 * 255.0 + 1e-3


def test_a_patch_is_one_grey_rectangle_over_the_stated_share_of_pictures() -> None:
    torch.manual_seed(0)
    pictures = torch.full((400, 1, 64, 64, 3), 300.0)  # no grey is as bright
    hidden = (hide_patch(pictures, 0.5) != pictures)[:, 0]
    assert torch.equal(hidden[..., 0], hidden[..., 1]) and torch.equal(hidden[..., 0], hidden[..., 2])
    some = hidden[..., 0].flatten(1).any(dim=1)
    assert float(some.float().mean()) == pytest.approx(0.5, abs=0.08)
    for mask in hidden[some][..., 0]:
        rows, columns = mask.any(dim=1), mask.any(dim=0)
        assert torch.equal(mask, rows[:, None] & columns[None, :])
        assert 6 <= int(rows.sum()) <= 20 and 6 <= int(columns.sum()) <= 20


def test_beams_are_lost_at_most_as_often_as_stated_and_none_gets_longer_than_the_scan_reaches() -> None:
    torch.manual_seed(0)
    scan = torch.linspace(1.0, SCAN_MAX_M, 72).repeat(500, 2, 1)
    config = replace(STILL, lost_beams=0.2, range_noise=0.02)
    varied, earlier = vary_scans(torch.stack((scan, scan), 2), config).unbind(2)
    assert torch.equal(varied, earlier)  # what stands still goes on standing still
    near = scan < 0.8 * SCAN_MAX_M
    lost = (varied == SCAN_MAX_M) & near
    assert float(lost.sum() / near.sum()) == pytest.approx(0.1, abs=0.01)
    assert varied.max() <= SCAN_MAX_M
    kept = near & ~lost
    assert float((varied / scan - 1.0)[kept].std()) == pytest.approx(0.02, rel=0.05)
    assert torch.equal(varied[scan >= SCAN_MAX_M], scan[scan >= SCAN_MAX_M])
