"""Draws docs/images/families.jpg: a moment of an expert's drive in every family, front camera and from above.

python docs/families.py
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from wm_sim.drivers import make_driver
from wm_sim.scenarios import FAMILIES
from wm_sim.world import World

PICTURE = Path(__file__).parent / "images" / "families.jpg"
SEED, STEPS = 300_003, 70
HEIGHT, WIDTH, COLUMNS = 180, 320, 3  # of a camera picture; families beside each other


def draw(family: str) -> np.ndarray:
    """One family [HEIGHT, WIDTH + HEIGHT, 3] with its name."""
    world, driver = World(), make_driver("expert", SEED)
    frame = world.reset(family, SEED)
    driver.reset(world)
    for _ in range(STEPS):
        frame = world.step(driver.act(frame))
        if frame.terminated or frame.truncated:
            break
    above = cv2.resize(world.top_view(2 * HEIGHT), (HEIGHT, HEIGHT), interpolation=cv2.INTER_AREA)
    both = np.ascontiguousarray(np.hstack([world.picture((HEIGHT, WIDTH)), above]))
    for colour, place in (((0, 0, 0), (7, 19)), ((255, 255, 255), (6, 18))):
        cv2.putText(both, family, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1, cv2.LINE_AA)
    return both


def main() -> None:
    pictures = [draw(family) for family in FAMILIES]
    pictures += [np.full_like(pictures[0], 255)] * (-len(pictures) % COLUMNS)
    rows = [np.hstack(pictures[at : at + COLUMNS]) for at in range(0, len(pictures), COLUMNS)]
    cv2.imwrite(str(PICTURE), np.vstack(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == "__main__":
    main()
