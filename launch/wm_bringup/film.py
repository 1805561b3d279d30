"""picture.png and drive.mp4 of a drive."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from wm_bringup.errors import BringupError
from wm_bringup.record import DriveRecord, Moment
from wm_bringup.scene import from_above

SIDE, BAR = 480, 40  # pixels: a view, the line of text below
RATE_HZ = 10


def write_film(record: DriveRecord, path: Path) -> None:
    """The camera, enlarged, beside the drive seen from above."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), RATE_HZ, (2 * SIDE, SIDE + BAR))
    if not writer.isOpened():
        raise BringupError(f"{path}: this OpenCV cannot write MP4. Install opencv-python-headless.")
    trail: list[tuple[float, float]] = []
    try:
        for moment in record.driven():
            if moment.pose is not None:
                trail.append(moment.pose[:2])
            writer.write(cv2.cvtColor(film_frame(moment, record, np.array(trail).reshape(-1, 2)), cv2.COLOR_RGB2BGR))
    finally:
        writer.release()


def film_frame(moment: Moment, record: DriveRecord, trail: NDArray[np.float64]) -> NDArray[np.uint8]:
    """RGB uint8 [SIDE + BAR, 2 SIDE, 3]."""
    image = np.zeros((SIDE + BAR, 2 * SIDE, 3), np.uint8)
    if moment.camera is not None:
        image[:SIDE, :SIDE] = cv2.resize(moment.camera, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    image[:SIDE, SIDE:] = from_above(moment, record.route, trail, SIDE)
    gap = f"  ahead {moment.truth.gap_ahead:4.1f} m" if moment.truth is not None else ""
    speed = 0.0 if moment.speed is None else moment.speed
    text = (
        f"{record.scenario} {record.seed}   {speed:4.1f} of {moment.speed_limit:.0f} m/s   "
        f"steer {np.degrees(moment.steering_angle):+5.1f} deg   accel {moment.acceleration:+4.1f} m/s2 {gap}"
    )
    cv2.putText(image, text, (12, SIDE + 27), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (230, 230, 230), 1, cv2.LINE_AA)
    return image


def write_picture(record: DriveRecord, path: Path, pictures: int = 8) -> None:
    """The way driven, coloured by speed, above a strip of what the camera saw."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    moments = [moment for moment in record.driven() if moment.pose is not None]
    figure = plt.figure(figsize=(12, 8), layout="constrained")
    grid = figure.add_gridspec(2, pictures, height_ratios=(3.2, 1))
    axes = figure.add_subplot(grid[0, :])
    if record.route is not None:
        axes.plot(
            record.route[:, 0], record.route[:, 1], color="0.8", linewidth=6, solid_capstyle="round", label="route"
        )
    if moments:
        xy = np.array([moment.pose[:2] for moment in moments if moment.pose is not None])
        speed = [moment.speed or 0.0 for moment in moments]
        dots = axes.scatter(xy[:, 0], xy[:, 1], c=speed, s=9, cmap="viridis", zorder=3)
        figure.colorbar(dots, ax=axes, label="speed, m/s", shrink=0.8)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xlabel("x, m")
    axes.set_ylabel("y, m")
    axes.set_title(f"{record.scenario} seed {record.seed}: {(record.outcome or 'interrupted').replace('_', ' ')}")
    seen = [moment for moment in moments if moment.camera is not None]
    for column, index in enumerate(np.linspace(0, len(seen) - 1, pictures).round().astype(int) if seen else ()):
        moment = seen[index]
        panel = figure.add_subplot(grid[1, column])
        panel.imshow(moment.camera)
        panel.set_title(f"{(moment.stamp_ns - seen[0].stamp_ns) * 1e-9:.0f} s", fontsize=9)
        panel.axis("off")
    figure.savefig(path, dpi=110)
    plt.close(figure)
