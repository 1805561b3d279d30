"""`wm bench planner` counts the work rightly, hands peers the same wishes, and judges its figures."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from wm_bringup import bench_planner_curve
from wm_bringup.bench_planner import PlannerBench, check, figures, peers, sweep
from wm_bringup.bench_planner_curve import Drives, Point, curve_points, plot
from wm_bringup.bench_planner_drive import Engines, Moment, Search, SearchContender, plan_while_driving, tuning_episodes
from wm_bringup.bench_planner_flops import score_flops
from wm_bringup.bench_planner_peers import PEERS, Imagination, Peer
from wm_bringup.bench_planner_screening import screening_rows
from wm_bringup.bench_planner_table import busy
from wm_bringup.cli import main
from wm_bringup.errors import BringupError
from wm_dynamics.engines import load_engine
from wm_dynamics.graphs import ScoreGraph
from wm_dynamics.model_files import load_world_model
from wm_planner.objective import Objective, ObjectiveConfig

MODEL = Path(__file__).parents[2] / "models" / "default"
CLEAR = np.full(72, 60.0, np.float32)  # a scan that shows nothing


@pytest.fixture(scope="module")
def engine():
    return load_engine(MODEL, "onnxruntime", 1)


def test_the_counted_arithmetic_is_what_pytorch_counts() -> None:
    model = load_world_model(MODEL)
    actions = torch.zeros(64, model.config.horizon, 2)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        ScoreGraph(model)(torch.zeros(model.config.rssm.belief), actions)
    assert score_flops(model, 64) == counter.get_total_flops()


def test_what_peers_add_up_step_by_step_is_the_objective_without_comfort(engine) -> None:
    imagination, rng = Imagination(MODEL), np.random.default_rng(1)
    frame = np.full((64, 64, 3), 90, np.uint8), np.full((2, 72), 30.0, np.float32), np.zeros(15, np.float32)
    belief = engine.observe(engine.initial_belief(), np.zeros(2, np.float32), engine.encode(*frame))[0]
    actions = rng.uniform(-1.0, 1.0, (64, imagination.horizon, 2)).astype(np.float32)
    comfortless = ObjectiveConfig(lateral_jerk_weight=0.0, steering_rate_weight=0.0, jerk_weight=0.0)
    value = Objective(engine, comfortless, belief, np.zeros(2, np.float32), 10.0, 0.1)(actions).value
    carried, total = imagination.start(belief).expand(64, -1), torch.zeros(64)
    with torch.inference_mode():
        for step in range(imagination.horizon):
            carried = imagination.step(carried, torch.from_numpy(actions[:, step]))
            total = total + carried[:, -1]
    np.testing.assert_allclose(total.numpy(), value, atol=1e-3)


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_an_installed_peer_plans_within_the_actions(peer: Peer, engine) -> None:
    if (sentence := peer.missing()) is not None:
        pytest.skip(sentence)
    contender = peer.make(Imagination(MODEL), (40,) * peer.iterations, 1)
    contender.reset()
    action = contender.plan(Moment(engine.initial_belief(), np.zeros(15, np.float32), CLEAR))
    assert action.shape == (2,) and np.abs(action).max() <= 1.0 + 1e-6


def test_a_missing_peer_says_what_to_install() -> None:
    absent = Peer("nowhere", "no_such_module", 1, PEERS[0].make)
    assert "requirements-bench.txt" in (absent.missing() or "")


def test_peers_get_as_many_rollouts_a_plan_up_to_one_an_iteration() -> None:
    found, _ = peers(MODEL, [Search()])
    for search in found:
        assert 448 - len(search.candidates) < sum(search.candidates) <= 448 and not search.screened


def test_screening_imagines_less_for_the_same_plans(engine) -> None:
    every, *screened = screening_rows(engine, "all", 500_000, 8)
    assert every["margin"] is None and every["imagined_mean"] == 448 and every["unlike"] == 0
    for row in screened:
        assert row["plans"] == 8 and 192 <= row["imagined_mean"] < 448 and row["unlike"] == 0


def test_the_sweep_changes_one_thing_at_a_time() -> None:
    base = Search()
    for search in sweep(base, ["onnxruntime", "torch"]):
        names = ("engine", "solver", "candidates", "horizon", "screened")
        assert sum(getattr(search, name) != getattr(base, name) for name in names) <= 1
    assert {search.threads for search in sweep(base, ["onnxruntime"])} == {1, 2}


def test_every_contender_plans_at_every_frame_and_the_first_drives(engine) -> None:
    class Noted:
        threads = 1

        def __init__(self, action: float, log: list[tuple[int, bytes]]) -> None:
            self.action, self.log, self.resets = np.full(2, action, np.float32), log, 0

        def reset(self) -> None:
            self.resets += 1

        def plan(self, moment: Moment) -> np.ndarray:
            self.log.append((id(self), moment.belief.tobytes()))
            return self.action

    log: list[tuple[int, bytes]] = []
    first, second = Noted(0.0, log), Noted(-1.0, log)
    spent = plan_while_driving([first, second], engine, tuning_episodes("lane_follow", 500_000), 4)
    assert spent.shape == (2, 2, 4) and np.isfinite(spent).all()
    beliefs = [[belief for who, belief in log if who == id(it)] for it in (first, second)]
    assert beliefs[0] == beliefs[1] and len(set(beliefs[0])) == len(beliefs[0])
    assert [who for who, _ in log[:2]] != [who for who, _ in log[2:4]]  # taking turns to begin
    assert first.resets == second.resets == 1


def test_another_horizon_is_exported_for_the_run(tmp_path, engine) -> None:
    engines = Engines(MODEL, tmp_path)
    short = engines.get("onnxruntime", 1, 6)
    assert short.config.horizon == 6 and engines.get("onnxruntime", 1, 6) is short
    contender = SearchContender(Search(candidates=(64,), horizon=6), short)
    action = contender.plan(Moment(engine.initial_belief(), np.zeros(15, np.float32), CLEAR))
    assert action.shape == (2,) and np.isfinite(action).all()


def test_all_families_take_turns_before_the_next_seed() -> None:
    from wm_sim.scenarios import FAMILIES

    episodes = tuning_episodes("all", 500_000)
    begun = [next(episodes) for _ in range(len(FAMILIES) + 1)]
    assert begun[:-1] == [(family, 500_000) for family in FAMILIES]
    assert begun[-1] == (next(iter(FAMILIES)), 500_001)


def row(part: str, engine: str, threads: int, p50: float, p99: float = 0.0, screened: bool = True) -> dict:
    return {"part": part, "engine": engine, "threads": threads, "p50_ms": p50, "p99_ms": p99, "screened": screened}


def test_figures_compare_with_the_fastest_peer_and_say_what_is_met() -> None:
    rows = [
        row("default", "onnxruntime", 1, 25.0, 61.0),
        row("default", "onnxruntime", 2, 15.0, 39.0),
        row("sweep", "torch", 1, 1.0),  # not of the same run as the peers
        row("peers", "onnxruntime", 1, 20.0),
        row("peers", "openvino", 1, 10.0),
        row("peers", "onnxruntime", 1, 30.0, screened=False),
        row("peers", "torch", 1, 60.0),  # screened as ours is, which no peer does
        row("peers", "torch", 1, 120.0, screened=False),
        row("peers", "torch", 1, 90.0, screened=False),
    ]
    gflops = [
        {"name": "score 64 x 12, onnxruntime", "median": 60.0},
        {"name": "score 64 x 12, torch", "median": 90.0},
        {"name": "sgemm 512, NumPy", "median": 120.0},
    ]
    found = {entry["name"]: entry for entry in figures(rows, gflops)}
    assert found["× fastest peer, 1 thread"]["value"] == 4.5
    assert found["× fastest peer, openvino, 1 thread"]["value"] == 9.0
    assert found["× fastest peer, 1 thread, unscreened"]["value"] == 3.0
    assert "× fastest peer, 2 threads" not in found
    assert found["score graph, share of the sgemm peak"]["value"] == 0.5
    assert {name for name, entry in found.items() if not entry["met"]} == {
        "default plan, 1 thread, p99 ms", "× fastest peer, 1 thread"
    }  # fmt: skip


def test_a_point_of_the_curve_is_the_mean_of_its_drives_with_its_error(tmp_path) -> None:
    drives = Drives(plan_ms=[1.0, 2.0, 3.0], score=[100.0, 50.0], reward=[0.5, 0.5], success=[True, False])
    point = drives.row(Point((256, 128, 64), 25.0))
    assert point["name"] == "256, 128, 64 in 25 ms" and point["p50_ms"] == 2.0
    assert (point["score"], point["score_sem"], point["success"]) == (75.0, 25.0, 0.5)
    plot([drives.row(Point(())), point], tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "wrong", [{"family": "nowhere"}, {"plans": 0}, {"sweep_plans": -1}, {"curve_drives": 0}, {"seed": -1}]
)
def test_senseless_settings_are_refused_in_a_sentence(wrong: dict) -> None:
    with pytest.raises(BringupError, match="choose|must be"):
        check(PlannerBench(**wrong))


def test_a_busy_machine_is_said() -> None:
    assert busy({"load": 0.9, "cores": 2}) == ""
    assert "load 3.5" in busy({"load": 3.5, "cores": 2})


@pytest.mark.slow
def test_the_curve_drives_every_point_on_the_same_drives(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(bench_planner_curve, "POINTS", (Point(()), Point((64,), 10.0)))
    config = PlannerBench(model=MODEL, family="stop_go", curve_drives=1)
    points = curve_points(config, Engines(MODEL, tmp_path), 12)
    assert [point["name"] for point in points] == ["policy", "64 in 10 ms"]
    assert all(point["drives"] == 1 and point["p50_ms"] > 0.0 and 0.0 <= point["score"] <= 100.0 for point in points)


@pytest.mark.slow
def test_wm_bench_planner_writes_its_figures(tmp_path, capsys) -> None:
    file = tmp_path / "planner.json"
    words = "bench planner --plans 3 --sweep-plans 0 --peer-plans 1 --family lane_follow --json"
    assert main([*words.split(), str(file)]) == 0
    result = json.loads(file.read_text())
    assert {row["part"] for row in result["plans"]} == {"default", "peers"}
    assert all(row["p50_ms"] > 0 for row in result["plans"])
    assert "sgemm" in capsys.readouterr().out
