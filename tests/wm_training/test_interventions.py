import numpy as np
import pytest
import torch

from wm_dynamics.world_model import WorldModel, WorldModelConfig
from wm_training import interventions
from wm_training.interventions import measure_interventions


@pytest.fixture(autouse=True)
def few_worlds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interventions, "SEEDS", 1)
    monkeypatch.setattr(interventions, "UNTIL", 50)


def test_a_model_whose_read_outs_ignore_its_actions_has_slope_zero() -> None:
    torch.manual_seed(0)
    model = WorldModel(WorldModelConfig())  # its heads start at zero
    effects = measure_interventions(model)
    assert effects["lateral_error_m"]["slope"] == 0.0
    assert effects["heading_error_rad"] == {"slope": 0.0, "r2": 0.0}


def test_a_model_that_is_the_simulator_has_slope_one(monkeypatch: pytest.MonkeyPatch) -> None:
    worlds: list[object] = []

    def remember(model: WorldModel, moment: object, world: object, action: np.ndarray, rng: object) -> object:
        worlds.append(world)
        return effects(model, moment, world, action, rng)  # type: ignore[arg-type]

    def truth(model: WorldModel, belief: torch.Tensor, actions: np.ndarray) -> np.ndarray:
        return np.array([interventions._drive(worlds[-1], held, model.config.horizon) for held in actions])

    effects = interventions._effects
    monkeypatch.setattr(interventions, "_effects", remember)
    monkeypatch.setattr(interventions, "_imagine", truth)
    for measured in measure_interventions(WorldModel(WorldModelConfig())).values():
        assert measured == {"slope": 1.0, "r2": 1.0}
