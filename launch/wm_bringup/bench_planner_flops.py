"""How much of the machine imagination uses: its arithmetic, the rate it runs at, and that of plain sgemm beside it."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from wm_dynamics.world_model import WorldModel

Case = tuple[int, Callable[[], object]]  # floating point operations, and what does them

MATMULS = (384, 512, 768)  # sizes of the square products whose best rate is the peak
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
SGEMM, SCORE = "sgemm", "score"  # what names of cases begin with


def score_flops(model: WorldModel, candidates: int) -> int:
    """Operations of the matrix products that score so many sequences; element-wise work is left out.

    Every step of every candidate passes each linear layer of sequence model, prior heads and read-outs once; a product
    [n] x [n, m] is 2 n m operations.
    """
    from torch import nn

    rssm = model.rssm
    used: tuple[nn.Module, ...] = (rssm.mix, rssm.cell, rssm.prior_hidden, rssm.prior_out, model.heads)
    layers = [layer for part in used for layer in part.modules() if isinstance(layer, nn.Linear)]
    one_step = sum(2 * layer.in_features * layer.out_features for layer in layers)
    return one_step * candidates * model.config.horizon


def measured_rates(folder: Path, engines: Sequence[str], counts: Sequence[int], rounds: int) -> dict[str, list[float]]:
    """GFLOP in a second of processor time: scoring `counts` candidates on each engine, and sgemm; one thread, in turn.

    `rounds` rates of each. In a process of its own, because NumPy's BLAS takes the number of its threads from the
    environment that it starts in.
    """
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(_rates, (folder, engines, counts, rounds))
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _rates(folder: Path, engines: Sequence[str], counts: Sequence[int], rounds: int) -> dict[str, list[float]]:
    import torch

    torch.set_num_threads(1)
    cases = _score_cases(folder, engines, counts) | _sgemm_cases()
    for _, work in cases.values():
        work()
    rates: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, (operations, work) in cases.items():
            began = time.process_time()  # of the one thread: what others do on this machine counts less
            work()
            rates[name].append(operations / (time.process_time() - began) / 1e9)
    return rates


def _score_cases(folder: Path, engines: Sequence[str], counts: Sequence[int]) -> dict[str, Case]:
    from wm_dynamics.engines import load_engine
    from wm_dynamics.model_files import load_world_model

    model, rng, cases = load_world_model(folder), np.random.default_rng(0), dict[str, Case]()
    for name in engines:
        engine = load_engine(folder, name, threads=1)
        belief = engine.initial_belief()
        for count in counts:
            actions = rng.uniform(-1.0, 1.0, (count, engine.config.horizon, 2)).astype(np.float32)
            work = partial(engine.score, belief, actions)
            cases[f"{SCORE} {count} x {engine.config.horizon}, {name}"] = score_flops(model, count), work
    return cases


def _sgemm_cases() -> dict[str, Case]:
    import torch

    rng, cases = np.random.default_rng(0), dict[str, Case]()
    for size in MATMULS:
        left, right = rng.random((2, size, size), dtype=np.float32)
        tensors = torch.from_numpy(left), torch.from_numpy(right)
        cases[f"{SGEMM} {size}, NumPy"] = 2 * size**3, partial(np.matmul, left, right)
        cases[f"{SGEMM} {size}, PyTorch"] = 2 * size**3, partial(torch.mm, *tensors)
    return cases
