"""Other driving environments, measured in the same run where they are installed."""

from __future__ import annotations

import importlib.util
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

HIGHWAY_IMAGE = {
    "observation": {
        "type": "GrayscaleObservation",
        "observation_shape": (64, 64),
        "stack_size": 1,
        "weights": [0.2989, 0.5870, 0.1140],
    },
    "action": {"type": "ContinuousAction"},
    "offscreen_rendering": True,
}


@dataclass(frozen=True)
class Peer:
    """An environment of others: what has to be installed for it, and how it is made."""

    name: str
    image: str
    modules: tuple[str, ...]
    install: str
    make: Callable[[], Any]
    counterpart: str  # the family of ours that asks for the same

    def missing(self) -> str | None:
        """A sentence where it cannot be measured."""
        absent = [name for name in self.modules if importlib.util.find_spec(name) is None]
        return f"{self.name} is not measured: install {self.install} (requirements-bench.txt)." if absent else None


def _car_racing() -> Any:
    import gymnasium

    return gymnasium.make("CarRacing-v3").unwrapped


def _highway() -> Any:
    import gymnasium

    importlib.import_module("highway_env")
    return gymnasium.make("racetrack-v1", config=HIGHWAY_IMAGE).unwrapped


PEERS = (
    Peer("CarRacing-v3", "96x96 RGB", ("Box2D", "pygame"), "Box2D and pygame-ce", _car_racing, "lane_follow"),
    Peer("highway-env", "64x64 grey", ("highway_env", "pygame"), "highway-env", _highway, "stop_go"),
)


class PeerCase:
    """Random actions, one environment; resets are not counted, which favours the peer."""

    def __init__(self, peer: Peer) -> None:
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._env = peer.make()
        self._env.action_space.seed(0)
        self._env.reset(seed=0)
        self.run(0.2)

    def run(self, seconds: float) -> float:
        """Steps per second over at least that long."""
        env, spent, steps = self._env, 0.0, 0
        while spent < seconds:
            action = np.asarray(env.action_space.sample())
            start = time.perf_counter()
            _, _, terminated, truncated, _ = env.step(action)
            spent += time.perf_counter() - start
            steps += 1
            if terminated or truncated:
                env.reset()
        return steps / spent

    def close(self) -> None:
        """Free what it holds."""
        self._env.close()
