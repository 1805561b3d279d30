"""`wm eval`: what it drives, what it writes, what it refuses."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from wm_planner import PlannerError
from wm_sim.drivers import DRIVERS
from wm_sim.scenarios import FAMILIES
from wm_training import agents, evaluate
from wm_training.errors import TrainingError
from wm_training.eval_page import caption_of, worst_of
from wm_training.eval_report import kind_of_seeds, table, write_json
from wm_training.evaluate import EvalConfig, drive_episode

SEED = 500_000  # tuning range: tests leave the reporting seeds alone
OF_DRIVES = {
    "episodes", "km", "driving_score", "nuplan_score", "route_completion", "success_rate", "success_ci95",
    "collisions", "at_fault_collisions", "at_fault_rate", "at_fault_ci95", "collision_classes",
    "off_road", "off_road_rate", "off_road_ci95", "red_lights", "timeouts", "off_lane_share",
    "comfort", "comfort_bounds", "nuplan", "min_ttc_s", "rss_violations", "rss_violations_default",
    "return_mean", "return_sem", "plan_ms", "env_steps_per_s",
}  # fmt: skip
OF_THE_RUN = {"agent", "suite", "seed", "seeds", "families", "episode_list", "model_id", "commit"}


def measured(**options: Any) -> dict[str, Any]:
    """The report of a short evaluation in the tuning range."""
    return evaluate.evaluate(EvalConfig(**{"agent": "expert", "seed": SEED, "episodes": 4, "workers": 1} | options))


def without_timings(report: dict[str, Any]) -> dict[str, Any]:
    """The part of a report that has to repeat."""
    kept = {key: value for key, value in report.items() if key not in ("plan_ms", "env_steps_per_s", "commit")}
    kept["families"] = {name: without_timings(row) for name, row in report.get("families", {}).items()}
    return kept


def test_the_json_object_has_the_documented_keys_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "new" / "report.json"
    report = measured(suite="all", json=file)
    assert set(report) == OF_DRIVES | OF_THE_RUN
    assert json.loads(file.read_text()) == report
    assert set(report["plan_ms"]) == {"p50", "p99"}
    assert set(report["families"]) == set(FAMILIES)
    assert all(set(row) == OF_DRIVES for row in report["families"].values())
    assert all({"family", "seed"} < set(row) for row in report["episode_list"])
    assert [path.name for path in file.parent.iterdir()] == ["report.json"]


def test_episodes_of_all_families_are_spread_evenly_over_consecutive_seeds() -> None:
    count = 2 * len(FAMILIES) + 1
    driven = [(row["family"], row["seed"]) for row in measured(suite="all", episodes=count)["episode_list"]]
    names = list(FAMILIES)
    assert driven == [(names[i % len(names)], SEED + i // len(names)) for i in range(count)]


def test_per_family_counts_the_drives_of_each_family() -> None:
    report = measured(suite="all", per_family=2, agent="constant")
    assert {name: row["episodes"] for name, row in report["families"].items()} == dict.fromkeys(FAMILIES, 2)


@pytest.mark.parametrize("backend", [pytest.param("loky", marks=pytest.mark.slow), "threading"])
def test_the_figures_do_not_depend_on_workers_or_backend(backend: str) -> None:
    alone = measured(suite="all", episodes=5, agent="random", workers=1)
    shared = measured(suite="all", episodes=5, agent="random", workers=2, backend=backend)
    assert without_timings(alone) == without_timings(shared)


@pytest.mark.parametrize("backend", ["dask", "ray"])
def test_a_backend_that_is_not_installed_is_refused_with_the_way_to_install_it(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(TrainingError, match=f"backend {backend}: .* `pip install"):
        measured(backend=backend)


@pytest.mark.parametrize(
    ("seeds", "kind"), [([5, 999_999], "tuning"), ([1_000_000], "reporting"), ([999_999, 1_000_000], "mixed")]
)
def test_the_report_says_whether_its_seeds_were_kept_for_reporting(seeds: list[int], kind: str) -> None:
    assert kind_of_seeds(seeds) == kind


def test_the_table_names_agent_and_kind_of_seeds_and_is_80_columns_wide(capsys: pytest.CaptureFixture[str]) -> None:
    Console(width=80).print(table(measured(suite="all", per_family=1, agent="constant")))
    text = capsys.readouterr().out
    assert "constant, tuning seeds from 500000" in text
    assert all(name in text for name in (*FAMILIES, "all")) and "…" not in text


def interrupt_after(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C during the drive after `count` drives."""
    drive, done = evaluate.drive_episode, []

    def stop(*args: Any, **options: Any) -> Any:
        if len(done) == count:
            raise KeyboardInterrupt
        done.append(args)
        return drive(*args, **options)

    monkeypatch.setattr(evaluate, "drive_episode", stop)


