"""What `wm top` knows of a running stack, gathered message by message. No ROS import: plain values go in."""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from wm_ros.roll_call import RollCall

HOPS = ("camera/image_raw", "observation", "belief", "plan", "control_cmd")  # the way of a frame
MOMENTS = 64  # frames under way that are remembered
SAMPLES = 200  # measurements that a percentile is taken over
TROUBLES = 8
WARN, ERROR = 1, 2  # levels of a trouble


class Percentiles:
    """The newest measurements of one thing."""

    def __init__(self) -> None:
        self._samples: deque[float] = deque(maxlen=SAMPLES)

    def add(self, value: float) -> None:
        self._samples.append(value)

    def of(self, *shares: float) -> list[float] | None:
        """Percentiles for shares of 0..100; None: nothing measured."""
        return [float(value) for value in np.percentile(list(self._samples), shares)] if self._samples else None


class HopTimes:
    """How long a frame takes from hop to hop, as the messages that descend from it arrive here."""

    def __init__(self) -> None:
        self.hops = {name: Percentiles() for name in HOPS[1:]}  # ms since the hop before
        self.whole = Percentiles()  # ms from camera to control
        self._moments: OrderedDict[int, dict[str, float]] = OrderedDict()  # source stamp: hop: steady time, s

    def saw(self, topic: str, source_stamp_ns: int, steady_s: float) -> None:
        """A message of a hop arrived; only the first one of each frame counts."""
        if topic == HOPS[0]:
            self._moments.setdefault(source_stamp_ns, {HOPS[0]: steady_s})
            while len(self._moments) > MOMENTS:
                self._moments.popitem(last=False)
            return
        moment = self._moments.get(source_stamp_ns)
        before = HOPS[HOPS.index(topic) - 1]
        if moment is None or topic in moment or before not in moment:
            return
        moment[topic] = steady_s
        self.hops[topic].add(1e3 * (steady_s - moment[before]))
        if topic == HOPS[-1]:
            self.whole.add(1e3 * (steady_s - moment[HOPS[0]]))


@dataclass(frozen=True)
class Trouble:
    """A warning or an error that somebody gave out."""

    steady_s: float  # when it was heard last
    level: int  # WARN or ERROR
    who: str
    text: str
    times: int = 1


class Troubles:
    """The last different warnings and errors; one that is said again moves up and counts."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], Trouble] = OrderedDict()

    def add(self, steady_s: float, level: int, who: str, text: str) -> None:
        """One more; texts that differ in numbers alone are the same trouble."""
        key = who, re.sub(r"[0-9.]+", "#", text)
        before = self._known.pop(key, None)
        self._known[key] = Trouble(steady_s, level, who, text, 1 if before is None else before.times + 1)
        while len(self._known) > TROUBLES:
            self._known.popitem(last=False)

    def newest(self) -> list[Trouble]:
        return list(reversed(self._known.values()))


@dataclass
class Seen:
    """The newest of everything."""

    roll: RollCall = field(default_factory=RollCall)
    hops: HopTimes = field(default_factory=HopTimes)
    troubles: Troubles = field(default_factory=Troubles)
    solve_ms: Percentiles = field(default_factory=Percentiles)
    gate_state: int | None = None  # wm_msgs/SafetyState.state
    gate_reasons: int = 0
    command_age_s: float | None = None
    source: int | None = None  # wm_msgs/ControlCommand.source
    limited: bool = False
    samples: int = 0  # of the newest plan
    plan_status: int | None = None
    surprise_nats: float | None = None
    model_id: str = ""
    speed_mps: float | None = None
    speed_limit_mps: float | None = None

    @property
    def mode(self) -> str:
        """As supervisor_node says; realtime where there is none."""
        report = self.roll.reports.get("supervisor_node")
        return report.values.get("mode", "realtime") if report is not None else "realtime"

    def hear_status(self, name: str, level: int, message: str, values: Iterable[tuple[str, str]], now_s: float) -> None:
        """One status of /diagnostics."""
        self.roll.hear(name, level, message, dict(values), now_s)
        if level >= WARN:
            self.troubles.add(now_s, min(level, ERROR), name.removeprefix("supervisor_node: "), message)
