"""Many worlds stepped together: one kernel call for all of them, in as many threads as wanted, always the same bits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wm_sim import sensing, stepping
from wm_sim.arrays import TRUTH_NAMES, WorldArrays, empty_arrays, load_scenario
from wm_sim.errors import SimError
from wm_sim.frame import WorldConfig
from wm_sim.scenarios import Scenario
from wm_sim.sensors.appearance import APPEARANCE_SIZE
from wm_sim.sensors.bev import BEV_SIZE, bev_look
from wm_sim.sensors.camera import Scratch, camera_scratch

if TYPE_CHECKING:
    from wm_sim.world import World

_NO_ACTION = np.zeros((0, 2), dtype=np.float32)


class Worlds:
    """`count` independent worlds. Each holds an episode once a scenario was loaded into it.

    The buffers `camera`, `scan`, `state`, `reward`, `terminated`, `truncated`, `truth`, `events` and `pose` hold what
    the last look of each world gave, and are overwritten by the next.
    """

    def __init__(self, count: int, config: WorldConfig | None = None, threads: int = 1) -> None:
        config = config or WorldConfig()
        if count < 1 or threads < 1:
            raise SimError(f"{count} worlds in {threads} threads: expected one or more of each.")
        height, width = config.camera_size
        if not (8 <= height <= 2160 and 8 <= width <= 3840):
            raise SimError(f"camera size {height}x{width}: expected 8x8 to 2160x3840 (height x width).")
        self.config = config
        self.arrays: WorldArrays = empty_arrays(count, config.camera_size if config.camera else (0, 0))
        self.scenarios: list[Scenario | None] = [None] * count
        self._look = stepping.LOOK
        self._look |= stepping.CAMERA * config.camera | stepping.SCAN * config.scan
        self._missing = count
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        bounds = np.linspace(0, count, min(threads, count) + 1).round().astype(int).tolist()
        cameras = [camera_scratch(height, width) for _ in bounds[1:]]
        self._scratches = [(camera, camera_scratch(BEV_SIZE, BEV_SIZE) if config.bev else camera) for camera in cameras]
        self._chunks = list(zip(self._scratches, bounds[:-1], bounds[1:], strict=True))
        arrays = self.arrays
        self.camera, self.scan, self.state, self.pose = arrays.camera, arrays.scan, arrays.state, arrays.pose
        self.truth, self.events = arrays.truth, arrays.events
        self.terminated, self.truncated = arrays.terminated, arrays.truncated
        self.reward: NDArray[np.float64] = arrays.truth[:, TRUTH_NAMES.index("reward")]
        self.scan[:] = stepping.SCAN_MAX_M
        side = BEV_SIZE if config.bev else 0
        self.semantic = np.zeros((count, *(config.camera_size if config.semantic else (0, 0))), dtype=np.uint8)
        self.bev = np.zeros((count, side, side, 3), dtype=np.uint8)
        self._bev_looks = np.zeros((count if config.bev else 0, APPEARANCE_SIZE))

    def __len__(self) -> int:
        return len(self.scenarios)

    def load(self, n: int, scenario: Scenario) -> None:
        """Start a scenario in world n and look at it. The scenario itself is not changed and not kept alive."""
        self._missing -= self.scenarios[n] is None
        self.scenarios[n] = scenario
        self.arrays = load_scenario(self.arrays, n, scenario)
        if self.config.bev:
            self._bev_looks[n] = bev_look(scenario.scene.look)
        self._run(n, stepping.BEGIN | self._look)

    def step(self, actions: ArrayLike) -> None:
        """A model step of 0.1 s of every world by actions [N, 2]; each takes effect after half of it."""
        wanted = np.ascontiguousarray(actions, dtype=np.float32)
        if wanted.shape != (len(self), 2):
            raise SimError(f"actions of shape {wanted.shape}: expected ({len(self)}, 2).")
        if self._missing:
            raise SimError(f"{self._missing} of {len(self)} worlds have no episode yet: load a scenario into each.")
        what = stepping.STEP | self._look
        if self._pool is None:
            self._advance(wanted, self._scratches[0], 0, len(self), what)
            return
        jobs = [self._pool.submit(self._advance, wanted, *chunk, what) for chunk in self._chunks]
        for job in jobs:
            job.result()

    def _run(self, n: int, what: int) -> None:
        self._advance(_NO_ACTION, self._scratches[0], n, n + 1, what)

    def _advance(
        self, actions: NDArray[np.float32], scratches: tuple[Scratch, Scratch], begin: int, end: int, what: int
    ) -> None:
        """Worlds begin..end - 1, and the views of them that are drawn on request only."""
        scratch, bev_scratch = scratches  # for the camera and for the view from above
        stepping.run(self.arrays, actions, scratch, begin, end, what)
        if what & stepping.LOOK and self.config.semantic:
            sensing.use_labels(self.arrays, self.semantic, scratch, begin, end)
        if what & stepping.LOOK and self.config.bev:
            sensing.use_bev(self.arrays, self.bev, self._bev_looks, bev_scratch, begin, end)

    def picture(self, n: int, size: tuple[int, int]) -> NDArray[np.uint8]:
        """What the camera of world n sees now, at any size (height, width)."""
        image = np.empty((*size, 3), dtype=np.uint8)
        sensing.take_picture(self.arrays, n, image, camera_scratch(*size))
        return image

    def tick(self, n: int) -> None:
        """A physics step of 0.05 s of world n."""
        self._run(n, stepping.TICK)

    def look(self, n: int) -> None:
        """Fill the buffers of world n with what it is like now."""
        self._run(n, self._look)

    def command(self, n: int, steer: float, accel: float) -> None:
        """Let world n execute an action from its next tick on."""
        stepping.set_command(self.arrays.memory[n], np.float32(steer), np.float32(accel))

    def observation(self) -> dict[str, NDArray[np.generic]]:
        """The buffers that a driver may see, [N, …] each."""
        seen: dict[str, NDArray[np.generic]] = {"state": self.state}
        if self.config.camera:
            seen["camera"] = self.camera
        if self.config.scan:
            seen["scan"] = self.scan
        if self.config.semantic:
            seen["semantic"] = self.semantic
        if self.config.bev:
            seen["bev"] = self.bev
        return seen

    def truth_columns(self) -> dict[str, NDArray[np.float64]]:
        """The labels by name, [N] each: views of the buffer."""
        return dict(zip(TRUTH_NAMES, self.truth.T, strict=True))

    def world(self, n: int) -> World:
        """World n as a World: to look at it closely, or to step it alone."""
        from wm_sim.world import World

        return World.of(self, n)

    @property
    def memory_bytes(self) -> int:
        """What the arrays of all worlds take."""
        return sum(array.nbytes for array in self.arrays)
