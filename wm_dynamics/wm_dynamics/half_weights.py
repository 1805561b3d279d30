"""Weights of an ONNX graph as the 16 bits that they are: half the file, and not one number changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FEW = 1024  # weights with fewer numbers are not worth a node


def keep_halves(path: Path) -> None:
    """Store every large float32 weight that 16 bits hold exactly in those, and a Cast beside it, which runs once."""
    model = onnx.load(path)
    weights, casts = [], []
    for tensor in model.graph.initializer:
        half = _as_half(tensor)
        if half is None:
            weights.append(tensor)
            continue
        stored = numpy_helper.from_array(half, f"{tensor.name}_half")
        weights.append(stored)
        casts.append(helper.make_node("Cast", [stored.name], [tensor.name], to=TensorProto.FLOAT))
    del model.graph.initializer[:]
    model.graph.initializer.extend(weights)
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, path)


def _as_half(tensor: TensorProto) -> np.ndarray | None:
    """float16 of a weight where nothing is lost; else None."""
    if tensor.data_type != TensorProto.FLOAT:
        return None
    whole = numpy_helper.to_array(tensor)
    half = whole.astype(np.float16)
    return half if whole.size >= FEW and np.array_equal(half.astype(np.float32), whole) else None
