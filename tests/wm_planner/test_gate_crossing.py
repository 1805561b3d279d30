"""The gate brakes for who walks or rides into the path, before he is in it, and for nothing that stands beside it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wm_planner.safety import Limits, Reason, Source
from wm_planner.safety.crossing import Edges, crossing_braking, follow_edges

LIMITS = Limits()
BUMPER_M, STEP_S = LIMITS.front_bumper_m, 0.1
BRAKING_MPS2 = 5.1  # that a car with weak brakes reaches when 6 are asked


@dataclass
class Thing:
    """Something on the ground: where its middle is at the start, how it moves, how large it is."""

    x: float
    y: float
    vx: float = 0.0
    vy: float = 0.0
    length: float = 0.5
    width: float = 0.5
    yaw: float = 0.0
    starts_s: float = 0.0  # stands until then

    def seen_from(self, time_s: float, x: float, y: float, yaw: float) -> dict:
        """As a box in the frame of a car at x, y, yaw."""
        moved_s = max(0.0, time_s - self.starts_s)
        away_x, away_y = self.x + self.vx * moved_s - x, self.y + self.vy * moved_s - y
        turn = self.yaw - yaw
        ahead = math.cos(yaw) * away_x + math.sin(yaw) * away_y - 0.5 * self.length * math.cos(turn)
        aside = math.cos(yaw) * away_y - math.sin(yaw) * away_x - 0.5 * self.length * math.sin(turn)
        return {"x": ahead, "y": aside, "yaw": turn, "length": self.length, "width": self.width}


@pytest.fixture(scope="session")
def scan_at(scan_of, box) -> Callable[..., np.ndarray]:
    """The scan of one thing at a time, from a car at x, y, yaw."""
    return lambda thing, time_s, x=0.0, y=0.0, yaw=0.0: scan_of([box(**thing.seen_from(time_s, x, y, yaw))])


@pytest.fixture(scope="session")
def demands(scan_at) -> Callable[..., list[float]]:
    """Braking asked for at every step of a car that drives on at its speed along an arc."""

    def drive(thing: Thing, speed: float, seconds: float, curvature: float = 0.0) -> list[float]:
        x = y = yaw = 0.0
        edges: Edges | None = None
        asked = []
        for step in range(round(seconds / STEP_S)):
            scan = scan_at(thing, step * STEP_S, x, y, yaw)
            edges = follow_edges(scan, 1 + round(step * STEP_S * 1e9), edges, speed, speed * curvature, LIMITS)
            asked.append(crossing_braking(edges, 0.0, curvature, speed, LIMITS))
            chord = yaw + 0.5 * speed * curvature * STEP_S
            x, y = x + speed * STEP_S * math.cos(chord), y + speed * STEP_S * math.sin(chord)
            yaw += speed * curvature * STEP_S
        return asked

    return drive


def walker(speed: float, pace: float, meets_s: float, side: int = -1) -> Thing:
    """Somebody who will be in the middle of the path when the bumper is there."""
    return Thing(BUMPER_M + speed * meets_s, side * pace * meets_s, 0.0, -side * pace)


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("speed, pace", [(6.0, 1.2), (8.0, 1.5), (10.0, 2.0), (12.0, 3.0)])
def test_who_walks_into_the_path_is_braked_for_while_there_is_room_to_stop(
    demands, speed: float, pace: float, side: int
) -> None:
    asked = demands(walker(speed, pace, 3.5, side), speed, 3.5)
    first = next(step for step, braking in enumerate(asked) if braking > 0.0)
    room_m = speed * (3.5 - first * STEP_S)
    assert room_m > speed * 0.25 + speed * speed / (2.0 * BRAKING_MPS2)


@pytest.mark.parametrize("stands_s", [2.0, 2.5, 3.0, 3.5])
@pytest.mark.parametrize("speed, pace", [(8.0, 1.5), (10.0, 2.5), (12.0, 3.0)])
def test_who_has_stood_for_long_before_walking_is_braked_for_too(
    demands, speed: float, pace: float, stands_s: float
) -> None:
    meets_s = stands_s + 2.2
    person = Thing(BUMPER_M + speed * meets_s, -pace * 2.2, 0.0, pace, starts_s=stands_s)
    asked = demands(person, speed, meets_s)
    first = next(step for step, braking in enumerate(asked) if braking > 0.0)
    assert first > 10 * stands_s
    assert speed * (meets_s - first * STEP_S) > speed * 0.25 + speed * speed / (2.0 * BRAKING_MPS2)


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("speed, pace", [(8.0, 1.5), (10.0, 2.0)])
def test_who_walks_into_a_bend_from_inside_or_outside_is_braked_for(
    demands, speed: float, pace: float, side: int
) -> None:
    curvature, meets_s = 0.02, 3.5
    way_m = BUMPER_M + speed * meets_s
    angle = curvature * way_m
    x, y = math.sin(angle) / curvature, (1.0 - math.cos(angle)) / curvature  # of the path where they meet
    across = -side * math.sin(angle), side * math.cos(angle)
    reach = pace * meets_s
    person = Thing(x + reach * across[0], y + reach * across[1], -pace * across[0], -pace * across[1])
    asked = demands(person, speed, meets_s, curvature)
    first = next(step for step, braking in enumerate(asked) if braking > 0.0)
    assert speed * (meets_s - first * STEP_S) > speed * 0.25 + speed * speed / (2.0 * BRAKING_MPS2)


@pytest.mark.parametrize("speed, pace", [(6.0, 1.2), (9.0, 1.5), (12.0, 3.0)])
def test_the_gate_lets_who_walks_into_the_path_pass(fresh_gate, scan_at, speed: float, pace: float) -> None:
    person, now, driven_m = walker(speed, pace, 4.0), speed, 0.0
    for step in range(60):
        decision = fresh_gate.step(scan=scan_at(person, step * STEP_S, driven_m), speed_mps=now)
        after = max(0.0, now + STEP_S * max(decision.command.acceleration_mps2, -BRAKING_MPS2))
        driven_m, now = driven_m + 0.5 * STEP_S * (now + after), after
        apart = person.seen_from(step * STEP_S + STEP_S, driven_m, 0.0, 0.0)
        assert apart["x"] > BUMPER_M or abs(apart["y"]) > LIMITS.half_width_m + 0.25
        if decision.command.source is Source.SCAN_BRAKE:
            assert decision.reasons & Reason.OBSTACLE
    assert now < 0.6 * speed


@settings(max_examples=60, deadline=None)
@given(
    speed=st.floats(3.0, 16.0),
    side=st.sampled_from([-1, 1]),
    lateral=st.floats(1.5, 6.0),
    ahead=st.floats(15.0, 50.0),
    length=st.floats(0.3, 5.0),
    width=st.floats(0.3, 2.0),
    turn=st.floats(-0.1, 0.1),
    bend=st.floats(-1.0, 1.0),
)
def test_nothing_that_stands_beside_the_path_is_braked_for(
    demands,
    speed: float,
    side: int,
    lateral: float,
    ahead: float,
    length: float,
    width: float,
    turn: float,
    bend: float,
) -> None:
    curvature = bend * min(2.0 / speed**2, 0.03)
    angle = curvature * ahead
    reach = lateral + 0.5 * width
    x = ahead if curvature == 0.0 else math.sin(angle) / curvature
    y = 0.0 if curvature == 0.0 else (1.0 - math.cos(angle)) / curvature
    thing = Thing(
        x - side * reach * math.sin(angle),
        y + side * reach * math.cos(angle),
        length=length,
        width=width,
        yaw=angle + turn,
    )
    assert max(demands(thing, speed, 1.1 * ahead / speed, curvature)) == 0.0


@pytest.mark.parametrize("speed", [6.0, 10.0, 15.0])
@pytest.mark.parametrize(
    "thing",
    [
        Thing(20.0, -3.5, vx=9.0, length=4.5, width=1.8),  # a car in the lane beside
        Thing(45.0, 3.5, vx=-9.0, length=4.5, width=1.8, yaw=math.pi),  # one that comes the other way
        Thing(25.0, 0.0, vx=14.0, length=4.5, width=1.8),  # one ahead, faster
        Thing(30.0, -2.2, vx=1.4),  # somebody who walks along the road
        Thing(30.0, -2.2, vy=-1.4),  # and away from it
        Thing(30.0, -14.0, vy=8.0, length=4.5, width=1.8, yaw=math.pi / 2),  # a car that crosses: the planner's
    ],
    ids=["beside", "oncoming", "ahead", "along", "away", "car"],
)
def test_who_does_not_walk_into_the_path_is_not_braked_for(demands, thing: Thing, speed: float) -> None:
    assert max(demands(thing, speed, 3.0)) == 0.0


def test_who_has_crossed_before_the_car_is_there_is_not_braked_for(demands) -> None:
    passes = Thing(BUMPER_M + 10.0 * 4.0, -3.0, vy=2.0)  # three metres past the middle when the bumper comes
    assert max(demands(passes, 10.0, 4.0)) == 0.0


def test_who_stops_at_the_kerb_frees_the_car_again(scan_of, box) -> None:
    def seen(step: int) -> np.ndarray:
        return scan_of([box(18.0, -6.0 + 0.15 * min(step, 20), 0.0, 0.5, 0.5)])

    edges, asked = None, []
    for step in range(60):  # slowly, so that only the walker changes anything
        edges = follow_edges(seen(step), 1 + step * 100_000_000, edges, 0.0, 0.0, LIMITS)
        asked.append(crossing_braking(edges, 0.0, 0.0, 8.0, LIMITS))
    assert max(asked[:22]) > 0.0 and max(asked[45:]) == 0.0


@pytest.mark.parametrize("changed", [{"crossing_speed_max_mps": 0.0}, {"crossing_speed_max_mps": 1.0}])
def test_the_limit_says_who_counts_as_crossing(fresh_gate, scan_at, changed: dict) -> None:
    noticed = []
    for limits in (LIMITS, replace(LIMITS, **changed)):
        gate, braked = replace(fresh_gate, limits=limits), []
        for step in range(33):
            scan = scan_at(walker(8.0, 1.8, 3.5), step * STEP_S, 8.0 * step * STEP_S)
            braked.append(bool(gate.step(scan=scan, speed_mps=8.0).reasons & Reason.OBSTACLE))
        noticed.append(braked.index(True))
    assert noticed[0] < noticed[1] - 3  # with the limit, nobody is noticed before standing in the path


def test_a_pause_or_a_scan_of_another_size_begins_anew(scan_of, box) -> None:
    scan = scan_of([box(20.0, -4.0, 0.0, 0.5, 0.5)])
    edges = follow_edges(scan, 1, None, 8.0, 0.0, LIMITS)
    assert follow_edges(scan, 100_000_001, edges, 0.0, 0.0, LIMITS).hits.max() == 2
    for later in (
        follow_edges(scan, 1, edges, 0.0, 0.0, LIMITS),
        follow_edges(scan, 2 * 10**9, edges, 0.0, 0.0, LIMITS),
    ):
        assert later.hits.max() == 1 and later.ages_s.max() == 0.0
    assert follow_edges(scan[::2], 100_000_001, edges, 0.0, 0.0, LIMITS).size == 36


@settings(max_examples=100, deadline=None)
@given(
    scan=st.lists(st.floats(width=32), min_size=72, max_size=72),
    speed=st.floats(0.1, 40.0),
    yaw_rate=st.floats(-3.0, 3.0),
    curvature=st.floats(-0.5, 0.5),
)
def test_whatever_the_scan_says_the_braking_is_a_number_within_the_limits(
    scan: list, speed: float, yaw_rate: float, curvature: float
) -> None:
    edges = None
    for step in range(12):
        edges = follow_edges(np.array(scan, np.float32), 1 + step * 10**8, edges, speed, yaw_rate, LIMITS)
        assert 0.0 <= crossing_braking(edges, 0.1, curvature, speed, LIMITS) <= LIMITS.deceleration_max_mps2
