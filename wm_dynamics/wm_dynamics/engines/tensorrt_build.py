"""Compiling one graph with TensorRT. Needs no GPU with `tensorrt_rtx`, and the target GPU with `tensorrt`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import onnx

from wm_dynamics.engines.tensorrt_library import Library
from wm_dynamics.errors import ModelError


@dataclass(frozen=True)
class Port:
    """An input or output of a parsed network."""

    name: str
    shape: tuple[int, ...]
    dtype: str  # as TensorRT names it: FLOAT, HALF


@dataclass(frozen=True)
class Compiled:
    """An engine's bytes and what goes in and out of it."""

    plan: bytes
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


def compile_graph(library: Library, name: str, graph: onnx.ModelProto) -> Compiled:
    """Parse and compile. Raises ModelError with the parser's words where TensorRT cannot."""
    trt = library.module
    logger = library.logger()
    builder = trt.Builder(logger)
    if builder is None:
        raise ModelError(f"engine tensorrt: {library.name} {library.version} cannot start a builder here.")
    network = builder.create_network(_strongly_typed(trt))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(graph.SerializeToString()):
        words = parser.get_error(0).desc().splitlines()[0] if parser.num_errors else "no reason given"
        raise ModelError(f"engine tensorrt: {library.name} {library.version} cannot parse {name} ({words}).")
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)  # fp32 means fp32
    if hasattr(trt.BuilderFlag, "REQUIRE_USER_ALLOCATION"):  # tensorrt_rtx: what a CUDA graph needs
        config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise ModelError(f"engine tensorrt: {library.name} {library.version} cannot compile {name}; its log says why.")
    return Compiled(
        bytes(plan),
        tuple(_port(network.get_input(k)) for k in range(network.num_inputs)),
        tuple(_port(network.get_output(k)) for k in range(network.num_outputs)),
    )


def _strongly_typed(trt: Any) -> int:
    """Precisions are those that the graph states; the only way in newer versions, where the flag may be gone."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _port(tensor: Any) -> Port:
    return Port(tensor.name, tuple(tensor.shape), tensor.dtype.name)
