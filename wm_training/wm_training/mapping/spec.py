"""The mapping file: for each of our fields the topic, field path and unit in a bag that is not from this stack."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping as Dict
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from wm_training.errors import TrainingError

ANGLE = {"rad": 1.0, "deg": math.pi / 180.0}
STEERING = {**ANGLE, "1/m": 1.0, "rad/s": 1.0}  # a curvature, or a wanted yaw rate, becomes an angle by the wheelbase
SPEED = {"m/s": 1.0, "km/h": 1.0 / 3.6, "mph": 0.44704, "knots": 0.514444}
ACCELERATION = {"m/s2": 1.0, "g": 9.80665}
LENGTH = {"m": 1.0}
NUMBER = {"": 1.0}

# Field: unit → factor to ours; the first unit is ours.
UNITS: dict[str, dict[str, float]] = {
    "camera": NUMBER,
    "speed": SPEED,
    "acceleration": ACCELERATION,
    "yaw_rate": {"rad/s": 1.0, "deg/s": math.pi / 180.0},
    "steering_angle": STEERING,
    "speed_limit": SPEED,
    "scan": NUMBER,
    "pose": LENGTH,
    "route": LENGTH,
    "steer": {**STEERING, "share": 1.0},  # share: of the full steering angle, -1 to 1
    "accel": {**ACCELERATION, "share": 1.0, **SPEED},  # a speed is a wanted one, reached in `response_s`
    "brake": {"share": 1.0, **ACCELERATION},  # taken off `accel`
    "reward": NUMBER,
    "collided": NUMBER,
    "off_road": NUMBER,
    "taught": NUMBER,
    "lateral_error": LENGTH,
    "heading_error": ANGLE,
    "curvature": {"1/m": 1.0},
    "gap_ahead": LENGTH,
    "closing_speed": SPEED,
    "lane_width": LENGTH,
    "red_light_gap": LENGTH,
    "crossing_time": {"s": 1.0},
}
NEEDED = ("camera", "speed", "steer", "accel")
UNSAID = ("brake", "taught", "red_light_gap", "crossing_time")  # missing unless the file names them
MAY_BE_MISSING = tuple(name for name in UNITS if name not in (*NEEDED, *UNSAID))
DERIVED = {  # field: fields that it can be computed from, any one of these groups
    "speed": (("pose",),),
    "acceleration": (("speed",),),
    "yaw_rate": (("pose",),),
    "steering_angle": (("yaw_rate",), ("pose",)),
    "steer": (("steering_angle",),),
    "accel": (("speed",),),
    "route": (("pose",),),
}
HELD = ("steer", "accel", "brake", "taught", "reward", "collided", "off_road", "speed_limit")
MISSING, DERIVE = "missing", "derived"
SETTINGS = ("crop", "tolerance_s", "wheelbase_m", "response_s", "stamps")


@dataclass(frozen=True)
class Source:
    """Where a field comes from: a topic and a path in its messages, or a word, or a constant."""

    topic: str = ""
    type: str = ""  # "package/msg/Name"; checked where given
    field: str = ""  # path in the message, "twist.linear.x"; list elements by number, "axes.1"
    unit: str = ""  # "": ours
    scale: float = 1.0  # value = factor of the unit x (scale x number + offset); -1 turns a sign around
    offset: float = 0.0
    word: str = ""  # "missing" or "derived"
    constant: float = math.nan

    @property
    def is_topic(self) -> bool:
        """Whether it is read from messages."""
        return bool(self.topic)


@dataclass(frozen=True)
class Mapping:
    """A mapping file. Sources by field name; every field of UNITS is in it."""

    path: str
    sources: dict[str, Source]
    crop: tuple[float, float, float, float] | None = None  # left, top, right, bottom as shares; None: middle square
    tolerance_s: float = 0.15
    wheelbase_m: float = 2.7
    response_s: float = 1.0
    stamps: str = "header"  # or "log": when the recorder received it

    @property
    def digest(self) -> str:
        """Changes with whatever the file says, not with how it is written or called."""
        facts = {k: v for k, v in asdict(self).items() if k != "path"}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def topics(self) -> dict[str, list[str]]:
        """Fields by the topic they come from."""
        found: dict[str, list[str]] = {}
        for name, source in self.sources.items():
            if source.is_topic:
                found.setdefault(source.topic, []).append(name)
        return found

    def is_missing(self, name: str) -> bool:
        """Whether the file declares that the bags do not have it."""
        return self.sources[name].word == MISSING


def read_mapping(path: Path | str) -> Mapping:
    """The mapping in a YAML file. TrainingError, in one sentence, for what it lacks or says wrongly."""
    path = Path(path)
    try:
        given = yaml.safe_load(path.read_text(encoding="utf8"))
    except OSError as error:
        raise TrainingError(f"mapping {path}: {error.strerror}; name a YAML file with --mapping.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        raise TrainingError(
            f"mapping {path}: not readable as YAML{line}; see docs/training.md for an example."
        ) from error
    if not isinstance(given, dict):
        raise TrainingError(f"mapping {path}: holds no fields; see docs/training.md for an example.")
    return parse_mapping(given, str(path))


def parse_mapping(given: Dict[str, Any], path: str = "") -> Mapping:
    """A mapping from what a YAML file holds; every field is checked."""

    def refuse(problem: str) -> TrainingError:
        return TrainingError(f"mapping {path}: {problem}.")

    settings = {name: given[name] for name in SETTINGS if name in given}
    unknown = [str(name) for name in given if name not in UNITS and name not in settings]
    if unknown:
        raise refuse(f"{', '.join(unknown)} is no field of ours; use {', '.join(UNITS)}")
    silent = [name for name in MAY_BE_MISSING if name not in given]
    lacking = [name for name in NEEDED if name not in given]
    if lacking:
        raise refuse(f"says nothing of {', '.join(lacking)}; training needs a topic and field for each")
    if silent:
        raise refuse(f"says nothing of {', '.join(silent)}; name a topic and field for each, or write `missing`")
    sources = {name: _source(name, given.get(name, MISSING), refuse) for name in UNITS}
    if sources["taught"].word == MISSING:
        sources["taught"] = Source(constant=0.0)
    for name, source in sources.items():
        _check_derived(name, source, sources, refuse)
    return Mapping(path, sources, **_settings(settings, refuse))


def _source(name: str, given: Any, refuse: Any) -> Source:
    if given == MISSING:
        if name in NEEDED:
            raise refuse(f"{name} cannot be missing; name its topic and field")
        return Source(word=MISSING)
    if given == DERIVE:
        if name not in DERIVED:
            raise refuse(f"{name} cannot be derived; name its topic and field")
        return Source(word=DERIVE)
    if isinstance(given, (int, float)) and name not in ("camera", "scan", "pose", "route"):
        return Source(constant=float(given))
    if not isinstance(given, dict):
        raise refuse(f"{name} is {given!r}; expected topic and field, a number, `missing` or `derived`")
    extra = [str(k) for k in given if k not in {f.name for f in fields(Source)} - {"word", "constant"}]
    if extra or not given.get("topic"):
        raise refuse(f"{name} {'has no topic' if not extra else 'knows no ' + ', '.join(extra)}; "
                     "it takes topic, field, type, unit, scale, offset")  # fmt: skip
    unit = str(given.get("unit", "") or "")
    if unit and unit not in UNITS[name]:
        known = ", ".join(u for u in UNITS[name] if u) or "no unit"
        raise refuse(f"{name} in {unit}: expected {known}")
    if "field" not in given and name not in ("camera", "scan", "route"):
        raise refuse(f"{name} has no field; say where in a message of {given['topic']} it is")
    try:
        scale, offset = float(given.get("scale", 1.0)), float(given.get("offset", 0.0))
    except (TypeError, ValueError) as error:
        raise refuse(f"{name}: scale and offset must be numbers") from error
    topic, kind, path = (str(given.get(key, "") or "") for key in ("topic", "type", "field"))
    return Source(topic, kind, path, unit, scale, offset)


def _check_derived(name: str, source: Source, sources: Dict[str, Source], refuse: Any) -> None:
    groups = DERIVED.get(name, ())
    if source.word == DERIVE and all(any(sources[n].word == MISSING for n in group) for group in groups):
        needs = " or ".join(" and ".join(group) for group in groups)
        raise refuse(f"{name} cannot be derived without {needs}; give that, or {name} itself")


def _settings(given: Dict[str, Any], refuse: Any) -> dict[str, Any]:
    out = dict(given)
    for name in ("tolerance_s", "wheelbase_m", "response_s"):
        value = out.get(name, 1.0)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 < value < 100.0:
            raise refuse(f"{name} is {value!r}; expected a number above 0")
    if out.get("stamps", "header") not in ("header", "log"):
        raise refuse(f"stamps is {out['stamps']!r}; expected header or log")
    crop = out.get("crop")
    if crop is not None:
        numbers = [float(c) for c in crop] if isinstance(crop, list) and len(crop) == 4 else []
        if not numbers or not (0 <= numbers[0] < numbers[2] <= 1 and 0 <= numbers[1] < numbers[3] <= 1):
            raise refuse(f"crop is {crop!r}; expected [left, top, right, bottom] as shares of the picture, 0 to 1")
        out["crop"] = tuple(numbers)
    return out
