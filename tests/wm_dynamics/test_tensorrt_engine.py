"""The TensorRT engine but for TensorRT: cache, bound buffers, CUDA graph and parity, on a stand-in for GPU and library.

The stand-in's "compiled engine" is the prepared ONNX graph, its memory is ours, and running means ONNX Runtime on the
addresses that were bound. So a wrong address, size, order or copy shows as a wrong number.
"""
# ruff: noqa: N801, N802, N815 (the names are CUDA's)

import ctypes
import enum
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from wm_dynamics.engines import load_engine, tensorrt_engine, tensorrt_export
from wm_dynamics.engines.tensorrt_build import Compiled
from wm_dynamics.engines.tensorrt_cache import EVERY_GPU, Key, key_for, store, why_not
from wm_dynamics.engines.tensorrt_export import build_engine
from wm_dynamics.engines.tensorrt_library import Gpu, Library, find_cuda, find_gpu, find_library
from wm_dynamics.errors import ModelError
from wm_dynamics.model_files import write_model_folder
from wm_dynamics.parity import outputs
from wm_dynamics.rssm import RssmConfig
from wm_dynamics.world_model import WorldModel, WorldModelConfig
from wm_perception.model_folder import read_model_config

GPU = Gpu("NVIDIA Test 4090", "8.9")


class FakeCuda:
    """CUDA's runtime with host memory; a capture keeps what is enqueued and runs it at every launch."""

    class cudaMemcpyKind(enum.IntEnum):
        cudaMemcpyHostToDevice = 1
        cudaMemcpyDeviceToHost = 2

    class cudaStreamCaptureMode(enum.IntEnum):
        cudaStreamCaptureModeThreadLocal = 1

    def __init__(self, captures: bool = True, devices: int = 1) -> None:
        self.captures, self.devices, self.launches, self.memory = captures, devices, 0, {}
        self.recording: list[Callable[[], None]] | None = None

    def cudaGetDeviceCount(self):
        return 0, self.devices

    def cudaGetDeviceProperties(self, device):
        return 0, SimpleNamespace(name=GPU.name.encode() + b"\0", major=8, minor=9)

    def cudaStreamCreate(self):
        return 0, 7

    def cudaMalloc(self, size):
        block = ctypes.create_string_buffer(size)
        self.memory[ctypes.addressof(block)] = block
        return 0, ctypes.addressof(block)

    cudaMallocHost = cudaMalloc

    def cudaFree(self, address):
        del self.memory[address]
        return (0,)

    cudaFreeHost = cudaFree

    def cudaStreamDestroy(self, stream):
        return (0,)

    cudaGraphDestroy = cudaGraphExecDestroy = cudaStreamSynchronize = cudaStreamDestroy

    def enqueue(self, work):
        if self.recording is None:
            work()
        else:
            self.recording.append(work)

    def cudaMemcpyAsync(self, to, source, size, kind, stream):
        self.enqueue(lambda: ctypes.memmove(to, source, size))
        return (0,)

    def cudaStreamBeginCapture(self, stream, mode):
        self.recording = []
        return (0,)

    def cudaStreamEndCapture(self, stream):
        graph, self.recording = self.recording, None
        return (0, graph) if self.captures else (901, None)

    def cudaGraphInstantiate(self, graph, flags):
        return 0, graph

    def cudaGraphLaunch(self, graph, stream):
        self.launches += 1
        for work in graph:
            work()
        return (0,)

    def cudaGetLastError(self):
        return (0,)


