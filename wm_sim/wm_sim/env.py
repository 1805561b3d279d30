"""The world as a Gymnasium environment, `wm_sim/Driving-v0`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from wm_sim.action import from_pedals
from wm_sim.errors import SimError
from wm_sim.observation import SCAN_MAX_M, SCAN_SIZE, STATE_SIZE, STEP_S
from wm_sim.scenarios import FAMILIES
from wm_sim.vehicle import SPEED_MAX_MPS, STEER_LIMIT_RAD
from wm_sim.world import Frame, World, WorldConfig

TRAINING_SEEDS = 1_000_000  # seeds drawn by reset() lie below; those above are for reporting
SPEED_LIMIT_MAX_MPS = 40.0
ACCELERATION_BOUND_MPS2 = 10.0
YAW_RATE_BOUND_RADPS = 10.0
ROUTE_BOUND_M = 200.0

Observation = dict[str, NDArray[Any]]


def observation_space(camera_size: tuple[int, int] = (64, 64)) -> spaces.Dict:
    """Camera, scan and state with the bounds that physics gives them."""
    high = np.full(STATE_SIZE, ROUTE_BOUND_M, dtype=np.float32)
    high[:7] = (
        SPEED_MAX_MPS, ACCELERATION_BOUND_MPS2, YAW_RATE_BOUND_RADPS, STEER_LIMIT_RAD, 1.0, 1.0, SPEED_LIMIT_MAX_MPS
    )  # fmt: skip
    low = -high
    low[0] = low[6] = 0.0
    return spaces.Dict(
        {
            "camera": spaces.Box(0, 255, (*camera_size, 3), np.uint8),
            "scan": spaces.Box(0.0, SCAN_MAX_M, (SCAN_SIZE,), np.float32),
            "state": spaces.Box(low, high, dtype=np.float32),
        }
    )


class DrivingEnv(gymnasium.Env[Observation, NDArray[np.float32]]):
    """Drive a car along a road by (steering, throttle, brake); steering is left positive.

    `reset(options={"family": …, "seed": …})` starts a given episode; a plain `reset` draws a training seed. The labels
    of the simulator are in `info["truth"]` and never in the observation.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": round(1 / STEP_S)}  # noqa: RUF012 (Gymnasium's name)

    def __init__(
        self,
        family: str = "lane_follow",
        render_mode: str | None = None,
        config: WorldConfig | None = None,
    ) -> None:
        config = config or WorldConfig()
        if family not in FAMILIES:
            raise SimError(f"scenario {family!r}: unknown. Known are {', '.join(FAMILIES)}.")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise SimError(f"render mode {render_mode!r}: expected None or 'rgb_array'.")
        if not (config.camera and config.scan):
            raise SimError("the environment's observation has camera and scan: leave both on in its WorldConfig.")
        self.family = family
        self.render_mode = render_mode
        self.world = World(config)
        self.observation_space = observation_space(config.camera_size)  # type: ignore[assignment]
        self.action_space = spaces.Box(
            np.array([-1.0, 0.0, 0.0], dtype=np.float32), np.array([1.0, 1.0, 1.0], dtype=np.float32)
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        super().reset(seed=seed)
        options = dict(options or {})
        family = options.pop("family", self.family)
        episode = options.pop("seed", None)
        if options:
            raise SimError(f"reset option {sorted(options)[0]!r}: unknown. Known are 'family' and 'seed'.")
        if episode is None:
            episode = seed if seed is not None else int(self.np_random.integers(TRAINING_SEEDS))
        frame = self.world.reset(family, episode)
        return World.observation(frame), _info(frame)

    def step(self, action: NDArray[np.float32]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        frame = self.world.step(from_pedals(action))
        return World.observation(frame), frame.truth.reward, frame.terminated, frame.truncated, _info(frame)

    def render(self) -> NDArray[np.uint8] | None:  # type: ignore[override]
        """Camera and view from above side by side [360, 1000, 3]."""
        if self.render_mode is None:
            return None
        from wm_sim.view import draw_both

        return draw_both(self.world)


def _info(frame: Frame) -> dict[str, Any]:
    return {
        "truth": asdict(frame.truth),
        "pose": frame.true_pose,
        "events": [asdict(event) for event in frame.events],
    }
