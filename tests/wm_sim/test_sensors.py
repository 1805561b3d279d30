"""Camera and lidar show what stands in the world, where it stands."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wm_sim import traffic
from wm_sim.observation import LIDAR_X_M, SCAN_ANGLE_MIN_RAD, SCAN_MAX_M, SCAN_SECTOR_RAD
from wm_sim.network.line import line_of_curvature
from wm_sim.sensors.appearance import WEAR, nominal_appearance, random_appearance
from wm_sim.sensors.camera import draw_camera
from wm_sim.sensors.lidar import cast_scan
from wm_sim.traffic import place_cars

STRAIGHT = line_of_curvature(np.zeros(800), 0.0)
NO_CARS = np.zeros((0, traffic.CAR_SIZE))


def car_at(s, d=0.0, colour=(220.0, 20.0, 20.0)):
    cars = np.zeros((1, traffic.CAR_SIZE))
    cars[0, [traffic.S, traffic.D, traffic.ACTIVE]] = s, d, 1.0
    cars[0, [traffic.LENGTH, traffic.WIDTH, traffic.HEIGHT]] = 4.5, 1.8, 1.5
    cars[0, [traffic.RED, traffic.GREEN, traffic.BLUE]] = colour
    place_cars(cars, STRAIGHT)
    return cars


def see(y=0.0, yaw=0.0, cars=NO_CARS, look=None, size=(64, 64), x=50.0, line=STRAIGHT, seed=0, lane=3.5):
    image = np.empty((*size, 3), dtype=np.uint8)
    look = nominal_appearance() if look is None else look
    draw_camera(image, line, int(2 * x), lane, x, y, yaw, look, cars, seed)
    return image.astype(float)


def edge_column(image, row):
    """Column of the solid line right of the middle: the brightest pixel of the row's right half."""
    return 32 + image[row, 32:].sum(axis=1).argmax()


def test_the_edge_line_stands_where_the_pinhole_camera_puts_it():
    look = nominal_appearance()
    look[WEAR] = 0.0
    image = see(look=look, size=(640, 640))
    pitch, focal = math.radians(8.0), 320.0
    for row in (420, 480, 540):
        up = (320 - row - 0.5) / focal
        reach = 1.5 / (math.sin(pitch) - up * math.cos(pitch))
        column = 320 + focal * 1.75 / reach
        found = 320 + image[row, 320:].sum(axis=1).argmax()
        assert found == pytest.approx(column, abs=0.075 * focal / reach + 2.0)


def test_moving_the_car_left_moves_the_lane_right_and_turning_left_too():
    centre = see()
    for row in (44, 50, 56):
        assert edge_column(see(y=-0.6), row) < edge_column(centre, row)
    assert edge_column(see(y=0.4), 44) > edge_column(centre, 44)
    assert edge_column(see(yaw=0.1), 40) > edge_column(centre, 40)


def test_a_curve_to_the_left_bends_the_road_to_the_left():
    def asphalt_middle(image, row):
        grey = np.ptp(image[row], axis=1) < 8
        return np.flatnonzero(grey).mean()

    left, right = (line_of_curvature(np.full(800, k), 0.0) for k in (1 / 40, -1 / 40))
    pictures = [see(line=line, x=0.0, size=(256, 256)) for line in (left, right)]
    assert asphalt_middle(pictures[0], 118) < asphalt_middle(see(size=(256, 256)), 118) - 10
    assert asphalt_middle(pictures[1], 118) > asphalt_middle(see(size=(256, 256)), 118) + 10


def test_far_lines_fade_instead_of_flickering():
    rows = [see(x=50.0 + shift)[29:33] for shift in np.arange(0.0, 4.0, 0.25)]
    assert np.std(rows, axis=0).max() < 12.0


def red(image):
    return image[..., 0] - np.maximum(image[..., 1], image[..., 2]) > 20


def test_a_car_ahead_appears_in_the_picture_and_shrinks_with_distance():
    areas = []
    for gap in (5.0, 10.0, 20.0, 40.0):
        mask = red(see(cars=car_at(52.0 + gap + 2.25), size=(256, 256)))
        columns = np.flatnonzero(mask.any(axis=0))
        assert columns.min() < 128 <= columns.max()
        areas.append(mask.sum())
    assert all(near > far > 0 for near, far in itertools.pairwise(areas))
    assert not red(see()).any()


def test_a_car_beside_the_road_centre_appears_on_its_side_and_one_behind_not_at_all():
    left = np.flatnonzero(red(see(cars=car_at(65.0, d=3.0))).any(axis=0))
    assert left.max() < 32
    assert not red(see(cars=car_at(40.0))).any()


