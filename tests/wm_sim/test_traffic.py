"""Other cars neither touch each other nor lie about touching the ego."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from wm_sim import traffic
from wm_sim.network.line import line_of_curvature
from wm_sim.traffic import boxes_overlap, step_traffic

LINE = line_of_curvature(np.zeros(8000), 0.0)


@settings(max_examples=30, deadline=None)
@given(
    speed=st.floats(0.0, 20.0),
    headways=st.lists(st.floats(1.0, 4.0), min_size=1, max_size=5),
    rate=st.floats(0.5, 8.0),
    low=st.floats(0.0, 8.0),
)
def test_idm_drivers_never_run_into_the_car_ahead(speed, headways, rate, low):
    cars = np.zeros((len(headways) + 1, traffic.CAR_SIZE))
    cars[:, traffic.ACTIVE] = 1.0
    cars[:, traffic.LENGTH] = 4.5
    cars[:, traffic.V] = speed
    cars[:, traffic.DESIRED] = 20.0
    cars[0, traffic.SCRIPTED] = 1.0
    gaps = 3.0 + np.array([0.0, *headways]) * speed + 4.5
    cars[:, traffic.S] = 500.0 - np.cumsum(gaps)
    scripts = np.zeros((len(cars), 3, 3))
    scripts[0] = [(speed, 1.0, 1.0), (low, rate, 4.0), (15.0, 2.0, 5.0)]
    for _ in range(600):
        step_traffic(cars, scripts, LINE, 0.05)
        assert np.all(-np.diff(cars[:, traffic.S]) > 4.5)
        assert np.all(cars[:, traffic.V] >= 0.0)


def test_a_scripted_car_brakes_waits_and_drives_on_as_written():
    cars = np.zeros((1, traffic.CAR_SIZE))
    cars[0, [traffic.ACTIVE, traffic.SCRIPTED, traffic.V, traffic.LENGTH]] = 1.0, 1.0, 10.0, 4.5
    scripts = np.array([[(10.0, 3.0, 1.0), (0.0, 2.0, 3.0), (6.0, 1.5, 9.0)]])
    speeds, accelerations = [], []
    for _ in range(320):
        step_traffic(cars, scripts, LINE, 0.05)
        speeds.append(cars[0, traffic.V])
        accelerations.append(cars[0, traffic.A])
    stopped = np.flatnonzero(np.array(speeds) == 0.0)
    assert 2.9 <= len(stopped) * 0.05 <= 3.2
    assert min(accelerations) >= -2.0 - 1e-9
    assert max(accelerations) <= 1.5 + 1e-9
    assert speeds[-1] == 6.0


@settings(max_examples=200, deadline=None)
@given(
    x=st.floats(-6, 6), y=st.floats(-6, 6), yaw_a=st.floats(-4, 4), yaw_b=st.floats(-4, 4), length=st.floats(3.0, 9.0)
)
def test_boxes_overlap_exactly_when_some_point_lies_in_both(x, y, yaw_a, yaw_b, length):
    def inside(px, py, cx, cy, yaw, long, wide, slack):
        dx, dy = px - cx, py - cy
        along, across = dx * math.cos(yaw) + dy * math.sin(yaw), dy * math.cos(yaw) - dx * math.sin(yaw)
        return (np.abs(along) <= long / 2 + slack) & (np.abs(across) <= wide / 2 + slack)

    u, v = np.meshgrid(np.linspace(-0.5, 0.5, 120), np.linspace(-0.5, 0.5, 60))
    px = u * length * math.cos(yaw_a) - v * 2.0 * math.sin(yaw_a)
    py = u * length * math.sin(yaw_a) + v * 2.0 * math.cos(yaw_a)
    touching = boxes_overlap(0.0, 0.0, yaw_a, length, 2.0, x, y, yaw_b, 4.5, 1.8)
    if inside(px, py, x, y, yaw_b, 4.5, 1.8, 0.0).any():
        assert touching
    if touching:
        assert inside(px, py, x, y, yaw_b, 4.5, 1.8, 0.08).any()
