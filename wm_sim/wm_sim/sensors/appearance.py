"""How an episode looks: light, colours, camera pitch, noise, wear. One flat array for the camera kernel."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

# Columns. A colour takes three, red green blue, 0..255.
GRASS, ASPHALT, SHOULDER, MARKING, SKY_TOP, SKY_LOW, TREES = 0, 3, 6, 9, 12, 15, 18
GAIN, PITCH_OFFSET, NOISE, WEAR, LINE_WIDTH, DASH, DASH_PERIOD, TEXTURE = range(21, 29)
HAZE, SUN_YAW, TREE_HEIGHT, SEED = range(29, 33)
APPEARANCE_SIZE = 33

_NOMINAL = {
    GRASS: (82, 116, 58),
    ASPHALT: (92, 92, 95),
    SHOULDER: (128, 118, 98),
    MARKING: (235, 235, 230),
    SKY_TOP: (96, 148, 214),
    SKY_LOW: (196, 214, 232),
    TREES: (62, 84, 60),
}


def nominal_appearance() -> NDArray[np.float64]:
    """Noon, clear paint, a camera mounted exactly, no noise."""
    look = np.zeros(APPEARANCE_SIZE)
    for column, colour in _NOMINAL.items():
        look[column : column + 3] = colour
    look[[GAIN, LINE_WIDTH, DASH, DASH_PERIOD, TEXTURE, HAZE]] = 1.0, 0.15, 3.0, 8.0, 0.10, 260.0
    look[[SUN_YAW, TREE_HEIGHT]] = 0.8, 0.06
    return look


def random_appearance(rng: np.random.Generator) -> NDArray[np.float64]:
    """An hour, a season and a worn road."""
    look = nominal_appearance()
    for column in (GRASS, ASPHALT, SHOULDER, TREES, SKY_TOP, SKY_LOW):
        look[column : column + 3] *= rng.uniform(0.85, 1.15) * rng.uniform(0.93, 1.07, 3)
    if rng.random() < 0.3:  # dry grass
        look[GRASS : GRASS + 3] = np.array([136, 122, 74]) * rng.uniform(0.85, 1.1)
    if rng.random() < 0.35:  # overcast
        look[SKY_TOP : SKY_TOP + 3] = np.array([168, 174, 182]) * rng.uniform(0.8, 1.1)
    look[ASPHALT : ASPHALT + 3] *= rng.uniform(0.7, 1.15)
    look[MARKING : MARKING + 3] *= rng.uniform(0.85, 1.05)
    look[GAIN] = rng.uniform(0.55, 1.15)
    look[PITCH_OFFSET] = math.radians(rng.uniform(-2.0, 2.0))
    look[NOISE] = rng.uniform(0.0, 6.0)
    look[WEAR] = rng.uniform(0.0, 0.5)
    look[LINE_WIDTH] = rng.uniform(0.12, 0.22)
    look[DASH] = rng.uniform(2.5, 4.0)
    look[DASH_PERIOD] = look[DASH] + rng.uniform(3.0, 6.0)
    look[TEXTURE] = rng.uniform(0.04, 0.16)
    look[HAZE] = rng.uniform(120.0, 400.0)
    look[SUN_YAW] = rng.uniform(-math.pi, math.pi)
    look[TREE_HEIGHT] = rng.uniform(0.0, 0.12)
    look[SEED] = float(rng.integers(1 << 30))
    return look
