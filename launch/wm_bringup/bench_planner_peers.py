"""Planners of others, inside the same model and for the same wishes, where they are installed.

They get what they ask for: a function that makes one step, for a batch of sequences, in PyTorch. Comfort, bounds on the
action's rate and the feasibility rule are left out, which favours them.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wm_bringup.bench_planner_drive import Array, Contender, Moment

ELITES = 32
STD = 0.3  # of the first candidates, in action units


class Imagination:
    """One imagined step of the world model, with the return that it adds as the planner's objective counts it.

    What is carried from step to step, [N, L + 5]: belief, weight of the next reward (discount x chance to be still
    driving), highest collision and off-road risk so far, the part of the value that later steps replace, reward of the
    step. Summed over the horizon the rewards are `Objective`'s value without comfort.
    """

    def __init__(self, folder: Path) -> None:
        from wm_dynamics.model_files import load_world_model
        from wm_perception.model_folder import read_model_config
        from wm_planner.objective import ObjectiveConfig

        config, wishes = read_model_config(folder), ObjectiveConfig()
        self.model = load_world_model(folder, config)
        self.horizon, self.belief_size = config.horizon, config.belief_size
        self.size = self.belief_size + 5
        self._gamma = config.gamma
        self._collision, self._off_road = wishes.collision_weight, wishes.off_road_weight
        self._doubt = wishes.disagreement_weight / (config.disagreement_p95 * config.horizon)

    def start(self, belief: Array) -> Tensor:
        """What is carried into the first step [L + 5]."""
        carried = torch.zeros(self.size)
        carried[: self.belief_size] = torch.from_numpy(belief)
        carried[self.belief_size] = 1.0
        return carried

    def step(self, carried: Tensor, action: Tensor) -> Tensor:
        """What is carried on [N, L + 5] after actions [N, 2]."""
        belief, (weight, collision, off_road, promised, _) = (
            carried[:, : self.belief_size],
            carried[:, self.belief_size :].unbind(dim=1),
        )
        belief, spread = self.model.rssm.imagine(belief, action)
        read = self.model.heads(belief)
        collision = torch.maximum(collision, read.collision_logit.sigmoid())
        off_road = torch.maximum(off_road, read.off_road_logit.sigmoid())
        later = weight * self._gamma * read.continue_logit.sigmoid()
        promise = later * read.value - self._collision * collision - self._off_road * off_road
        reward = weight * read.reward - self._doubt * spread + promise - promised
        return torch.cat((belief, torch.stack((later, collision, off_road, promise, reward), dim=1)), dim=1)


class MppiPeer:
    """pytorch_mppi: one iteration, so that all rollouts are one batch; warm-started as it does by itself."""

    def __init__(self, imagination: Imagination, candidates: tuple[int, ...], threads: int) -> None:
        from pytorch_mppi import MPPI

        self.threads = threads
        self._imagination = imagination
        self._mppi = MPPI(
            imagination.step,
            lambda carried, action: -carried[:, -1],
            imagination.size,
            torch.eye(2) * STD**2,
            num_samples=candidates[0],
            horizon=imagination.horizon,
            lambda_=0.05,
            u_min=-torch.ones(2),
            u_max=torch.ones(2),
            U_init=torch.zeros(imagination.horizon, 2),
        )

    def reset(self) -> None:
        self._mppi.U = torch.zeros(self._imagination.horizon, 2)

    @torch.inference_mode()
    def plan(self, moment: Moment) -> Array:
        return np.asarray(self._mppi.command(self._imagination.start(moment.belief)))


class CemPeer:
    """TorchRL's CEM planner: iterations of one size; it has no warm start."""

    def __init__(self, imagination: Imagination, candidates: tuple[int, ...], threads: int) -> None:
        from torchrl.modules import CEMPlanner

        self.threads = threads
        self._imagination = imagination
        environment, iterations = _environment(imagination), len(candidates)
        self._planner = CEMPlanner(environment, imagination.horizon, iterations, candidates[0], ELITES)

    def reset(self) -> None:
        """It remembers nothing."""

    @torch.inference_mode()
    def plan(self, moment: Moment) -> Array:
        from tensordict import TensorDict

        start = TensorDict({"carried": self._imagination.start(moment.belief)}, batch_size=[])
        return self._planner(start)["action"].numpy()


def _environment(imagination: Imagination) -> Any:
    """The imagination as an environment of TorchRL."""
    from tensordict.nn import TensorDictModule
    from torchrl.data import Bounded, Composite, Unbounded
    from torchrl.envs import ModelBasedEnvBase

    class Imagined(ModelBasedEnvBase):
        def __init__(self) -> None:
            def step(carried: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
                carried = imagination.step(carried, action)
                return carried, carried[:, -1:]

            world_model = TensorDictModule(step, in_keys=["carried", "action"], out_keys=["carried", "reward"])
            super().__init__(world_model)
            self.observation_spec = Composite(carried=Unbounded((imagination.size,)))
            self.state_spec = Composite(carried=Unbounded((imagination.size,)))
            self.action_spec = Bounded(-1.0, 1.0, (2,))
            self.reward_spec = Unbounded((1,))

        def _reset(self, tensordict: Any, **kwargs: Any) -> Any:
            raise NotImplementedError("a plan brings its own start")

    return Imagined()


@dataclass(frozen=True)
class Peer:
    """A planner of others: what has to be installed for it, and how it is made."""

    name: str
    module: str
    iterations: int  # of a plan; they share the rollouts alike
    make: Callable[[Imagination, tuple[int, ...], int], Contender]  # imagination, candidates of each, threads

    def missing(self) -> str | None:
        """A sentence where it cannot be measured."""
        if importlib.util.find_spec(self.module) is not None:
            return None
        return f"{self.name} is not measured: pip install -r requirements-bench.txt -c requirements.txt"


PEERS = (Peer("pytorch_mppi", "pytorch_mppi", 1, MppiPeer), Peer("TorchRL CEM", "torchrl", 3, CemPeer))
