"""A graph whose weights are kept in 16 bits computes what it computed."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from wm_dynamics.half_weights import keep_halves

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def exported(path: Path, rounded: bool) -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 3))
    if rounded:
        for value in net.state_dict().values():
            value.copy_(value.half())
    torch.onnx.export(net, (torch.zeros(1, 64),), str(path), input_names=["x"], output_names=["y"], dynamo=False)
    return net


def outputs(path: Path) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.linspace(-2, 2, 64, dtype=np.float32)[None]})[0]


def test_rounded_weights_take_half_the_room_and_nothing_changes(tmp_path: Path) -> None:
    exported(tmp_path / "g.onnx", rounded=True)
    size, before = (tmp_path / "g.onnx").stat().st_size, outputs(tmp_path / "g.onnx")
    keep_halves(tmp_path / "g.onnx")
    onnx.checker.check_model(str(tmp_path / "g.onnx"))
    assert (tmp_path / "g.onnx").stat().st_size < size - 2 * 64 * 64 + 500
    assert np.array_equal(outputs(tmp_path / "g.onnx"), before)


def test_weights_that_16_bits_do_not_hold_stay_as_they_are(tmp_path: Path) -> None:
    exported(tmp_path / "g.onnx", rounded=False)
    before = outputs(tmp_path / "g.onnx")
    keep_halves(tmp_path / "g.onnx")
    kinds = {tensor.data_type for tensor in onnx.load(tmp_path / "g.onnx").graph.initializer}
    assert kinds == {onnx.TensorProto.FLOAT}
    assert np.array_equal(outputs(tmp_path / "g.onnx"), before)
