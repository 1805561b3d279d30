"""`wm improve`: rounds of the model's own drives. Drive, train on them, compare; what is not better is not kept.

A model that was taught by others' drives has not seen where its own ones lead; Dreamer and DAgger alike let the learner
drive for more data (Ross et al. 2011). Every stage that has finished is written down, so that the same command goes on.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from wm_sim.scenarios import is_reporting_seed
from wm_training.agents import model_id, model_path
from wm_training.bags.reader import find_bags
from wm_training.checkpoint import CHECKPOINT_FILE
from wm_training.collect import CollectConfig, collect
from wm_training.collect_report import CollectReport
from wm_training.devices import Accelerator
from wm_training.errors import StoppedError, TrainingError
from wm_training.eval_report import write_json
from wm_training.evaluate import EvalConfig, evaluate
from wm_training.improve_rule import family_weights, judge
from wm_training.improve_state import GIVEN, Round, State, model_of, read_state, round_folder, table, write_state
from wm_training.interrupt import stopping_says
from wm_training.train import TrainConfig, train

EVALUATION_FILE = "evaluation.json"


@dataclass(frozen=True)
class ImproveConfig:
    """Let a model drive, train it on what it met, keep it if it drives better; again and again."""

    model: Path | None = None
    """Model folder to begin from; the shipped one unless given."""
    bags: Annotated[tuple[Path, ...], tyro.conf.arg(aliases=("-b",))] = (Path("runs/bags"),)
    """Bags, or folders of bags, that every round is trained on beside its own drives."""
    out: Path = Path("runs/improve")
    """Folder for the rounds; the same command goes on where it stopped."""
    rounds: int = 3
    """Rounds in all; more may be asked for later."""
    episodes: int = 220
    """Drives of the model that are collected a round."""
    steps: int = 1200
    """Training steps a round, shared out as in `wm train` over all phases but the first: the encoder sees already."""
    learning_rate: float = 3e-4
    """Highest learning rate; the model has learned already, so it is less than that of `wm train`."""
    batch: int = 24
    """Windows a step of the whole model; four times as many once the encoder is finished."""
    length: int = 30
    """Frames a window, 0.1 s each."""
    held_out: float = 0.04
    """Share of the recorded drives kept for measuring."""
    suite: str = "all"
    """A scenario family, or all of them."""
    failed_weight: float = 3.0
    """How many times more a family is driven in which every drive of the last evaluation failed."""
    disturb: bool = True
    """Collect with noise and wrong manoeuvres on top of the model's driving."""
    seed: int = 200_000
    """First seed of the collected drives; round r begins --episodes x (r - 1) further up."""
    eval_seed: int = 600_000
    """First seed of the drives that decide. The same in every round, never collected, never for reporting."""
    eval_episodes: int = 110
    """Drives that decide."""
    workers: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Processes that drive; one per core unless given."""
    threads: int = 2
    """CPU threads of the training."""
    accelerator: Accelerator = "auto"
    """Where to train: a GPU if there is one, or as said."""

    def settings(self, start: Path) -> dict[str, Any]:
        """What has to be equal to go on with rounds that have begun."""
        free = ("model", "bags", "out", "rounds", "workers", "threads", "accelerator")
        chosen = {name: value for name, value in vars(self).items() if name not in free}
        agent = {"model": str(start), "model_id": model_id(f"model:{start}")}
        return agent | {"bags": [str(path) for path in self.bags]} | chosen


@dataclass(frozen=True)
class Stages:
    """What a round consists of."""

    collect: Callable[[CollectConfig], CollectReport] = collect
    train: Callable[[TrainConfig], Path | None] = train
    evaluate: Callable[[EvalConfig], dict[str, Any]] = evaluate


def run(config: ImproveConfig) -> str:
    """`wm improve`: all rounds, a table of them, and which model to go on with."""
    from rich.console import Console

    state = improve(config, tell=Console(stderr=True).print)
    Console().print(table(state))
    best = model_of(config.out, state, state.kept)
    if state.kept == GIVEN:
        return f"No round was better: {best} stays."
    return f"Round {state.kept} is the best: {best}. Its figures chose it; report with wm eval from seed 1000000 up."


def improve(config: ImproveConfig, stages: Stages | None = None, tell: Callable[[str], Any] = print) -> State:
    """Do the rounds that are not done yet. Ctrl-C at any time raises StoppedError; the same call then goes on."""
    _check(config)
    start = model_path("model" if config.model is None else f"model:{config.model}")
    state = read_state(config.out, config.settings(start))
    rounds = Rounds(config, state, stages or Stages(), tell)
    with stopping_says(lambda: _stopped(rounds.now)):
        try:
            rounds.run()
        except StoppedError:  # the training says how to resume a training
            raise StoppedError(_stopped(rounds.now)) from None
    return rounds.state


class Rounds:
    """Takes the rounds on, stage by stage."""

    def __init__(self, config: ImproveConfig, state: State, stages: Stages, tell: Callable[[str], Any]) -> None:
        self.config, self.state, self.stages, self.tell = config, state, stages, tell
        self.now = "starting"

    def run(self) -> None:
        write_state(self.config.out, self.state)
        for number in range(1, self.config.rounds + 1):
            if not self.state.finished(number):
                self._round(self.state.round(number))

    def _round(self, one: Round) -> None:
        """The stages that are left of a round."""
        if one.collected is None:
            one = self._keep(replace(one, collected=self._collect(one)))
        if not one.trained:
            self._train(one)
            one = self._keep(replace(one, trained=True))
        before, after = self._evaluation(one.start), self._evaluation(one.number)
        self._keep(replace(one, verdict=judge(before, after)))

    def _keep(self, one: Round) -> Round:
        """Write down that a stage has finished."""
        self.state = self.state.with_round(one)
        write_state(self.config.out, self.state)
        return one

    def _collect(self, one: Round) -> dict[str, Any]:
        """Drives of the model that the round begins from, in worlds that no other round has; their figures."""
        config, weights = self.config, ""
        if config.suite == "all":
            weights = family_weights(self._evaluation(one.start), config.failed_weight)
        bags = self._bags(one.number)
        shutil.rmtree(bags, ignore_errors=True)  # of drives that were interrupted
        bags.parent.mkdir(parents=True, exist_ok=True)
        self._begin(f"driving in round {one.number}")
        report = self.stages.collect(
            CollectConfig(
                out=bags, agent=self._agent(one.start), disturb=config.disturb, episodes=config.episodes,
                suite=config.suite, weights=weights, seed=config.seed + (one.number - 1) * config.episodes,
                workers=config.workers,
            )
        )  # fmt: skip
        return figures(report) | {"weights": weights}

    def _train(self, one: Round) -> None:
        """Go on from the model that the round begins from, with the bags of all rounds up to this one."""
        config, out = self.config, round_folder(self.config.out, one.number) / "train"
        joint, dynamics, imagination = phase_steps(config.steps)
        self._begin(f"training in round {one.number}")
        self.stages.train(
            TrainConfig(
                bags=(*config.bags, *(self._bags(number) for number in range(1, one.number + 1))),
                out=out, start_from=model_of(config.out, self.state, one.start),
                perception_steps=0,  # the encoder reads frames already; alone it would move away from the rest
                joint_steps=joint, dynamics_steps=dynamics, imagination_steps=imagination, batch=config.batch,
                dynamics_batch=4 * config.batch, length=config.length, learning_rate=config.learning_rate,
                warmup=max(1, config.steps // 10), held_out=config.held_out,
                seed=one.number, threads=config.threads, accelerator=config.accelerator, devices="1",
                pictures_every=0, resume=(out / CHECKPOINT_FILE).is_file(),
            )
        )  # fmt: skip

    def _evaluation(self, number: int) -> dict[str, Any]:
        """What `wm eval` says of a round's model in the worlds that decide; driven once."""
        path = round_folder(self.config.out, number) / EVALUATION_FILE
        if path.is_file():
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return found
        config = self.config
        self._begin("evaluating the model given" if number == GIVEN else f"evaluating the model of round {number}")
        report = self.stages.evaluate(
            EvalConfig(
                agent=self._agent(number), suite=config.suite, seed=config.eval_seed,
                episodes=config.eval_episodes, workers=config.workers,
            )
        )  # fmt: skip
        if report.get("interrupted"):
            raise KeyboardInterrupt
        write_json(path, report)
        return report

    def _agent(self, number: int) -> str:
        return f"model:{model_of(self.config.out, self.state, number)}"

    def _bags(self, number: int) -> Path:
        return round_folder(self.config.out, number) / "bags"

    def _begin(self, what: str) -> None:
        self.now = what
        self.tell(f"{what} ...")


