"""What cannot be driven is refused in one sentence, before anything starts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.system


def refused(drive) -> str:
    code, text = drive.wait(60.0)
    assert code == 1, text
    assert text.count("\n") == 1, text
    assert "Traceback" not in text
    return text


def test_an_unknown_scenario_names_the_known_ones(start_drive, tmp_path: Path) -> None:
    text = refused(start_drive(tmp_path / "out", "--scenario", "moon_landing"))
    assert "moon_landing" in text
    assert "lane_follow" in text
    assert not (tmp_path / "out").exists()


def test_a_missing_model_is_named(start_drive, tmp_path: Path) -> None:
    text = refused(start_drive(tmp_path / "out", "--model", str(tmp_path / "nowhere")))
    assert str(tmp_path / "nowhere") in text
    assert not (tmp_path / "out").exists()


def test_a_damaged_model_names_the_damaged_file(start_drive, model: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "model"
    shutil.copytree(model, damaged)
    content = bytearray((damaged / "score.onnx").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (damaged / "score.onnx").write_bytes(content)
    text = refused(start_drive(tmp_path / "out", "--model", str(damaged)))
    assert "score.onnx" in text
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_exists_is_not_touched(start_drive, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    text = refused(start_drive(tmp_path))
    assert str(tmp_path) in text
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_bad_parameter_of_a_node_ends_the_stack_with_the_nodes_sentence(start_drive, tmp_path: Path) -> None:
    parameters = tmp_path / "mine.yaml"
    parameters.write_text("/**/planner_node:\n  ros__parameters:\n    threads: 0\n")
    drive = start_drive(tmp_path / "out", "--params-file", str(parameters))
    code, text = drive.wait(60.0)
    assert code == 1
    assert "parameter threads is 0, but must be from 1" in text
    assert "planner_node ended unexpectedly" in text


def test_a_domain_out_of_range_is_refused(start_drive, tmp_path: Path) -> None:
    assert "ROS domain 4000" in refused(start_drive(tmp_path / "out", domain=4000))
