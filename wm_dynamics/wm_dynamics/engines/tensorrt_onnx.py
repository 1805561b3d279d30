"""The ONNX graphs of a model folder as TensorRT wants them: folded, without uint8, in half precision if asked."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx
import onnxruntime

from wm_dynamics.engines.score_lanes import CANDIDATES

# Sums over steps and groups, norms and logarithms stay in 32 bits: they are cheap, and half precision loses them first.
SINGLE = ("LayerNormalization", "Softmax", "Log", "Exp", "CumSum", "ReduceSum", "ReduceMean", "ReduceMax")


def prepared(path: Path, precision: str, candidates: int = 64) -> onnx.ModelProto:
    """The graph at `path` for TensorRT; every input and output is float32. precision: fp32 or fp16.

    `candidates`: of one run, where the graph leaves that open.
    """
    graph = _without_uint8(_folded(path, candidates))
    if precision == "fp16":
        graph = _in_half(graph)
    onnx.checker.check_model(graph)
    return graph


def _folded(path: Path, candidates: int) -> onnx.ModelProto:
    """Shape arithmetic on constants computed: what the exporter writes of fixed shapes is mostly that."""
    options = onnxruntime.SessionOptions()
    options.add_free_dimension_override_by_name(CANDIDATES, candidates)
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / path.name
        options.optimized_model_filepath = str(out)
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        graph = onnx.load(str(out))
    del graph.graph.value_info[:]  # of the types before what follows here
    standard = [opset for opset in graph.opset_import if opset.domain == ""]
    del graph.opset_import[:]
    graph.opset_import.extend(standard)
    return graph


def _without_uint8(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Pictures cross as floats of the same values 0 to 255: TensorRT computes nothing with bytes."""
    for value in (*graph.graph.input, *graph.graph.output):
        if value.type.tensor_type.elem_type == onnx.TensorProto.UINT8:
            value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    for node in graph.graph.node:
        for attribute in node.attribute if node.op_type == "Cast" else ():
            if attribute.name == "to" and attribute.i == onnx.TensorProto.UINT8:
                attribute.i = onnx.TensorProto.FLOAT
    return graph


def _in_half(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Weights and activations in 16 bits; inputs, outputs and SINGLE in 32. TensorRT takes the types as written."""
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    half = convert_float_to_float16(graph, keep_io_types=True, op_block_list=[*DEFAULT_OP_BLOCK_LIST, *SINGLE])
    OnnxModel(half).topological_sort()  # it puts the casts of the inputs last
    return half
