import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from wm_dynamics.engines import load_engine
from wm_dynamics.errors import ModelError
from wm_dynamics.model_files import load_world_model, renew_graphs, write_model_folder
from wm_dynamics.world_model import WorldModel, WorldModelConfig, with_every_label


@pytest.fixture
def copy(model_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model_folder, tmp_path / "copy"))


def test_weights_come_back_as_they_were_written(untrained_model: WorldModel, model_folder: Path) -> None:
    back = load_world_model(model_folder).state_dict()
    assert all(torch.equal(back[name], value) for name, value in untrained_model.state_dict().items())


def test_a_missing_folder_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere: no config\.yaml there\. Name a model folder"):
        load_engine(tmp_path / "nowhere")


def test_a_damaged_configuration_is_one_sentence(copy: Path) -> None:
    (copy / "config.yaml").write_text("family: [rssm\n")
    with pytest.raises(ModelError, match=r"config\.yaml is damaged"):
        load_engine(copy)


@pytest.mark.parametrize("name", ["encode.onnx", "observe.onnx", "score.onnx"])
def test_an_altered_graph_is_refused_by_its_hash(copy: Path, name: str) -> None:
    blob = bytearray((copy / name).read_bytes())
    blob[len(blob) // 2] ^= 1
    (copy / name).write_bytes(blob)
    with pytest.raises(ModelError, match=f"{name} is not the file that was exported"):
        load_engine(copy)


def test_altered_weights_are_refused(copy: Path) -> None:
    with open(copy / "weights.safetensors", "ab") as file:
        file.write(b"x")
    with pytest.raises(ModelError, match=r"weights\.safetensors is not the file"):
        load_engine(copy, "torch")


def test_a_missing_graph_is_named(copy: Path) -> None:
    (copy / "score.onnx").unlink()
    with pytest.raises(ModelError, match=r"score\.onnx is missing"):
        load_engine(copy)


def test_a_model_for_another_camera_says_both_sizes(copy: Path) -> None:
    plain = yaml.safe_load((copy / "config.yaml").read_text())
    plain["observation"]["camera"] = [96, 96, 3]
    (copy / "config.yaml").write_text(yaml.safe_dump(plain))
    with pytest.raises(ModelError, match="made for camera 96x96x3, this stack sends 64x64x3"):
        load_engine(copy)


def test_an_unknown_engine_lists_the_known(model_folder: Path) -> None:
    with pytest.raises(ModelError, match="unknown engine tpu: choose one of onnxruntime, openvino, "):
        load_engine(model_folder, "tpu")


def test_a_failed_export_leaves_the_old_model(
    model_folder: Path, untrained_model: WorldModel, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> float:
        raise ModelError("differs")

    monkeypatch.setattr("wm_dynamics.parity.check_parity", refuse)
    before = (copy / "config.yaml").read_text()
    with pytest.raises(ModelError):
        write_model_folder(copy, untrained_model, training={}, metrics={}, disagreement_p95=1.0, surprise_p999=1.0)
    assert (copy / "config.yaml").read_text() == before
    assert load_engine(copy).config.model_id


@pytest.mark.parametrize("engine", ["torch", "onnxruntime"])
def test_a_model_with_fewer_labels_loads_in_every_engine(tmp_path: Path, engine: str) -> None:
    torch.manual_seed(4)
    older = WorldModel(WorldModelConfig(labels=5))
    torch.nn.init.normal_(older.heads.out.weight, std=0.3)
    folder = tmp_path / "older"
    write_model_folder(folder, older, training={}, metrics={}, disagreement_p95=0.1, surprise_p999=9.0)
    assert load_world_model(folder).config.labels == 5
    belief, actions = np.zeros(256, np.float32), np.zeros((64, 12, 2), np.float32)
    score = load_engine(folder, engine).score(belief, actions)
    assert np.isfinite(score.ret).all()
    full = with_every_label(older).state_dict()
    assert all(torch.equal(full[name][: len(value)], value) for name, value in older.state_dict().items())


def test_the_shipped_model_loads_whatever_labels_it_was_trained_with() -> None:
    model = load_world_model("models/default")
    assert model.heads.out.out_features == model.heads.SCALARS + model.config.labels


def test_renewed_graphs_score_as_before_and_the_model_stays_the_same(older_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "renewed"
    shutil.copytree(older_folder, folder)
    before = load_engine(folder)
    renew_graphs(folder)
    after = load_engine(folder)
    others = {name: digest for name, digest in before.config.files.items() if name != "score.onnx"}
    assert after.config == replace(before.config, files=others | {"score.onnx": after.config.files["score.onnx"]})
    assert after.config.files["score.onnx"] != before.config.files["score.onnx"]
    assert (folder / "metrics.json").read_text() == (older_folder / "metrics.json").read_text()
    actions = np.zeros((128, after.config.horizon, 2), np.float32)
    belief = np.ones(after.config.belief_size, np.float32)
    assert np.array_equal(before.score(belief, actions).ret, after.score(belief, actions).ret)
