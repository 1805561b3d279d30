"""A mapped bag as the arrays of `Sequences`: every field on a grid of 0.1 s that begins with the first picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wm_sim import action as actions
from wm_sim import observation as obs
from wm_sim.contract import LABELS
from wm_sim.errors import SimError
from wm_training.bag_frames import KNOWN_NAMES, LATER_COLUMNS
from wm_training.errors import TrainingError
from wm_training.mapping.join import grid_of, held, interpolated, nearest, pieces, slope
from wm_training.mapping.recording import Recording, pictures_of, record_of
from wm_training.mapping.route import driven_route, straight_route
from wm_training.mapping.spec import DERIVE, HELD, UNITS, Mapping

STEP_NS = round(obs.STEP_S * 1e9)
NEUTRAL = {"speed_limit": 13.9, "gap_ahead": obs.SCAN_MAX_M, "lane_width": 3.5, **LATER_COLUMNS}  # others: 0
LATCHED = ("speed_limit", "taught")  # published on change: they hold until the next message
MIN_FRAMES = 2
MOVING_MPS = 0.5
FOREVER = 1 << 62


class MappedFrames:
    """All fields of a recording on its grid. NaN stands for what is not known."""

    def __init__(self, recording: Recording, mapping: Mapping):
        self.recording, self.mapping = recording, mapping
        self.tolerance = round(mapping.tolerance_s * 1e9)
        camera = recording.series["camera"]
        self.grid, self.follows = grid_of(camera.stamps, STEP_NS, 2 * self.tolerance + STEP_NS)  # int64[T], bool[T]
        self.camera_row = nearest(camera.stamps, self.grid, self.tolerance)
        self._done: dict[str, np.ndarray] = {}

    def number(self, name: str) -> np.ndarray:
        """A field in our unit, float64[T]."""
        if name not in self._done:
            self._done[name] = self._number(name)
        return self._done[name]

    def _number(self, name: str) -> np.ndarray:
        source = self.mapping.sources[name]
        if source.word == DERIVE:
            return self._derived(name)
        if source.is_topic:
            return self._in_our_unit(name, source.scale * self._joined(name) + source.offset)
        return np.full(len(self.grid), source.constant)  # NaN where declared missing

    def _joined(self, name: str) -> np.ndarray:
        series = self.recording.series[name]
        if name not in HELD:
            return interpolated(series.stamps, series.values, self.grid, self.tolerance)
        row = held(series.stamps, self.grid, FOREVER if name in LATCHED else 2 * self.tolerance)
        values = np.append(series.values, np.nan)[row]
        if name in ("collided", "off_road"):  # however briefly it was said
            said = np.searchsorted(self.grid, series.stamps[series.values > 0])
            values[said[said < len(values)]] = 1.0
        return values

    def _in_our_unit(self, name: str, values: np.ndarray) -> np.ndarray:
        unit, mapping = self.mapping.sources[name].unit, self.mapping
        values = values * UNITS[name].get(unit, 1.0)
        if name in ("steering_angle", "steer"):
            if unit == "1/m":
                return np.arctan(mapping.wheelbase_m * values)
            if unit == "rad/s":
                return np.arctan(mapping.wheelbase_m * values / np.maximum(self.number("speed"), MOVING_MPS))
            return values * (actions.STEER_MAX_RAD if unit == "share" else 1.0)
        if unit == "share":
            forward = actions.ACCEL_MAX_MPS2 if name == "accel" else actions.BRAKE_MAX_MPS2
            return values * np.where(values > 0, forward, actions.BRAKE_MAX_MPS2)
        if name == "accel" and unit in UNITS["speed"]:
            return (values - self.number("speed")) / mapping.response_s
        return values

    def _derived(self, name: str) -> np.ndarray:
        if name == "speed":
            x, y, yaw = self.poses().T
            return self._slope(x) * np.cos(yaw) + self._slope(y) * np.sin(yaw)
        if name == "yaw_rate":
            return self._slope(self.poses()[:, 2])
        if name == "steering_angle":
            rate = (
                self.number("yaw_rate") if not self.mapping.is_missing("yaw_rate") else self._slope(self.poses()[:, 2])
            )
            speed = self.number("speed")
            return np.where(
                speed > MOVING_MPS, np.arctan(self.mapping.wheelbase_m * rate / np.maximum(speed, 0.1)), np.nan
            )
        if name == "steer":
            return np.nan_to_num(self.number("steering_angle"))
        if name == "accel" and not self.mapping.is_missing("acceleration"):
            return self.number("acceleration")
        return self._slope(self.number("speed"))

    def _slope(self, values: np.ndarray) -> np.ndarray:
        return slope(values, self.follows, obs.STEP_S)

    def poses(self) -> np.ndarray:
        """x, y, yaw (not wrapped), float64[T, 3]; NaN where there is none."""
        if "pose" not in self.recording.series:
            return np.full((len(self.grid), 3), np.nan)
        series, source = self.recording.series["pose"], self.mapping.sources["pose"]
        values = series.values * (source.scale, source.scale, 1.0)
        values[:, 2] = np.unwrap(values[:, 2])
        columns = [interpolated(series.stamps, column, self.grid, self.tolerance) for column in values.T]
        return np.stack(columns, 1)

    def commanded(self) -> np.ndarray:
        """Actions in force at each frame, float32[T, 2]; NaN where none was."""
        accel = self.number("accel")
        if not self.mapping.is_missing("brake"):
            accel = accel - np.abs(self.number("brake"))
        action = actions.from_physical(self.number("steer"), accel)
        action[~(np.isfinite(self.number("steer")) & np.isfinite(accel))] = np.nan
        return action

    def scans(self) -> np.ndarray:
        """Ranges, float64[T, 72]; NaN rows where there is no scan."""
        out = np.full((len(self.grid), obs.SCAN_SIZE), np.nan)
        if "scan" in self.recording.series:
            series = self.recording.series["scan"]
            row = nearest(series.stamps, self.grid, self.tolerance)
            out[row >= 0] = np.minimum(series.values[row[row >= 0]], obs.SCAN_MAX_M)
        return out

    def route(self, runs: list[tuple[int, int]]) -> np.ndarray:
        """Route points ahead in base_link, float64[T, 8]; NaN where they are not known."""
        poses, out = self.poses(), np.full((len(self.grid), 8), np.nan)
        if self.mapping.sources["route"].word == DERIVE:
            for a, b in runs:
                if np.isfinite(poses[a:b]).all():
                    points, reached = driven_route(poses[a:b])
                    out[a:b] = np.where(np.repeat(reached, 2, axis=1), points, np.nan)
        elif "route" in self.recording.series:
            self._follow(poses, out)
        return out

    def _follow(self, poses: np.ndarray, out: np.ndarray) -> None:
        """Fill in the points along the routes that were announced; a route also serves frames before the first one."""
        series = self.recording.series["route"]
        rows = np.maximum(held(series.stamps, self.grid, FOREVER), 0)
        located = np.isfinite(poses).all(1)
        for row in np.unique(rows[located]).tolist():
            try:
                tracker = obs.RouteTracker(series.values[row])
            except SimError:
                continue  # an empty route: nothing is known while it holds
            for t in np.flatnonzero(located & (rows == row)).tolist():
                out[t] = tracker.ahead(*poses[t])


def extract_mapped(bag: Path, mapping: Mapping) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """All arrays of `Sequences` but the digest, of one bag, and what was left out of it, in sentences."""
    recording = record_of(bag, mapping)
    frames = MappedFrames(recording, mapping)
    runs, left_out = complete_runs(frames)
    if left_out:
        recording.notes.append(f"{bag}: {left_out}.")
    if not runs:
        raise TrainingError(f"{bag}: no two consecutive frames are complete: {left_out}; "
                            "check topics and rates with `wm info`, or raise tolerance_s in the mapping.")  # fmt: skip
    commanded, kept = frames.commanded(), np.concatenate([np.arange(a, b) for a, b in runs])
    starts = np.cumsum([0, *(b - a for a, b in runs)]).astype(np.int64)
    arrays = _arrays(frames, commanded, runs, kept, starts)
    rows = frames.camera_row[kept]
    arrays["camera"] = pictures_of(bag, mapping, recording.series["camera"].values[rows])
    return arrays, tuple(recording.notes)


def complete_runs(frames: MappedFrames) -> tuple[list[tuple[int, int]], str]:
    """Runs [a, b) of complete frames, and how many others are left out for what; empty where none is."""
    lacking = {"camera": frames.camera_row < 0, "speed": ~np.isfinite(frames.number("speed")),
               "a command": ~np.isfinite(frames.commanded()).all(1)}  # fmt: skip
    complete = ~np.logical_or.reduce(list(lacking.values()))
    runs = pieces(complete, frames.follows, MIN_FRAMES)
    cut = len(complete) - sum(b - a for a, b in runs)
    if not cut:
        return runs, ""
    why = ", ".join(f"{int(n.sum())} lack {name}" for name, n in lacking.items() if n.any()) or "standing alone"
    tolerance = f"tolerance {frames.mapping.tolerance_s:g} s"
    return runs, f"{cut} of {len(complete)} frames are left out: {why} ({tolerance})"


def _arrays(
    frames: MappedFrames, commanded: np.ndarray, runs: list[tuple[int, int]], kept: np.ndarray, starts: np.ndarray
) -> dict[str, np.ndarray]:
    status = [frames.number(name) for name in ("speed", "acceleration", "yaw_rate", "steering_angle")]
    wide = np.concatenate(
        (np.stack(status, 1), commanded, frames.number("speed_limit")[:, None], frames.route(runs)), 1
    )
    state, scan = wide[kept], frames.scans()[kept]  # [T, 15], [T, 72]
    numbers = {name: frames.number(name)[kept] for name in (*LABELS, "reward", "collided", "off_road", "taught")}
    known = {name: np.isfinite(column) for name, column in zip(obs.STATE_NAMES, state.T, strict=True)}
    known |= {"scan": np.isfinite(scan).all(1)} | {name: np.isfinite(numbers[name]) for name in numbers}
    neutral = np.zeros_like(state)
    neutral[:, 6], neutral[:, 7:] = NEUTRAL["speed_limit"], straight_route(len(kept))
    last = starts[1:] - 1
    action = np.zeros((len(kept), 2), np.float32)
    action[:-1] = commanded[kept][1:]  # what was in force one frame later is what this frame decided
    action[last] = 0.0
    flags = {name: np.nan_to_num(numbers[name]) > 0 for name in ("collided", "off_road", "taught")}
    flags["taught"] = np.append(flags["taught"][1:], False)
    flags["taught"][last] = False
    floats = {n: np.nan_to_num(numbers[n], nan=NEUTRAL.get(n, 0.0)).astype(np.float32) for n in (*LABELS, "reward")}
    return {
        "scan": np.where(np.isfinite(scan), scan, obs.SCAN_MAX_M).astype(np.float32),
        "state": np.where(np.isfinite(state), state, neutral).astype(np.float32),
        "action": action,
        **flags,
        "ran_red": np.zeros(len(kept), bool),
        "done": flags["collided"] | flags["off_road"],
        **floats,
        "episode_start": starts,
        "known": np.stack([known[name] for name in KNOWN_NAMES], 1),
    }
