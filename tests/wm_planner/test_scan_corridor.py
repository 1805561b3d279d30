"""The scan check's figures, one by one: what lies in the corridor."""

import math
from dataclasses import replace

import numpy as np
import pytest

from wm_planner.safety import Limits
from wm_planner.safety.scan_check import nearest_gap

LIMITS = Limits()
AHEAD = LIMITS.front_bumper_m - LIMITS.lidar_x_m  # of the lidar, m
SECTOR_RAD = 2 * math.pi / 72


# The corridor: 1.005 m to either side. Sector l0 spans 0 to 5 degrees: its arc at range r reaches r sin 5° to the left.


def test_the_gap_is_measured_along_the_path_from_the_front_bumper_to_the_nearest_edge(scan_with):
    gap = nearest_gap(scan_with(l0=10.0), 0.0, 0.0, LIMITS)
    assert gap == pytest.approx(10.0 * math.cos(SECTOR_RAD) - AHEAD, abs=2e-3)
    assert nearest_gap(scan_with(r0=10.0), 0.0, 0.0, LIMITS) == pytest.approx(gap, abs=2e-3)
    assert nearest_gap(scan_with(r0=9.0, l0=10.0, l1=7.0), 0.0, 0.0, LIMITS) == pytest.approx(
        7.0 * math.cos(2 * SECTOR_RAD) - AHEAD, abs=2e-3
    )
    assert nearest_gap(scan_with(l0=2.0, r0=2.0), 0.0, 0.0, LIMITS) == 0.0  # beside the bumper, touching


@pytest.mark.parametrize("side", ["l", "r"])
def test_an_arc_counts_when_half_of_it_lies_in_the_corridor(side, scan_with):
    def gap(number, metres):
        return nearest_gap(scan_with(**{f"{side}{number}": metres}), 0.0, 0.0, LIMITS)

    half = 1.005 / math.sin(SECTOR_RAD) * 2  # the first sector's arc lies half inside here: 23.06 m
    assert math.isfinite(gap(0, half - 0.2))
    assert math.isinf(gap(0, half + 0.3))
    second = 1.005 / (0.5 * (math.sin(SECTOR_RAD) + math.sin(2 * SECTOR_RAD)))  # 7.70 m
    assert math.isfinite(gap(1, second - 0.1))
    assert math.isinf(gap(1, second + 0.1))
    limits = replace(LIMITS, corridor_overlap=0.9)
    assert math.isinf(nearest_gap(scan_with(**{f"{side}0": 13.0}), 0.0, 0.0, limits))
    assert math.isfinite(nearest_gap(scan_with(**{f"{side}0": 12.5}), 0.0, 0.0, limits))


def test_two_neighbouring_sectors_that_see_one_thing_count_though_neither_is_half_inside(scan_with):
    assert math.isfinite(nearest_gap(scan_with(l0=40.0, r0=40.0), 0.0, 0.0, LIMITS))
    assert math.isfinite(nearest_gap(scan_with(l0=40.0, r0=41.45), 0.0, 0.0, LIMITS))
    assert math.isinf(nearest_gap(scan_with(l0=40.0, r0=41.55), 0.0, 0.0, LIMITS))  # two things
    assert math.isinf(nearest_gap(scan_with(l0=40.0, l1=40.0), 0.0, 0.0, LIMITS))
    far = 1.005 / math.sin(SECTOR_RAD) / 0.15  # a share of 0.15 each: 76.9 m, out of range for this car
    assert far > 60.0
    narrow = replace(LIMITS, half_width_m=0.3, corridor_margin_m=0.0)
    edge = 0.3 / math.sin(SECTOR_RAD) / 0.15  # 22.9 m
    assert math.isfinite(nearest_gap(scan_with(l0=edge - 0.6, r0=edge - 0.6), 0.0, 0.0, narrow))
    assert math.isinf(nearest_gap(scan_with(l0=edge + 0.6, r0=edge + 0.6), 0.0, 0.0, narrow))


def test_a_pair_counts_only_with_half_the_cars_width_between_them(scan_with):
    narrow = replace(LIMITS, half_width_m=0.3, corridor_margin_m=0.0, corridor_overlap=1.0)
    beside = math.sin(SECTOR_RAD)  # second sector from r sin 5° on: 0.3 - 0.0872 r inside
    assert math.isinf(nearest_gap(scan_with(l1=2.9, l2=2.9), 0.0, 0.0, narrow))
    assert 0.3 - 2.9 * beside < 0.15
    wide = replace(LIMITS, corridor_overlap=1.0)
    assert math.isfinite(nearest_gap(scan_with(l0=15.0, r0=15.0), 0.0, 0.0, wide))


def test_near_returns_count_too(scan_with):
    close = replace(LIMITS, front_bumper_m=0.5, lidar_x_m=0.2)
    assert nearest_gap(scan_with(l0=0.9), 0.0, 0.0, close) == pytest.approx(0.9 * math.cos(SECTOR_RAD) - 0.3, abs=1e-3)


def test_opposite_paths_are_two_paths():
    bearing, metres = on_arc(0.02, 24.0)
    scan = np.full(72, 60.0, np.float32)
    scan[int((bearing + math.pi) / SECTOR_RAD)] = metres
    assert math.isfinite(nearest_gap(scan, 0.02, 0.02, LIMITS))
    assert math.isinf(nearest_gap(scan, 0.02, -0.02, LIMITS))


def test_a_pair_reports_the_nearer_of_the_two(scan_with):
    gap = nearest_gap(scan_with(l0=41.0, r0=40.0), 0.0, 0.0, LIMITS)
    assert gap == pytest.approx(40.0 * math.cos(SECTOR_RAD) - AHEAD, abs=5e-3)
    assert nearest_gap(scan_with(l0=40.0, r0=41.0), 0.0, 0.0, LIMITS) == pytest.approx(gap, abs=5e-3)


