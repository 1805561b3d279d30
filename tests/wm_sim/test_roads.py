"""Roads can be driven at their limit, never meet themselves, and know where a point lies."""

import math

import numpy as np
import pytest

from wm_sim.roads import LCURVATURE, LINE_STEP_M, LX, LY, RADIUS_MIN_M, line_of_curvature, locate, random_road


def roads():
    for seed in range(40):
        rng = np.random.default_rng(seed)
        limit = rng.uniform(5.0, 20.0)
        yield limit, random_road(rng, 300.0, limit, 3.5)


def test_every_curve_can_be_driven_at_the_limit_and_every_road_curves():
    for limit, road in roads():
        sharpest = np.abs(road.line[:, LCURVATURE]).max()
        assert sharpest <= 1.0 / RADIUS_MIN_M + 1e-9
        assert limit**2 * sharpest <= 2.2 + 1e-6
        assert np.abs(road.line[:340, LCURVATURE]).max() > 1.0 / 500.0


def test_a_road_never_comes_near_itself():
    for _, road in roads():
        xy = road.line[::8, :2]
        apart = np.hypot(*(xy[:, None] - xy[None]).transpose(2, 0, 1))
        along = np.abs(np.subtract.outer(np.arange(len(xy)), np.arange(len(xy)))) * 8 * LINE_STEP_M
        assert apart[along > 60.0].min() > 18.0


def test_samples_are_half_a_metre_apart():
    for _, road in roads():
        steps = np.hypot(np.diff(road.line[:, LX]), np.diff(road.line[:, LY]))
        np.testing.assert_allclose(steps, LINE_STEP_M, rtol=1e-3)


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


def test_walking_finds_the_nearest_sample_as_searching_everywhere_does():
    _, road = next(roads())
    rng = np.random.default_rng(5)
    for i in rng.integers(20, len(road.line) - 20, 300):
        x, y = road.line[i, :2] + rng.normal(0.0, 2.0, 2)
        found, _, d = locate(road.line, max(0, i - 15), x, y)
        distance = np.hypot(road.line[:, LX] - x, road.line[:, LY] - y)
        assert abs(found - distance.argmin()) <= 1
        assert abs(d) - 0.02 <= distance.min() <= math.hypot(d, 0.5 * LINE_STEP_M) + 0.05


def test_the_polyline_of_a_route_has_its_length():
    _, road = next(roads())
    line = road.polyline(30.0, 330.0)
    assert np.hypot(*np.diff(line, axis=0).T).sum() == pytest.approx(300.0, abs=0.3)
