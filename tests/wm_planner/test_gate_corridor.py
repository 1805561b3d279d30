"""What lies in the corridor that the car would sweep, and how far ahead."""

import math
from dataclasses import replace

import numpy as np
import pytest

from wm_planner.safety import Limits
from wm_planner.safety.corridor import in_corridor
from wm_planner.safety.sightings import sight

LIMITS = replace(Limits(), corridor_overlap=0.5, corridor_overlap_near=0.5, corridor_widening=0.0)
AHEAD = LIMITS.front_bumper_m - LIMITS.lidar_x_m  # of the lidar, m
SECTOR_RAD = 2 * math.pi / 72


def nearest(scan: np.ndarray, curvature=0.0, limits=LIMITS, age_s=0.0, speed=0.0) -> float:
    """Gap to the nearest thing along the arc, inf where it is free."""
    inside, gap = in_corridor(sight(scan, 1, None, speed), age_s, np.array([curvature]), limits)
    return float(np.min(gap[0], where=inside[0], initial=math.inf))


def sector_scan(bearing: float, metres: float) -> np.ndarray:
    scan = np.full(72, 60.0, np.float32)
    scan[int((bearing + math.pi) / SECTOR_RAD)] = metres
    return scan


def on_arc(curvature: float, along: float) -> tuple[float, float]:
    """Bearing and range from the lidar of a place `along` the arc from base_link."""
    bend = curvature * along
    x, y = math.sin(bend) / curvature, (1 - math.cos(bend)) / curvature
    return math.atan2(y, x - LIMITS.lidar_x_m), math.hypot(x - LIMITS.lidar_x_m, y)


# The corridor: 1.005 m to either side. Sector l0 spans 0 to 5 degrees: its arc at range r reaches r sin 5° to the left.


def test_the_gap_is_measured_along_the_path_from_the_front_bumper_to_the_nearest_edge(scan_with):
    gap = nearest(scan_with(l0=10.0))
    assert gap == pytest.approx(10.0 * math.cos(SECTOR_RAD) - AHEAD, abs=2e-3)
    assert nearest(scan_with(r0=10.0)) == pytest.approx(gap, abs=2e-3)
    in_second = 7.0 * math.cos(2 * SECTOR_RAD) - AHEAD
    assert nearest(scan_with(r0=9.0, l0=10.0, l1=7.0)) == pytest.approx(in_second, abs=2e-3)
    assert nearest(scan_with(l0=2.0, r0=2.0)) == 0.0  # beside the bumper, touching


def test_a_thing_goes_on_at_its_rate_while_no_newer_scan_has_come(scan_with):
    fresh = nearest(scan_with(l0=10.0), speed=10.0)
    assert nearest(scan_with(l0=10.0), speed=10.0, age_s=0.1) == pytest.approx(fresh - 1.0, abs=0.01)
    assert nearest(scan_with(l0=10.0), speed=100.0, age_s=0.3) == math.inf  # behind the bumper


@pytest.mark.parametrize("side", ["l", "r"])
def test_an_arc_counts_when_enough_of_it_lies_in_the_corridor(side, scan_with):
    def gap(number, metres, limits=LIMITS):
        return nearest(scan_with(**{f"{side}{number}": metres}), limits=limits)

    half = 1.005 / math.sin(SECTOR_RAD) * 2  # the first sector's arc lies half inside here: 23.06 m
    assert math.isfinite(gap(0, half - 0.2)) and math.isinf(gap(0, half + 0.3))
    second = 1.005 / (0.5 * (math.sin(SECTOR_RAD) + math.sin(2 * SECTOR_RAD)))  # 7.70 m
    assert math.isfinite(gap(1, second - 0.1)) and math.isinf(gap(1, second + 0.1))
    strict = replace(LIMITS, corridor_overlap=0.9, corridor_overlap_near=0.9)
    assert math.isinf(gap(0, 13.0, strict)) and math.isfinite(gap(0, 12.5, strict))


def test_up_to_twelve_metres_ahead_more_of_an_arc_has_to_lie_in_the_corridor(scan_with):
    lax, strict = replace(LIMITS, corridor_overlap=0.05), replace(LIMITS, corridor_overlap_near=1.0)
    laxest = replace(lax, corridor_overlap_near=0.05)
    at_12 = (12.0 + AHEAD) / math.cos(SECTOR_RAD)
    assert math.isinf(nearest(scan_with(l1=9.0), limits=lax))
    assert math.isfinite(nearest(scan_with(l1=9.0), limits=laxest))
    assert math.isinf(nearest(scan_with(l0=at_12 - 0.02), limits=strict))
    assert math.isfinite(nearest(scan_with(l0=at_12 + 0.02), limits=strict))


def test_two_neighbouring_sectors_that_see_one_thing_count_though_neither_is_half_inside(scan_with):
    assert math.isfinite(nearest(scan_with(l0=40.0, r0=40.0)))
    assert math.isfinite(nearest(scan_with(l0=40.0, r0=41.45)))
    assert math.isinf(nearest(scan_with(l0=40.0, r0=41.55)))  # two things
    assert math.isinf(nearest(scan_with(l0=40.0, l1=40.0)))
    narrow = replace(LIMITS, half_width_m=0.3, corridor_margin_m=0.0)
    edge = 0.3 / math.sin(SECTOR_RAD) / 0.15  # 22.9 m: a share of 0.15 each
    assert math.isfinite(nearest(scan_with(l0=edge - 0.6, r0=edge - 0.6), limits=narrow))
    assert math.isinf(nearest(scan_with(l0=edge + 0.6, r0=edge + 0.6), limits=narrow))


