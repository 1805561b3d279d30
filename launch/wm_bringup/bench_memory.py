"""`wm bench memory`: does resident memory stay where it is while an agent drives and plans?"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wm_bringup.errors import BringupError
from wm_bringup.paths import MODEL, find_model

WARM_UP = 500  # plans before the first reading: kernels compile, pools fill
READINGS = 200
WANTED_SHARE = 0.02  # largest distance of any reading from their mean
MIB = 2.0**20


@dataclass(frozen=True)
class MemoryBench:
    """Resident memory over many plans in closed loop."""

    plans: int = 10_000
    """Plans, each after a frame that was rendered, encoded and filtered."""
    model: Path = Path(MODEL)
    """Model folder."""
    engine: str = "onnxruntime"
    """What runs the model."""
    family: str = "stop_go"
    """Scenario family to drive, or `all` of them in turn."""
    seed: int = 500_000
    """First seed of the drives."""
    json: Path | None = None
    """Write the figures to this file."""


def bench_memory(config: MemoryBench) -> int:
    """Drive, print the figures, write the JSON."""
    from wm_bringup.bench import machine, write_result
    from wm_sim.scenarios import FAMILIES

    if config.plans < READINGS:
        raise BringupError(f"bench memory --plans {config.plans}: choose at least {READINGS}.")
    if config.family != "all" and config.family not in FAMILIES:
        raise BringupError(f"unknown scenario {config.family}: choose all or one of {', '.join(FAMILIES)}.")
    began = time.monotonic()
    readings = _readings(config)
    result = {
        "bench": "memory",
        "machine": machine(),
        "engine": config.engine,
        "family": config.family,
        "plans": config.plans,
        "minutes": round((time.monotonic() - began) / 60, 1),
        **figures(readings),
        "rss_mib": [round(float(reading), 2) for reading in readings],
    }
    print(
        f"{config.plans:,} plans: resident memory {result['mean_mib']:.1f} MiB on average, "
        f"± {100 * result['spread_share']:.2f} % of it (wanted ± {100 * WANTED_SHARE:g} %); "
        f"from the first tenth to the last {100 * result['growth_share']:+.2f} %"
    )
    write_result(config.json, result)
    return 0


def figures(readings: np.ndarray) -> dict[str, Any]:
    """What readings in MiB say: mean, largest distance from it, and change from the first tenth to the last."""
    mean, tenth = float(readings.mean()), max(1, len(readings) // 10)
    spread = float(np.abs(readings - mean).max()) / mean
    growth = float(readings[-tenth:].mean() / readings[:tenth].mean()) - 1.0
    return {
        "mean_mib": round(mean, 2),
        "spread_share": round(spread, 5),
        "growth_share": round(growth, 5),
        "wanted_share": WANTED_SHARE,
        "met": spread <= WANTED_SHARE,
    }


def _readings(config: MemoryBench) -> np.ndarray:
    """Resident memory in MiB at READINGS moments spread evenly over the plans."""
    import psutil

    drive, process = _endless_drive(config), psutil.Process(os.getpid())
    for _ in range(WARM_UP):
        drive()
    readings, done = np.empty(READINGS), 0
    for k in range(READINGS):
        until = (k + 1) * config.plans // READINGS
        for _ in range(until - done):
            drive()
        done = until
        readings[k] = process.memory_info().rss / MIB
    return readings


def _endless_drive(config: MemoryBench) -> Callable[[], None]:
    """A function that drives one frame further, into the next episode where one has ended."""
    from wm_bringup.bench_planner_drive import tuning_episodes
    from wm_planner.agent import model_driver
    from wm_sim.world import World

    driver, world = model_driver(find_model(config.model), engine=config.engine), World()
    episodes = tuning_episodes(config.family, config.seed)
    frame = None

    def step() -> None:
        nonlocal frame
        if frame is None or frame.terminated or frame.truncated:
            frame = world.reset(*next(episodes))
            driver.reset(world)
        frame = world.step(driver.act(frame))

    return step
