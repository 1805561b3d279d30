"""Complete frames of one bag, joined by stamp and cut into episodes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rosbags.interfaces import Connection
from rosbags.typesys.store import Typestore

from wm_ros import topic_table as topics
from wm_sim import action as actions
from wm_sim import observation as obs
from wm_sim.contract import LABELS, PARTS
from wm_sim.scene import CROSSING_MAX_S, RED_LIGHT_MAX_M
from wm_training.bags.cdr import decode, stamps_ns
from wm_training.bags.reader import find_topic, open_bag, read_raw
from wm_training.bags.resets import Timeline, header_stamps, timeline
from wm_training.bags.schema import typestore, typestore_of
from wm_training.bags.tables import Columns
from wm_training.errors import TrainingError

STAMPED = (topics.CAMERA, topics.SCAN, topics.ODOM, topics.STATUS, topics.TRUTH)
NEEDED = (*STAMPED, topics.ROUTE, topics.EVENTS)
STEP_NS = round(obs.STEP_S * 1e9)
JITTER_NS = 1_000_000
ROUTE_DONE, RED_LIGHT = 3, 7  # wm_msgs/DriveEvent
MODE_TAUGHT = 3
MIN_FRAMES = 2
TRUTH_COLUMNS = ("lateral_error", "heading_error", "curvature", "gap_ahead", "closing_speed", "lane_width")
# What bags recorded by an earlier version lack, and what stands there instead: nothing of the kind is near.
LATER_COLUMNS = {"red_light_gap": RED_LIGHT_MAX_M, "crossing_time": CROSSING_MAX_S}
KNOWN_NAMES = PARTS  # what bags may lack: columns of `Sequences.known`
STATUS_COLUMNS = ("speed", "acceleration", "yaw_rate", "steering_angle", "speed_limit")
FINITE = {
    "status": (*STATUS_COLUMNS, "commanded_steering_angle", "commanded_acceleration"),
    "odom": tuple(f"pose.pose.{name}" for name in ("position.x", "position.y", "orientation.z", "orientation.w")),
    "truth": (*TRUTH_COLUMNS, "reward"),
}
EXACT = {"status": ("mode",), "truth": ("collided", "off_road", "scenario", "episode", "step")}


def extract(bag: Path) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """All arrays of `Sequences` but the digest, of one bag, and what was left out of it, in sentences.

    `known` is among them only where something is not, `advice` only where an expert was asked.
    """
    raw, types, line = _read(bag)
    shifts = line.shifts
    camera, scan, odom, status, truth = (
        _columns(bag, t, raw[t.name], types.get(t.name), shifts[t.name]) for t in STAMPED
    )
    _check_layout(bag, camera, scan)
    sources = {"camera": camera, "scan": scan, "odom": odom, "status": status, "truth": truth}
    for name, fields in EXACT.items():
        _check_fields(bag, sources[name], (*FINITE[name], *fields))
    unknown = [name for name in LATER_COLUMNS if name not in truth]
    at = {name: source.rows_at(camera.stamps) for name, source in sources.items()}  # int64[all frames] each
    complete = np.logical_and.reduce([rows >= 0 for rows in at.values()])
    complete, notes = _finite(bag, sources, at, complete)
    notes = (*filter(None, [line.note(bag)]), *notes)
    pieces = _cut(camera.stamps, complete, truth, at["truth"])
    keep = np.concatenate([np.arange(a, b) for a, b in pieces]) if pieces else np.zeros(0, np.int64)
    starts = np.cumsum([0, *(b - a for a, b in pieces)]).astype(np.int64)
    at = {name: rows[keep] for name, rows in at.items()}

    def column(source: str, field: str) -> np.ndarray:
        return sources[source][field][at[source]]

    def events(kind: int) -> np.ndarray:
        return _event_stamps(kind, raw[topics.EVENTS.name], shifts[topics.EVENTS.name])

    stamps = camera.stamps[keep]
    state = _states(column, _routes(raw[topics.ROUTE.name], stamps, shifts[topics.ROUTE.name]), len(keep))
    action = np.zeros((len(keep), 2), np.float32)
    action[:-1] = state[1:, 4:6]  # what was commanded one frame later is what this frame decided
    action[starts[1:] - 1] = 0.0
    collided, off_road = column("truth", "collided"), column("truth", "off_road")
    arrays = {
        "camera": column("camera", "data").reshape(-1, *obs.CAMERA_SHAPE),
        "scan": _ranges(column("scan", "ranges"), column("scan", "range_max")),
        "state": state,
        "action": action,
        "taught": _next(column("status", "mode") == MODE_TAUGHT, starts),
        "reward": column("truth", "reward"),
        "collided": collided,
        "off_road": off_road,
        "ran_red": np.isin(stamps, events(RED_LIGHT)),
        "done": collided | off_road | _route_done(events(ROUTE_DONE), stamps, starts),
        **{name: column("truth", name) for name in LABELS if name not in unknown},
        **{name: np.full(len(keep), LATER_COLUMNS[name], np.float32) for name in unknown},
        "episode_start": starts,
    }
    if raw.get(topics.ADVICE.name):
        name = topics.ADVICE.name
        advice = _columns(bag, topics.ADVICE, raw[name], types.get(name), shifts[name])
        arrays["advice"] = _advice(bag, advice, stamps)
    lacks = {*unknown, *_lacking(bag, raw.get(topics.SIMULATOR.name, []))}
    if lacks:
        lacking = np.isin(KNOWN_NAMES, sorted(lacks))
        arrays["known"] = np.repeat(~lacking[None], len(keep), axis=0)
    return arrays, notes


def _lacking(bag: Path, messages: list[bytes]) -> set[str]:
    """What the simulator of a bag says that it lacks, of KNOWN_NAMES; nothing where no simulator spoke."""
    lacks: set[str] = set()
    for message in messages:
        try:
            said = json.loads(typestore().deserialize_cdr(message, topics.SIMULATOR.type).data)  # type: ignore[attr-defined]
            lacks |= {str(name) for name in said["missing"]}
        except (ValueError, KeyError, TypeError) as error:
            raise TrainingError(f"{bag}: topic {topics.SIMULATOR.name}: not what a simulator says ({error}).") from None
    return lacks & set(KNOWN_NAMES)


def _columns(
    bag: Path, topic: topics.TopicSpec, messages: list[bytes], types: Typestore | None, shift: np.ndarray | int = 0
) -> Columns:
    try:
        return Columns(topic.name, topic.type, messages, types, shift)
    except TrainingError as error:
        raise _other_version(bag, topic.name, str(error).rstrip(".")) from error


def _check_fields(bag: Path, columns: Columns, fields: tuple[str, ...]) -> None:
    lacking = ", ".join(name for name in fields if name not in columns)
    if lacking:
        raise _other_version(bag, columns.topic, f"its messages have no {lacking}")


def _other_version(bag: Path, topic: str, problem: str) -> TrainingError:
    return TrainingError(
        f"{bag}: topic {topic}: {problem}; it was recorded with another version, so record it again, or read it with "
        "--mapping."
    )


def _finite(
    bag: Path, sources: dict[str, Columns], at: dict[str, np.ndarray], complete: np.ndarray
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Complete frames whose numbers are all finite, bool[all frames], and a sentence for each topic with others."""
    notes = []
    later = tuple(name for name in LATER_COLUMNS if name in sources["truth"])
    for name, fields in (FINITE | {"truth": (*FINITE["truth"], *later)}).items():
        broken = ~np.logical_and.reduce([np.isfinite(sources[name][field]) for field in fields])[at[name]] & complete
        if broken.any():
            notes.append(f"{bag}: topic {sources[name].topic}: {int(broken.sum())} frames with numbers that are not "
                         "finite are left out.")  # fmt: skip
        complete = complete & ~broken
    return complete, tuple(notes)


