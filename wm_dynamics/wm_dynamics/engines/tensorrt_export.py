"""Building the TensorRT engine of a model folder: what `wm export --engine tensorrt` does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import onnxruntime

from wm_dynamics import parity
from wm_dynamics.engines.graph_engine import GRAPHS, GraphEngine, Run
from wm_dynamics.engines.tensorrt_build import compile_graph
from wm_dynamics.engines.tensorrt_cache import key_for, store, why_not
from wm_dynamics.engines.tensorrt_engine import TOLERANCES
from wm_dynamics.engines.tensorrt_library import find_cuda, find_gpu, find_library
from wm_dynamics.engines.tensorrt_onnx import prepared
from wm_dynamics.errors import ModelError
from wm_perception.model_folder import ModelConfig, read_model_config, verified_file


def build_engine(folder: Path | str, precision: str, say: Callable[[str], None]) -> Path:
    """Compile a model's graphs and put them where `TensorRtEngine` looks; its folder. Nothing to do where it is whole.

    Raises ModelError where TensorRT is missing or cannot, and where rounding alone would break parity.
    """
    config, library = read_model_config(folder), find_library()
    gpu = None if library.ahead_of_time else find_gpu(find_cuda())
    if not library.ahead_of_time and gpu is None:
        raise ModelError(
            f"engine tensorrt: {library.name} {library.version} compiles on the GPU that it is for, and there is none "
            "on this machine. Build there, or install tensorrt_rtx in its place, which compiles without one."
        )
    key = key_for(config, library, precision, gpu)
    reason = why_not(key)
    if reason is None:
        say(f"{key.folder} is whole already.")
        return key.folder
    say(f"model {folder}: the engine {reason}; compiling with {library.name} {library.version} for {key.gpu}.")
    graphs = {name: prepared(verified_file(folder, config, f"{name}.onnx"), precision, config.chunk) for name in GRAPHS}
    reference = _reference(folder, config)
    error = parity.refuse_if_far(
        f"tensorrt ({precision}, on the CPU)", folder, parity.outputs(on_cpu(config, graphs)), reference,
        TOLERANCES[precision],
    )  # fmt: skip
    say(f"graphs in {precision} differ from PyTorch by {error:.1e} at most (tolerance {TOLERANCES[precision]:g}).")
    plans = {}
    for name in GRAPHS:
        plans[name] = compile_graph(library, f"{name}.onnx", graphs[name]).plan
        say(f"  {name}: {len(plans[name]) / 1e6:.1f} MB")
    return store(key, plans, reference)


def _reference(folder: Path | str, config: ModelConfig) -> parity.Outputs:
    """What PyTorch computes: kept by newer exports, computed for older ones."""
    if parity.REFERENCE_FILE in config.files:
        return parity.read_reference(verified_file(folder, config, parity.REFERENCE_FILE))
    from wm_dynamics.engines import load_engine

    return parity.outputs(load_engine(folder, "torch"))


def on_cpu(config: ModelConfig, graphs: dict[str, onnx.ModelProto]) -> GraphEngine:
    """The prepared graphs on ONNX Runtime: what their precision alone does, whoever runs them."""

    def run_of(graph: onnx.ModelProto) -> Run:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        session = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return lambda **inputs: session.run(None, {name: value.astype("float32") for name, value in inputs.items()})

    return GraphEngine(config, {name: run_of(graph) for name, graph in graphs.items()})
