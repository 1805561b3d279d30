"""A model folder on OpenVINO: CPUs, with the score graph in bfloat16 where the CPU computes with that."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from wm_dynamics import parity
from wm_dynamics.engines.graph_engine import GRAPHS, GraphEngine
from wm_dynamics.engines.score_lanes import rows_for
from wm_dynamics.errors import ModelError
from wm_perception.bound_buffers import fill
from wm_perception.model_folder import ModelConfig, read_model_config, verified_file

INSTALL = "pip install --no-deps -r requirements-openvino.txt"
OTHERWISE = "use engine:=onnxruntime"
BF16_FLAGS = frozenset(("avx512_bf16", "amx_bf16"))  # as Linux names them; elsewhere bfloat16 is only emulated
CPU_INFO = Path("/proc/cpuinfo")
LANES_MAX = 8  # every lane compiles the score graph in two sizes: 30 MB and 0.3 s each


class OpenVinoEngine(GraphEngine):
    """`Engine` on the CPU in single precision. `threads` work on one plan; the other graphs need only one.

    Raises ModelError in one sentence where OpenVINO is missing, or computes something else than PyTorch did at export.
    """

    name = "openvino"
    score_precision = "f32"
    tolerance = parity.TOLERANCE

    def __init__(self, folder: Path | str, threads: int = 1) -> None:
        config, core = read_model_config(folder), _core(self.name)
        runs = {name: _run(core, folder, config, name) for name in GRAPHS if name != "score"}
        sizes = rows_for(config.chunk, threads) if _is_open(core, folder, config) else (config.chunk,)
        lanes = [
            {rows: _run(core, folder, config, "score", self.score_precision, rows) for rows in sizes}
            for _ in range(min(threads, LANES_MAX))
        ]
        super().__init__(config, runs, lanes)
        parity.hold_against_reference(self, self.name, folder, self.tolerance)


class OpenVinoBf16Engine(OpenVinoEngine):
    """The same with the score graph in bfloat16; beliefs are filtered in single precision."""

    name = "openvino_bf16"
    score_precision = "bf16"
    tolerance = parity.TOLERANCE_BF16

    def __init__(self, folder: Path | str, threads: int = 1) -> None:
        if not computes_bf16():
            raise ModelError(
                f"engine {self.name}: this CPU has neither AVX-512 BF16 nor AMX; use engine:=openvino or "
                "engine:=onnxruntime."
            )
        super().__init__(folder, threads)


class BoundRequest:
    """Runs a compiled graph for one caller at a time, on arrays that are bound to it for good."""

    def __init__(self, openvino: Any, compiled: Any) -> None:
        self._request = compiled.create_infer_request()
        self._inputs = {port.any_name: self._bind(openvino, port) for port in compiled.inputs}
        self._outputs = [self._bind(openvino, port) for port in compiled.outputs]

    def __call__(self, **inputs: np.ndarray) -> list[np.ndarray]:
        """Outputs in the graph's order, as they stay until the next run: copy what is to be kept."""
        fill(self._inputs, inputs)
        self._request.infer(share_outputs=True)
        return self._outputs

    def _bind(self, openvino: Any, port: Any) -> np.ndarray:
        array = np.zeros(tuple(port.shape), port.element_type.to_dtype())
        self._request.set_tensor(port, openvino.Tensor(array, shared_memory=True))
        return array


def computes_bf16() -> bool:
    """Whether this CPU multiplies in bfloat16."""
    try:
        lines = CPU_INFO.read_text().splitlines()
    except OSError:
        return False
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    return not BF16_FLAGS.isdisjoint(flags)


def _core(engine: str) -> tuple[Any, Any]:
    """The library and its entry. Raises ModelError where it is not installed."""
    try:
        openvino = importlib.import_module("openvino")
    except ImportError as error:
        raise ModelError(f"engine {engine}: openvino is not installed. {INSTALL}, or {OTHERWISE}.") from error
    return openvino, openvino.Core()


def _graph(core: tuple[Any, Any], folder: Path | str, config: ModelConfig, name: str) -> Any:
    path = verified_file(folder, config, f"{name}.onnx")
    try:
        return core[1].read_model(path)
    except RuntimeError as error:
        raise ModelError(f"model {folder}: OpenVINO cannot load {path.name}. Export it again.") from error


def _is_open(core: tuple[Any, Any], folder: Path | str, config: ModelConfig) -> bool:
    """Whether a run of the score graph takes any number of candidates; older ones take one chunk."""
    return bool(_graph(core, folder, config, "score").is_dynamic())


def _run(
    core: tuple[Any, Any], folder: Path | str, config: ModelConfig, name: str, precision: str = "f32", rows: int = 0
) -> BoundRequest:
    """A graph compiled for one thread; `rows`: candidates of a run, for a score graph that leaves them open."""
    graph = _graph(core, folder, config, name)
    if graph.is_dynamic():
        graph.reshape({"actions": [rows, config.horizon, 2]})
    settings = {
        "INFERENCE_PRECISION_HINT": precision,  # unasked, OpenVINO takes bfloat16 where it can
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,  # the other nodes share these cores
    }
    return BoundRequest(core[0], core[1].compile_model(graph, "CPU", settings))
