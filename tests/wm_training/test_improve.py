"""Rounds of the model's own drives: what is kept, what is done again, and what no round may touch."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wm_dynamics.model_files import write_model_folder
from wm_dynamics.rssm import RssmConfig
from wm_dynamics.world_model import WorldModel, WorldModelConfig
from wm_sim import world as world_module
from wm_sim.world import World, WorldConfig
from wm_training import TrainingError
from wm_training import improve as improve_module
from wm_training.collect import CollectConfig, collect
from wm_training.collect_report import CollectReport, FamilyTally
from wm_training.errors import StoppedError
from wm_training.evaluate import EvalConfig
from wm_training.improve import ImproveConfig, Stages, improve, phase_steps, run
from wm_training.improve_rule import family_weights, judge
from wm_training.improve_state import STATE_FILE, State, table
from wm_training.sequences import load_sequences
from wm_training.train import TrainConfig

SMALL = WorldModelConfig(rssm=RssmConfig(recognised=16, deter=16, groups=4, classes=4, hidden=16, prior_hidden=8))


def report(scores: list[float], at_fault: int = 0, seed: int = 600_000, model_id: str = "m") -> dict[str, Any]:
    """What wm eval would say of drives in stop_go (all succeed) and merge (all fail)."""
    names = ("stop_go", "merge")
    drives = [{"family": names[i % 2], "seed": seed + i // 2, "driving_score": score} for i, score in enumerate(scores)]
    families = {name: {"episodes": 1, "success_rate": float(name == "stop_go")} for name in names}
    return {
        "episode_list": drives, "driving_score": float(np.mean(scores)), "at_fault_collisions": at_fault,
        "families": families | {"cut_in": {"episodes": 0, "success_rate": 0.0}}, "model_id": model_id,
    }  # fmt: skip


@pytest.mark.parametrize(
    "after, at_fault, keep",
    [
        ([61.0, 50.0, 70.0], 1, True),
        ([61.0, 50.0, 70.0], 2, False),  # better, but a collision more
        ([60.0, 50.0, 70.0], 0, False),  # equal is not better
        ([99.0, 10.0, 70.0], 0, False),
    ],
)
def test_a_candidate_is_kept_if_it_scores_more_and_is_no_more_often_at_fault(after, at_fault, keep) -> None:
    assert judge(report([60.0, 50.0, 70.0], at_fault=1), report(after, at_fault)).keep is keep


def test_the_gain_and_its_error_are_those_of_the_differences_drive_by_drive() -> None:
    verdict = judge(report([10.0, 50.0, 90.0]), report([12.0, 52.0, 95.0], model_id="new"))
    assert (verdict.gain, verdict.drives, verdict.model_id) == (3.0, 3, "new")
    assert verdict.gain_sem == pytest.approx(np.std([2, 2, 5], ddof=1) / np.sqrt(3))


def test_models_that_drove_in_different_worlds_are_not_compared() -> None:
    with pytest.raises(TrainingError, match="different worlds"):
        judge(report([60.0, 50.0]), report([60.0, 50.0], seed=7))


def test_families_that_failed_are_driven_more() -> None:
    assert family_weights(report([1.0, 2.0]), failed_weight=3.0) == "stop_go=1,merge=4"


def test_the_steps_of_a_round_are_shared_out_completely() -> None:
    assert all(sum(phase_steps(steps)) == steps and min(phase_steps(steps)) >= 0 for steps in (1, 7, 300, 7900))
    joint, dynamics, imagination = phase_steps(9000)
    assert joint == 3000 and dynamics > imagination


@dataclass
class Stub:
    """Stages that only count; `scores` and `at_fault` are those of the given model and of each round's."""

    scores: tuple[float, ...]
    at_fault: tuple[int, ...] = (0,) * 9
    calls: list[tuple[str, Any]] = field(default_factory=list)
    before: Callable[[str], None] = lambda name: None

    def collect(self, config: CollectConfig) -> CollectReport:
        self._call("collect", config)
        assert not config.out.exists()
        config.out.mkdir()
        tally = FamilyTally((0, 1), 2, 20, 1, 0, 1, 0, near_crashes=1, red_lights=0, taught=0, moods={})
        return CollectReport(config.out, 1, 2, 20, 5, 1.0, 1.0, {"merge": tally})

    def train(self, config: TrainConfig) -> None:
        self._call("train", config)

    def evaluate(self, config: EvalConfig) -> dict[str, Any]:
        self._call("evaluate", config)
        number = int(config.agent.split("round-")[1][:2]) if "round-" in config.agent else 0
        return report([self.scores[number]] * 4, self.at_fault[number])

    @property
    def stages(self) -> Stages:
        return Stages(self.collect, self.train, self.evaluate)

    def configs(self, name: str) -> list[Any]:
        return [config for called, config in self.calls if called == name]

    def _call(self, name: str, config: Any) -> None:
        self.before(name)
        self.calls.append((name, config))


