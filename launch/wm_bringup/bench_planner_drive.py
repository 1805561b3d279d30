"""Plans while driving: several planners answer every frame of the same drives in turn, the first of them drives."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from wm_dynamics.protocols import Engine

Array = NDArray[np.float32]

WARM_UP = 5  # plans of each planner before the first that counts


class Moment(NamedTuple):
    """What a planner is given."""

    belief: Array  # [L]
    state: Array  # [15]
    scan: Array  # [72] m


class Contender(Protocol):
    """A planner whose plans are timed."""

    threads: int

    def reset(self) -> None:
        """An episode begins."""

    def plan(self, moment: Moment) -> Array:
        """One full plan; the action [2] that it begins with."""


@dataclass(frozen=True)
class Search:
    """A planner of ours: what runs the model, what searches, how much, on how many threads."""

    engine: str = "onnxruntime"
    solver: str = "icem"
    candidates: tuple[int, ...] = (256, 128, 64)  # of each iteration
    horizon: int = 12  # steps
    threads: int = 1
    screened: bool = True  # False: every candidate is imagined, not only those that may count

    @property
    def size(self) -> str:
        """Candidates of each iteration, and steps, in words."""
        if self.solver == "policy":
            return f"none, {self.horizon} steps"
        alike = len(self.candidates) > 1 and len(set(self.candidates)) == 1
        sizes = f"{len(self.candidates)} × {self.candidates[0]}" if alike else ", ".join(map(str, self.candidates))
        return f"{sizes}, {self.horizon} steps{'' if self.screened else ', unscreened'}"


class Engines:
    """Engines by name, threads and horizon, each loaded once; a horizon that is not the model's is exported anew."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self._folders: dict[int, Path] = {}
        self._folder, self._scratch = folder, scratch
        self._loaded: dict[tuple[str, int, int], Engine] = {}

    def get(self, name: str, threads: int, horizon: int) -> Engine:
        """The engine; ModelError where it cannot run here."""
        from wm_dynamics.engines import load_engine

        key = (name, threads, horizon)
        if key not in self._loaded:
            self._loaded[key] = load_engine(self._at_horizon(horizon), name, threads)
        return self._loaded[key]

    def _at_horizon(self, horizon: int) -> Path:
        from wm_dynamics.model_files import load_world_model, write_model_folder
        from wm_perception.model_folder import read_model_config

        config = read_model_config(self._folder)
        if horizon == config.horizon:
            return self._folder
        if horizon not in self._folders:
            model = load_world_model(self._folder, config)
            model.config = replace(model.config, horizon=horizon)
            folder = self._scratch / f"horizon-{horizon}"
            p95, p999 = config.disagreement_p95, config.surprise_p999
            write_model_folder(folder, model, training={}, metrics={}, disagreement_p95=p95, surprise_p999=p999)
            self._folders[horizon] = folder
        return self._folders[horizon]


class SearchContender:
    """A planner of ours with the default objective and no deadline."""

    def __init__(self, search: Search, engine: Engine) -> None:
        from wm_planner.planner import Planner, PlannerConfig
        from wm_planner.solvers import solver_config

        self.threads = search.threads
        settings: Any = solver_config(search.solver, search.candidates)
        settings = replace(settings, horizon=search.horizon)
        config = PlannerConfig(solver=search.solver, search=settings)
        self._planner = Planner(engine, config if search.screened else replace(config, screening_margin=math.inf))

    def reset(self) -> None:
        self._planner.reset()

    def plan(self, moment: Moment) -> Array:
        return self._planner.plan_from(moment.belief, moment.state, scan=moment.scan).actions[0]


def plan_while_driving(
    contenders: Sequence[Contender],
    engine: Engine,
    episodes: Iterator[tuple[str, int]],
    plans: int,
    advance: Callable[[], None] = lambda: None,
) -> NDArray[np.float64]:
    """Milliseconds of wall and processor time of each plan [contenders, 2, plans].

    The first contender drives one episode (family, seed) after the other. At every frame each plans once from the same
    belief, which `engine` filters; who begins moves on from frame to frame.
    """
    import torch

    from wm_perception.scan_memory import ScanMemory
    from wm_planner.planner import PREVIOUS
    from wm_sim.world import World

    world, frame, belief, scans = World(), None, engine.initial_belief(), ScanMemory()
    spent = np.empty((len(contenders), 2, plans))
    for number in range(-WARM_UP, plans):
        if frame is None or frame.terminated or frame.truncated:
            frame, belief = world.reset(*next(episodes)), engine.initial_belief()
            scans.clear()
            for contender in contenders:
                contender.reset()
        embedding = engine.encode(frame.camera, scans.step(frame.scan), frame.state)
        belief, _ = engine.observe(belief, frame.state[PREVIOUS : PREVIOUS + 2], embedding)
        action = np.zeros(2, np.float32)
        for k in np.roll(np.arange(len(contenders)), -number).tolist():
            torch.set_num_threads(contenders[k].threads)
            began, used = time.perf_counter(), time.process_time()
            planned = contenders[k].plan(Moment(belief, frame.state, frame.scan))
            ended = time.perf_counter(), time.process_time()
            if number >= 0:
                spent[k, :, number] = 1e3 * (ended[0] - began), 1e3 * (ended[1] - used)
            action = planned if k == 0 else action
        frame = world.step(action)
        advance()
    return spent


def tuning_episodes(family: str, seed: int) -> Iterator[tuple[str, int]]:
    """Families and seeds to drive: that family's, or with `all` every family in turn, from `seed` on."""
    from wm_sim.scenarios import FAMILIES

    names = tuple(FAMILIES) if family == "all" else (family,)
    for number in itertools.count():
        yield names[number % len(names)], seed + number // len(names)
