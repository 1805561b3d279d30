"""One TensorRT engine on a GPU: buffers bound once, and one CUDA graph of copy in, run, copy out where that works."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wm_dynamics.engines.tensorrt_library import Library
from wm_dynamics.errors import ModelError
from wm_perception.bound_buffers import fill
from wm_perception.durable import put_in_place


class CudaError(ModelError):
    """The CUDA runtime refused."""


class BoundGraph:
    """Runs one engine for one caller at a time. Host arrays are page-locked and stay where they are.

    `captured` says whether a run is one launch of a CUDA graph, or, where capturing failed, its parts one by one.
    """

    def __init__(self, cuda: Any, library: Library, runtime: Any, plan: bytes, kernels: Path | None = None) -> None:
        self._cuda, self._library = cuda, library
        self._engine = runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise ModelError("engine tensorrt: a cached engine cannot be loaded on this GPU; its log says why.")
        self._held: list[tuple[Any, Any]] = []  # what frees, what it frees
        weakref.finalize(self, _release, cuda, self._held)
        self._stream = self._hold(cuda.cudaStreamDestroy, self._call(cuda.cudaStreamCreate()))
        self._context, cache = self._make_context(kernels)
        self.inputs: dict[str, np.ndarray] = {}
        self.outputs: dict[str, np.ndarray] = {}
        self._copies: dict[str, tuple[int, int, int]] = {}  # device address, host address, bytes
        for index in range(self._engine.num_io_tensors):
            self._bind(self._engine.get_tensor_name(index))
        self._enqueue()  # once before: what happens only at the first run may not be captured
        self._wait()
        self._graph = self._capture()
        if cache is not None and kernels is not None and not kernels.exists():
            _keep(kernels, bytes(cache.serialize()))

    @property
    def captured(self) -> bool:
        return self._graph is not None

    def run(self, **inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Outputs in the graph's order, valid until the next run."""
        fill(self.inputs, inputs)
        if self._graph is None:
            self._enqueue()
        else:
            self._call(self._cuda.cudaGraphLaunch(self._graph, self._stream))
        self._wait()
        return list(self.outputs.values())

    def _make_context(self, kernels: Path | None) -> tuple[Any, Any]:
        """Execution context in memory of ours; and, with tensorrt_rtx, the cache of the kernels it compiles."""
        trt, engine, cache = self._library.module, self._engine, None
        ours = trt.ExecutionContextAllocationStrategy.USER_MANAGED
        if self._library.ahead_of_time:
            config = engine.create_runtime_config()
            config.set_execution_context_allocation_strategy(ours)
            cache = config.create_runtime_cache()
            if kernels is not None and kernels.is_file():
                cache.deserialize(kernels.read_bytes())  # refuses by itself what is of another GPU, driver or version
            config.set_runtime_cache(cache)
            context = engine.create_execution_context(runtime_config=config)
        else:
            context = engine.create_execution_context(ours)
        if context is None:
            raise ModelError("engine tensorrt: no execution context; is the GPU's memory full?")
        if size := engine.device_memory_size_v2:
            context.set_device_memory(self._device(size), size)
        return context, cache

    def _bind(self, name: str) -> None:
        trt, engine = self._library.module, self._engine
        shape, dtype = tuple(engine.get_tensor_shape(name)), engine.get_tensor_dtype(name)
        if dtype != trt.DataType.FLOAT:
            raise ModelError(f"engine tensorrt: {name} is {dtype}, not float32. Build it again: wm export.")
        size = 4 * int(np.prod(shape, dtype=np.int64))
        host = int(self._hold(self._cuda.cudaFreeHost, self._call(self._cuda.cudaMallocHost(size))))
        device = self._device(size)
        array = np.frombuffer(memoryview((ctypes.c_byte * size).from_address(host)), np.float32).reshape(shape)
        array[...] = 0.0
        self._context.set_tensor_address(name, device)
        self._copies[name] = device, host, size
        is_input = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
        (self.inputs if is_input else self.outputs)[name] = array

    def _device(self, size: int) -> int:
        return int(self._hold(self._cuda.cudaFree, self._call(self._cuda.cudaMalloc(size))))

    def _enqueue(self) -> None:
        """Copy in, run, copy out, on our stream; returns at once."""
        kinds = self._cuda.cudaMemcpyKind
        for name in self.inputs:
            device, host, size = self._copies[name]
            self._call(self._cuda.cudaMemcpyAsync(device, host, size, kinds.cudaMemcpyHostToDevice, self._stream))
        if not self._context.execute_async_v3(int(self._stream)):
            raise CudaError("engine tensorrt: TensorRT refused to run; its log says why.")
        for name in self.outputs:
            device, host, size = self._copies[name]
            self._call(self._cuda.cudaMemcpyAsync(host, device, size, kinds.cudaMemcpyDeviceToHost, self._stream))

    def _capture(self) -> Any:
        """The launchable CUDA graph, or None where this engine or driver cannot be captured."""
        asks = getattr(self._context, "is_stream_capturable", None)  # tensorrt_rtx
        if asks is not None and not asks(int(self._stream)):
            return None
        mode = self._cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        try:
            self._call(self._cuda.cudaStreamBeginCapture(self._stream, mode))
            try:
                self._enqueue()
            finally:
                graph = self._call(self._cuda.cudaStreamEndCapture(self._stream))
            self._hold(self._cuda.cudaGraphDestroy, graph)
            return self._hold(self._cuda.cudaGraphExecDestroy, self._call(self._cuda.cudaGraphInstantiate(graph, 0)))
        except CudaError:
            self._cuda.cudaGetLastError()  # forgets it
            return None

    def _wait(self) -> None:
        self._call(self._cuda.cudaStreamSynchronize(self._stream))

    def _hold(self, free: Any, what: Any) -> Any:
        self._held.append((free, what))
        return what

    def _call(self, answer: tuple[Any, ...]) -> Any:
        """The value of a CUDA call; CudaError where it failed."""
        if int(answer[0]):
            raise CudaError(f"engine tensorrt: CUDA reports {getattr(answer[0], 'name', answer[0])}.")
        return answer[1] if len(answer) > 1 else None


def _release(cuda: Any, held: list[tuple[Any, Any]]) -> None:
    """Free everything, last made first."""
    while held:
        free, what = held.pop()
        free(what)


def _keep(path: Path, blob: bytes) -> None:
    """Kernels for the next start; a cache that cannot be written only makes that start slower."""
    partial = path.with_name(f".{path.name}.{id(blob)}.partial")
    try:
        partial.write_bytes(blob)
        put_in_place(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