def _read(bag: Path) -> tuple[dict[str, list[bytes]], dict[str, Typestore], Timeline]:
    """Serialised messages of the needed topics, by relative name, what the bag says of ours, and its time."""
    with open_bag(bag) as reader:
        found: dict[str, Connection] = {}
        for topic in NEEDED:
            connection = find_topic(reader, topic.name)
            if connection is None or (connection.msgcount == 0 and topic is not topics.EVENTS):
                problem = "is not in the bag" if connection is None else "has no message"
                raise TrainingError(f"{bag}: topic {topic.name} {problem}; training needs it, so record it too.")
            if connection.msgtype != topic.type:
                raise TrainingError(f"{bag}: topic {topic.name} is {connection.msgtype}, expected {topic.type}.")
            found[topic.name] = connection
        for topic in (topics.ADVICE, topics.SIMULATOR):
            connection = find_topic(reader, topic.name)
            if connection is not None and connection.msgtype == topic.type:
                found[topic.name] = connection
        raw = read_raw(reader, list(found.values()))
        ours = {name: typestore_of(c) for name, c in found.items() if c.msgtype.startswith("wm_msgs/")}
    messages = {name: raw[connection.topic].messages for name, connection in found.items()}
    order = {name: np.array(raw[connection.topic].order, np.int64) for name, connection in found.items()}
    stamps = {name: header_stamps(m) for name, m in messages.items() if name != topics.SIMULATOR.name}
    return messages, ours, timeline(stamps, {name: order[name] for name in stamps}, topics.CAMERA.name)


