"""What a mapping finds in a bag, field by field, before anything is trained: the core of `wm info --mapping`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from wm_sim import action as actions
from wm_training.errors import TrainingError
from wm_training.mapping.frames import MappedFrames, complete_runs
from wm_training.mapping.pictures import picture
from wm_training.mapping.recording import UNREADABLE, find_connections, in_order, open_any, record_of, topic_problem
from wm_training.mapping.spec import DERIVE, MISSING, NEEDED, UNITS, Mapping, Source
from wm_training.mapping.values import VALUES, scalar

PLAUSIBLE = {  # in our units; most values beyond these point to a wrong unit or scale
    "speed": (-15.0, 70.0),
    "acceleration": (-15.0, 15.0),
    "yaw_rate": (-2.0, 2.0),
    "steering_angle": (-1.0, 1.0),
    "steer": (-actions.STEER_MAX_RAD, actions.STEER_MAX_RAD),
    "accel": (-12.0, 12.0),
    "speed_limit": (1.0, 60.0),
}
BEYOND_SHARE, OPPOSED = 0.05, -0.5
NUMBERS = tuple(name for name in UNITS if name not in ("camera", "scan", "pose", "route"))


@dataclass(frozen=True)
class FieldFound:
    """One field of the mapping in a bag."""

    name: str
    source: str  # topic and path, or the word or number of the mapping
    unit: str
    messages: int | None = None  # None where it comes from no topic
    rate_hz: float | None = None
    figures: tuple[float, float, float] | None = None  # smallest, median, largest in our unit, on the grid
    problem: str = ""


@dataclass(frozen=True)
class DryRun:
    """A mapping tried on a bag."""

    bag: Path
    fields: tuple[FieldFound, ...]
    frames: int  # on the grid of 0.1 s
    trains: int  # of them, in episodes
    episodes: int
    notes: tuple[str, ...]  # what was left out and why, and what looks wrong

    @property
    def fits(self) -> bool:
        """Whether training would take the bag by this mapping."""
        return self.trains > 0 and not any(found.problem for found in self.fields)


def dry_run(bag: Path, mapping: Mapping) -> DryRun:
    """Try a mapping. TrainingError only where the bag itself cannot be read."""
    problems, counts, span_s = _look(bag, mapping)
    usable = replace(mapping, sources={n: Source(word=MISSING) if n in problems else s
                                       for n, s in mapping.sources.items()})  # fmt: skip
    frames: MappedFrames | None = None
    runs: list[tuple[int, int]] = []
    notes: list[str] = []
    if "camera" not in problems:
        try:
            frames = MappedFrames(record_of(bag, usable), usable)
            runs, left_out = complete_runs(frames)
            notes = [*frames.recording.notes, *([f"{bag}: {left_out}."] if left_out else [])]
        except TrainingError as error:
            notes.append(str(error))
    else:
        notes.append(f"{bag}: without pictures there are no frames, so no values are shown.")
    found = []
    for name, source in mapping.sources.items():
        number = counts.get(source.topic) if source.is_topic else None
        rate = (number - 1) / span_s if number and number > 1 and span_s > 0 else None
        values = np.zeros(0) if frames is None or name not in NUMBERS or name in problems else frames.number(name)
        values = values[np.isfinite(values)]
        figures = (values.min(), np.median(values), values.max()) if len(values) else None
        found.append(FieldFound(name, _source(source), _unit(name, source), number, rate, figures,
                                problems.get(name, "")))  # fmt: skip
        notes += _doubts(name, source, values)
    notes += _sign(mapping, frames)
    trains = 0 if problems else sum(b - a for a, b in runs)
    total = 0 if frames is None else len(frames.grid)
    return DryRun(bag, tuple(found), total, trains, len(runs) if trains else 0, tuple(notes))


def _look(bag: Path, mapping: Mapping) -> tuple[dict[str, str], dict[str, int], float]:
    """What is wrong with each field, messages by topic, and the length of the bag, s."""
    problems: dict[str, str] = {}
    counts: dict[str, int] = {}
    with open_any(bag) as reader:
        for topic, names in mapping.topics().items():
            connections = find_connections(reader, topic)
            counts[topic] = sum(c.msgcount for c in connections)
            for name in names:
                problem = topic_problem(reader, mapping, topic, [name])
                if not problem:
                    connection, _, raw = next(iter(in_order(reader, connections)))
                    source = mapping.sources[name]
                    try:
                        message = reader.deserialize(raw, connection.msgtype)
                        if name == "camera":
                            picture(message, mapping.crop)
                        else:
                            VALUES.get(name, scalar)(message, source.field)
                    except TrainingError as error:
                        problem = f"topic {topic}: {error}"
                    except (AttributeError, *UNREADABLE):
                        there = ", ".join(n for n, _ in reader.typestore.fielddefs[connection.msgtype][1])
                        problem = (f"topic {topic}: {name} cannot be read from {source.field!r} of "
                                   f"{connection.msgtype}, which has {there}; correct the mapping")  # fmt: skip
                if problem:
                    problems[name] = problem
        return problems, counts, max(reader.duration - 1, 0) * 1e-9


def _source(source: Source) -> str:
    return f"{source.topic} {source.field}".strip() if source.is_topic else source.word or f"{source.constant:g}"


def _unit(name: str, source: Source) -> str:
    ours = next(iter(UNITS[name]))
    return f"{source.unit} as {ours}" if source.unit not in ("", ours) else ours


def _doubts(name: str, source: Source, values: np.ndarray) -> list[str]:
    low, high = PLAUSIBLE.get(name, (-np.inf, np.inf))
    share = float(((values < low) | (values > high)).mean()) if len(values) else 0.0
    if source.word == DERIVE or share < BEYOND_SHARE:
        return []
    unit = next(iter(UNITS[name]))
    return [f"{share:.0%} of {name} lie outside {low:g} to {high:g} {unit}; check its unit and scale."]


def _sign(mapping: Mapping, frames: MappedFrames | None) -> list[str]:
    """Whether the car turns the other way than it is steered."""
    steer, rate = mapping.sources["steer"], mapping.sources["yaw_rate"]
    if frames is None or not steer.is_topic or not rate.is_topic:
        return []
    pair = np.stack((frames.number("steer"), frames.number("yaw_rate")))
    pair = pair[:, np.isfinite(pair).all(0)]
    if pair.shape[1] < 20 or (pair.std(1) < 1e-4).any() or np.corrcoef(pair)[0, 1] > OPPOSED:
        return []
    return ["the car turns against steer; ours is left positive, so check `scale: -1` of steer or yaw_rate."]


def format_dry_run(run: DryRun, mapping: Mapping) -> str:
    """A table and sentences for people."""
    rows: list[tuple[str, ...]] = [("field", "from", "messages", "Hz", "unit", "min", "median", "max")]
    for found in run.fields:
        numbers = tuple(f"{v:.3g}" for v in found.figures) if found.figures else ("", "", "")
        rate = "" if found.rate_hz is None else f"{found.rate_hz:.1f}"
        count = "" if found.messages is None else str(found.messages)
        rows.append((found.name, found.source, count, rate, found.unit, *numbers))
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    table = ["  ".join(c.ljust(w) if k in (0, 1, 4) else c.rjust(w)
                       for k, (c, w) in enumerate(zip(row, widths, strict=True))).rstrip()
             for row in rows]  # fmt: skip
    missing = [name for name, source in mapping.sources.items() if source.word == MISSING]
    lines = [f"bag       {run.bag}", f"mapping   {mapping.path}",
             f"frames    {run.trains} of {run.frames} at 10 Hz would train, in {run.episodes} episodes"]  # fmt: skip
    if missing:
        lines.append(f"missing   {', '.join(missing)}: not learned from this bag; name a topic for what it has")
    lines += [f"note      {note.removeprefix(f'{run.bag}: ')}" for note in run.notes]
    for found in run.fields:
        if found.problem:
            needed = ", without which nothing trains" if found.name in NEEDED else ", or write `missing`"
            lines.append(f"problem   {found.name}: {found.problem}{needed}")
    return "\n".join([*lines, "", *table])
