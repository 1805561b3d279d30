"""Which scan stands beside the newest."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wm_perception.scan_memory import LOOK_BACK_FRAMES, ScanMemory, earlier_frames
from wm_sim.observation import STEP_S

STEP_NS = round(STEP_S * 1e9)


def scan(number: int) -> np.ndarray:
    return np.full(72, float(number), np.float32)


def test_each_scan_comes_with_the_one_of_half_a_second_before_and_until_then_with_itself() -> None:
    memory = ScanMemory()
    pairs = [memory.step(scan(number)) for number in range(20)]
    assert all(pair.shape == (2, 72) and pair.dtype == np.float32 for pair in pairs)
    assert [int(pair[0, 0]) for pair in pairs] == list(range(20))
    assert [int(pair[1, 0]) for pair in pairs] == [max(n - 5, 0) if n >= 5 else n for n in range(20)]


def test_at_twice_the_rate_it_is_still_half_a_second() -> None:
    memory = ScanMemory()
    pairs = [memory.pair(10**9 + number * STEP_NS // 2, scan(number)) for number in range(30)]
    assert [int(pair[0, 0] - pair[1, 0]) for pair in pairs[10:]] == [10] * 20


def test_after_a_gap_in_the_scans_there_is_nothing_to_compare_with() -> None:
    memory = ScanMemory()
    for number in range(10):
        memory.pair(number * STEP_NS, scan(number))
    assert memory.pair(20 * STEP_NS, scan(20))[1, 0] == 20
    assert memory.pair(24 * STEP_NS, scan(24))[1, 0] == 24
    assert memory.pair(25 * STEP_NS, scan(25))[1, 0] == 20


def test_a_new_episode_or_time_that_begins_anew_forgets() -> None:
    memory = ScanMemory()
    for number in range(10):
        memory.pair(10**12 + number * STEP_NS, scan(number))
    assert memory.pair(5, scan(100))[1, 0] == 100
    for number in range(10):
        memory.pair(10**12 + number * STEP_NS, scan(number))
    memory.clear()
    assert memory.pair(10**12 + 10 * STEP_NS, scan(10))[1, 0] == 10


@pytest.mark.parametrize("again", [1, 3])
def test_a_scan_that_is_sent_again_is_paired_as_before(again: int) -> None:
    memory = ScanMemory()
    for number in range(8):
        pair = memory.pair(number * STEP_NS, scan(number))
        for _ in range(again):
            assert np.array_equal(memory.pair(number * STEP_NS, scan(number)), pair)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6))
def test_recorded_frames_are_paired_as_driving_pairs_them(lengths: list[int]) -> None:
    starts = np.cumsum([0, *lengths[:-1]])
    earlier = earlier_frames(starts, sum(lengths))
    assert LOOK_BACK_FRAMES == 5
    for start, length in zip(starts.tolist(), lengths, strict=True):
        memory = ScanMemory()
        driven = [int(memory.step(scan(start + k))[1, 0]) for k in range(length)]
        assert earlier[start : start + length].tolist() == driven