def _check_layout(bag: Path, camera: Columns, scan: Columns) -> None:
    """Refuse a bag whose sensors differ from what the models of this stack see."""
    height, width, _ = obs.CAMERA_SHAPE
    sizes = set(zip(camera["height"].tolist(), camera["width"].tolist(), strict=True))
    encodings = set(camera["encoding"].tolist())
    if sizes != {(height, width)} or encodings != {b"rgb8"}:
        seen = ", ".join(f"{w}x{h}" for h, w in sorted(sizes)) + " " + b", ".join(sorted(encodings)).decode()
        raise TrainingError(f"{bag}: pictures are {seen}, expected {width}x{height} rgb8; record with that camera.")
    if scan["ranges"].shape[1:] != (obs.SCAN_SIZE,):
        raise TrainingError(f"{bag}: scans have {scan['ranges'].shape[1]} ranges, expected {obs.SCAN_SIZE}.")


def _cut(stamps: np.ndarray, complete: np.ndarray, truth: Columns, rows: np.ndarray) -> list[tuple[int, int]]:
    """Runs [a, b) of complete frames, 0.1 s apart, that count on within one episode.

    A lost frame or a reset ends a run. Frames of a world that stands (before the first command, after the end) repeat
    their step, so they end up alone and are left out.
    """
    if not len(stamps):
        return []
    step, episode = truth["step"][rows].astype(np.int64), truth["episode"][rows]
    scenario = truth["scenario"][rows]
    goes_on = np.zeros(len(stamps), bool)
    goes_on[1:] = (
        complete[1:]
        & complete[:-1]
        & (np.abs(np.diff(stamps) - STEP_NS) <= JITTER_NS)
        & (np.diff(step) == 1)
        & (episode[1:] == episode[:-1])
        & (scenario[1:] == scenario[:-1])
    )
    first = np.flatnonzero(~goes_on)
    ends = np.append(first[1:], len(stamps))
    return [(int(a), int(b)) for a, b in zip(first, ends, strict=True) if b - a >= MIN_FRAMES]


