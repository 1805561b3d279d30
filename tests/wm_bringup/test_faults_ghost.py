"""What a lidar shows of something that stands in the path all at once."""

from __future__ import annotations

import math

import numpy as np
import pytest

from wm_bringup.faults.ghost import NEAREST_M, Ghost
from wm_bringup.faults.table import all_faults

ANGLES = -math.pi + (np.arange(72) + 0.5) * 2 * math.pi / 72
FREE = np.full(72, 60.0, np.float32)
SECOND_NS = 1_000_000_000


def test_it_stands_straight_ahead_and_nowhere_else() -> None:
    ranges = Ghost(15.0, 10.0, 2.0).into(FREE, ANGLES, 5)
    np.testing.assert_allclose(ranges[35:37], 17.0 / math.cos(ANGLES[36]), rtol=1e-6)
    assert (np.delete(ranges, [35, 36]) == 60.0).all()


def test_it_comes_nearer_and_wider_but_never_touches_the_car() -> None:
    ghost = Ghost(15.0, 10.0, 2.0)
    first, later, last = (ghost.into(FREE, ANGLES, n * SECOND_NS) for n in (7, 8, 60))
    assert (first[36] - later[36]) * math.cos(ANGLES[36]) == pytest.approx(10.0, rel=1e-5)
    assert (later < 60.0).sum() > (first < 60.0).sum()
    assert (last * np.cos(ANGLES))[36] == pytest.approx(NEAREST_M + 2.0)


def test_what_stands_before_it_hides_it() -> None:
    near = FREE.copy()
    near[36] = 4.0
    assert Ghost(15.0, 10.0, 2.0).into(near, ANGLES, 0)[36] == 4.0


def test_each_row_of_the_safety_design_has_a_fault_with_a_limit() -> None:
    rows = {fault.limit_from.split(" by ")[0].split(" above ")[0] for fault in all_faults() if fault.limit_ms}
    assert rows == {
        "plan older than 0.2 s",
        "scan or odometry stale",
        "clock frozen",
        "gate dies",
        "something in the path",
        "surprise",
    }
