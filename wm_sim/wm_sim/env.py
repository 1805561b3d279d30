"""The world as a Gymnasium environment, `wm_sim/Driving-v0`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields as fields_of
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from wm_sim.action import from_pedals
from wm_sim.episodes import Episodes
from wm_sim.errors import SimError
from wm_sim.infos import single_info
from wm_sim.observation import SCAN_MAX_M, STATE_SIZE, STEP_S
from wm_sim.sensors.semantic import Label
from wm_sim.vehicle import SPEED_MAX_MPS, STEER_LIMIT_RAD
from wm_sim.window import Window
from wm_sim.world import World, WorldConfig
from wm_sim.worlds import Worlds

SPEED_LIMIT_MAX_MPS = 200.0  # map files may say as much
ACCELERATION_BOUND_MPS2 = 10.0
YAW_RATE_BOUND_RADPS = 10.0
ROUTE_BOUND_M = 200.0
RENDER_FPS = round(1 / STEP_S)

Observation = dict[str, NDArray[Any]]


def observation_space(worlds: Worlds) -> spaces.Dict:
    """The sensors that are on, with the bounds that physics gives them."""
    high = np.full(STATE_SIZE, ROUTE_BOUND_M, dtype=np.float32)
    high[:7] = (
        SPEED_MAX_MPS, ACCELERATION_BOUND_MPS2, YAW_RATE_BOUND_RADPS, STEER_LIMIT_RAD, 1.0, 1.0, SPEED_LIMIT_MAX_MPS
    )  # fmt: skip
    low = -high
    low[0] = low[6] = 0.0
    bounds: dict[str, tuple[Any, Any]] = {"state": (low, high), "scan": (0.0, SCAN_MAX_M), "semantic": (0, max(Label))}
    found: dict[str, spaces.Space[Any]] = {}
    for name, buffer in worlds.observation().items():
        least, most = bounds.get(name, (0, 255))
        kind: Any = buffer.dtype.type
        found[name] = spaces.Box(least, most, buffer.shape[1:], kind)
    return spaces.Dict(found)


def action_space() -> spaces.Box[np.float32]:
    """(steering, throttle, brake); steering is left positive."""
    return spaces.Box(np.array([-1.0, 0.0, 0.0], dtype=np.float32), np.array([1.0, 1.0, 1.0], dtype=np.float32))


def configured(config: WorldConfig | None, fields: dict[str, Any]) -> WorldConfig:
    """The configuration with some of its fields changed, as keywords of an environment give them."""
    known = {field.name for field in fields_of(WorldConfig)}
    for name in fields:
        if name not in known:
            raise SimError(f"environment option {name!r}: unknown. Known are {', '.join(sorted(known))}.")
    return replace(config or WorldConfig(), **fields)


def reset_options(options: dict[str, Any] | None) -> tuple[str | None, int | None]:
    """`family` and `seed` of what reset() was asked for."""
    for name in options or {}:
        if name not in ("family", "seed"):
            raise SimError(f"reset option {name!r}: unknown. Known are 'family' and 'seed'.")
    family, seed = (options or {}).get("family"), (options or {}).get("seed")
    return family, None if seed is None else int(seed)


class DrivingEnv(gymnasium.Env[Observation, NDArray[np.float32]]):
    """Drive a car along a road by (steering, throttle, brake); steering is left positive.

    family: a scenario family, a list of them, "all", or "road:FILE" for a map file. A plain `reset` draws an episode
    with a training seed; `reset(options={"family": …, "seed": …})` starts a given one. Fields of WorldConfig may be
    given as keywords. The labels of the simulator are in `info["truth"]` and never in the observation.
    pool: draw only seeds below it and keep their scenarios, see `Episodes`.
    """

    metadata = {"render_modes": ["rgb_array", "human"], "render_fps": RENDER_FPS}  # noqa: RUF012 (Gymnasium's name)

    def __init__(
        self,
        family: str | Sequence[str] = "lane_follow",
        render_mode: str | None = None,
        config: WorldConfig | None = None,
        pool: int | None = None,
        **fields: Any,
    ) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise SimError(f"render mode {render_mode!r}: expected None, 'rgb_array' or 'human'.")
        config = configured(config, fields)
        self.render_mode = render_mode
        self.world = World(config)
        self._worlds = self.world.worlds
        self._buffers = self._worlds.observation()
        self.observation_space = observation_space(self._worlds)  # type: ignore[assignment]
        self.action_space = action_space()
        self.episodes = Episodes(family, config.options, pool)
        self._window = Window("wm_sim", RENDER_FPS) if render_mode == "human" else None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        super().reset(seed=seed)
        family, episode = reset_options(options)
        scenario = self.episodes.draw(self.np_random, family, seed if episode is None else episode)
        self._worlds.load(0, scenario)
        self.world.trail.clear()
        self._show()
        return self._observation(), single_info(self._worlds)

    def step(self, action: NDArray[np.float32]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        worlds = self._worlds
        worlds.step(from_pedals(action)[None])
        self._show()
        return (
            self._observation(), float(worlds.reward[0]), bool(worlds.terminated[0]), bool(worlds.truncated[0]),
            single_info(worlds),
        )  # fmt: skip

    def render(self) -> NDArray[np.uint8] | None:  # type: ignore[override]
        """Camera and view from above side by side [360, 1000, 3]; in mode "human" they are in the window."""
        return draw_world(self.world) if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()

    def _observation(self) -> Observation:
        return {name: buffer[0].copy() for name, buffer in self._buffers.items()}

    def _show(self) -> None:
        if self.render_mode is not None:
            x, y = self.world.ego[:2].tolist()
            self.world.trail.append((x, y))
        if self._window is not None:
            self._window.show(draw_world(self.world))


def draw_world(world: World) -> NDArray[np.uint8]:
    """Camera and view from above side by side [360, 1000, 3]."""
    from wm_sim.view import draw_both

    return draw_both(world)
