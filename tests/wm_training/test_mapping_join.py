"""Joining by stamps: for any rates and any jitter, a value comes from near its time or not at all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wm_training.joined import Joined
from wm_training.mapping.join import forward, grid_of, held, interpolated, nearest, pieces, slope

MS = 1_000_000
TOLERANCE = 150 * MS
STAMPS = st.lists(st.integers(0, 3_000), max_size=60).map(lambda times: np.array(times, np.int64) * MS)
RISING = st.lists(st.integers(0, 3_000), min_size=1, max_size=60, unique=True).map(
    lambda times: np.array(sorted(times), np.int64) * MS
)
GRID = np.arange(-200, 3_300, 100) * MS


@given(STAMPS)
def test_what_is_kept_of_any_stamps_goes_forward_and_loses_nothing_that_did(stamps: np.ndarray) -> None:
    kept = forward(stamps)
    assert (np.diff(stamps[kept]) > 0).all()
    highest = -1
    expected = [i for i, s in enumerate(stamps.tolist()) if s > highest and (highest := s) == s]
    assert kept.tolist() == expected


@given(RISING)
def test_the_nearest_row_is_the_nearest_of_all_and_within_the_tolerance(stamps: np.ndarray) -> None:
    for time, row in zip(GRID.tolist(), nearest(stamps, GRID, TOLERANCE).tolist(), strict=True):
        best = np.abs(stamps - time).min()
        assert (row == -1) == (best > TOLERANCE)
        assert row == -1 or abs(stamps[row] - time) == best


@given(RISING)
def test_a_held_value_never_comes_from_the_future(stamps: np.ndarray) -> None:
    for time, row in zip(GRID.tolist(), held(stamps, GRID, TOLERANCE).tolist(), strict=True):
        past = stamps[stamps <= time]
        fresh = len(past) > 0 and time - past[-1] <= TOLERANCE
        assert row == (len(past) - 1 if fresh else -1)


@given(RISING, st.floats(-5, 5), st.floats(-5, 5))
def test_a_straight_line_is_met_at_any_rate_wherever_messages_are_near(stamps: np.ndarray, a: float, b: float) -> None:
    got = interpolated(stamps, a + b * stamps / 1e9, GRID, TOLERANCE)
    for time, value in zip(GRID.tolist(), got.tolist(), strict=True):
        before, after = stamps[stamps <= time], stamps[stamps >= time]
        if len(before) and len(after):
            assert np.isfinite(value) == (after[0] - before[-1] <= 2 * TOLERANCE)
            assert not np.isfinite(value) or value == pytest.approx(a + b * time / 1e9, abs=1e-6)
        else:
            assert np.isfinite(value) == (np.abs(stamps - time).min() <= TOLERANCE)


@pytest.mark.parametrize("rate", [5, 7.3, 10, 12.5, 20, 30, 50, 100])
def test_rates_from_5_to_100_hz_fill_every_step_of_the_grid(rate: float) -> None:
    stamps = np.round(np.arange(0, 5, 1 / rate) * 1e9).astype(np.int64) + 37 * MS
    grid = np.arange(stamps[0], stamps[-1], 100 * MS)
    assert (nearest(stamps, grid, TOLERANCE) >= 0).all()
    assert (held(stamps, grid, 2 * TOLERANCE) >= 0).all()
    assert np.isfinite(interpolated(stamps, stamps / 1e9, grid, TOLERANCE)).all()


def test_no_messages_give_no_values() -> None:
    none = np.zeros(0, np.int64)
    assert (nearest(none, GRID, TOLERANCE) == -1).all() and (held(none, GRID, TOLERANCE) == -1).all()
    assert np.isnan(interpolated(none, np.zeros(0), GRID, TOLERANCE)).all()
    assert len(grid_of(none, 100 * MS, MS)[0]) == 0 and not len(forward(none))


@given(RISING)
def test_the_grid_begins_anew_behind_a_gap_and_stays_between_its_stamps(stamps: np.ndarray) -> None:
    grid, follows = grid_of(stamps, 100 * MS, 400 * MS)
    assert (np.diff(grid)[follows[1:]] == 100 * MS).all() and not follows[0]
    assert grid[0] == stamps[0] and grid[-1] <= stamps[-1]
    assert (np.abs(grid[:, None] - stamps).min(1) <= 200 * MS).all()


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40))
def test_pieces_are_the_runs_of_complete_frames_and_never_cross_a_break(frames: list[tuple[bool, bool]]) -> None:
    complete, follows = (np.array([f[k] for f in frames], bool) for k in (0, 1))
    found = pieces(complete, follows, 2)
    for a, b in found:
        assert b - a >= 2 and complete[a:b].all() and follows[a + 1 : b].all()
    inside = np.zeros(len(frames), bool)
    for a, b in found:
        inside[a:b] = True
    linked = complete[1:] & complete[:-1] & follows[1:]
    assert inside.tolist() == (np.append(linked, False) | np.insert(linked, 0, False)).tolist()[: len(frames)]


def test_a_slope_is_taken_within_a_stretch_only() -> None:
    values = np.array([0.0, 1.0, 2.0, 50.0, 51.0, np.nan, 7.0])
    follows = np.array([False, True, True, False, True, True, True])
    assert slope(values, follows, 0.1)[:5].tolist() == pytest.approx([10, 10, 10, 10, 10])
    assert np.isnan(slope(values, follows, 0.1)[6])


@settings(deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.data())
def test_joined_arrays_answer_any_index_like_their_concatenation(sizes: list[int], data: st.DataObject) -> None:
    whole = np.arange(sum(sizes) * 3).reshape(-1, 3)
    joined = Joined(np.split(whole, np.cumsum(sizes)[:-1]))
    frame = st.integers(-len(whole), len(whole) - 1)
    index = np.array(data.draw(st.lists(st.lists(frame, min_size=2, max_size=2), min_size=1, max_size=4)))
    np.testing.assert_array_equal(joined[index], whole[index])
    np.testing.assert_array_equal(joined[index[:, :0]], whole[index[:, :0]])
    part = slice(*data.draw(st.tuples(*(st.none() | st.integers(-9, 30),) * 2)), data.draw(st.sampled_from([None, 2])))
    np.testing.assert_array_equal(joined[part], whole[part])
    np.testing.assert_array_equal(np.asarray(joined), whole)
    assert joined[-1].tolist() == whole[-1].tolist() and len(joined) == len(whole)
    with pytest.raises(IndexError):
        joined[np.array([len(whole)])]
