"""Who may drive in an evaluation or a collection, and how a model does with and without its search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from wm_dynamics.model_files import write_model_folder
from wm_dynamics.rssm import RssmConfig
from wm_dynamics.world_model import WorldModel, WorldModelConfig
from wm_planner.agent import ModelDriver
from wm_sim.world import World
from wm_training import TrainingError
from wm_training.agents import DRIVERS, TEACHERS, check_agent, make_agent, model_id, model_path

SMALL = WorldModelConfig(rssm=RssmConfig(recognised=16, deter=16, groups=4, classes=4, hidden=16, prior_hidden=8))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("agents") / "model"
    write_model_folder(folder, WorldModel(SMALL), training={}, metrics={}, disagreement_p95=1.0, surprise_p999=1.0)
    return folder


def test_a_policy_drives_without_search_and_the_model_with_one(model: Path) -> None:
    world = World()
    samples = {}
    for kind in ("policy", "model"):
        driver = make_agent(f"{kind}:{model}", 0)
        frame = world.reset("lane_follow", 3)
        driver.reset(world)
        action = driver.act(frame)
        assert isinstance(driver, ModelDriver) and action.shape == (2,) and np.isfinite(action).all()
        plan = driver.agent.last_plan
        assert plan is not None
        samples[kind] = plan.samples
        chunk = driver.agent.engine.config.chunk
    assert samples["policy"] == chunk < samples["model"]


def test_a_policy_is_its_models(model: Path) -> None:
    assert model_path(f"policy:{model}") == model and model_path("policy") == model_path("model")
    assert model_id(f"policy:{model}") == model_id(f"model:{model}") is not None
    check_agent(f"policy:{model}", TEACHERS, "collect")


@pytest.mark.parametrize("agent", ["polic", "policyx", "models:here", "expert:here", ""])
def test_an_unknown_agent_is_refused_with_all_that_are_known(agent: str) -> None:
    forms = "model, model:PATH, policy, policy:PATH"
    with pytest.raises(TrainingError) as refused:
        check_agent(agent, DRIVERS, "eval")
    assert str(refused.value) == f"agent {agent!r}: eval knows expert, idm, pdm, constant, random, {forms}."
    with pytest.raises(TrainingError, match=f"collect knows expert, idm, pdm, {forms}"):
        check_agent(agent, TEACHERS, "collect")
