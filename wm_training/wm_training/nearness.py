"""Distances and times that mostly are "none", on a scale on which near ones lie far apart."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wm_dynamics.heads import LABEL_NAMES
from wm_sim.observation import SCAN_MAX_M
from wm_sim.scene import CROSSING_MAX_S, RED_LIGHT_MAX_M

FAR = {"gap_ahead": SCAN_MAX_M, "red_light_gap": RED_LIGHT_MAX_M, "crossing_time": CROSSING_MAX_S}  # values of "none"
FAR_LABELS = [LABEL_NAMES.index(name) for name in FAR]
BEND = 30.0  # half of the scale lies in the nearest eighth


def bent(values: Tensor) -> Tensor:
    """Values of the labels FAR [..., 3] in m, m and s -> 0 for here to 1 for "none"; odd."""
    share = values / values.new_tensor(tuple(FAR.values()))
    return torch.asinh(BEND * share) / math.asinh(BEND)
