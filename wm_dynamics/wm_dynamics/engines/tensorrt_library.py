"""TensorRT as it is installed here, and the GPU that it would run on."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from wm_dynamics.errors import ModelError

NAMES = ("tensorrt", "tensorrt_rtx")  # in the order in which they are looked for
INSTALL = "pip install -r requirements-tensorrt.txt"
OTHERWISE = "use engine:=onnxruntime"


@dataclass(frozen=True)
class Library:
    """One of the two TensorRT packages; their Python interfaces are the same as far as we use them."""

    name: str
    module: Any

    @property
    def version(self) -> str:
        return str(self.module.__version__)

    @property
    def ahead_of_time(self) -> bool:
        """Whether engines are compiled without a GPU for all that the library knows; loading then makes its kernels."""
        return self.name == "tensorrt_rtx"

    def logger(self) -> Any:
        return self.module.Logger(self.module.Logger.ERROR)


@dataclass(frozen=True)
class Gpu:
    """The GPU that CUDA calls device 0."""

    name: str
    capability: str  # "8.9"


def find_library() -> Library:
    """`tensorrt` where it is installed, else `tensorrt_rtx`. Raises ModelError where neither is."""
    for name in NAMES:
        try:
            return Library(name, importlib.import_module(name))
        except ImportError:
            continue
    raise ModelError(f"engine tensorrt: neither tensorrt nor tensorrt_rtx is installed. {INSTALL}, or {OTHERWISE}.")


def find_cuda() -> Any:
    """The CUDA runtime's Python bindings. Raises ModelError where they are not installed."""
    try:
        return importlib.import_module("cuda.bindings.runtime")
    except ImportError as error:
        raise ModelError(f"engine tensorrt needs cuda-bindings. {INSTALL}, or {OTHERWISE}.") from error


def find_gpu(cuda: Any) -> Gpu | None:
    """The GPU, or None where there is none that the driver can use."""
    error, count = cuda.cudaGetDeviceCount()
    if int(error) or not count:
        return None
    error, properties = cuda.cudaGetDeviceProperties(0)
    if int(error):
        return None
    name = properties.name
    name = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
    return Gpu(name.rstrip("\0"), f"{properties.major}.{properties.minor}")
