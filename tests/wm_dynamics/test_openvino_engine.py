"""OpenVINO computes what PyTorch computes, in bfloat16 within what that can hold, and says so where it cannot run."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from wm_dynamics import parity
from wm_dynamics.engines import load_engine, openvino_engine
from wm_dynamics.errors import ModelError
from wm_dynamics.protocols import Engine, Outcome

INSTALLED = importlib.util.find_spec("openvino") is not None
installed = pytest.mark.skipif(
    not INSTALLED, reason="openvino is not installed (pip install --no-deps -r requirements-openvino.txt)"
)
in_bf16 = pytest.mark.skipif(
    not (INSTALLED and openvino_engine.computes_bf16()), reason="openvino is not installed, or this CPU has no bfloat16"
)
EITHER = [pytest.param("openvino", marks=installed), pytest.param("openvino_bf16", marks=in_bf16)]


@cache
def loaded(folder: Path, name: str) -> Engine:
    """Loading compiles every graph: once for the tests that only look."""
    return load_engine(folder, name)


def scores(engine: Engine, count: int) -> Outcome:
    rng = np.random.default_rng(6)
    belief = rng.normal(size=engine.config.belief_size).astype(np.float32)
    return engine.score(belief, rng.uniform(-1, 1, (count, engine.config.horizon, 2)).astype(np.float32))


@installed
def test_openvino_computes_what_pytorch_computes(model_folder: Path) -> None:
    found, wanted = parity.outputs(loaded(model_folder, "openvino")), parity.outputs(load_engine(model_folder, "torch"))
    assert parity.difference(found, wanted)[0] <= parity.TOLERANCE


@in_bf16
def test_bfloat16_rounds_scores_alone_and_keeps_the_order_of_candidates(model_folder: Path) -> None:
    half, single = loaded(model_folder, "openvino_bf16"), loaded(model_folder, "openvino")
    found, wanted = parity.outputs(half), parity.outputs(single)
    rounded = {name for name in wanted if not np.array_equal(found[name], wanted[name])}
    assert rounded and rounded <= {"return", "collision", "off_road", "disagreement"}
    right, about = scores(single, 256).ret, scores(half, 256).ret
    best, chosen = np.argsort(-right)[:32], np.argsort(-about)[:32]
    assert len(np.intersect1d(best, chosen)) >= 29
    assert right[chosen[0]] >= right[best[1]] - 0.02 * np.ptp(right)


@pytest.mark.parametrize("name", EITHER)
def test_threads_and_sizes_of_a_run_change_no_score(model_folder: Path, older_folder: Path, name: str) -> None:
    alone, pair, chunks = (
        loaded(model_folder, name),
        load_engine(model_folder, name, 2),
        load_engine(older_folder, name),
    )
    for count in (64, 192, 256):
        for field, value in vars(scores(alone, count)).items():
            assert np.array_equal(getattr(scores(pair, count), field), value)
            assert np.array_equal(getattr(scores(chunks, count), field), value)


@pytest.mark.parametrize("name", EITHER)
def test_inputs_of_another_shape_are_refused_and_not_spread(model_folder: Path, name: str) -> None:
    engine = loaded(model_folder, name)
    with pytest.raises(ValueError, match=r"belief \(1,\); expected \(256,\)"):
        engine.propose(np.zeros(1, np.float32))
    with pytest.raises(ValueError, match="multiple of 64"):
        engine.score(engine.initial_belief(), np.zeros((65, engine.config.horizon, 2), np.float32))


@installed
def test_what_openvino_hands_out_is_not_written_to_by_later_calls(model_folder: Path) -> None:
    engine, rng = loaded(model_folder, "openvino"), np.random.default_rng(2)
    beliefs = rng.normal(size=(2, engine.config.belief_size)).astype(np.float32)
    first = [engine.propose(beliefs[0]), *engine.decode(beliefs[0])]
    kept = [array.copy() for array in first]
    second = [engine.propose(beliefs[1]), *engine.decode(beliefs[1])]
    assert all(np.array_equal(array, copy) for array, copy in zip(first, kept, strict=True))
    assert not any(np.array_equal(array, other) for array, other in zip(first, second, strict=True))


@pytest.mark.parametrize("name", EITHER)
def test_one_that_is_not_at_parity_refuses_to_load(
    model_folder: Path, name: str, returns_off_by: Callable[[float], None]
) -> None:
    returns_off_by(1.1)
    with pytest.raises(ModelError, match=rf"engine {name} differs from PyTorch by .* in return"):
        load_engine(model_folder, name)


@installed
def test_driving_with_openvino_never_imports_pytorch(model_folder: Path) -> None:
    code = (
        "import sys; from wm_dynamics.engines import load_engine; "
        f"load_engine({str(model_folder)!r}, 'openvino'); assert not sys.modules.keys() & {{'torch', 'onnxruntime'}}"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_the_package_it_says_what_to_install(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(
        ModelError, match=r"^engine openvino: openvino is not installed\. pip .* use engine:=onnxruntime\.$"
    ):
        load_engine(model_folder, "openvino")


def test_a_cpu_without_bfloat16_is_told_so(model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512_vnni\n")
    monkeypatch.setattr(openvino_engine, "CPU_INFO", tmp_path / "cpuinfo")
    with pytest.raises(ModelError, match="this CPU has neither AVX-512 BF16 nor AMX; use engine:=openvino"):
        load_engine(model_folder, "openvino_bf16")


@pytest.mark.parametrize("flag", ["avx512_bf16", "amx_bf16"])
def test_a_cpu_with_bfloat16_is_known_by_its_flags(flag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: fpu avx2 {flag} clzero\n")
    monkeypatch.setattr(openvino_engine, "CPU_INFO", tmp_path / "cpuinfo")
    assert openvino_engine.computes_bf16()
    monkeypatch.setattr(openvino_engine, "CPU_INFO", tmp_path / "nowhere")
    assert not openvino_engine.computes_bf16()
