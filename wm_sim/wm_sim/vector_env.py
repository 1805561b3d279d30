"""Many worlds as one Gymnasium vector environment: a step of all of them is one kernel call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from wm_sim.action import from_pedals
from wm_sim.env import RENDER_FPS, action_space, configured, draw_world, observation_space, reset_options
from wm_sim.episodes import Episodes
from wm_sim.errors import SimError
from wm_sim.infos import BatchInfos
from wm_sim.world import WorldConfig
from wm_sim.worlds import Worlds

Observation = dict[str, NDArray[Any]]
Step = tuple[Observation, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]


class DrivingVectorEnv(VectorEnv[Observation, NDArray[np.float32], NDArray[Any]]):
    """`num_envs` independent cars. World n with seed s drives exactly as `DrivingEnv` does with that seed.

    autoreset_mode: NEXT_STEP (default), SAME_STEP or DISABLED, as in Gymnasium's own vector environments.
    pool: draw seeds below it only and keep their scenarios; resets then cost next to nothing. None: new ones each time.
    copy: False gives the buffers themselves, which the next step overwrites.
    threads: worlds are stepped by so many threads; the result is the same for any number.
    """

    def __init__(
        self,
        num_envs: int = 1,
        family: str | Sequence[str] = "lane_follow",
        render_mode: str | None = None,
        config: WorldConfig | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        pool: int | None = None,
        copy: bool = True,
        threads: int = 1,
        **fields: Any,
    ) -> None:
        if num_envs < 1:
            raise SimError(f"num_envs {num_envs}: expected 1 or more.")
        if render_mode not in (None, "rgb_array"):
            raise SimError(f"render mode {render_mode!r}: a vector environment knows None and 'rgb_array'.")
        try:
            self.autoreset_mode = AutoresetMode(autoreset_mode)
        except ValueError:
            known = ", ".join(repr(mode.value) for mode in AutoresetMode)
            raise SimError(f"autoreset mode {autoreset_mode!r}: expected one of {known}.") from None
        config = configured(config, fields)
        self.metadata = {
            "render_modes": ["rgb_array"], "render_fps": RENDER_FPS, "autoreset_mode": self.autoreset_mode
        }  # fmt: skip
        self.num_envs, self.render_mode, self.copy = num_envs, render_mode, copy
        self.worlds = Worlds(num_envs, config, threads=threads)
        self.single_observation_space: spaces.Dict = observation_space(self.worlds)
        self.single_action_space = action_space()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._infos = BatchInfos(self.worlds)
        self.episodes = Episodes(family, config.options, pool)
        self._rngs: list[np.random.Generator] = [np.random.default_rng() for _ in range(num_envs)]
        self._seeds: list[int] = [-1] * num_envs
        self._over = np.zeros(num_envs, dtype=np.bool_)
        self._ready = np.zeros(num_envs, dtype=np.bool_)
        self._buffers = self.worlds.observation()

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """The seed of each world's generator, -1 where none was given."""
        return tuple(self._seeds)

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """Each world's generator, from which its episodes are drawn."""
        return tuple(self._rngs)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:  # type: ignore[override]
        """Start new episodes: in every world, or in those where options["reset_mask"] [N] is True.

        seed: world n gets seed + n, or its own of a list. options may name `family` and the episode's `seed` too.
        """
        options = dict(options or {})
        mask = self._mask(options.pop("reset_mask", None))
        family, episode = reset_options(options)
        if seed is None or isinstance(seed, int | np.integer):
            seed = [None if seed is None else int(seed) + n for n in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise SimError(f"{len(seed)} seeds for {self.num_envs} worlds: give one number, or one for each world.")
        for n in range(self.num_envs) if mask is None else np.flatnonzero(mask).tolist():
            wanted = seed[n]
            if wanted is not None:
                self._rngs[n], self._seeds[n] = seeding.np_random(wanted)
            self._load(n, family, episode if episode is not None else wanted)
        return self._observation(), self._infos.of(mask)

    def step(self, actions: NDArray[np.float32]) -> Step:
        """One step of 0.1 s of every world by (steering, throttle, brake) [N, 3]."""
        actions = np.asarray(actions, dtype=np.float32)
        if actions.shape != (self.num_envs, 3):
            raise SimError(f"actions of shape {actions.shape}: expected ({self.num_envs}, 3).")
        if not self._ready.all():
            raise SimError("the vector environment has worlds without an episode: call reset() first.")
        if self.autoreset_mode is AutoresetMode.DISABLED and self._over.any():
            raise SimError(
                f"the episode of world {int(np.argmax(self._over))} is over: reset it with "
                "reset(options={'reset_mask': terminated | truncated})."
            )
        worlds = self.worlds
        worlds.step(from_pedals(actions))
        final: dict[str, Any] = {}
        if self.autoreset_mode is AutoresetMode.NEXT_STEP:
            for n in np.flatnonzero(self._over).tolist():
                self._load(n)
            reward, terminated, truncated = self._outcome()
            self._over = terminated | truncated
        else:
            reward, terminated, truncated = self._outcome()
            over = terminated | truncated
            if self.autoreset_mode is AutoresetMode.SAME_STEP:
                if over.any():
                    final = self._final(over)
                    for n in np.flatnonzero(over).tolist():
                        self._load(n)
            else:
                self._over = over
        return self._observation(), reward, terminated, truncated, {**final, **self._infos.of()}

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:  # type: ignore[override]
        """Camera and view from above of every world."""
        if self.render_mode is None:
            return None
        return tuple(draw_world(self.worlds.world(n)) for n in range(self.num_envs))

    def _mask(self, mask: Any) -> NDArray[np.bool_] | None:
        if mask is None:
            return None
        mask = np.asarray(mask)
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_ or not mask.any():
            raise SimError(f"reset_mask: expected {self.num_envs} booleans, at least one of them True.")
        return mask

    def _load(self, n: int, family: str | None = None, seed: int | None = None) -> None:
        scenario = self.episodes.draw(self._rngs[n], family, seed)
        self.worlds.load(n, scenario)
        self._infos.loaded(n, scenario.family, scenario.seed)
        self._over[n] = False
        self._ready[n] = True

    def _outcome(self) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        worlds = self.worlds
        return worlds.reward.copy(), worlds.terminated.copy(), worlds.truncated.copy()

    def _observation(self) -> Observation:
        if not self.copy:
            return dict(self._buffers)
        return {name: values.copy() for name, values in self._buffers.items()}

    def _final(self, over: NDArray[np.bool_]) -> dict[str, Any]:
        """What the worlds whose episode is over saw last."""
        seen = np.full(self.num_envs, None, dtype=object)
        for n in np.flatnonzero(over).tolist():
            seen[n] = {name: values[n].copy() for name, values in self._buffers.items()}
        return {
            "final_obs": seen,
            "_final_obs": over.copy(),
            "final_info": self._infos.of(over),
            "_final_info": over.copy(),
        }