def _advice(bag: Path, columns: Columns, stamps: np.ndarray) -> np.ndarray:
    """What an expert would have done at each frame, float32[T, 2]; NaN where it was not asked."""
    _check_fields(bag, columns, ("steering_angle", "acceleration"))
    rows = columns.rows_at(stamps)
    said = actions.from_physical(columns["steering_angle"], columns["acceleration"])
    return np.where((rows >= 0)[:, None], said[rows], np.float32(np.nan))


def _ranges(ranges: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Scans as the perception node reads them: no number, or beyond the range, reads the range. float32[T, 72]"""
    limit = most[:, None]
    return np.where(np.isfinite(ranges) & (ranges <= limit), ranges, limit)


def _routes(messages: list[bytes], stamps: np.ndarray, shift: np.ndarray) -> list[tuple[int, int, obs.RouteTracker]]:
    """(first frame, end frame, route) of each stretch that drives by one route message."""
    store = typestore()
    paths = (_path(store.deserialize_cdr(m, topics.ROUTE.type)) for m in messages)
    shifted = [(stamp + later, xy) for (stamp, xy), later in zip(paths, shift.tolist(), strict=True)]
    decoded = sorted(shifted, key=lambda path: path[0])
    firsts = np.searchsorted(stamps, [stamp for stamp, _ in decoded])  # first frame of each route
    firsts[0] = 0  # the first route also serves frames that were shown before it was recorded
    spans = zip(firsts.tolist(), [*firsts[1:].tolist(), len(stamps)], decoded, strict=True)
    return [(first, end, obs.RouteTracker(xy)) for first, end, (_, xy) in spans if first < end]


def _path(message: object) -> tuple[int, np.ndarray]:
    stamp = message.header.stamp  # type: ignore[attr-defined]
    points = [(p.pose.position.x, p.pose.position.y) for p in message.poses]  # type: ignore[attr-defined]
    return stamp.sec * 1_000_000_000 + stamp.nanosec, np.array(points, np.float64).reshape(-1, 2)


def _states(
    column: Callable[[str, str], np.ndarray], routes: list[tuple[int, int, obs.RouteTracker]], count: int
) -> np.ndarray:
    """State vectors, float32[count, 15], by wm_sim.observation."""
    previous = actions.from_physical(*(column("status", f"commanded_{n}") for n in ("steering_angle", "acceleration")))
    status = [column("status", name).tolist() for name in STATUS_COLUMNS]
    x, y = column("odom", "pose.pose.position.x").tolist(), column("odom", "pose.pose.position.y").tolist()
    z, w = column("odom", "pose.pose.orientation.z"), column("odom", "pose.pose.orientation.w")
    yaw = [math.remainder(2.0 * math.atan2(a, b), 2.0 * math.pi) for a, b in zip(z.tolist(), w.tolist(), strict=True)]
    state = np.empty((count, obs.STATE_SIZE), np.float32)
    for first, end, tracker in routes:
        for i in range(first, end):
            speed, acceleration, yaw_rate, steering, limit = (values[i] for values in status)
            route8 = tracker.ahead(x[i], y[i], yaw[i])
            state[i] = obs.state_vector(speed, acceleration, yaw_rate, steering, previous[i], limit, route8)
    return state


def _next(flags: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """bool[T]: the flag of the episode's next frame; status reports a command one frame after its decision."""
    out = np.zeros(len(flags), bool)
    out[:-1] = flags[1:]
    out[starts[1:] - 1] = False
    return out


def _event_stamps(kind: int, messages: list[bytes], shift: np.ndarray) -> np.ndarray:
    """int64[events of that type], ns."""
    found = [
        (stamps_ns(table) + shift[indices])[table["type"] == kind]
        for indices, table in decode(messages, topics.EVENTS.type)
    ]
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def _route_done(ends: np.ndarray, stamps: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """bool[T]: the last frame of an episode whose end of route was announced with it."""
    done = np.zeros(len(stamps), bool)
    last = starts[1:] - 1
    for stamp in ends.tolist():
        done[last[np.abs(stamps[last] - stamp) < STEP_NS]] = True
    return done
