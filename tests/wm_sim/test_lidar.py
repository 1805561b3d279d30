"""The lidar measures what stands in the world."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wm_sim import scene as at
from wm_sim.observation import LIDAR_X_M, SCAN_ANGLE_MIN_RAD, SCAN_MAX_M, SCAN_SECTOR_RAD
from wm_sim.sensors.lidar import cast_scan

NOBODY = np.zeros((0, at.AGENT_SIZE))


def body_at(x, y=0.0, yaw=0.0):
    """A car of 4.5 x 1.8 m."""
    agent = np.zeros((1, at.AGENT_SIZE))
    agent[0, [at.CX, at.CY, at.CYAW, at.ACTIVE, at.LENGTH, at.WIDTH]] = x, y, yaw, 1.0, 4.5, 1.8
    return agent


def scan(agents, noise=0.0, yaw=0.0, seed=0):
    ranges = np.empty(72, dtype=np.float32)
    cast_scan(ranges, agents, 50.0, 0.0, yaw, noise, seed)
    return ranges


def test_a_car_ahead_is_measured_at_its_bumper():
    for gap in (3.0, 12.0, 41.0):
        ranges = scan(body_at(50.0 + LIDAR_X_M + gap + 2.25))
        ahead = int((0.0 - SCAN_ANGLE_MIN_RAD) / SCAN_SECTOR_RAD + 0.5)
        assert ranges[[ahead - 1, ahead]].min() == pytest.approx(gap, abs=0.02)
    assert np.all(scan(NOBODY) == SCAN_MAX_M)
    assert np.all(scan(body_at(150.0)) == SCAN_MAX_M)


@settings(max_examples=25, deadline=None, derandomize=True)
@example(x=50.0, y=0.0, turn=0.0, yaw=0.0)  # the sensor inside the car
@given(x=st.floats(20.0, 80.0), y=st.floats(-8.0, 8.0), turn=st.floats(-3.0, 3.0), yaw=st.floats(-3.0, 3.0))
def test_the_scan_agrees_with_marching_along_every_ray(x, y, turn, yaw):
    ranges = scan(body_at(x, y, turn), yaw=yaw)
    sensor = np.array([50.0 + LIDAR_X_M * math.cos(yaw), LIDAR_X_M * math.sin(yaw)])
    angle = -math.pi + (np.arange(72 * 20) + 0.5) * SCAN_SECTOR_RAD / 20
    steps = np.arange(0.0, 60.0, 0.1)
    px = sensor[0] + np.cos(angle + yaw)[:, None] * steps - x
    py = sensor[1] + np.sin(angle + yaw)[:, None] * steps - y
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
    errors = np.sort(np.abs(ranges - exact.min(axis=1))[filled])
    assert np.all(errors[: (len(errors) + 1) // 2] < 0.25)  # of two sectors, one may be an edge


def test_range_noise_has_three_centimetres_and_repeats():
    agents = body_at(62.0)
    clean = scan(agents)
    seen = clean < SCAN_MAX_M
    errors = np.array([(scan(agents, noise=0.03, seed=seed) - clean)[seen] for seed in range(400)])
    assert errors.std() == pytest.approx(0.03, rel=0.1)
    assert abs(errors.mean()) < 0.003
    np.testing.assert_array_equal(scan(agents, 0.03, seed=9), scan(agents, 0.03, seed=9))