def fake_tensorrt(cuda: FakeCuda) -> SimpleNamespace:
    """What the engine calls of the tensorrt package."""

    class Context:
        def __init__(self, session):
            self.session, self.at = session, {}

        def set_tensor_address(self, name, address):
            self.at[name] = address

        def set_device_memory(self, address, size):
            self.scratch = address, size

        def execute_async_v3(self, stream):
            cuda.enqueue(self.work)
            return True

        def work(self):
            def array(arg):
                size = 4 * int(np.prod(arg.shape, dtype=int))
                return np.frombuffer((ctypes.c_byte * size).from_address(self.at[arg.name]), np.float32).reshape(
                    arg.shape
                )

            found = self.session.run(None, {arg.name: array(arg).copy() for arg in self.session.get_inputs()})
            for arg, value in zip(self.session.get_outputs(), found, strict=True):
                array(arg)[...] = value

    class Engine:
        device_memory_size_v2 = 256

        def __init__(self, plan):
            self.session = onnxruntime.InferenceSession(plan, providers=["CPUExecutionProvider"])
            self.inputs, outputs_ = self.session.get_inputs(), self.session.get_outputs()
            self.args = [*self.inputs, *outputs_]
            self.num_io_tensors = len(self.args)
            self.by_name = {arg.name: arg for arg in self.args}

        def get_tensor_name(self, index):
            return self.args[index].name

        def get_tensor_shape(self, name):
            return self.by_name[name].shape

        def get_tensor_dtype(self, name):
            return "FLOAT"

        def get_tensor_mode(self, name):
            return "INPUT" if self.by_name[name] in self.inputs else "OUTPUT"

        def create_execution_context(self, strategy):
            return Context(self.session)

    return SimpleNamespace(
        __version__="11.0.test",
        Logger=type("Logger", (), {"ERROR": 1, "__init__": lambda self, level: None}),
        DataType=SimpleNamespace(FLOAT="FLOAT"),
        TensorIOMode=SimpleNamespace(INPUT="INPUT"),
        ExecutionContextAllocationStrategy=SimpleNamespace(USER_MANAGED=2),
        Runtime=lambda logger: SimpleNamespace(deserialize_cuda_engine=Engine),
    )


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model, two steps deep."""
    torch.manual_seed(2)
    sizes = RssmConfig(recognised=16, deter=16, groups=2, classes=4, hidden=16, prior_hidden=8)
    model = WorldModel(WorldModelConfig(sizes, horizon=2))
    torch.nn.init.normal_(model.heads.out.weight, std=0.3)
    folder = tmp_path_factory.mktemp("models") / "small"
    write_model_folder(folder, model, training={}, metrics={}, disagreement_p95=0.1, surprise_p999=9.0)
    return folder


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeCuda:
    """A machine with one GPU and `tensorrt`, and an empty cache of its own."""
    return pretend(monkeypatch, tmp_path / "cache")


@pytest.fixture(scope="module")
def cache(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a build in half precision leaves."""
    folder = tmp_path_factory.mktemp("built") / "cache"
    with pytest.MonkeyPatch.context() as monkeypatch:
        pretend(monkeypatch, folder)
        build(model_folder)
    return folder


@pytest.fixture
def built(cuda: FakeCuda, cache: Path, tmp_path: Path) -> Path:
    """The engine's folder in this test's cache."""
    shutil.copytree(cache, tmp_path / "cache")
    (folder,) = (tmp_path / "cache").iterdir()
    return folder


def pretend(monkeypatch: pytest.MonkeyPatch, cache: Path) -> FakeCuda:
    fake = FakeCuda()
    library = Library("tensorrt", fake_tensorrt(fake))
    for module in (tensorrt_engine, tensorrt_export):
        monkeypatch.setattr(module, "find_cuda", lambda: fake)
        monkeypatch.setattr(module, "find_library", lambda: library)
    monkeypatch.setattr(
        tensorrt_export, "compile_graph", lambda _, name, graph: Compiled(graph.SerializeToString(), (), ())
    )
    monkeypatch.setenv("WM_ENGINE_CACHE", str(cache))
    return fake


def build(folder: Path, precision: str = "fp16") -> Path:
    return build_engine(folder, precision, lambda _: None)


@pytest.mark.parametrize(("name", "precision"), [("tensorrt", "fp16"), ("tensorrt_fp32", "fp32")])
def test_it_computes_what_pytorch_computes_in_one_launch_a_call(
    model_folder: Path, cuda: FakeCuda, name: str, precision: str
) -> None:
    build(model_folder, precision)
    engine = load_engine(model_folder, name)
    assert all(graph.captured for graph in engine.graphs.values())
    belief = np.random.default_rng(0).normal(size=engine.config.belief_size).astype(np.float32)
    actions = np.random.default_rng(1).uniform(-1, 1, (128, engine.config.horizon, 2)).astype(np.float32)
    wanted, before, memory = load_engine(model_folder).score(belief, actions), cuda.launches, len(cuda.memory)
    found = engine.score(belief, actions)
    assert cuda.launches - before == 2  # chunks of 64
    assert len(cuda.memory) == memory
    np.testing.assert_allclose(found.ret, wanted.ret, rtol=1e-2, atol=1e-2)
    np.testing.assert_allclose(found.off_road, wanted.off_road, atol=1e-2)


def test_where_a_cuda_graph_cannot_be_captured_its_parts_run_one_by_one(
    model_folder: Path, cuda: FakeCuda, built: Path
) -> None:
    captured = outputs(load_engine(model_folder, "tensorrt"))
    launched, cuda.captures = cuda.launches, False
    engine = load_engine(model_folder, "tensorrt")
    plain = outputs(engine)
    assert not any(graph.captured for graph in engine.graphs.values()) and cuda.launches == launched
    assert all(np.array_equal(plain[name], value) for name, value in captured.items())


def test_an_engine_that_is_dropped_gives_its_memory_back(model_folder: Path, cuda: FakeCuda, built: Path) -> None:
    engine = load_engine(model_folder, "tensorrt")
    assert cuda.memory
    del engine
    assert not cuda.memory


