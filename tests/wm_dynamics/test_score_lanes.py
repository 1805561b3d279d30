"""However many threads score, and in runs of whatever size, every candidate gets the same numbers."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from wm_dynamics.engines import load_engine
from wm_dynamics.engines.score_lanes import ScoreLanes, pieces, rows_for
from wm_dynamics.protocols import Engine, Outcome


def scores(engine: Engine, count: int) -> Outcome:
    rng = np.random.default_rng(5)
    belief = rng.normal(size=engine.config.belief_size).astype(np.float32)
    return engine.score(belief, rng.uniform(-1, 1, (count, engine.config.horizon, 2)).astype(np.float32))


def same(one: Outcome, other: Outcome) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in vars(one))


@pytest.mark.parametrize("count", [64, 192, 256, 640])
def test_any_number_of_threads_scores_alike_to_the_bit(model_folder: Path, count: int) -> None:
    alone = scores(load_engine(model_folder), count)
    for threads in (2, 3, 4):
        assert same(scores(load_engine(model_folder, threads=threads), count), alone)


def test_a_graph_of_one_chunk_scores_alike_on_any_number_of_threads(model_folder: Path, older_folder: Path) -> None:
    for threads in (1, 2):
        older = load_engine(older_folder, threads=threads)
        assert same(scores(older, 320), scores(load_engine(model_folder), 320))


def test_an_error_in_any_thread_reaches_the_caller_and_the_next_call_works(model_folder: Path) -> None:
    engine = load_engine(model_folder, threads=2)
    actions = np.zeros((128, engine.config.horizon, 2), np.float32)
    with pytest.raises(ValueError, match=r"belief \(1,\); expected \(256,\)"):
        engine.score(np.zeros(1, np.float32), actions)
    assert same(scores(engine, 128), scores(load_engine(model_folder), 128))


@pytest.mark.parametrize("lanes", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("count", [0, 64, 128, 192, 448, 704])
def test_pieces_cover_every_candidate_once_in_known_sizes(count: int, lanes: int) -> None:
    sizes = rows_for(64, lanes)
    cut = pieces(count, sizes, lanes)
    assert [row for piece in cut for row in range(piece.start, piece.stop)] == list(range(count))
    assert {piece.stop - piece.start for piece in cut} <= set(sizes)


def test_calls_are_shared_evenly_in_as_few_runs_as_there_are_sizes_for() -> None:
    for lanes in (1, 2, 4):
        for count, runs in ((64, 1), (128, 1), (256, 2), (512, 4)):
            assert len(pieces(count, rows_for(64, lanes), lanes)) == runs * lanes


def test_lanes_run_at_the_same_time_each_on_its_own() -> None:
    meeting = threading.Barrier(2, timeout=20.0)

    def lane(belief: np.ndarray, actions: np.ndarray) -> Sequence[np.ndarray]:
        meeting.wait()  # passes only where the other lane runs as well
        return [actions[:, 0, 0]] * 4

    actions = np.arange(4, dtype=np.float32).reshape(4, 1, 1)
    found = ScoreLanes([{2: lane}, {2: lane}])(np.zeros(1, np.float32), actions)
    assert np.array_equal(found, [np.arange(4)] * 4)
