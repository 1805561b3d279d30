"""What a drive looked like, gathered from topics as plain data: report, picture and film are made of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

NO_LEAD_M = 60.0  # truth says this where nothing is ahead


@dataclass
class Moment:
    """One frame of the drive; a part that never arrived stays as it is here."""

    stamp_ns: int
    camera: NDArray[np.uint8] | None = None  # [H, W, 3]
    scan: NDArray[np.float32] | None = None  # [72], m
    pose: tuple[float, float, float] | None = None  # odom: x m, y m, yaw rad
    speed: float | None = None  # m/s
    speed_limit: float = 0.0  # m/s
    plan: NDArray[np.float64] | None = None  # [H, 2] in base_link, m
    plan_ms: float | None = None
    steering_angle: float = 0.0  # rad, the first command that answers this frame
    acceleration: float = 0.0  # m/s^2
    camera_sent_ns: int | None = None  # wall clock of the middleware at publication
    control_sent_ns: int | None = None  # of the first planned command that answers this frame
    truth: TruthRow | None = None


@dataclass(frozen=True)
class TruthRow:
    """The simulator's labels of one frame, for judging only; SI units."""

    step: int
    lateral_error: float
    gap_ahead: float
    closing_speed: float
    progress: float
    route_length: float


@dataclass
class DriveRecord:
    """One drive so far."""

    scenario: str
    seed: int
    mode: str
    route: NDArray[np.float64] | None = None  # [M, 2], map, m
    moments: dict[int, Moment] = field(default_factory=dict)
    first_ns: int | None = None  # stamp of the frame on which the car set off
    outcome: str | None = None
    outcome_detail: str = ""
    outcome_ns: int | None = None
    restarts: Counter[str] = field(default_factory=Counter)  # of nodes that died, by name
    commands: int = 0  # of the gate, while driving
    sources: Counter[str] = field(default_factory=Counter)  # of them by who decided: plan, hold, soft_stop, …
    limited: int = 0  # of them, clipped to the limits
    reasons: set[str] = field(default_factory=set)  # everything that the gate objected to, in words
    lost: Counter[str] = field(default_factory=Counter)  # messages that never came, by topic
    missed_ticks: int = 0  # realtime: physics steps that the wall did not leave time for
    ticks: int = 0
    model_id: str = ""
    startup_s: float | None = None

    def at(self, stamp_ns: int) -> Moment:
        """The moment of a stamp, made when new."""
        if stamp_ns not in self.moments:
            self.moments[stamp_ns] = Moment(stamp_ns)
        return self.moments[stamp_ns]

    def driven(self) -> list[Moment]:
        """Moments of the drive itself in order: from the last frame that stood to the one that ended it."""
        moments = [self.moments[stamp] for stamp in sorted(self.moments)]
        judged = [(moment, moment.truth) for moment in moments if moment.truth is not None]
        standing = [moment.stamp_ns for moment, truth in judged if truth.step == 0]
        first = standing[-1] if standing else 0
        last = self.outcome_ns if self.outcome_ns is not None else np.inf
        return [moment for moment, _ in judged if first <= moment.stamp_ns <= last]
