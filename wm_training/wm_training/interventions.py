"""Does the model know what its actions cause? Asked of the simulator, which can be stopped, copied and driven apart.

Held-out recordings cannot answer this: there, actions and the road go together, and a model that takes one for a sign
of the other predicts well and plans badly (see docs/training.md).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import torch

from wm_dynamics.graphs import EncodeGraph, ObserveGraph
from wm_dynamics.heads import LABEL_SCALE
from wm_dynamics.world_model import WorldModel
from wm_perception.normalise import state_from_unit
from wm_perception.scan_memory import ScanMemory
from wm_sim.action import STEER_MAX_RAD
from wm_sim.drivers import make_driver
from wm_sim.scenarios import FAMILIES
from wm_sim.world import Frame, World

FIRST_SEED, SEEDS = 600_000, 8  # a family; tuning seeds that collecting does not reach by default
EVERY, UNTIL = 25, 200  # frames between questions, and the last
VARIATIONS = 6
LATERAL_MPS2, PEDAL = 1.5, 0.5  # standard deviations of what is added to the expert's action
WHEELBASE_M = 2.75
EFFECTS = ("lateral_error_m", "heading_error_rad", "speed_mps")


@torch.inference_mode()
def measure_interventions(model: WorldModel) -> dict[str, dict[str, float]]:
    """Slope and R2 of predicted on true effects, at the end of the horizon, of actions held over it.

    An effect is the difference from the mean over the variations tried at one moment. A slope of 1 and an R2 of 1 are
    perfect; a slope of 0 is a model whose actions move nothing.
    """
    model.eval()
    rng = np.random.default_rng(0)
    pairs = [
        _effects(model, moment, world, action, rng)
        for family in FAMILIES
        for seed in range(FIRST_SEED, FIRST_SEED + SEEDS)
        for moment, world, action in _moments(model, family, seed)
    ]
    predicted, true = (np.concatenate(side) for side in zip(*pairs, strict=True))  # [N, 3] each
    model.train()
    return {
        name: {
            "slope": round(float((predicted[:, i] * true[:, i]).sum() / (true[:, i] ** 2).sum()), 3),
            "r2": round(float(1.0 - ((predicted[:, i] - true[:, i]) ** 2).sum() / (true[:, i] ** 2).sum()), 3),
        }
        for i, name in enumerate(EFFECTS)
    }


def _moments(
    model: WorldModel, family: str, seed: int
) -> Iterator[tuple[tuple[Frame, torch.Tensor], World, np.ndarray]]:
    """Frames with their beliefs, worlds and the expert's actions along one of its drives."""
    encode, observe = EncodeGraph(model), ObserveGraph(model)
    world, driver = World(), make_driver("expert", seed)
    frame = world.reset(family, seed)
    driver.reset(world)
    belief, scans = torch.zeros(model.config.rssm.belief), ScanMemory()
    for step in range(1, UNTIL + 1):
        arrays = (frame.camera, scans.step(frame.scan), frame.state)
        embedding = encode(*(torch.from_numpy(x.copy()) for x in arrays))
        belief, _ = observe(belief, torch.from_numpy(frame.state[4:6].copy()), embedding)
        action = driver.act(frame)
        if step % EVERY == 0:
            yield (frame, belief), world, action
        frame = world.step(action)
        if frame.terminated or frame.truncated:
            return


def _effects(
    model: WorldModel, moment: tuple[Frame, torch.Tensor], world: World, action: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and true effects of held variations of `action` [2], each [VARIATIONS, 3]."""
    frame, belief = moment
    steer = LATERAL_MPS2 * WHEELBASE_M / (max(frame.speed_mps, 3.0) ** 2 * STEER_MAX_RAD)
    added = rng.standard_normal((VARIATIONS, 2)) * np.array([min(steer, 0.2), PEDAL])
    actions = np.clip(action + added, -1.0, 1.0).astype(np.float32)
    true = np.array([_drive(world, held, model.config.horizon) for held in actions])
    predicted = _imagine(model, belief, actions)
    return predicted - predicted.mean(axis=0), true - true.mean(axis=0)


def _drive(world: World, action: np.ndarray, steps: int) -> tuple[float, float, float]:
    """Where a copy of the world is after `steps` of one action. The car may leave its lane; it is still measured."""
    world = copy.deepcopy(world)
    frame = world.sense()
    for _ in range(steps):
        frame = world.step(action)
    return frame.truth.lateral_error_m, frame.truth.heading_error_rad, frame.speed_mps


def _imagine(model: WorldModel, belief: torch.Tensor, actions: np.ndarray) -> np.ndarray:
    state, held = belief.expand(len(actions), -1), torch.from_numpy(actions)
    for _ in range(model.config.horizon):
        state, _ = model.rssm.imagine(state, held)
    labels = model.heads(state).labels[:, :2] * torch.tensor(LABEL_SCALE[:2])
    speed = state_from_unit(model.sensor_decoder(state)[1])[:, 0]
    return torch.stack((labels[:, 0], labels[:, 1], speed), dim=1).numpy()
