"""Routes over a real carla.Map of a real OpenDRIVE text, without a server."""

from pathlib import Path

import numpy as np
import pytest

from wm_sim.bridges.carla.route import follow, route_of_length, route_points, route_to, with_run_up
from wm_sim.errors import SimError

carla = pytest.importorskip("carla", reason="the carla client library is not installed (requirements-carla.txt)")
DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def town():
    return carla.Map("town", (DATA / "town.xodr").read_text())


def at(world_map, x, y):
    """The lane at a place of ours (y to the left)."""
    return world_map.get_waypoint(carla.Location(x, -y, 0.0))


def length(points):
    return float(np.hypot(*np.diff(points, axis=0).T).sum())


def test_the_shortest_of_two_ways_is_taken(town):
    way = route_to(at(town, 60.0, -1.75), at(town, 60.0, 101.75))
    points = route_points(way)
    assert {waypoint.road_id for waypoint in way} & {2, 3} == {3}  # over the cross street, not round the east
    assert length(points) == pytest.approx(30.0 + 15.7 + 80.0 + 15.7 + 30.0, abs=12.0)
    assert np.hypot(*np.diff(points, axis=0).T).max() < 3.0


def test_points_are_ours_left_positive_and_on_the_lane(town):
    points = route_points(route_to(at(town, 200.0, -1.75), at(town, 400.0, -1.75)))
    np.testing.assert_allclose(points[:, 1], -1.75, atol=0.01)
    assert (np.diff(points[:, 0]) > 0.0).all()


def test_a_lane_is_changed_where_the_marking_allows_it(town):
    way = route_to(at(town, 150.0, -1.75), at(town, 400.0, -5.25))
    lanes = [waypoint.lane_id for waypoint in way]
    assert lanes[0] == -1 and lanes[-1] == -2 and lanes == sorted(lanes, reverse=True)


def test_nobody_changes_over_a_solid_line_or_into_oncoming_traffic(town):
    single = at(town, 60.0, -1.75)
    assert all(ahead.lane_id == single.lane_id for ahead, _ in follow(single))


def test_a_place_that_no_way_leads_to_is_said():
    curves = carla.Map("curves", (DATA / "four_curves.xodr").read_text())
    start = at(curves, 30.0, -1.25)
    behind = start.previous(20.0)[0]
    with pytest.raises(SimError, match="no way leads from the start"):
        route_to(start, behind)


def test_the_same_seed_draws_the_same_route_of_the_length_asked_for(town):
    start = at(town, 60.0, -1.75)
    first, again = (route_points(route_of_length(start, 300.0, np.random.default_rng(7))) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert length(first) == pytest.approx(300.0, abs=40.0)
    ends = {tuple(route_points(route_of_length(start, 300.0, np.random.default_rng(s)))[-1]) for s in range(8)}
    assert len(ends) > 1


def test_a_road_that_ends_sooner_gives_the_longest_route_there_is():
    curves = carla.Map("curves", (DATA / "four_curves.xodr").read_text())
    points = route_points(route_of_length(at(curves, 10.0, -1.25), 5000.0, np.random.default_rng(0)))
    assert 100.0 < length(points) < 2000.0


def test_the_run_up_lies_straight_behind(town):
    points = route_points(route_to(at(town, 200.0, -1.75), at(town, 400.0, -1.75)))
    np.testing.assert_allclose(with_run_up(points)[0], points[0] - (4.0, 0.0), atol=1e-3)
