"""Evaluations side by side."""

import json
from pathlib import Path

import pytest

from wm_training.compare import compare
from wm_training.errors import TrainingError

BASE = {
    "agent": "model", "suite": "all", "seed": 500000, "episodes": 20, "model_id": "0" * 12, "success_rate": 0.5,
    "success_ci95": [0.3, 0.7], "at_fault_collisions": 6, "off_road": 4, "return_mean": 200.0, "return_sem": 5.0,
    "planner": {"objective.constraints": "off"}, "gate": False,
}  # fmt: skip


def written(folder: Path, name: str, **changed) -> Path:
    path = folder / name
    path.write_text(json.dumps(BASE | changed))
    return path


def test_every_row_says_what_was_set_and_how_it_differs_from_the_first(tmp_path: Path) -> None:
    better = written(tmp_path, "b", at_fault_collisions=1, off_road=1, return_mean=190.0, planner={}, gate=True)
    *_, first, second = compare([written(tmp_path, "a"), better]).splitlines()
    assert first == "| constraints=off, no gate | 20 | 0.50 (0.30 to 0.70) | 6 | 4 | +0 % | 200.0 ± 5.0 | +0 % |"
    assert second == "| defaults | 20 | 0.50 (0.30 to 0.70) | 1 | 1 | -80 % | 190.0 ± 5.0 | -5 % |"


def test_drives_of_other_worlds_and_files_that_say_nothing_are_refused(tmp_path: Path) -> None:
    first = written(tmp_path, "a")
    with pytest.raises(TrainingError, match="other seed, episodes"):
        compare([first, written(tmp_path, "b", seed=1, episodes=3)])
    (tmp_path / "c").write_text("{}")
    with pytest.raises(TrainingError, match="no file of wm eval --json"):
        compare([first, tmp_path / "c"])
    with pytest.raises(TrainingError, match="cannot be read"):
        compare([first, tmp_path / "d"])
    with pytest.raises(TrainingError, match="two or more"):
        compare([first])