@pytest.mark.parametrize("nothing", [0.0, -1.0, 59.9, 60.0, math.nan, math.inf])
def test_a_range_that_is_no_return_is_none(nothing, scan_with):
    assert math.isinf(nearest_gap(scan_with(l0=nothing, r0=nothing), 0.0, 0.0, LIMITS))
    assert math.isfinite(nearest_gap(scan_with(l0=nothing, r0=5.0), 0.0, 0.0, LIMITS))
    assert math.isfinite(nearest_gap(scan_with(l0=59.8, r0=59.8), 0.0, 0.0, LIMITS))


def test_only_what_is_ahead_within_eighty_degrees_counts(scan_with):
    wide = replace(LIMITS, half_width_m=2.0, corridor_margin_m=1.0, front_bumper_m=0.5, lidar_x_m=0.0)
    at_77 = scan_with(l15=2.5)
    assert nearest_gap(at_77, 0.0, 0.0, wide) == pytest.approx(0.0)
    assert math.isinf(nearest_gap(scan_with(l16=2.5), 0.0, 0.0, wide))  # its centre is at 82.5 degrees
    assert math.isinf(nearest_gap(scan_with(r16=2.5), 0.0, 0.0, wide))
    assert nearest_gap(scan_with(r15=2.5), 0.0, 0.0, wide) == pytest.approx(0.0)


def test_what_is_beside_the_car_more_than_half_a_metre_behind_the_bumper_is_not_ahead(scan_with):
    long = replace(LIMITS, half_width_m=2.0)
    just_ahead = (AHEAD - 0.45) / math.cos(8 * SECTOR_RAD)
    assert nearest_gap(scan_with(l7=just_ahead), 0.0, 0.0, long) == 0.0
    just_behind = (AHEAD - 0.55) / math.cos(8 * SECTOR_RAD)
    assert math.isinf(nearest_gap(scan_with(l7=just_behind), 0.0, 0.0, long))


def on_arc(curvature: float, along: float, beside: float = 0.0) -> tuple[float, float]:
    """Bearing and range from the lidar of a place `along` the arc from base_link, `beside` it to the left."""
    bend = curvature * along
    x = math.sin(bend) / curvature - beside * math.sin(bend)
    y = (1 - math.cos(bend)) / curvature + beside * math.cos(bend)
    return math.atan2(y, x - LIMITS.lidar_x_m), math.hypot(x - LIMITS.lidar_x_m, y)


@pytest.mark.parametrize("curvature", [0.02, -0.02, 0.05, -0.05])
def test_on_a_curve_the_corridor_bends_with_the_path(curvature):
    bearing, metres = on_arc(curvature, 18.0)
    scan = np.full(72, 60.0, np.float32)
    sector = int((bearing + math.pi) / SECTOR_RAD)
    scan[sector] = metres
    gap = nearest_gap(scan, curvature, curvature, LIMITS)
    assert gap == pytest.approx(18.0 - LIMITS.front_bumper_m, abs=0.35)
    assert math.isinf(nearest_gap(scan, -curvature, -curvature, LIMITS))
    edges = -math.pi + SECTOR_RAD * np.array([sector, sector + 0.5, sector + 1.0])
    x, y = LIMITS.lidar_x_m + metres * np.cos(edges), metres * np.sin(edges)
    along = np.arctan2(abs(curvature) * x, 1.0 - curvature * y) / abs(curvature)
    assert gap == pytest.approx(along.min() - LIMITS.front_bumper_m, abs=1e-4)


def test_a_return_behind_the_middle_of_a_tight_turn_is_not_in_the_path(scan_with):
    wide = replace(LIMITS, half_width_m=2.0, corridor_margin_m=1.0)
    scan = scan_with(l14=9.0)  # 72.5 degrees to the left: beyond a quarter of a turn of radius 4 m
    assert math.isinf(nearest_gap(scan, 0.25, 0.25, wide))


def test_far_away_both_paths_have_to_agree_and_near_either_is_enough():
    bend = 0.02
    bearing, metres = on_arc(bend, 24.0)
    far = np.full(72, 60.0, np.float32)
    far[int((bearing + math.pi) / SECTOR_RAD)] = metres
    assert math.isfinite(nearest_gap(far, bend, bend, LIMITS))
    assert math.isinf(nearest_gap(far, bend, 0.0, LIMITS))
    assert math.isinf(nearest_gap(far, 0.0, bend, LIMITS))
    sharp = 0.08
    bearing, metres = on_arc(sharp, 14.0)
    near = np.full(72, 60.0, np.float32)
    near[int((bearing + math.pi) / SECTOR_RAD)] = metres
    both = nearest_gap(near, sharp, sharp, LIMITS)
    assert 9.0 < both < 12.0
    assert nearest_gap(near, sharp, 0.0, LIMITS) == pytest.approx(both)
    assert nearest_gap(near, 0.0, sharp, LIMITS) == pytest.approx(both)
    assert math.isinf(nearest_gap(near, 0.0, 0.0, LIMITS))


def test_a_return_twelve_metres_ahead_is_near(scan_with):
    def one_path(metres):
        scan = scan_with(l0=metres)
        return nearest_gap(scan, 0.0, 0.2, LIMITS)  # the planned path turns away

    at_12 = (12.0 + AHEAD) / math.cos(SECTOR_RAD)
    assert one_path(at_12 - 0.02) == pytest.approx(12.0, abs=0.03)
    assert math.isinf(one_path(at_12 + 0.02))
