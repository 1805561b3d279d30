"""`wm eval`: what it drives, what it writes, what it refuses."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wm_sim.scenarios import FAMILIES
from wm_training import agents, evaluate
from wm_training.errors import TrainingError
from wm_training.evaluate import EvalConfig, drive_episode, write_json

SEED = 500_000  # tuning range: tests leave the reporting seeds alone
KEYS = {
    "agent", "suite", "seed", "episodes", "km", "driving_score", "route_completion", "success_rate", "success_ci95",
    "at_fault_collisions", "collisions", "off_road", "comfort", "min_ttc_s", "plan_ms", "env_steps_per_s", "families",
    "return_mean", "return_sem", "episode_list", "model_id", "commit",
}  # fmt: skip
OF_THE_RUN = {"agent", "suite", "seed", "families", "episode_list", "model_id", "commit"}


def measured(**options: Any) -> dict[str, Any]:
    """The report of a short evaluation in the tuning range."""
    return evaluate.evaluate(EvalConfig(**{"agent": "expert", "seed": SEED, "episodes": 4, "workers": 1} | options))


def without_timings(report: dict[str, Any]) -> dict[str, Any]:
    """The part of a report that has to repeat."""
    kept = {key: value for key, value in report.items() if key not in ("plan_ms", "env_steps_per_s")}
    kept["families"] = {name: without_timings(row) for name, row in report.get("families", {}).items()}
    return kept


def test_the_json_object_has_the_documented_keys_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "new" / "report.json"
    report = measured(suite="all", json=file)
    assert set(report) == KEYS
    assert json.loads(file.read_text()) == report
    assert set(report["plan_ms"]) == {"p50", "p99"}
    assert set(report["families"]) == set(FAMILIES)
    assert all(set(row) == KEYS - OF_THE_RUN for row in report["families"].values())
    assert all({"family", "seed"} < set(row) for row in report["episode_list"])
    assert [path.name for path in file.parent.iterdir()] == ["report.json"]


def test_episodes_of_all_families_are_spread_evenly_over_consecutive_seeds() -> None:
    count = 2 * len(FAMILIES) + 1
    driven = [(row["family"], row["seed"]) for row in measured(suite="all", episodes=count)["episode_list"]]
    names = list(FAMILIES)
    assert driven == [(names[i % len(names)], SEED + i // len(names)) for i in range(count)]


def test_the_figures_do_not_depend_on_the_number_of_workers() -> None:
    alone = measured(suite="all", episodes=5, agent="random", workers=1)
    shared = measured(suite="all", episodes=5, agent="random", workers=2)
    assert without_timings(alone) == without_timings(shared)


def test_the_expert_arrives_and_a_constant_action_does_not() -> None:
    expert, constant = measured(suite="all", episodes=12), measured(suite="all", episodes=12, agent="constant")
    assert expert["success_rate"] == 1.0 and expert["collisions"] == 0 and expert["driving_score"] > 99.0
    assert constant["success_rate"] <= 0.1 and constant["driving_score"] < 50.0


def test_each_drive_tells_how_it_ended() -> None:
    for row in measured(agent="constant", episodes=6)["episode_list"]:
        assert row["end"] in ("off_road", "collision", "timeout", "route_done")
        assert row["success"] == (row["end"] == "route_done")
        assert row["steps"] == round(row["duration_s"] / 0.1)


class EnoughError(Exception):
    """Ends a drive from within the agent."""


class Recorder:
    """Keeps what an agent is shown and brakes."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def reset(self, world: Any) -> None:
        self.seen.clear()

    def act(self, frame: Any) -> np.ndarray:
        self.seen.append(frame)
        if len(self.seen) > 3:
            raise EnoughError
        return np.array([0.0, -1.0], np.float32)


@pytest.mark.parametrize(("sensor", "value"), [("camera", 0), ("scan", 60.0)])
def test_a_blacked_out_sensor_shows_nothing(sensor: str, value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = Recorder()
    monkeypatch.setattr(evaluate, "make_agent", lambda name, seed: agent)
    with pytest.raises(EnoughError):
        drive_episode(EvalConfig(blackout=sensor), "stop_go", SEED)
    assert len(agent.seen) == 4
    other = {"camera": "scan", "scan": "camera"}[sensor]
    assert all((getattr(frame, sensor) == value).all() for frame in agent.seen)
    assert all(np.ptp(getattr(frame, other)) > 0 for frame in agent.seen)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"agent": "exprt"}, "agent 'exprt': eval knows expert, idm"),
        ({"suite": "lane"}, "suite 'lane': eval knows lane_follow"),
        ({"episodes": 0}, "episodes 0: at least 1"),
        ({"workers": 0}, "workers 0: at least 1"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_what_cannot_be_driven_is_refused_in_one_sentence(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(TrainingError, match=sentence) as refused:
        measured(**options)
    assert "\n" not in str(refused.value)


def test_a_missing_model_folder_is_named_before_anything_is_driven(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "drive_episode", lambda *a, **k: pytest.fail("it drove"))
    with pytest.raises(RuntimeError, match="no_model_here"):
        measured(agent=f"model:{tmp_path / 'no_model_here'}")


def test_the_shipped_model_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models" / "default").mkdir(parents=True)
    (tmp_path / "models" / "default" / "config.yaml").touch()
    monkeypatch.chdir(tmp_path)
    assert agents.model_path("model") == tmp_path / "models" / "default"
    assert agents.model_path("model:some/where") == Path("some/where")


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    write_json(file, {"figure": 1.0})
    with pytest.raises(ValueError, match="JSON"):
        write_json(file, {"figure": float("nan")})
    assert json.loads(file.read_text()) == {"figure": 1.0}
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_an_output_that_is_no_file_is_refused_before_driving(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="takes the name of a file"):
        measured(json=tmp_path)
    (tmp_path / "plain").touch()
    with pytest.raises(TrainingError, match="takes the name of a folder"):
        measured(pictures=tmp_path / "plain")


def test_the_contact_sheet_has_a_row_for_each_of_the_worst_drives(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    measured(agent="constant", episodes=3, pictures=tmp_path / "sheets")
    (file,) = (tmp_path / "sheets").iterdir()
    assert cv2.imread(str(file)).shape == (3 * 182, 8 * 160, 3)


def shipped_model() -> bool:
    return (Path(__file__).parents[2] / "models" / "default" / "config.yaml").is_file()


@pytest.mark.slow
@pytest.mark.skipif(not shipped_model(), reason="models/default is not there")
def test_the_shipped_model_drives_by_sight() -> None:
    seeing = measured(agent="model", suite="lane_follow", workers=2)
    blind = measured(agent="model", suite="lane_follow", blackout="camera", workers=2)
    assert seeing["success_rate"] >= 0.75
    assert blind["success_rate"] <= 0.25
    assert blind["blackout"] == "camera"
    assert seeing["model_id"] == blind["model_id"] and len(seeing["model_id"]) == 12