def test_a_pair_counts_only_with_half_the_corridors_width_between_them(scan_with):
    narrow = replace(LIMITS, half_width_m=0.3, corridor_margin_m=0.0, corridor_overlap=1.0, corridor_overlap_near=1.0)
    assert math.isinf(nearest(scan_with(l1=2.9, l2=2.9), limits=narrow))
    assert math.isfinite(
        nearest(scan_with(l0=15.0, r0=15.0), limits=replace(LIMITS, corridor_overlap=1.0, corridor_overlap_near=1.0))
    )


def test_a_pair_reports_the_nearer_of_the_two(scan_with):
    gap = nearest(scan_with(l0=41.0, r0=40.0))
    assert gap == pytest.approx(40.0 * math.cos(SECTOR_RAD) - AHEAD, abs=5e-3)
    assert nearest(scan_with(l0=40.0, r0=41.0)) == pytest.approx(gap, abs=5e-3)


def test_what_is_beside_the_car_more_than_half_a_metre_behind_the_bumper_is_not_ahead(scan_with):
    wide = replace(LIMITS, half_width_m=2.0)
    assert nearest(scan_with(l7=(AHEAD - 0.45) / math.cos(8 * SECTOR_RAD)), limits=wide) == 0.0
    assert math.isinf(nearest(scan_with(l7=(AHEAD - 0.55) / math.cos(8 * SECTOR_RAD)), limits=wide))


@pytest.mark.parametrize("curvature", [0.02, -0.02, 0.05, -0.05])
def test_on_a_curve_the_corridor_bends_with_the_path(curvature):
    bearing, metres = on_arc(curvature, 18.0)
    scan = sector_scan(bearing, metres)
    gap = nearest(scan, curvature)
    assert gap == pytest.approx(18.0 - LIMITS.front_bumper_m, abs=0.35)
    assert math.isinf(nearest(scan, -curvature))
    sector = int((bearing + math.pi) / SECTOR_RAD)
    edges = -math.pi + SECTOR_RAD * np.array([sector, sector + 0.5, sector + 1.0])
    x, y = LIMITS.lidar_x_m + metres * np.cos(edges), metres * np.sin(edges)
    along = np.arctan2(abs(curvature) * x, 1.0 - curvature * y) / abs(curvature)
    assert gap == pytest.approx(along.min() - LIMITS.front_bumper_m, abs=1e-4)


def test_a_return_behind_the_middle_of_a_tight_turn_is_not_in_the_path(scan_with):
    wide = replace(LIMITS, half_width_m=2.0, corridor_margin_m=1.0)
    assert math.isinf(nearest(scan_with(l14=9.0), 0.25, wide))  # beyond a quarter of a turn of radius 4 m


def test_the_margin_grows_with_every_metre_ahead(scan_with):
    wider = replace(LIMITS, corridor_widening=0.02)
    reach = lambda metres: (1.005 + 0.02 * (metres - AHEAD)) / (metres * math.sin(SECTOR_RAD))  # noqa: E731
    assert reach(30.0) > 0.5 > reach(45.0)
    assert math.isinf(nearest(scan_with(l0=30.0))) and math.isfinite(nearest(scan_with(l0=30.0), limits=wider))
    assert math.isinf(nearest(scan_with(l0=45.0), limits=wider))


@pytest.mark.parametrize("side", [1, -1])
def test_in_a_tight_turn_the_front_corner_sweeps_wider_than_the_rear_axle(side, scan_of, box):
    radius, half = 6.0, 1.005
    swept = math.hypot(radius + half, LIMITS.front_bumper_m) - radius  # 1.85 m outside the arc of the rear axle
    for beside, hit in ((swept - 0.4, True), (swept + 0.4, False)):
        along = math.radians(50.0)  # of the turn
        x = (radius + beside) * math.sin(along)
        y = side * (radius - (radius + beside) * math.cos(along))
        scan = np.full(72, 60.0, np.float32)
        bearing, metres = math.atan2(y, x - LIMITS.lidar_x_m), math.hypot(x - LIMITS.lidar_x_m, y)
        scan[int((bearing + math.pi) / SECTOR_RAD)] = metres
        assert math.isfinite(nearest(scan, side / radius)) == hit


def test_several_paths_at_once_are_each_as_alone(scan_of, box):
    scan = scan_of([box(18.0, 1.5), box(30.0, -2.0, 0.3)])
    curvatures = np.array([0.0, 0.02, -0.03, 1e-7])
    inside, gap = in_corridor(sight(scan, 1, None, 0.0), 0.0, curvatures, LIMITS)
    for k, curvature in enumerate(curvatures):
        alone, alone_gap = in_corridor(sight(scan, 1, None, 0.0), 0.0, np.array([curvature]), LIMITS)
        assert np.array_equal(inside[k], alone[0])
        assert gap[k] == pytest.approx(alone_gap[0])
    assert (gap >= 0.0).all()


def test_a_car_dead_ahead_at_40_m_is_seen_though_it_fills_no_sector(scan_of, box):
    gap = nearest(scan_of([box(40.0 + 1.3, 0.0)]))
    assert gap == pytest.approx(40.0 + 1.3 - LIMITS.front_bumper_m, abs=0.5)


def test_a_car_beside_or_behind_us_is_not_in_the_path(scan_of, box):
    for place in (box(-1.0, 2.2), box(1.0, -2.2), box(-9.0, 0.0)):
        assert math.isinf(nearest(scan_of([place])))
    assert math.isinf(nearest(scan_of([])))
    assert math.isinf(nearest(np.full(72, np.nan, np.float32)))