def test_the_nearer_car_hides_the_farther_one():
    both = np.concatenate([car_at(62.0), car_at(75.0, colour=(20.0, 20.0, 230.0))])
    alone, together = see(cars=car_at(62.0)), see(cars=both)
    np.testing.assert_array_equal(see(cars=both[::-1].copy()), together)
    body = slice(30, 32), slice(29, 35)  # the near car's rear, below the windows
    np.testing.assert_array_equal(together[body], alone[body])


def test_brake_lights_are_brighter_when_the_car_brakes():
    cars = car_at(62.0, colour=(60.0, 60.0, 60.0))
    calm = see(cars=cars)
    cars[0, traffic.A] = -2.0
    assert (see(cars=cars)[..., 0] - calm[..., 0]).max() > 30


def test_a_small_picture_is_the_large_one_seen_from_farther():
    small = see(cars=car_at(62.0))
    large = see(cars=car_at(62.0), size=(512, 512)).reshape(64, 8, 64, 8, 3).mean(axis=(1, 3))
    assert np.abs(small - large).mean() < 4.0


def test_the_look_is_random_but_repeats():
    a, b = (random_appearance(np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(see(look=a, seed=7), see(look=b, seed=7))
    assert np.abs(see(look=a) - see(look=random_appearance(np.random.default_rng(2)))).mean() > 5.0


def scan(cars, noise=0.0, yaw=0.0, y=0.0, seed=0):
    ranges = np.empty(72, dtype=np.float32)
    cast_scan(ranges, cars, 50.0, y, yaw, noise, seed)
    return ranges


def test_a_car_ahead_is_measured_at_its_bumper():
    for gap in (3.0, 12.0, 41.0):
        ranges = scan(car_at(50.0 + LIDAR_X_M + gap + 2.25))
        ahead = int((0.0 - SCAN_ANGLE_MIN_RAD) / SCAN_SECTOR_RAD + 0.5)
        assert ranges[[ahead - 1, ahead]].min() == pytest.approx(gap, abs=0.02)
    assert np.all(scan(NO_CARS) == SCAN_MAX_M)
    assert np.all(scan(car_at(150.0)) == SCAN_MAX_M)


@settings(max_examples=25, deadline=None)
@given(s=st.floats(20.0, 80.0), d=st.floats(-8.0, 8.0), turn=st.floats(-3.0, 3.0), yaw=st.floats(-3.0, 3.0))
def test_the_scan_agrees_with_marching_along_every_ray(s, d, turn, yaw):
    cars = car_at(s, d)
    cars[0, traffic.CYAW] = turn
    ranges = scan(cars, yaw=yaw)
    sensor = np.array([50.0 + LIDAR_X_M * math.cos(yaw), LIDAR_X_M * math.sin(yaw)])
    angle = -math.pi + (np.arange(72 * 20) + 0.5) * SCAN_SECTOR_RAD / 20
    steps = np.arange(0.0, 60.0, 0.1)
    px = sensor[0] + np.cos(angle + yaw)[:, None] * steps - cars[0, traffic.CX]
    py = sensor[1] + np.sin(angle + yaw)[:, None] * steps - cars[0, traffic.CY]
    along, across = px * math.cos(turn) + py * math.sin(turn), py * math.cos(turn) - px * math.sin(turn)

    def march(slack):
        inside = (np.abs(along) <= 2.25 + slack) & (np.abs(across) <= 0.9 + slack)
        return np.where(inside.any(axis=1), steps[inside.argmax(axis=1)], SCAN_MAX_M).reshape(72, 20)

    exact, generous = march(0.0), march(0.12)
    filled = (exact < SCAN_MAX_M).mean(axis=1) >= 0.2  # a sector that a car fills by a fifth cannot be missed
    assert np.all(ranges[filled] < SCAN_MAX_M)
    seen = ranges < SCAN_MAX_M
    assert np.all(generous.min(axis=1)[seen] < SCAN_MAX_M)
    # Between the rays an edge may recede: never nearer than the truth, and seldom farther.
    assert np.all(ranges[seen] >= generous.min(axis=1)[seen] - 0.1)
    if filled.any():
        assert np.median(np.abs(ranges - exact.min(axis=1))[filled]) < 0.25


def test_range_noise_has_three_centimetres_and_repeats():
    cars = car_at(62.0)
    clean = scan(cars)
    seen = clean < SCAN_MAX_M
    errors = np.array([(scan(cars, noise=0.03, seed=seed) - clean)[seen] for seed in range(400)])
    assert errors.std() == pytest.approx(0.03, rel=0.1)
    assert abs(errors.mean()) < 0.003
    np.testing.assert_array_equal(scan(cars, 0.03, seed=9), scan(cars, 0.03, seed=9))