def figures(report: CollectReport) -> dict[str, Any]:
    """What a round keeps of its collection; all of it lies beside the bags."""
    families = report.families.values()
    return {
        "episodes": report.episodes,
        "frames": report.frames,
        "crashed": sum(family.collided for family in families),
        "near_crashes": sum(family.near_crashes for family in families),
        "off_road": sum(family.off_road for family in families),
        "red_lights": sum(family.red_lights for family in families),
    }


def phase_steps(steps: int) -> tuple[int, int, int]:
    """Steps of the whole model, which also learns to see what it met, of the dynamics and of imagination."""
    usual = TrainConfig()
    joint = steps // 3
    imagination = (steps - joint) * usual.imagination_steps // (usual.dynamics_steps + usual.imagination_steps)
    return joint, steps - joint - imagination, imagination


def _stopped(now: str) -> str:
    return f"stopped while {now}. The same command goes on from there."


def _check(config: ImproveConfig) -> None:
    """Refuse what would fail later, or decide by worlds that were trained on or are kept for reporting."""
    for name in ("rounds", "episodes", "steps", "eval_episodes"):
        if getattr(config, name) < 1:
            raise TrainingError(f"{name.replace('_', '-')} {getattr(config, name)}: at least 1 is needed.")
    if config.failed_weight < 0.0:
        raise TrainingError(f"failed-weight {config.failed_weight:g}: at least 0 is needed.")
    driven = range(config.seed, config.seed + config.rounds * config.episodes)
    decide = range(config.eval_seed, config.eval_seed + config.eval_episodes)
    for option, seeds in (("seed", driven), ("eval-seed", decide)):
        if seeds[0] < 0 or is_reporting_seed(seeds[-1]):
            raise TrainingError(
                f"seeds {seeds[0]} to {seeds[-1]}: some are for reporting or below 0; choose another --{option}."
            )
    if driven[0] <= decide[-1] and decide[0] <= driven[-1]:
        raise TrainingError(
            f"the drives that decide (seeds {decide[0]} to {decide[-1]}) would be trained on (seeds {driven[0]} to "
            f"{driven[-1]}); choose another --eval-seed."
        )
    find_bags(config.bags)