def test_an_engine_that_is_not_at_parity_refuses_to_load(model_folder: Path, built: Path) -> None:
    config = read_model_config(model_folder)
    key = key_for(config, tensorrt_engine.find_library(), "fp16", GPU)
    plans = {path.stem: path.read_bytes() for path in built.glob("*.plan")}
    graph = onnx.load_from_string(plans["score"])
    for weights in graph.graph.initializer:
        if len(weights.dims) == 2:
            weights.raw_data = bytes(np.frombuffer(weights.raw_data, np.float16) * np.float16(1.1))
            break
    store(key, plans | {"score": graph.SerializeToString()}, outputs(load_engine(model_folder, "torch")))
    with pytest.raises(ModelError, match=r"engine tensorrt differs from PyTorch by .* \(tolerance 0\.01\)"):
        load_engine(model_folder, "tensorrt")


def test_without_a_gpu_it_says_what_to_use(model_folder: Path, cuda: FakeCuda, built: Path) -> None:
    cuda.devices = 0
    with pytest.raises(ModelError, match="no NVIDIA GPU on this machine; use engine:=onnxruntime"):
        load_engine(model_folder, "tensorrt")
    with pytest.raises(ModelError, match="compiles on the GPU that it is for, and there is none"):
        build(model_folder, "fp32")


def test_an_engine_that_was_not_built_names_the_command(model_folder: Path, cuda: FakeCuda) -> None:
    with pytest.raises(ModelError, match="is not built. Build it: wm export --engine tensorrt --precision fp16"):
        load_engine(model_folder, "tensorrt")


@pytest.mark.parametrize("name", ["score.plan", "parity.npz", "engine.json"])
def test_a_damaged_cache_is_refused(model_folder: Path, built: Path, name: str) -> None:
    path = built / name
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ModelError, match=f"has a damaged {name}"):
        load_engine(model_folder, "tensorrt")


def test_the_next_build_repairs_a_damaged_cache(model_folder: Path, built: Path) -> None:
    (built / "encode.plan").write_bytes(b"half of it")
    assert build(model_folder) == built
    assert load_engine(model_folder, "tensorrt").config.model_id


def test_a_whole_engine_is_not_built_again(model_folder: Path, built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Compiled:
        raise AssertionError("compiled again")

    monkeypatch.setattr(tensorrt_export, "compile_graph", refuse)
    assert build(model_folder) == built


def test_a_build_that_fails_leaves_nothing_behind(
    model_folder: Path, cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(_: Library, name: str, graph: onnx.ModelProto) -> Compiled:
        raise ModelError(f"cannot parse {name}")

    monkeypatch.setattr(tensorrt_export, "compile_graph", refuse)
    with pytest.raises(ModelError, match="cannot parse encode"):
        build(model_folder)
    assert not (tmp_path / "cache").exists()


def test_another_model_version_precision_or_gpu_is_another_engine(model_folder: Path) -> None:
    config, library = read_model_config(model_folder), Library("tensorrt", SimpleNamespace(__version__="10.9"))
    newer = Library("tensorrt", SimpleNamespace(__version__="10.10"))
    retrained = replace(config, files=config.files | {"score.onnx": "0" * 64})
    keys = [
        key_for(config, library, "fp16", GPU),
        key_for(config, library, "fp32", GPU),
        key_for(config, newer, "fp16", GPU),
        key_for(config, library, "fp16", replace(GPU, name="NVIDIA Test 5090")),
        key_for(config, library, "fp16", replace(GPU, capability="12.0")),
        key_for(retrained, library, "fp16", GPU),
    ]
    assert len({key.folder for key in keys}) == len(keys)


def test_what_is_compiled_ahead_of_time_serves_every_gpu(model_folder: Path) -> None:
    config, library = read_model_config(model_folder), Library("tensorrt_rtx", SimpleNamespace(__version__="1.7"))
    built, met = key_for(config, library, "fp16", None), key_for(config, library, "fp16", GPU)
    assert built == met and built.gpu == EVERY_GPU


def test_an_engine_of_another_version_under_the_same_name_is_refused(built: Path) -> None:
    manifest = json.loads((built / "engine.json").read_text())
    key = Key(**manifest["key"])
    manifest["key"]["version"] = "9.0"
    (built / "engine.json").write_text(json.dumps(manifest))
    assert why_not(key) == "was built for another version"


def test_a_machine_without_tensorrt_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wm_dynamics.engines.tensorrt_library.NAMES", ("tensorrt_of_nobody",))
    with pytest.raises(ModelError, match=r"pip install -r requirements-tensorrt\.txt, or use engine:=onnxruntime"):
        find_library()


def test_on_a_gpu_it_computes_what_pytorch_computes(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cuda.bindings.runtime", reason="cuda-bindings is not installed (requirements-tensorrt.txt)")
    if find_gpu(find_cuda()) is None:
        pytest.skip("no NVIDIA GPU on this machine")
    find_library()
    monkeypatch.setenv("WM_ENGINE_CACHE", str(tmp_path))
    for precision, name in (("fp32", "tensorrt_fp32"), ("fp16", "tensorrt")):
        build(model_folder, precision)
        engine = load_engine(model_folder, name)  # refuses beyond the tolerance
        assert outputs(engine).keys() == outputs(load_engine(model_folder)).keys()
