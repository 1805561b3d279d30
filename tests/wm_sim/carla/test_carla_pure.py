"""What needs neither the client library nor a server: axes, scan, actuation, settings, versions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wm_sim.bridges.carla import DECLARATION
from wm_sim.bridges.carla.actuation import Chassis, PedalControl, ackermann
from wm_sim.bridges.carla.axes import rate_to_ours, rear_axle, to_ours, yaw_to_ours
from wm_sim.bridges.carla.library import same_version
from wm_sim.bridges.carla.scan import PLAIN_POINT, SEMANTIC_POINT, plain_scan, semantic_scan
from wm_sim.bridges.carla.settings import ABOUT, read_settings
from wm_sim.errors import SimError

CAR, BUILDING, ROAD, PEDESTRIAN = 14, 3, 1, 12
CHASSIS = Chassis(math.radians(70.0), np.array([(0.0, 1.0), (100.0, 0.5)]), -1.4, 2.8, 1800.0)


def semantic(*rows):
    return np.array([(xyz, 1.0, owner, tag) for xyz, owner, tag in rows], SEMANTIC_POINT)


def sector(degrees):
    return int((degrees + 180.0) // 5.0) % 72


def test_right_becomes_left_and_degrees_become_radians():
    np.testing.assert_array_equal(to_ours([[1.0, 2.0, 3.0]]), [[1.0, -2.0, 3.0]])
    assert yaw_to_ours(90.0) == pytest.approx(-math.pi / 2)
    assert yaw_to_ours(-270.0) == pytest.approx(-math.pi / 2)
    assert rate_to_ours(180.0) == pytest.approx(-math.pi)
    assert rear_axle(10.0, 5.0, math.pi / 2, -1.4) == pytest.approx((10.0, 3.6, math.pi / 2))


@given(st.floats(-720.0, 720.0), st.floats(0.0, 6.0))
def test_a_left_turn_of_carla_is_negative_and_of_ours_positive(yaw_deg, turn_deg):
    before, after = yaw_to_ours(yaw_deg), yaw_to_ours(yaw_deg - turn_deg)  # clockwise less: to the left
    assert math.remainder(after - before, 2.0 * math.pi) == pytest.approx(math.radians(turn_deg), abs=1e-9)


def test_a_car_to_the_right_of_carla_lies_at_a_negative_angle_of_the_scan():
    scan = semantic_scan(semantic(((0.0, 8.0, -1.0), 5, CAR)), own_id=1)
    assert scan[sector(-90.0)] == pytest.approx(8.0)
    assert (np.delete(scan, sector(-90.0)) == 60.0).all()


def test_the_scan_shows_road_users_and_neither_road_nor_sky_nor_the_ego():
    rows = [((5.0, 0.1, -1.0), 5, ROAD), ((6.0, 0.1, -1.0), 1, CAR), ((9.0, 0.1, -1.0), 6, PEDESTRIAN)]
    scan = semantic_scan(semantic(*rows, ((7.0, 0.1, -1.0), 0, BUILDING)), own_id=1)
    assert scan[sector(-0.5)] == pytest.approx(9.0, abs=0.01)
    everything = semantic_scan(semantic(*rows, ((7.0, 0.1, -1.0), 0, BUILDING)), own_id=1, everything=True)
    assert everything[sector(-0.5)] == pytest.approx(7.0, abs=0.01)


def test_what_hangs_above_the_car_or_lies_flat_is_not_in_the_scan():
    bridge_above, kerb = ((5.0, 0.1, 2.0), 5, CAR), ((5.0, 0.1, -1.7), 5, CAR)
    assert (semantic_scan(semantic(bridge_above, kerb), own_id=1) == 60.0).all()


def test_the_plain_lidar_leaves_out_the_ego_by_its_box():
    points = np.array([((0.5, 0.5, -1.0), 1.0), ((12.0, 0.5, -1.0), 1.0), ((4.0, 0.0, -1.8), 1.0)], PLAIN_POINT)
    scan = plain_scan(points, own_box=(-3.0, 1.5, 1.0))
    assert (scan < 60.0).sum() == 1 and scan.min() == pytest.approx(12.0, abs=0.02)


@given(st.floats(-0.6, 0.6), st.floats(0.0, 27.0))
def test_steering_undoes_the_steering_curve(angle, speed):
    share = CHASSIS.steer_share(angle, speed)
    wheels = -share * CHASSIS.max_steer_rad * float(np.interp(3.6 * speed, [0.0, 100.0], [1.0, 0.5]))
    assert wheels == pytest.approx(angle, abs=1e-9) or abs(share) == 1.0
    assert ackermann(CHASSIS, angle, 1.0, speed).steer == pytest.approx(share * CHASSIS.max_steer_rad)


def test_ackermann_asks_for_the_speed_in_a_second_and_never_for_a_negative_one():
    assert ackermann(CHASSIS, 0.1, 2.0, 5.0).speed == pytest.approx(7.0)
    stop = ackermann(CHASSIS, 0.1, -6.0, 3.0)
    assert (stop.speed, stop.acceleration) == (0.0, 6.0) and stop.steer < 0.0


@pytest.mark.parametrize("strength", [0.6, 1.5])
def test_pedals_reach_an_acceleration_on_cars_that_are_weaker_or_stronger_than_supposed(strength):
    control, real, speed = PedalControl(), 0.0, 5.0
    for _ in range(200):
        pedals = control.pedals(CHASSIS, 0.0, 1.2, speed, real, 0.05)
        real = strength * 4.0 * pedals.throttle - 8.0 * pedals.brake
    assert real == pytest.approx(1.2, abs=0.05)


@given(st.floats(-6.0, 3.0), st.floats(0.0, 30.0), st.floats(allow_nan=True, allow_infinity=True))
def test_pedals_are_never_pressed_together_nor_beyond_their_range(wanted, speed, real):
    pedals = PedalControl().pedals(CHASSIS, 0.3, wanted, speed, real, 0.05)
    assert 0.0 <= pedals.throttle <= 1.0 and 0.0 <= pedals.brake <= 1.0 and pedals.throttle * pedals.brake == 0.0


def test_a_standing_car_is_held():
    assert PedalControl().pedals(CHASSIS, 0.0, -0.1, 0.0, 0.0, 0.05).brake >= 0.3


def test_settings_are_read_by_type_and_refused_by_name():
    settings = read_settings({"port": "2010", "passive": "true", "tick_timeout_s": "1.5", "map": "Town03"})
    assert (settings.port, settings.passive, settings.tick_timeout_s, settings.map) == (2010, True, 1.5, "Town03")
    for given_text, said in (
        ({"port": "http"}, "expected a number"),
        ({"port": "70000"}, "expected 1 to 65534"),
        ({"passive": "yes"}, "expected true or false"),
        ({"control": "telepathy"}, "expected one of auto, ackermann, pedals"),
    ):
        with pytest.raises(SimError, match=said):
            read_settings(given_text)


def test_every_setting_is_declared_with_a_line():
    assert DECLARATION.settings is ABOUT and all(ABOUT.values())


def test_versions_agree_by_release_and_source_builds_exactly():
    assert same_version("0.9.16", "0.9.16") and same_version("0.9.16-dirty", "0.9.16")
    assert not same_version("0.9.16", "0.9.15") and not same_version("0.9.16", "1d5a1e2f")
    assert same_version("1d5a1e2f", "1d5a1e2f")
