"""Centre lines as CSV: x_m, y_m, w_tr_right_m, w_tr_left_m a row, as racing-track collections publish them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wm_sim.errors import SimError
from wm_sim.network.lanes import Lane, RoadNetwork
from wm_sim.network.line import length_along, line_of_points, ring_of_points
from wm_sim.network.road_file import RoadFile
from wm_sim.scene import LINE_STEP_M

COLUMNS = 4
LIMIT_MPS = 13.9  # these files say nothing about speed
RADIUS_MIN_M = 5.0  # the car cannot turn more tightly
LANE_WIDTH_RANGE_M = (2.0, 30.0)
ROWS_MAX = 1_000_000
SMOOTH_M = 1.0


def load_centreline(path: Path, lane_width_m: float | None = None) -> RoadFile:
    """A road of one lane; a line that comes back to its start is a circuit.

    lane_width_m: the whole road is scaled so that its mean width becomes this.
    """
    rows = _read(path)
    width = float((rows[:, 2] + rows[:, 3]).mean())
    if lane_width_m is not None:
        if not LANE_WIDTH_RANGE_M[0] <= lane_width_m <= LANE_WIDTH_RANGE_M[1]:
            raise SimError(f"lane width {lane_width_m} m: expected 2 to 30.")
        rows = rows * (lane_width_m / width)
        width = lane_width_m
    if not LANE_WIDTH_RANGE_M[0] <= width <= LANE_WIDTH_RANGE_M[1]:
        raise SimError(
            f"{path}: the road is {width:.2f} m wide on average; scale it to a car's with a lane width of 3.5."
        )
    spacing = np.hypot(*np.diff(rows[:, :2], axis=0).T)
    gap = math.dist(rows[0, :2], rows[-1, :2])
    circuit = len(rows) >= 8 and gap < max(3.0 * float(np.median(spacing)), 1.0) and spacing.sum() > 20.0 * gap
    if circuit:
        if gap > 1e-6:
            rows = np.concatenate([rows, rows[:1]])
        centre = ring_of_points(rows[:, :2], SMOOTH_M)
    else:
        centre = np.ascontiguousarray(line_of_points(rows[:, :2], SMOOTH_M)[:, :2])
    lane = _lane(path, rows, centre, circuit)
    return RoadFile(path.name, RoadNetwork({"lane": lane}), circuit=circuit)


def _lane(path: Path, rows: NDArray[np.float64], centre: NDArray[np.float64], circuit: bool) -> Lane:
    """The lane along points [n, 2] half a metre apart, with the widths of the rows."""
    share, along = length_along(centre), length_along(rows[:, :2])
    share, along = share / share[-1], along / along[-1]
    right, left = np.interp(share, along, rows[:, 2])[:, None], np.interp(share, along, rows[:, 3])[:, None]
    step = np.gradient(centre, axis=0)
    if circuit:
        step[0] = step[-1] = centre[1] - centre[-2]
    step /= np.hypot(*step.T)[:, None]
    across = np.stack([-step[:, 1], step[:, 0]], axis=1)
    turn = np.abs(step[1:-1, 0] * step[2:, 1] - step[1:-1, 1] * step[2:, 0])
    radius = LINE_STEP_M / max(float(turn.max()), 1e-6)
    if radius < RADIUS_MIN_M:
        raise SimError(
            f"{path}: its tightest bend has a radius of {radius:.1f} m and the car needs {RADIUS_MIN_M:.0f} m; "
            "give a larger lane width, which scales the road."
        )
    return Lane(
        "lane", centre + left * across, centre - right * across, LIMIT_MPS, centre,
        successors=("lane",) if circuit else (),
    )  # fmt: skip


def _read(path: Path) -> NDArray[np.float64]:
    """The rows of a file [n, 4]; lines that begin with # and a header of names are passed over."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SimError(f"{path}: cannot be read as text: {error}.") from None
    rows: list[list[float]] = []
    for number, content in enumerate(text.splitlines(), 1):
        line = content.strip()
        if not line or line.startswith("#"):
            continue
        fields = [part.strip() for part in line.replace(";", ",").replace("\t", ",").split(",")]
        if not rows and any(name in fields for name in ("x_m", "x")):
            continue
        if len(fields) != COLUMNS:
            raise SimError(
                f"{path}: line {number}: {len(fields)} columns; expected x_m, y_m, w_tr_right_m, w_tr_left_m."
            )
        try:
            values = [float(part) for part in fields]
        except ValueError:
            raise SimError(f"{path}: line {number}: {line[:60]!r} is not four numbers.") from None
        if not all(math.isfinite(value) and abs(value) < 1e7 for value in values):
            raise SimError(f"{path}: line {number}: {line[:60]!r} holds a number that is no coordinate.")
        if values[2] < 0.0 or values[3] < 0.0:
            raise SimError(f"{path}: line {number}: a width is negative.")
        rows.append(values)
        if len(rows) > ROWS_MAX:
            raise SimError(f"{path}: more than {ROWS_MAX} points; thin them out.")
    if len(rows) < 4:
        raise SimError(f"{path}: {len(rows)} points; a centre line needs at least four.")
    found = np.array(rows)
    length = float(length_along(found[:, :2])[-1])
    if length < 10.0 and float((found[:, 2] + found[:, 3]).mean()) > 1.0:
        raise SimError(f"{path}: the line is {length:.1f} m long; a road needs at least 10 m.")
    if float((found[:, 2] + found[:, 3]).min()) <= 0.0:
        raise SimError(f"{path}: the road has no width at a point; w_tr_right_m + w_tr_left_m must be more than 0.")
    return found
