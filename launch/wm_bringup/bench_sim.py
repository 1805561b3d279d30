"""What `wm bench sim` measures of ours: the single environment, the vector environment, the kernel below both."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from wm_sim.action import STEER_MAX_RAD
from wm_sim.world import WorldConfig

if TYPE_CHECKING:
    from wm_sim.vector_env import DrivingVectorEnv

SENSORS = {
    "state": WorldConfig(camera=False, scan=False),
    "+ scan": WorldConfig(camera=False),
    "+ camera": WorldConfig(),
}
NAMES = {"single": "make()", "vector": "make_vec()", "kernel": "Worlds.step"}
POOL = 24  # seeds a family; scenarios are kept, so that resets cost next to nothing
WHEELBASE_M = 2.6
SPREAD_STEPS = 250  # of a batch before it is timed, so that its resets are spread over the steps as in a long run


@dataclass(frozen=True)
class Setup:
    """One thing to measure. api: "single" and "vector" are Gymnasium's, "kernel" is Worlds.step below them."""

    api: str
    sensors: str
    worlds: int = 1
    threads: int = 1
    fresh: bool = False  # a new scenario at every reset instead of one of a pool
    family: str = "all"

    @property
    def name(self) -> str:
        """What the table calls it."""
        return f"{NAMES[self.api]}{', new' if self.fresh else ''}"


def keep_lane(truth: Any, state: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pedals [N, 3] of a car that keeps its lane and its distance, so that episodes last; it is not timed.

    truth: anything whose entries lateral_error_m, heading_error_rad, curvature_1pm, gap_ahead_m are [N].
    """
    speed, limit = state[..., 0], state[..., 6]
    steering = WHEELBASE_M * truth["curvature_1pm"] - 0.1 * truth["lateral_error_m"] - 0.8 * truth["heading_error_rad"]
    wish = np.minimum(0.8 * limit, np.maximum(truth["gap_ahead_m"] - 8.0, 0.0) / 2.0)
    push = np.clip(0.4 * (wish - speed), -1.0, 1.0)
    pedals = np.stack([np.clip(steering / STEER_MAX_RAD, -1.0, 1.0), np.maximum(push, 0.0), np.maximum(-push, 0.0)], -1)
    return np.ascontiguousarray(pedals, dtype=np.float32)


class SingleCase:
    """One `gymnasium.make("wm_sim/Driving-v0")`, resets included."""

    def __init__(self, setup: Setup) -> None:
        import gymnasium

        import wm_sim  # noqa: F401  (registers the id)

        pool = None if setup.fresh else POOL
        self._env: Any = gymnasium.make(
            "wm_sim/Driving-v0", family=setup.family, config=SENSORS[setup.sensors], pool=pool
        )  # fmt: skip
        self._env.get_wrapper_attr("episodes").fill()
        self._seen, self._info = self._env.reset()
        self.run(0.1)

    def run(self, seconds: float) -> float:
        """Steps per second over at least that long."""
        env, spent, steps = self._env, 0.0, 0
        while spent < seconds:
            action = keep_lane(self._info["truth"], self._seen["state"])
            start = time.perf_counter()
            self._seen, _, terminated, truncated, self._info = env.step(action)
            if terminated or truncated:
                self._seen, self._info = env.reset()
            spent += time.perf_counter() - start
            steps += 1
        return steps / spent

    def close(self) -> None:
        """Free what it holds."""
        self._env.close()


class VectorCase:
    """`gymnasium.make_vec("wm_sim/Driving-v0")`, resets included."""

    def __init__(self, setup: Setup) -> None:
        import gymnasium

        import wm_sim  # noqa: F401

        self._worlds = setup.worlds
        self._env: Any = gymnasium.make_vec(
            "wm_sim/Driving-v0", num_envs=setup.worlds, vectorization_mode="vector_entry_point", family=setup.family,
            config=SENSORS[setup.sensors], pool=None if setup.fresh else POOL, copy=False, threads=setup.threads,
        )  # fmt: skip
        cast("DrivingVectorEnv", self._env).episodes.fill()
        self._seen, self._info = self._env.reset()
        for _ in range(SPREAD_STEPS):
            self._step()

    def _step(self) -> float:
        actions = keep_lane(self._info["truth"], self._seen["state"])
        start = time.perf_counter()
        self._seen, _, _, _, self._info = self._env.step(actions)
        return time.perf_counter() - start

    def run(self, seconds: float) -> float:
        """World steps per second over at least that long."""
        spent, steps = 0.0, 0
        while spent < seconds:
            spent += self._step()
            steps += self._worlds
        return steps / spent

    def close(self) -> None:
        """Free what it holds."""
        self._env.close()


class KernelCase:
    """`Worlds.step` alone: no spaces, no infos; an episode that is over starts again outside the timing."""

    def __init__(self, setup: Setup) -> None:
        from wm_sim.action import from_pedals
        from wm_sim.episodes import Episodes
        from wm_sim.worlds import Worlds

        config = SENSORS[setup.sensors]
        self._pedals = from_pedals
        self._worlds = Worlds(setup.worlds, config, threads=setup.threads)
        episodes = Episodes(setup.family, config.options, POOL)
        rng = np.random.default_rng(0)
        self._scenarios = [episodes.draw(rng) for _ in range(setup.worlds)]
        for n, scenario in enumerate(self._scenarios):
            self._worlds.load(n, scenario)
        for _ in range(SPREAD_STEPS):
            self._step()

    def _step(self) -> float:
        worlds = self._worlds
        actions = self._pedals(keep_lane(worlds.truth_columns(), worlds.state))
        start = time.perf_counter()
        worlds.step(actions)
        spent = time.perf_counter() - start
        for n in np.flatnonzero(worlds.terminated | worlds.truncated).tolist():
            worlds.load(n, self._scenarios[n])
        return spent

    def run(self, seconds: float) -> float:
        """World steps per second over at least that long."""
        spent, steps = 0.0, 0
        while spent < seconds:
            spent += self._step()
            steps += len(self._worlds.reward)
        return steps / spent

    def close(self) -> None:
        """Free what it holds."""


CASES: dict[str, Any] = {"single": SingleCase, "vector": VectorCase, "kernel": KernelCase}


def memory_mib(worlds: int, family: str = "all") -> float:
    """MiB of resident memory that each of so many worlds takes, sensors included; measured in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return float(pool.apply(_memory_mib, (worlds, family)))


def _memory_mib(worlds: int, family: str) -> float:
    import gc

    import psutil

    KernelCase(Setup("kernel", "+ camera", 1, family=family))  # what code and one world take
    gc.collect()
    process = psutil.Process()
    before = process.memory_info().rss
    case = KernelCase(Setup("kernel", "+ camera", worlds, family=family))
    case._scenarios.clear()
    gc.collect()
    return (process.memory_info().rss - before) / worlds / 2**20