def interrupted_after(count: int, **options: Any) -> None:
    """An evaluation of `measured` that Ctrl-C ends during the drive after `count` drives."""
    with pytest.MonkeyPatch.context() as during:
        interrupt_after(count, during)
        measured(agent="constant", **options)


def test_ctrl_c_keeps_the_drives_that_have_finished_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupt_after(3, monkeypatch)
    file = tmp_path / "report.json"
    config = EvalConfig(agent="constant", seed=SEED, episodes=9, workers=1, json=file)
    assert evaluate.run(config) == 130
    report = json.loads(file.read_text())
    assert report["episodes"] == 3 and report["interrupted"]
    assert "3 drives that had finished" in capsys.readouterr().err


def test_resume_drives_what_is_missing_and_gives_the_figures_of_a_run_without_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = EvalConfig(agent="random", suite="all", seed=SEED, episodes=7, workers=1, json=tmp_path / "report.json")
    with monkeypatch.context() as during:
        interrupt_after(3, during)
        assert evaluate.run(asked) == 130
    assert "--resume" in capsys.readouterr().err
    journal = tmp_path / "report.json.drives"
    journal.write_bytes(journal.read_bytes()[:-40])  # killed while it wrote the third drive
    driven: list[int] = []
    drive = evaluate.drive_episode
    monkeypatch.setattr(evaluate, "drive_episode", lambda *args, **more: driven.append(1) or drive(*args, **more))
    report = evaluate.evaluate(replace(asked, resume=True))
    assert len(driven) == 5 and "interrupted" not in report
    assert without_timings(report) == without_timings(measured(agent="random", suite="all", episodes=7))
    assert json.loads(asked.json.read_text()) == report


def test_an_evaluation_that_goes_on_keeps_its_drives_and_grows_by_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "report.json"
    driven: list[int] = []
    drive = evaluate.drive_episode
    monkeypatch.setattr(evaluate, "drive_episode", lambda *args, **more: driven.append(1) or drive(*args, **more))
    for episodes, in_all in ((2, 2), (4, 4), (3, 4)):
        grown = measured(agent="constant", episodes=episodes, json=file, resume=True)
        assert len(driven) == in_all
        assert without_timings(grown) == without_timings(json.loads(file.read_text()))
    assert without_timings(grown) == without_timings(measured(agent="constant", episodes=3))


