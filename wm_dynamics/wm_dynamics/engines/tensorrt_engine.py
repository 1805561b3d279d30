"""A model folder on TensorRT: for machines with an NVIDIA GPU. Engines are built before, by `wm export`."""

from __future__ import annotations

from pathlib import Path

from wm_dynamics import parity
from wm_dynamics.engines.bound_graph import BoundGraph
from wm_dynamics.engines.graph_engine import GRAPHS, GraphEngine
from wm_dynamics.engines.tensorrt_cache import kernels_file, key_for, load, why_not
from wm_dynamics.engines.tensorrt_library import OTHERWISE, find_cuda, find_gpu, find_library
from wm_dynamics.errors import ModelError
from wm_perception.model_folder import read_model_config

TOLERANCES = {"fp32": parity.TOLERANCE, "fp16": parity.TOLERANCE_FP16}


class TensorRtEngine(GraphEngine):
    """`Engine` on an NVIDIA GPU in half precision, for one caller at a time. `threads` says nothing here.

    Raises ModelError in one sentence where there is no GPU, no engine, a damaged one, or one that is not at parity.
    """

    precision = "fp16"
    name = "tensorrt"

    def __init__(self, folder: Path | str, threads: int = 1) -> None:
        config, library = read_model_config(folder), find_library()
        cuda = find_cuda()
        gpu = find_gpu(cuda)
        if gpu is None:
            raise ModelError(f"engine {self.name}: no NVIDIA GPU on this machine; {OTHERWISE}.")
        key = key_for(config, library, self.precision, gpu)
        if reason := why_not(key):
            raise ModelError(
                f"engine {self.name}: the engine of model {folder} {reason}. "
                f"Build it: wm export --engine tensorrt --precision {self.precision} --model {folder}"
            )
        plans, reference = load(key)
        self._runtime = library.module.Runtime(library.logger())
        self.graphs = {
            name: BoundGraph(cuda, library, self._runtime, plans[name], kernels_file(key, name, gpu)) for name in GRAPHS
        }
        super().__init__(config, {name: graph.run for name, graph in self.graphs.items()})
        found = parity.outputs(self)
        parity.refuse_if_far(self.name, folder, found, reference, TOLERANCES[self.precision])


class TensorRtFp32Engine(TensorRtEngine):
    """The same in single precision."""

    precision = "fp32"
    name = "tensorrt_fp32"
