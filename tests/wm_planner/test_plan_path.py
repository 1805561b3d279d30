"""Where a plan leads."""

import numpy as np
import pytest

from wm_planner.path import plan_path


def test_a_straight_plan_leads_straight_ahead() -> None:
    points = plan_path(np.zeros(10), np.full(10, 10.0), 0.1)
    assert points[0].tolist() == [0.0, 0.0]
    assert points[-1] == pytest.approx([10.0, 0.0])


def test_a_constant_steering_angle_follows_its_circle() -> None:
    radius, wheelbase = 20.0, 2.75
    steering = np.full(100, np.arctan(wheelbase / radius))
    points = plan_path(steering, np.full(100, 5.0), 0.05, wheelbase)
    distance = np.hypot(points[:, 0], points[:, 1] - radius)
    assert distance == pytest.approx(np.full(101, radius), abs=0.01)
    assert points[10, 1] > 0  # left