def test_a_whole_evaluation_leaves_no_journal_behind(tmp_path: Path) -> None:
    measured(agent="constant", episodes=2, json=tmp_path / "report.json")
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_the_drives_of_an_interrupted_run_are_neither_overwritten_nor_mixed_with_others(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    interrupted_after(2, json=file)
    for options, says in (
        ({}, "Go on with --resume"),
        ({"resume": True, "seed": SEED + 1}, r"other settings \(seed\)"),
        ({"resume": True, "blackout": "camera"}, r"other settings \(blackout\)"),
    ):
        with pytest.raises(TrainingError, match=says):
            measured(agent="constant", json=file, **options)
    (tmp_path / "report.json.drives").write_text("no journal\n")
    with pytest.raises(TrainingError, match="no journal of drives"):
        measured(agent="constant", json=file, resume=True)
    with pytest.raises(TrainingError, match="name that file"):
        measured(agent="constant", resume=True)


def test_ctrl_c_before_the_first_drive_has_finished_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_after(0, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        measured(agent="constant", json=tmp_path / "report.json")
    assert not list(tmp_path.iterdir())


def test_the_page_is_complete_in_itself_and_shows_bars_table_and_worst_drives(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    report = measured(agent="constant", suite="all", per_family=1, report=file)
    text = file.read_text()
    HTMLParser().feed(text)
    assert text.count("<svg") == 2
    assert text.count("data:image/png;base64,") == min(len(FAMILIES), 6)
    assert all(text.count(name) >= 3 for name in FAMILIES)  # two figures, one table
    assert "tuning seeds from 500000" in text and f"{report['driving_score']:.1f}" in text
    links = re.findall(r"""(?:src|href)=["']([^"']{5})""", text)
    assert {link for link in links if not link.startswith("#")} == {"data:"}  # nothing is fetched
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_the_worst_drives_are_failures_first_then_low_scores() -> None:
    clean = drive_episode(EvalConfig(agent="expert"), "lane_follow", SEED)
    wreck = drive_episode(EvalConfig(agent="constant"), "lane_follow", SEED)
    assert worst_of([clean, wreck])[0] is wreck
    assert f"lane_follow seed {SEED}: off road after" in caption_of(wreck)


def test_the_expert_arrives_and_a_constant_action_does_not() -> None:
    expert, constant = measured(suite="all", episodes=12), measured(suite="all", episodes=12, agent="constant")
    assert expert["success_rate"] == 1.0 and expert["collisions"] == 0 and expert["driving_score"] > 90.0
    assert constant["success_rate"] <= 0.2 and constant["driving_score"] < 60.0


def test_each_drive_tells_how_it_ended() -> None:
    for row in measured(agent="constant", episodes=6)["episode_list"]:
        assert row["end"] in ("off_road", "collision", "timeout", "route_done")
        assert not row["success"] or row["end"] == "route_done"
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
    monkeypatch.setattr(evaluate, "make_agent", lambda *_: agent)
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
        ({"per_family": 0}, "per-family 0: at least 1"),
        ({"workers": 0}, "workers 0: at least 1"),
        ({"road": Path("no/such/road.csv")}, "no/such/road.csv: no such file"),
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


def test_every_reference_driver_can_be_evaluated() -> None:
    assert set(agents.DRIVERS) == set(DRIVERS)


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
    with pytest.raises(TrainingError, match="--report takes the name of a file"):
        measured(report=tmp_path)
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


def test_the_planner_s_settings_come_by_name_and_the_short_options_over_them() -> None:
    config = EvalConfig(settings=("solver=cem", "objective.policy_weight=2"), solver="mppi", constraints="off")
    wanted = {"solver": "mppi", "objective.policy_weight": 2.0, "objective.constraints": "off"}
    assert config.planner_values == wanted
    assert EvalConfig().planner_values == {}


@pytest.mark.parametrize(
    "options",
    [
        {"constraints": "off"},
        {"solver": "cem"},
        {"settings": ("icem.keep=0.5",)},
        {"gate": False},
        {"limits": Path("limits.yaml")},
    ],
    ids=str,
)
def test_a_driver_without_planner_refuses_settings_of_one(options: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match=r"agent expert: it has no planner and no gate.*--set"):
        measured(**options)


def test_what_the_gate_said_is_told_and_a_file_changes_its_limits(tmp_path: Path) -> None:
    """The shipped model on a short road: a limit of 3 m/s keeps it slow, and the gate says that it had to."""
    limits = tmp_path / "limits.yaml"
    limits.write_text("speed_max_mps: 3.0\n")
    road = tmp_path / "road.csv"
    road.write_text("# x_m,y_m,w_tr_right_m,w_tr_left_m\n" + "".join(f"{2.0 * n},0.0,1.75,1.75\n" for n in range(40)))
    free, slow = (measured(agent="model", road=road, episodes=1, limits=file) for file in (None, limits))
    assert "limits" not in free and slow["limits"] == str(limits)
    assert slow["gate_reasons"]["command limited"] > free["gate_reasons"].get("command limited", 0.0)
    assert slow["episode_list"][0]["speed_mps"] < 4.0 < free["episode_list"][0]["speed_mps"]
    limits.write_text("no_such_limit: 1\n")
    with pytest.raises(PlannerError, match="no_such_limit"):
        measured(agent="model", limits=limits)


def test_planner_settings_reach_the_one_who_drives(monkeypatch: pytest.MonkeyPatch) -> None:
    from wm_planner import agent

    made = []
    monkeypatch.setattr(agent, "ModelDriver", lambda engine, config: made.append(config))
    monkeypatch.setattr(agents, "shared_engine", lambda path: None)
    agents.make_agent("model:x", 0, {"solver": "mppi", "objective.constraints": "off"}, gate=False)
    agents.make_agent("model:x", 0)
    changed, plain = made
    assert changed.planner.solver == "mppi" and changed.planner.objective.constraints == "off" and not changed.gate
    assert plain.gate and plain.planner.solver == "icem"