@pytest.fixture
def three_rounds(tmp_path: Path, short_bag: Path, monkeypatch: pytest.MonkeyPatch) -> ImproveConfig:
    monkeypatch.setattr(improve_module, "model_id", lambda agent: "given")
    return ImproveConfig(model=tmp_path / "given", bags=(short_bag,), out=tmp_path / "out", episodes=10, steps=10)


def quiet(config: ImproveConfig, stub: Stub) -> State:
    return improve(config, stub.stages, tell=lambda _: None)


def test_a_round_goes_on_from_the_best_model_and_a_rejected_one_is_left_behind(three_rounds: ImproveConfig) -> None:
    stub = Stub(scores=(50.0, 60.0, 55.0, 70.0))
    state = quiet(three_rounds, stub)
    assert [one.verdict.keep for one in state.rounds] == [True, False, True] and state.kept == 3
    first = three_rounds.out / "round-01" / "train" / "model"
    assert [c.start_from for c in stub.configs("train")] == [three_rounds.model, first, first]
    assert all(c.perception_steps == 0 and c.steps == three_rounds.steps for c in stub.configs("train"))
    assert [c.agent for c in stub.configs("collect")] == [f"model:{m}" for m in (three_rounds.model, first, first)]
    assert (state.rounds[2].verdict.score_before, state.rounds[2].verdict.score) == (60.0, 70.0)


def test_more_collisions_at_fault_reject_a_better_score(three_rounds: ImproveConfig) -> None:
    state = quiet(replace(three_rounds, rounds=1), Stub(scores=(50.0, 60.0), at_fault=(0, 1)))
    assert state.kept == 0 and state.rounds[0].verdict.reason == "more at fault"


def test_rounds_collect_in_other_worlds_and_are_decided_in_the_same_ones(three_rounds: ImproveConfig) -> None:
    stub = Stub(scores=(50.0, 40.0, 40.0, 40.0))
    quiet(three_rounds, stub)
    assert [c.seed for c in stub.configs("collect")] == [200_000, 200_010, 200_020]
    assert len({c.seed for c in stub.configs("train")}) == 3
    assert {(c.seed, c.episodes, c.suite) for c in stub.configs("evaluate")} == {(600_000, 110, "all")}
    assert len(stub.configs("evaluate")) == 4  # each model once
    assert {c.weights for c in stub.configs("collect")} == {"stop_go=1,merge=4"}


def test_training_sees_the_old_bags_and_those_of_every_round_so_far(three_rounds: ImproveConfig) -> None:
    stub = Stub(scores=(50.0, 40.0, 60.0, 70.0))
    quiet(three_rounds, stub)
    own = [three_rounds.out / f"round-{number:02d}" / "bags" for number in (1, 2, 3)]
    assert [c.bags for c in stub.configs("train")] == [(*three_rounds.bags, *own[:n]) for n in (1, 2, 3)]


@pytest.mark.parametrize("stage", ["collect", "train", "evaluate"])
@pytest.mark.parametrize("how", ["key", "signal"])
def test_ctrl_c_in_any_stage_says_how_to_go_on_and_nothing_finished_is_done_again(
    three_rounds: ImproveConfig, stage: str, how: str
) -> None:
    stub, seen = Stub(scores=(50.0, 60.0, 55.0, 70.0)), Counter()

    def interrupt(name: str) -> None:
        seen[name] += 1
        if name == stage and seen[name] == 2:
            if how == "signal":
                os.kill(os.getpid(), signal.SIGINT)
            raise KeyboardInterrupt

    stub.before = interrupt
    with pytest.raises(StoppedError, match="The same command goes on"):
        quiet(three_rounds, stub)
    done = Counter(name for name, _ in stub.calls)
    state = quiet(three_rounds, stub)
    assert Counter(name for name, _ in stub.calls) == {"collect": 3, "train": 3, "evaluate": 4}
    assert done[stage] == 1
    assert state.kept == 3


def test_an_evaluation_that_was_cut_short_decides_nothing(three_rounds: ImproveConfig) -> None:
    stub = Stub(scores=(50.0, 60.0))
    cut = replace(stub.stages, evaluate=lambda config: stub.evaluate(config) | {"interrupted": True})
    with pytest.raises(StoppedError):
        improve(three_rounds, cut, tell=lambda _: None)
    assert not list(three_rounds.out.glob("*/evaluation.json"))


