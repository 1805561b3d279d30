import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from wm_dynamics import parity
from wm_dynamics.engines import load_engine
from wm_dynamics.errors import ModelError
from wm_dynamics.parity import TOLERANCE, check_parity, parity_error


def test_onnx_runtime_computes_what_pytorch_computes(model_folder: Path) -> None:
    assert parity_error(model_folder) <= TOLERANCE


def test_an_engine_that_differs_is_refused(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity, "TOLERANCE", -1.0)
    with pytest.raises(ModelError, match="differs from PyTorch"):
        check_parity(model_folder)


def test_scores_do_not_depend_on_the_company_of_a_candidate(model_folder: Path) -> None:
    engine = load_engine(model_folder)
    rng = np.random.default_rng(0)
    belief = rng.normal(size=engine.config.belief_size).astype(np.float32)
    actions = rng.uniform(-1, 1, (128, engine.config.horizon, 2)).astype(np.float32)
    whole = engine.score(belief, actions)
    second = engine.score(belief, actions[64:])
    assert np.array_equal(whole.ret[64:], second.ret)
    assert np.array_equal(whole.off_road[64:], second.off_road)


def test_risks_are_probabilities_and_proposals_are_actions(model_folder: Path) -> None:
    engine = load_engine(model_folder)
    belief = np.random.default_rng(1).normal(size=engine.config.belief_size).astype(np.float32)
    outcome = engine.score(belief, np.zeros((64, engine.config.horizon, 2), np.float32))
    for risk in (outcome.collision, outcome.off_road):
        assert ((risk >= 0) & (risk <= 1)).all()
    proposals = engine.propose(belief)
    assert proposals.shape == (engine.config.proposals, engine.config.horizon, 2)
    assert np.abs(proposals).max() <= 1.0


def test_wrong_numbers_of_candidates_are_refused(model_folder: Path) -> None:
    engine = load_engine(model_folder)
    with pytest.raises(ValueError, match="multiple of 64"):
        engine.score(engine.initial_belief(), np.zeros((65, engine.config.horizon, 2), np.float32))


def test_driving_with_onnx_runtime_never_imports_pytorch(model_folder: Path) -> None:
    code = (
        "import sys; from wm_dynamics.engines import load_engine; "
        f"load_engine({str(model_folder)!r}); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_an_engine_hands_out_is_not_written_to_by_later_calls(model_folder: Path) -> None:
    engine = load_engine(model_folder)
    rng = np.random.default_rng(2)

    def everything() -> list[np.ndarray]:
        belief = rng.normal(size=engine.config.belief_size).astype(np.float32)
        actions = rng.uniform(-1, 1, (64, engine.config.horizon, 2)).astype(np.float32)
        camera = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        embedding = engine.encode(camera, np.full((2, 72), 9.0, np.float32), np.zeros(15, np.float32))
        posterior, _ = engine.observe(belief, actions[0, 0], embedding)
        return [embedding, posterior, engine.score(belief, actions).ret, engine.propose(belief), *engine.decode(belief)]

    first = everything()
    kept = [array.copy() for array in first]
    second = everything()
    assert all(np.array_equal(array, copy) for array, copy in zip(first, kept, strict=True))
    assert not any(np.array_equal(array, other) for array, other in zip(first, second, strict=True))


def test_an_input_of_another_shape_is_refused_and_not_spread(model_folder: Path) -> None:
    engine = load_engine(model_folder)
    with pytest.raises(ValueError, match=r"belief \(1,\); expected \(256,\)"):
        engine.propose(np.zeros(1, np.float32))


def test_onnx_runtime_is_held_against_what_pytorch_computed_at_export(
    model_folder: Path, returns_off_by: Callable[[float], None]
) -> None:
    load_engine(model_folder)
    returns_off_by(1.01)
    with pytest.raises(ModelError, match=r"engine onnxruntime differs from PyTorch by .* in return"):
        load_engine(model_folder)


def test_a_number_that_is_none_is_never_at_parity() -> None:
    wanted = {"a": np.zeros(2), "b": np.ones(3)}
    found = {"a": np.array([np.nan, 0.0]), "b": np.full(3, 9.0)}
    with pytest.raises(ModelError, match="nan in a"):
        parity.refuse_if_far("x", "y", found, wanted, tolerance=100.0)
