"""The real tensorrt_rtx compiles the graphs of a model on a machine without a GPU."""

from pathlib import Path

import pytest
import torch

from wm_dynamics.engines.tensorrt_build import Port, compile_graph
from wm_dynamics.engines.tensorrt_library import Library
from wm_dynamics.engines.tensorrt_onnx import prepared
from wm_dynamics.errors import ModelError
from wm_dynamics.model_files import export_graphs
from wm_dynamics.rssm import RssmConfig
from wm_dynamics.world_model import WorldModel, WorldModelConfig

trt = pytest.importorskip(
    "tensorrt_rtx", reason="tensorrt_rtx is not installed (pip install -r requirements-tensorrt.txt)"
)
SMALL = RssmConfig(recognised=16, deter=16, groups=2, classes=4, hidden=16, prior_hidden=8)
BELIEF, HORIZON = SMALL.belief, 2
PORTS = {
    "encode": ({"camera": (64, 64, 3), "scans": (2, 72), "state": (15,)}, {"embedding": (SMALL.embedding,)}),
    "observe": (
        {"belief": (BELIEF,), "action": (2,), "embedding": (SMALL.embedding,)},
        {"posterior": (BELIEF,), "surprise": ()},
    ),
    "score": (
        {"belief": (BELIEF,), "actions": (64, HORIZON, 2)},
        dict.fromkeys(("ret", "collision", "off_road", "disagreement"), (64,)),
    ),
    "propose": ({"belief": (BELIEF,)}, {"proposals": (8, HORIZON, 2)}),
    "decode": ({"belief": (BELIEF,)}, {"decoded_camera": (64, 64, 3), "decoded_state": (15,)}),
}


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ONNX files of a model that is small in everything but its shapes."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("graphs")
    export_graphs(WorldModel(WorldModelConfig(SMALL, horizon=HORIZON)).eval(), folder)
    return folder


@pytest.fixture(scope="module")
def library() -> Library:
    return Library("tensorrt_rtx", trt)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("name", PORTS)
def test_a_graph_compiles_with_the_inputs_and_outputs_that_the_engine_binds(
    graphs: Path, library: Library, name: str, precision: str
) -> None:
    compiled = compile_graph(library, name, prepared(graphs / f"{name}.onnx", precision))
    inputs, outputs = PORTS[name]
    assert compiled.inputs == tuple(Port(port, shape, "FLOAT") for port, shape in inputs.items())
    assert compiled.outputs == tuple(Port(port, shape, "FLOAT") for port, shape in outputs.items())
    assert len(compiled.plan) > 1000


def test_half_precision_makes_the_plan_smaller(graphs: Path, library: Library) -> None:
    sizes = {
        precision: len(compile_graph(library, "encode", prepared(graphs / "encode.onnx", precision)).plan)
        for precision in ("fp32", "fp16")
    }
    assert sizes["fp16"] < 0.8 * sizes["fp32"]


def test_what_tensorrt_cannot_parse_is_named_with_its_words(graphs: Path, library: Library) -> None:
    graph = prepared(graphs / "observe.onnx", "fp32")
    graph.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(ModelError, match=r"tensorrt_rtx .* cannot parse observe \("):
        compile_graph(library, "observe", graph)
