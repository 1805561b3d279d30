"""What the expert decides: around or behind what stands there, go or wait where others have the way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_sim.drivers.course import (
    CREEP_MPS,
    WAIT_M,
    Swerve,
    blocking,
    cap_speeds,
    offsets_of,
    samples,
    swerve_around,
)
from wm_sim.drivers.forecast import F_D, F_HALF_S, F_S, F_SAME_WAY, FAR_M, FORECAST_STEP_S
from wm_sim.drivers.pace import (
    AHEAD_SAMPLES,
    LAW_ACCEL,
    LAW_BRAKE_MOST,
    LAW_SHARE,
    imagine,
    speeds_ahead,
)
from wm_sim.drivers.roles import time_until
from wm_sim.drivers.situation import Sight, Situation
from wm_sim.observation import EGO_FRONT_X_M, EGO_LENGTH_M
from wm_sim.scene import HAS_WAY, LAMP_GREEN, LAMP_YELLOW, LIMIT_MPS, LINE_STEP_M, YIELD_IN, YIELD_LINE_S, YIELD_OUT

NEVER_S = 1.0e9  # an arc length that is never reached
BRISK_MPS2 = 2.3
SLOWER = (0.8, 0.6, 0.45, 0.3, 0.18)
ZONE_MOST_M = 30.0  # a conflict that is longer is a way to be shared, not to be crossed
WINDOW_S = 1.2  # before and after somebody who crosses
KEEP_CARE = 0.75  # of the margins, for who already decided to go
LIGHT_M = 2.2  # from the front bumper to the stop line
LINE_M = 0.6  # the same at a yield line
ZONE_ROOMS_M = (1.3, 0.6)  # and before the ground of others itself, the less if it has to be
PERSON_M = 3.5  # and before somebody who crosses
COMFORT_STOP_MPS2 = 3.0
DECIDE_S, EARLY_STOP_MPS2 = 6.0, 1.4  # a meeting later than that, before which so gentle a stop will do, can wait
ASTRAY_M = 0.4  # off the planned way around something: slow down
CAUTION_FROM_M = 30.0
SWERVE_SEEN_M = 70.0
SWERVE_SHARE = 0.6  # of the limit at least, to begin a swerve
SWERVE_LATE_M = 2.0  # a swerve not begun by then is thought of anew
CAUTION_MPS, CAUTION_M = 8.5, 6.0  # where somebody waits within that distance of the route's middle


@dataclass(frozen=True)
class Plan:
    """The chosen way of driving on."""

    ahead: NDArray[np.float64]  # [AHEAD_SAMPLES, 3], pace.py
    share: float  # of the limit
    accel: float  # most
    stop_s: float  # where the front bumper has to stand
    most: float  # cap on the acceleration
    goes: bool


class Planner:
    """Decides anew at every frame; remembers what it has begun."""

    def __init__(self, situation: Situation) -> None:
        self._situation = situation
        rows = situation.conflicts
        rows = rows[np.argsort(rows[:, YIELD_IN], kind="stable")]
        self._crossed = rows[rows[:, YIELD_OUT] - rows[:, YIELD_IN] < ZONE_MOST_M]
        self._zones = np.ascontiguousarray(self._crossed[:, [YIELD_IN, YIELD_OUT]])
        self._known: dict[int, Swerve] = {}  # thought of
        self._swerves: dict[int, Swerve] = {}  # begun
        self._share = 0.0  # of the limit, as decided last; 0 while waiting

    def plan(self, sight: Sight, law: NDArray[np.float64], lateral_mps2: float) -> Plan:
        """The way of driving on for what is seen now."""
        stop_s = self._light_stop(sight, law)
        begun, fresh, walls = self._swerves_for(sight)
        for wall in walls:
            stop_s = min(stop_s, wall)
        if fresh:
            around = self._course(sight, begun + fresh, law, lateral_mps2)
            plan = self._go(sight, around, law, stop_s, max(swerve.leave_s for swerve in fresh[:1]))
            if plan is not None:
                for swerve in fresh:
                    if sight.s > swerve.begin_s:
                        self._swerves[swerve.agent] = swerve
                return plan
            stop_s = min(stop_s, *(self._wait_s(swerve, sight) for swerve in fresh))
        ahead = self._course(sight, begun, law, lateral_mps2)
        plan = self._go(sight, ahead, law, stop_s)
        return plan if plan is not None else self._hold(sight, ahead, law, stop_s)

    def _light_stop(self, sight: Sight, law: NDArray[np.float64]) -> float:
        """Where the next light makes the front bumper stop."""
        for light in sight.lights:
            to_line = light.stop_s - sight.s - EGO_FRONT_X_M
            if light.shows == LAMP_GREEN or to_line < -0.5:
                continue
            if light.shows == LAMP_YELLOW:
                limit = float(self._situation.line[sight.sample, LIMIT_MPS])
                arrives_s = time_until(max(to_line, 0.0) + 1.0, sight.v, 0.5, limit)
                can_stop = sight.v**2 < 2.0 * COMFORT_STOP_MPS2 * max(to_line - 0.8, 0.01)
                if not can_stop and arrives_s < light.left_s:
                    continue
            stop = light.stop_s - LIGHT_M
            return max(stop, min(light.stop_s - 0.8, sight.s + EGO_FRONT_X_M + sight.v**2 / (2.0 * COMFORT_STOP_MPS2)))
        return NEVER_S

    def _swerves_for(self, sight: Sight) -> tuple[list[Swerve], list[Swerve], list[float]]:
        """Swerves begun, swerves to be decided on, and front-bumper stops before what cannot be passed."""
        begun, fresh, walls = [], [], []
        for block in sight.blocks:
            beyond = block.first_s > sight.s + SWERVE_SEEN_M or block.last_s < sight.s + EGO_FRONT_X_M
            if block.agent in self._swerves or beyond or not blocking(block):
                continue
            swerve = self._known.get(block.agent)
            if swerve is None or swerve.begin_s < sight.s - SWERVE_LATE_M:
                right, left = self._situation.edges(int(block.first_s / LINE_STEP_M))
                swerve = swerve_around(block, sight.s, sight.v, right, left)
            if swerve is None:
                walls.append(block.first_s - 4.0)
            else:
                self._known[block.agent] = swerve
                fresh.append(swerve)
        for agent, swerve in list(self._swerves.items()):
            if sight.s > swerve.end_s + 5.0:
                del self._swerves[agent]
            else:
                begun.append(swerve)
        return begun, fresh, walls

    @staticmethod
    def _wait_s(swerve: Swerve, sight: Sight) -> float:
        """Where to wait before a block: with room to swing out, or as near to that as braking allows."""
        braking = sight.s + EGO_FRONT_X_M + sight.v**2 / (2.0 * 4.0)
        return min(max(swerve.block_s - WAIT_M, braking), swerve.block_s - 1.5)

    def _course(
        self, sight: Sight, swerves: list[Swerve], law: NDArray[np.float64], lateral_mps2: float
    ) -> NDArray[np.float64]:
        s = samples(sight.s, AHEAD_SAMPLES)
        caps = np.full(AHEAD_SAMPLES, np.inf)
        offsets = offsets_of(swerves, s)
        cap_speeds(swerves, s, caps)
        if swerves and abs(sight.d - offsets[0]) > ASTRAY_M:
            caps = np.minimum(caps, np.where(offsets != 0.0, 1.5 * CREEP_MPS, np.inf))
        for at, aside in sight.waiting:
            if aside < CAUTION_M:
                near = (s > at - CAUTION_FROM_M) & (s < at + 1.0)
                caps[near] = np.minimum(caps[near], CAUTION_MPS)
        ahead = np.empty((AHEAD_SAMPLES, 3))
        speeds_ahead(self._situation.line, sight.sample, law[LAW_SHARE], lateral_mps2, caps, offsets, ahead)
        return ahead

    def _imagine(
        self, sight: Sight, ahead: NDArray[np.float64], law: NDArray[np.float64], share: float, accel: float,
        stop_s: float, care: float, reach_s: float = -NEVER_S,
    ) -> tuple[int, int]:  # fmt: skip
        start = float(samples(sight.s, 1)[0])
        return imagine(
            sight.s,
            sight.v,
            start,
            ahead,
            sight.cast,
            sight.roles,
            law,
            share,
            accel,
            stop_s,
            care,
            WINDOW_S,
            self._zones,
            reach_s,
        )

    def _go(
        self,
        sight: Sight,
        ahead: NDArray[np.float64],
        law: NDArray[np.float64],
        stop_s: float,
        reach_s: float = -NEVER_S,
    ) -> Plan | None:
        """The first way of driving on that meets nobody and gets to `reach_s` in time."""
        usual = float(law[LAW_ACCEL])
        for share, accel in ((1.0, usual), (1.0, BRISK_MPS2), *((share, usual) for share in SLOWER)):
            if reach_s > 0.0 and share < SWERVE_SHARE:
                break
            care = KEEP_CARE if share <= self._share else 1.0
            who, step = self._imagine(sight, ahead, law, share, accel, stop_s, care, reach_s)
            if who == -1 or (reach_s < 0.0 and self._is_early(who, step, sight)):
                self._share = share
                return Plan(ahead, share, accel, stop_s, np.inf, True)
        return None

    def _is_early(self, who: int, step: int, sight: Sight) -> bool:
        """Whether the meeting is far off, and a gentle stop before it will do later."""
        return step * FORECAST_STEP_S > DECIDE_S and self._place_before(who, sight, EARLY_STOP_MPS2) is not None

    def _hold(self, sight: Sight, ahead: NDArray[np.float64], law: NDArray[np.float64], stop_s: float) -> Plan:
        """Stop before the place where somebody would be met, or clear it where it is too late for that."""
        usual = float(law[LAW_ACCEL])
        who, _ = self._imagine(sight, ahead, law, 1.0, usual, stop_s, 1.0)
        self._share = 0.0
        brake_most = float(law[LAW_BRAKE_MOST])
        place = self._place_before(who, sight, brake_most)
        if place is not None:
            return Plan(ahead, 1.0, usual, min(stop_s, place), np.inf, False)
        for care in (0.4, 0.0):
            for share, accel in ((1.0, usual), (1.0, BRISK_MPS2), (0.6, usual), (0.3, usual), (0.0, usual)):
                if self._imagine(sight, ahead, law, share, accel, stop_s, care)[0] == -1:
                    return Plan(ahead, share, accel, stop_s, np.inf, False)
        place = self._place_before(who, sight, brake_most, in_zones=True)
        if place is not None:
            return Plan(ahead, 1.0, usual, min(stop_s, place), np.inf, False)
        return Plan(ahead, 1.0, usual, stop_s, -brake_most, False)

    def _clear(self, place: float, front: float, room: float) -> float:
        """The place, or that `room` before the zones of others in which the car would stand."""
        for row in self._crossed[::-1]:
            if front - 0.3 < row[YIELD_IN] < place and place - EGO_LENGTH_M < row[YIELD_OUT]:
                place = float(row[YIELD_IN]) - room
        return place

    def _place_before(self, who: int, sight: Sight, brake_most: float, in_zones: bool = False) -> float | None:
        """Where the front bumper can still stand out of the way of `who`; None where it is too late."""
        front = sight.s + EGO_FRONT_X_M
        rows = self._situation.conflicts
        rows = rows[rows[:, HAS_WAY] == self._situation.path_of(who)] if who >= 0 else self._crossed[[-2 - who]]
        places: list[float] = []
        for row in rows:
            if row[YIELD_IN] > front - 0.3:
                places += [float(row[YIELD_LINE_S]) - LINE_M, *(float(row[YIELD_IN]) - room for room in ZONE_ROOMS_M)]
        if not places and who >= 0:
            rows = sight.cast[who]
            rows = rows[rows[:, F_D] != FAR_M]
            near = rows[np.abs(rows[:, F_D]) < 4.0]
            if len(near) and near[0, F_SAME_WAY] > 0.7:
                return None  # it moves on: no place, but a speed, keeps clear of it
            low = float((near if len(near) else rows)[:, F_S].min() - rows[0, F_HALF_S])
            places = [low - PERSON_M, low - 1.0]
        if not in_zones:
            places = [self._clear(place, front, room) for place in places for room in ZONE_ROOMS_M]
        for place, brake in zip(
            sorted(places), [min(COMFORT_STOP_MPS2, brake_most)] * (len(places) - 1) + [brake_most], strict=True
        ):
            if sight.v**2 <= 2.0 * brake * max(place - front, 0.0) or (sight.v < 0.5 and place > front - 0.4):
                return place
        return None
