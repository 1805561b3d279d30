"""What came of a collection: sums by family, and the manifest beside the bags."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wm_perception.durable import write_text
from wm_training.moods import Mood


@dataclass(frozen=True)
class FamilyTally:
    """What came of the episodes of one family."""

    seeds: tuple[int, int]  # first, last
    episodes: int
    frames: int
    collided: int
    off_road: int
    route_done: int
    timeout: int
    near_crashes: int  # episodes that came close to a collision at speed, without one
    red_lights: int  # stop lines crossed in red
    taught: int  # frames whose action came from a driver that sees more than the sensors
    moods: dict[str, int]  # episodes


@dataclass(frozen=True)
class CollectReport:
    """What was collected, and how fast."""

    out: Path
    bags: int
    episodes: int
    frames: int
    bytes: int
    wall_s: float
    core_s: float  # CPU time of all workers
    families: dict[str, FamilyTally]

    @property
    def frames_per_core_s(self) -> float:
        """Frames a second that one core writes into bags."""
        return self.frames / max(self.core_s, 1e-9)

    def __str__(self) -> str:
        lines = [
            f"{self.out}: {self.bags} bags, {self.episodes} episodes, {self.frames} frames, {self.bytes / 1e6:.0f} MB",
            f"{self.frames / max(self.wall_s, 1e-9):.0f} frames/s, {self.frames_per_core_s:.0f} frames/s per core",
        ]
        return "\n".join([*lines, "", *self.table()])

    def table(self) -> list[str]:
        """One line a family: numbers of episodes and frames, and shares of the episodes."""
        rows = [HEADS, *(_row(name, family) for name, family in self.families.items())]
        first, *widths = (max(map(len, column)) for column in zip(*rows, strict=True))
        return [
            "  ".join([row[0].ljust(first), *(cell.rjust(width) for cell, width in zip(row[1:], widths, strict=True))])
            for row in rows
        ]


HEADS = (
    "family",
    "episodes",
    "frames",
    "crashed",
    "near",
    "off road",
    "red",
    "taught",
    "/".join(mood.value for mood in Mood),
)


def _row(name: str, family: FamilyTally) -> tuple[str, ...]:
    """Cells in the order of HEADS; shares of the moods in percent, as 5/55/22/18."""
    moods = "/".join(f"{100 * family.moods.get(mood.value, 0) / family.episodes:.0f}" for mood in Mood)
    shares = (f"{count / family.episodes:.0%}" for count in (family.collided, family.near_crashes, family.off_road))
    taught = f"{family.taught / family.frames:.0%}"
    return name, str(family.episodes), str(family.frames), *shares, str(family.red_lights), taught, moods


@dataclass(frozen=True)
class Episode:
    """One world to drive in."""

    family: str
    seed: int


@dataclass(frozen=True)
class EpisodeResult:
    """How it went."""

    episode: Episode
    frames: int
    outcome: str  # collided, off_road, route_done, timeout
    mood: str
    near_crash: bool
    red_lights: int
    taught: int  # actions


@dataclass(frozen=True)
class BagResult:
    """One finished bag."""

    name: str
    bytes: int
    core_s: float
    results: tuple[EpisodeResult, ...]


def tally(out: Path, done: Sequence[BagResult], wall_s: float) -> CollectReport:
    """Sum up the finished bags."""
    results = [result for bag in done for result in bag.results]
    families: dict[str, FamilyTally] = {}
    for name in sorted({r.episode.family for r in results}):
        mine = [r for r in results if r.episode.family == name]
        outcomes = Counter(r.outcome for r in mine)
        seeds = [r.episode.seed for r in mine]
        families[name] = FamilyTally(
            seeds=(min(seeds), max(seeds)),
            episodes=len(mine),
            frames=sum(r.frames for r in mine),
            near_crashes=sum(r.near_crash for r in mine),
            red_lights=sum(r.red_lights for r in mine),
            taught=sum(r.taught for r in mine),
            moods=dict(Counter(r.mood for r in mine)),
            **{outcome: outcomes[outcome] for outcome in ("collided", "off_road", "route_done", "timeout")},
        )
    return CollectReport(
        out=out,
        bags=len(done),
        episodes=len(results),
        frames=sum(r.frames for r in results),
        bytes=sum(bag.bytes for bag in done),
        wall_s=wall_s,
        core_s=sum(bag.core_s for bag in done),
        families=families,
    )


def write_manifest(
    path: Path, config: Any, report: CollectReport, done: Sequence[BagResult], is_whole: bool, model_id: str | None
) -> None:
    """A JSON file beside the bags: with what they were collected and what is in them. Whole or not there."""
    manifest = {
        "complete": is_whole,
        "model_id": model_id,
        "config": _plain(asdict(config)),
        "report": {**_plain(asdict(report)), "frames_per_core_s": round(report.frames_per_core_s, 1)},
        "bags": sorted(bag.name for bag in done),
    }
    write_text(path, json.dumps(manifest, indent=1) + "\n")


def _plain(value: Any) -> Any:
    """JSON's own types: enums by value, paths by name."""
    if isinstance(value, dict):
        return {str(getattr(key, "value", key)): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
