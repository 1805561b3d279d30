from pathlib import Path

import pytest
import torch

from wm_dynamics.model_files import write_model_folder
from wm_dynamics.world_model import WorldModel, WorldModelConfig


@pytest.fixture(scope="session")
def untrained_model() -> WorldModel:
    """A default-size world model; heads are stirred because they start at zero."""
    torch.manual_seed(3)
    model = WorldModel(WorldModelConfig())
    torch.nn.init.normal_(model.heads.out.weight, std=0.3)
    return model.eval()


@pytest.fixture(scope="session")
def model_folder(untrained_model: WorldModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "untrained"
    write_model_folder(
        folder, untrained_model, training={"bags": "none"}, metrics={}, disagreement_p95=0.1, surprise_p999=9.0
    )
    return folder
