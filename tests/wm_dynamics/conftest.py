import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch
from onnxruntime.tools.onnx_model_utils import make_dim_param_fixed

from wm_dynamics import parity
from wm_dynamics.engines.score_lanes import CANDIDATES
from wm_dynamics.model_files import write_model_folder
from wm_dynamics.protocols import Engine
from wm_dynamics.world_model import WorldModel, WorldModelConfig
from wm_perception.model_folder import CONFIG_FILE, file_sha256, read_model_config


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


@pytest.fixture(scope="session")
def older_folder(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model with a score graph that takes one chunk a run and nothing else."""
    folder = tmp_path_factory.mktemp("models") / "older"
    shutil.copytree(model_folder, folder)
    graph, config = onnx.load(folder / "score.onnx"), read_model_config(folder)
    make_dim_param_fixed(graph.graph, CANDIDATES, config.chunk)
    onnx.save(graph, folder / "score.onnx")
    files = config.files | {"score.onnx": file_sha256(folder / "score.onnx")}
    (folder / CONFIG_FILE).write_text(replace(config, files=files).to_yaml())
    return folder


@pytest.fixture
def returns_off_by(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Makes every engine loaded from then on compute returns that are so many times too large."""
    computed = parity.outputs

    def change(factor: float) -> None:
        def elsewhere(engine: Engine) -> parity.Outputs:
            found = computed(engine)
            return found | {"return": found["return"] * factor}

        monkeypatch.setattr(parity, "outputs", elsewhere)

    return change
