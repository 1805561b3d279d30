"""Networks that are generated can be driven; where their paths overlap and conflict is what geometry says."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wm_sim.errors import SimError
from wm_sim.network.generate import BEFORE_START_M, carriageway, road_line, straight_line, two_lane_road
from wm_sim.network.junctions import junction
from wm_sim.network.lanes import Lane, RoadNetwork
from wm_sim.network.line import line_of_curvature, line_of_points, locate, project
from wm_sim.network.meeting import STRIP_M, conflicts, overlaps
from wm_sim.network.paths import route_path
from wm_sim.network.ramps import ramp_merge
from wm_sim.network.roundabouts import roundabout
from wm_sim.network.routes import shortest_route, straight_on
from wm_sim.network.signals import signal_rows
from wm_sim.scene import (
    HAS_WAY,
    LANE_WIDTH_M,
    LCURVATURE,
    LEFT_M,
    LINE_STEP_M,
    LX,
    LY,
    LYAW,
    ONCOMING_LEFT,
    OVERLAP_FROM,
    OVERLAP_SHIFT,
    OVERLAP_TO,
    RIGHT_M,
    SIGNAL_PATH,
    STOP_S,
    WAY_IN,
    WAY_OUT,
    YIELD_IN,
    YIELD_LINE_S,
    YIELD_OUT,
    YIELDS,
)

widths = st.floats(2.9, 3.9)
limits = st.floats(5.0, 20.0)
yaws = st.floats(-math.pi, math.pi)
few = settings(max_examples=15, deadline=None)


@st.composite
def layouts(draw):
    """A network of any kind."""
    kind = draw(st.sampled_from(["road", "carriageway", "ramp", "junction", "roundabout"]))
    width, limit = draw(widths), draw(limits)
    if kind in ("road", "carriageway"):
        line = road_line(np.random.default_rng(draw(st.integers(0, 999))), draw(st.floats(60.0, 200.0)), limit)
        return two_lane_road(line, limit, width) if kind == "road" else carriageway(line, limit, width, 3, 1)
    if kind == "ramp":
        return ramp_merge(straight_line(300.0, draw(yaws)), limit, width, beside_m=draw(st.floats(20.0, 40.0)))
    if kind == "junction":
        arms = draw(
            st.sampled_from([("south", "east", "north", "west"), ("south", "east", "west"), ("west", "north", "south")])
        )
        major = draw(st.sampled_from([("west", "east"), ("south",), ()]))
        return junction(limit, width, arms, 40.0, draw(st.floats(9.0, 14.0)), major, yaw_rad=draw(yaws))
    return roundabout(limit, width, draw(st.floats(15.0, 45.0)), draw(st.integers(3, 4)), 40.0, draw(yaws))


def xy_at(path, s):
    at = np.arange(len(path.samples)) * LINE_STEP_M
    return np.stack([np.interp(s, at, path.samples[:, k]) for k in (LX, LY)], axis=-1)


@given(layouts())
@few
def test_every_named_route_is_a_smooth_path_inside_its_lanes(layout):
    for name, lanes in layout.routes.items():
        path = layout.path(name)
        steps = np.hypot(*np.diff(path.samples[:, :2], axis=0).T)
        np.testing.assert_allclose(steps, LINE_STEP_M, rtol=0.01)
        assert np.abs(path.samples[:, LCURVATURE]).max() < 1.0 / 8.0
        assert np.abs(np.diff(path.samples[:, LYAW])).max() < 0.07
        assert path.samples[:, LEFT_M].min() > 0.9 and path.samples[:, RIGHT_M].min() > 0.9
        assert np.isfinite(path.samples).all()
        for lane in lanes:
            away = project(np.ascontiguousarray(layout.network.lanes[lane].centre[1:-1]), path.samples, math.inf)
            assert away[:, 1].max(initial=0.0) < 0.3


@given(layouts())
@few
def test_an_overlap_maps_places_onto_the_same_ground(layout):
    paths = [layout.path(name) for name in layout.routes]
    table = overlaps(paths)
    for k, m in itertools.product(range(len(paths)), repeat=2):
        first, last, shift = table[k, m, [OVERLAP_FROM, OVERLAP_TO, OVERLAP_SHIFT]]
        if k == m:
            assert (first, last, shift) == (0.0, paths[k].length_m, 0.0)
        if first <= last:
            s = np.linspace(first, last, 50)
            assert np.hypot(*(xy_at(paths[k], s) - xy_at(paths[m], s + shift)).T).max() < 0.3
            assert table[m, k, OVERLAP_FROM] <= table[m, k, OVERLAP_TO]


def shared_lanes(a, b):
    """Metres that two routes have in common at most."""
    common = [lane for lane in a.lanes if lane in b.lanes]
    ends = [*a.starts_s[1:], a.length_m]
    return sum(ends[a.lanes.index(lane)] - a.s_of(lane) for lane in common)


@given(layouts())
@few
def test_routes_over_the_same_lanes_overlap_there(layout):
    paths = [layout.path(name) for name in layout.routes]
    table = overlaps(paths)
    for (k, a), (m, b) in itertools.combinations(enumerate(paths), 2):
        runs = [list(group) for same, group in itertools.groupby(a.lanes, lambda lane: lane in b.lanes) if same]  # noqa: B023
        if len(runs) == 1:
            length = table[k, m, OVERLAP_TO] - table[k, m, OVERLAP_FROM]
            assert length > shared_lanes(a, b) - 3.0


@given(layouts(), st.data())
@few
def test_there_is_a_conflict_exactly_where_strips_meet_and_paths_neither_coincide_nor_part(layout, data):
    names = list(layout.routes)
    chosen = data.draw(st.lists(st.sampled_from(names), min_size=2, max_size=4, unique=True))
    paths = [layout.path(name) for name in chosen]
    rows = conflicts(paths)
    table = overlaps(paths)
    for (k, a), (m, b) in itertools.combinations(enumerate(paths), 2):
        apart = np.hypot(*(a.samples[:, None, :2] - b.samples[None, :, :2]).transpose(2, 0, 1))
        ours = [row for row in rows if {row[YIELDS], row[HAS_WAY]} == {k, m}]
        if apart.min() > STRIP_M + 0.1:
            assert not ours
        for row in ours:
            first, second = (paths[int(row[YIELDS])], paths[int(row[HAS_WAY])])
            p = xy_at(first, np.linspace(row[YIELD_IN], row[YIELD_OUT], 60))
            q = xy_at(second, np.linspace(row[WAY_IN], row[WAY_OUT], 60))
            assert np.hypot(*(p[:, None] - q[None]).transpose(2, 0, 1)).min() < STRIP_M
            assert row[YIELD_IN] <= row[YIELD_OUT] and row[WAY_IN] <= row[WAY_OUT]
            assert 0.0 <= row[YIELD_LINE_S] <= row[YIELD_IN]
        if table[k, m, OVERLAP_FROM] > table[k, m, OVERLAP_TO] and apart.min() < STRIP_M - 0.3 and apart[0, 0] > 5.0:
            assert ours
        # A path that comes to run along another has a conflict that ends where it does.
        if table[k, m, OVERLAP_FROM] > 5.0 and table[k, m, OVERLAP_FROM] < table[k, m, OVERLAP_TO]:
            joins = [row[YIELD_OUT] if row[YIELDS] == k else row[WAY_OUT] for row in ours]
            assert any(abs(out - table[k, m, OVERLAP_FROM]) < 2.0 for out in joins)


@pytest.mark.parametrize(
    ("yields", "way"),
    [
        ("south_north", "west_east"),  # a minor road gives way
        ("south_west", "north_south"),  # left turns give way to who comes towards them
        ("west_north", "east_west"),
        ("south_east", "west_east"),  # joining too
        ("south_west", "east_west"),
    ],
)
def test_at_a_junction_the_major_road_and_then_who_goes_straight_has_the_way(yields, way):
    layout = junction(10.0, 3.4)
    for order in ((yields, way), (way, yields)):
        rows = conflicts([layout.path(name) for name in order])
        assert len(rows) == 1
        assert order[int(rows[0, YIELDS])] == yields
        path = layout.path(yields)
        assert rows[0, YIELD_LINE_S] <= path.s_of(yields) + 0.5


def test_without_a_major_road_who_comes_from_the_right_goes_first():
    layout = junction(10.0, 3.4, major=())
    names = ["south_north", "west_east", "north_south", "east_west"]
    rows = conflicts([layout.path(name) for name in names])
    assert {(names[int(a)], names[int(b)]) for a, b in rows[:, [YIELDS, HAS_WAY]]} == {
        ("south_north", "east_west"),
        ("east_west", "north_south"),
        ("north_south", "west_east"),
        ("west_east", "south_north"),
    }


@given(st.floats(15.0, 45.0), widths, st.integers(2, 5))
@few
def test_who_enters_a_roundabout_yields_to_who_is_on_it(inner, width, arms):
    try:
        layout = roundabout(8.0, width, inner, arms)
    except SimError as error:
        assert "fewer arms" in str(error) and arms > 3
        return
    through, later = layout.path("0_0"), layout.path("1_0")
    rows = conflicts([through, later])
    assert len(rows) == 1
    assert rows[0, YIELDS] == 1.0
    assert rows[0, YIELD_LINE_S] == pytest.approx(later.s_of("1_entry"), abs=1.0)


def test_who_comes_from_a_ramp_yields_at_its_taper():
    layout = ramp_merge(straight_line(400.0), 20.0, 3.5)
    paths = [layout.path("ego"), layout.path("main0"), layout.path("main1")]
    rows = conflicts(paths)
    assert len(rows) == 1
    assert rows[0, [YIELDS, HAS_WAY]].tolist() == [0.0, 1.0]
    assert rows[0, YIELD_LINE_S] == pytest.approx(paths[0].s_of("taper"), abs=0.6)
    assert rows[0, YIELD_OUT] == pytest.approx(paths[0].s_of("main0_c"), abs=6.0)


def test_a_two_lane_road_has_its_line_room_and_oncoming_traffic():
    line = road_line(np.random.default_rng(0), 200.0, 12.0)
    path = two_lane_road(line, 12.0, 3.2).path("ego").samples
    np.testing.assert_allclose(path[:, LX], line[: len(path), LX], atol=0.01)
    np.testing.assert_allclose(path[5:-5, LCURVATURE], line[5 : len(path) - 5, LCURVATURE], atol=2e-3)
    np.testing.assert_allclose(path[2:-2, LEFT_M], 4.8, atol=0.01)
    np.testing.assert_allclose(path[2:-2, RIGHT_M], 1.6, atol=0.01)
    np.testing.assert_allclose(path[:, LANE_WIDTH_M], 3.2, atol=0.01)
    assert (path[:, ONCOMING_LEFT] == 1.0).all()


def test_a_route_may_change_lanes():
    layout = carriageway(straight_line(300.0), 15.0, 3.5, 3)
    route = shortest_route(layout.network, "lane0", {"lane2"})
    path = route_path(layout.network, route)
    assert route == ("lane0", "lane1", "lane2")
    assert path.samples[0, LY] == pytest.approx(0.0, abs=0.01)
    assert path.samples[-1, LY] == pytest.approx(7.0, abs=0.01)
    assert np.abs(path.samples[:, LCURVATURE]).max() < 0.02
    middle = len(path.samples) // 2
    assert path.samples[middle, LEFT_M] + path.samples[middle, RIGHT_M] == pytest.approx(10.5, abs=0.1)


def test_routes_lead_over_successors_or_it_is_said_that_no_way_does():
    network = roundabout(10.0, 3.5).network
    assert shortest_route(network, "0_in", {"1_out"}) == ("0_in", "0_entry", "0_ring", "1_exit", "1_out")
    assert straight_on(network, "0_exit") == ("0_exit", "0_out")
    with pytest.raises(SimError, match="no way leads from lane 0_out to 1_in"):
        shortest_route(network, "0_out", {"1_in"})


def test_lights_stop_each_path_at_the_junction_and_the_crossing_road_is_red():
    layout = junction(10.0, 3.4, cycle_s=(10.0, 3.0, 15.0))
    paths = [layout.path("south_north"), layout.path("west_east")]
    rows = signal_rows(layout.network, paths)
    assert rows[:, SIGNAL_PATH].tolist() == [0.0, 1.0]
    for row, path, lane in zip(rows, paths, ("south_north", "west_east"), strict=True):
        assert path.s_of(lane) - 1.0 < row[STOP_S] < path.s_of(lane)
    green, yellow, red, offset = rows[:, 6:].T
    time = np.arange(0.0, 100.0, 0.1)[:, None]
    moving = (time + offset) % (green + yellow + red) < green + yellow
    assert not moving.all(axis=1).any()


def test_a_lane_that_names_a_missing_one_is_refused():
    left, right = np.array([[0.0, 2.0], [9.0, 2.0]]), np.array([[0.0, -2.0], [9.0, -2.0]])
    with pytest.raises(SimError, match="lane a: its successor b is not in the network"):
        RoadNetwork({"a": Lane("a", left, right, 10.0, successors=("b",))})
    with pytest.raises(SimError, match="same number each"):
        Lane("a", left, right[:1], 10.0)
    with pytest.raises(SimError, match="speed limit"):
        Lane("a", left, right, math.nan)


@given(st.floats(8.0, 100.0), st.booleans(), st.floats(0.3, 3.0))
@few
def test_a_line_through_points_of_a_circle_has_its_curvature(radius, left, spacing):
    angle = np.linspace(0.0, 1.5, max(4, int(1.5 * radius / min(spacing, 0.15 * radius))))
    points = radius * np.stack([np.sin(angle), 1.0 - np.cos(angle)], axis=1)
    line = line_of_points(points if left else points * [1, -1])
    np.testing.assert_allclose(line[2:-2, LCURVATURE], (1 if left else -1) / radius, rtol=0.12)
    reach = np.hypot(line[:, LX], np.abs(line[:, LY]) - radius)
    np.testing.assert_allclose(reach, radius, atol=0.03 * spacing)


def test_scattered_points_become_a_drivable_line():
    rng = np.random.default_rng(4)
    s = np.cumsum(rng.uniform(0.3, 8.0, 60))
    points = np.stack([s, 0.05 * rng.normal(size=60)], axis=1)
    assert np.abs(line_of_points(points, 2.0)[:, LCURVATURE]).max() < 0.05


@given(st.integers(0, 99), st.floats(-3.0, 3.0), st.floats(0.1, 0.9))
@few
def test_walking_and_projecting_find_the_same_place(seed, d, share):
    line = road_line(np.random.default_rng(seed), 100.0, 10.0)
    i = int(share * len(line))
    x, y = line[i, LX] - d * math.sin(line[i, LYAW]), line[i, LY] + d * math.cos(line[i, LYAW])
    _, s, found = locate(line, max(0, i - 12), x, y)
    place, distance, _ = project(np.array([[x, y]]), line, math.inf)[0]
    assert s == pytest.approx(place * LINE_STEP_M, abs=0.05)
    assert abs(found) == pytest.approx(distance, abs=0.02)


@given(st.integers(0, 999))
@few
def test_roads_are_drivable_at_their_limit_and_never_come_near_themselves(seed):
    rng = np.random.default_rng(seed)
    limit = rng.uniform(5.0, 20.0)
    line = road_line(rng, 300.0, limit)
    assert limit**2 * np.abs(line[:, LCURVATURE]).max() <= 2.2 + 1e-6
    assert np.abs(line[: int(2 * (BEFORE_START_M + 140.0)), LCURVATURE]).max() > 1.0 / 500.0
    xy = line[::8, :2]
    apart = np.hypot(*(xy[:, None] - xy[None]).transpose(2, 0, 1))
    along = np.abs(np.subtract.outer(np.arange(len(xy)), np.arange(len(xy)))) * 8 * LINE_STEP_M
    assert apart[along > 60.0].min() > 18.0


@pytest.mark.parametrize("radius", [15.0, -15.0, 80.0])
def test_arc_length_and_offset_on_a_circle_are_exact(radius):
    line = line_of_curvature(np.full(120, 1.0 / radius), 0.0)
    for s in np.linspace(2.0, 40.0, 23):
        for d in (-4.0, -1.0, 0.0, 1.5, 5.0):
            angle = s / radius
            x, y = (radius - d) * math.sin(angle), radius - (radius - d) * math.cos(angle)
            for start in (max(0, int(2 * s) - 16), int(2 * s) + 16):
                _, found_s, found_d = locate(line, start, x, y)
                assert found_d == pytest.approx(d, abs=0.01)
                assert found_s == pytest.approx(s, abs=0.03)
