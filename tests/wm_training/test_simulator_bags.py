"""Bags of other simulators load and train as ours do, and what their simulator lacks teaches nothing."""

from pathlib import Path

import numpy as np
import pytest
import torch

from wm_dynamics.rssm import RssmConfig
from wm_dynamics.world_model import WorldModel, WorldModelConfig
from wm_sim.contract import PARTS, find_simulator, make_simulator
from wm_sim.errors import SimError
from wm_training.bag_frames import KNOWN_NAMES
from wm_training.batches import BatchSource
from wm_training.collect import CollectConfig, collect
from wm_training.losses import LossConfig, world_model_loss
from wm_training.sequences import Sequences, load_sequences

SMALL = WorldModelConfig(rssm=RssmConfig(recognised=16, deter=16, groups=4, classes=4, hidden=16, prior_hidden=8))
SUITES = {"builtin": "stop_go", "highway": "merge"}  # one short drive each


def sequences_of(sim: str, out: Path) -> Sequences:
    try:
        make_simulator(sim).close()
    except SimError as error:
        pytest.skip(str(error))
    collect(CollectConfig(out, sim=sim, suite=SUITES[sim], episodes=1, workers=1, disturb=False, progress=False))
    return load_sequences(out)


@pytest.mark.parametrize("sim", SUITES)
def test_a_bag_of_each_simulator_trains_without_a_special_case(sim: str, tmp_path: Path) -> None:
    sequences = sequences_of(sim, tmp_path / sim)
    missing = find_simulator(sim).declaration.missing
    known = np.asarray(sequences.known)
    assert {name for name, column in zip(KNOWN_NAMES, known.T, strict=True) if not column.any()} == missing
    assert KNOWN_NAMES == PARTS and np.isfinite(sequences.state).all() and np.isfinite(sequences.advice[:-1]).all()
    torch.manual_seed(0)
    model = WorldModel(SMALL)
    source = BatchSource(sequences, np.arange(sequences.episodes), 24, seed=0)
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
    losses = []
    for _ in range(4):
        loss, _ = world_model_loss(model, source.draw(0, 4), LossConfig())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