def test_a_stopped_training_is_resumed_and_its_advice_replaced_by_ours(three_rounds: ImproveConfig) -> None:
    stub = Stub(scores=(50.0, 60.0))

    def stopped(config: TrainConfig) -> None:
        config.out.mkdir(parents=True)
        (config.out / "checkpoint.safetensors").write_bytes(b"")
        raise StoppedError("stopped at step 3. Go on with --resume")

    with pytest.raises(StoppedError, match="training in round 1. The same command"):
        improve(three_rounds, replace(stub.stages, train=stopped), tell=lambda _: None)
    quiet(replace(three_rounds, rounds=1), stub)
    assert [c.resume for c in stub.configs("train")] == [True]


def test_drives_that_were_interrupted_are_collected_anew(three_rounds: ImproveConfig) -> None:
    (three_rounds.out / "round-01" / "bags" / "half").mkdir(parents=True)
    (three_rounds.out / STATE_FILE).write_text(
        json.dumps({"settings": three_rounds.settings(three_rounds.model), "rounds": []})
    )
    quiet(replace(three_rounds, rounds=1), Stub(scores=(50.0, 60.0)))
    assert not (three_rounds.out / "round-01" / "bags" / "half").exists()


def test_more_rounds_may_be_asked_for_later_but_not_other_ones(three_rounds: ImproveConfig) -> None:
    stub = Stub(scores=(50.0, 60.0, 70.0))
    quiet(replace(three_rounds, rounds=1), stub)
    quiet(replace(three_rounds, rounds=2, workers=3), stub)
    assert len(stub.configs("train")) == 2
    with pytest.raises(TrainingError, match=r"steps 10 \(now 20\)"):
        quiet(replace(three_rounds, steps=20), stub)


@pytest.mark.parametrize(
    "options, named",
    [
        ({"eval_seed": 200_015}, "would be trained on"),
        ({"eval_seed": 999_950}, "reporting"),
        ({"seed": 999_990}, "reporting"),
        ({"seed": -1}, "below 0"),
        ({"rounds": 0}, "rounds 0"),
        ({"bags": (Path("nowhere"),)}, "nowhere"),
    ],
)
def test_a_bad_request_is_refused_before_anything_is_driven(
    three_rounds: ImproveConfig, options: dict[str, Any], named: str
) -> None:
    stub = Stub(scores=(50.0,))
    with pytest.raises(TrainingError, match=named):
        quiet(replace(three_rounds, **options), stub)
    assert not stub.calls and not three_rounds.out.exists()


def test_a_folder_with_something_else_in_it_is_left_alone(three_rounds: ImproveConfig) -> None:
    three_rounds.out.mkdir()
    (three_rounds.out / "thesis.tex").write_text("words")
    with pytest.raises(TrainingError, match="something else"):
        quiet(three_rounds, Stub(scores=(50.0,)))
    assert [path.name for path in three_rounds.out.iterdir()] == ["thesis.tex"]


def test_the_table_has_a_line_a_round_and_the_file_says_the_same(three_rounds: ImproveConfig) -> None:
    state = quiet(replace(three_rounds, rounds=2), Stub(scores=(50.0, 60.0, 55.0)))
    assert table(state).row_count == 2
    written = json.loads((three_rounds.out / STATE_FILE).read_text())
    assert [one["verdict"]["keep"] for one in written["rounds"]] == [True, False]
    assert written["kept"] == 1 and written["model"].endswith("round-01/train/model")
    assert written["rounds"][0]["collected"]["near_crashes"] == 1


@pytest.fixture
def short_drives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every drive ends after four seconds."""

    class ShortWorld(World):
        def __init__(self, config: WorldConfig | None = None) -> None:
            super().__init__(replace(config or WorldConfig(), time_limit_s=4.0))

    monkeypatch.setattr(world_module, "World", ShortWorld)


@pytest.mark.slow
@pytest.mark.usefixtures("short_drives")
def test_a_round_at_toy_size_drives_trains_compares_and_goes_on(tmp_path: Path) -> None:
    bags, first = tmp_path / "bags", tmp_path / "first"
    collect(CollectConfig(bags, episodes=8, suite="lane_follow", workers=1, progress=False))
    write_model_folder(first, WorldModel(SMALL), training={}, metrics={}, disagreement_p95=1.0, surprise_p999=1.0)
    config = ImproveConfig(
        model=first, bags=(bags,), out=tmp_path / "out", rounds=1, episodes=2, steps=4, batch=2, length=20,
        held_out=0.2, suite="lane_follow", eval_episodes=2, workers=1, threads=1, accelerator="cpu",
    )  # fmt: skip
    said = run(config)
    state = json.loads((config.out / STATE_FILE).read_text())
    (one,) = state["rounds"]
    assert state["model"] in said and one["trained"] and one["verdict"]["drives"] == 2
    own = load_sequences(config.out / "round-01" / "bags")
    assert own.episodes == one["collected"]["episodes"] == 2 and not own.taught.any()
    stub = Stub(scores=())
    assert improve(config, stub.stages).kept == state["kept"] and not stub.calls
