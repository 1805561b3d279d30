"""Map files by their suffix."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from wm_sim.errors import SimError
from wm_sim.network.centreline import load_centreline
from wm_sim.network.commonroad import load_commonroad
from wm_sim.network.opendrive import load_opendrive
from wm_sim.network.road_file import RoadFile

KINDS = {".csv": "centre line", ".xml": "CommonRoad", ".xodr": "OpenDRIVE"}


def load_road(path: Path | str, lane_width_m: float | None = None) -> RoadFile:
    """Read a centre-line CSV, CommonRoad XML or OpenDRIVE file; SimError names file, element and reason.

    lane_width_m scales a centre line's road to this width; the other kinds say how wide their lanes are.
    """
    path = Path(path)
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        known = ", ".join(f"{suffix} ({name})" for suffix, name in KINDS.items())
        raise SimError(f"{path}: cannot tell its kind; known are {known}.")
    if lane_width_m is not None and path.suffix.lower() != ".csv":
        raise SimError(f"{path}: a lane width scales centre-line files; {kind} files state their own.")
    try:
        stat = path.stat()
    except OSError as error:
        raise SimError(f"{path}: cannot be read: {error.strerror}.") from None
    return _load(path, lane_width_m, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=8)
def _load(path: Path, lane_width_m: float | None, _changed: int, _size: int) -> RoadFile:
    suffix = path.suffix.lower()
    try:
        if suffix == ".csv":
            return load_centreline(path, lane_width_m)
        return load_commonroad(path) if suffix == ".xml" else load_opendrive(path)
    except SimError as error:
        if str(path) in str(error):
            raise
        raise SimError(f"{path}: {error}") from None
