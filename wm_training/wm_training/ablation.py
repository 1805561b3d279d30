"""`wm ablate`: what each part of the method is worth. Variants, equally short a training, one table."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import torch
import tyro
from rich.console import Console
from rich.progress import track
from torch import nn

from wm_dynamics.model_files import METRICS_FILE, load_world_model
from wm_dynamics.rssm import RssmConfig
from wm_dynamics.world_model import WorldModel, WorldModelConfig
from wm_perception.model_folder import read_model_config
from wm_perception.normalise import MEASURED_OF_STATE
from wm_training.ablation_table import markdown, row_of
from wm_training.batches import BatchSource, collision_risk
from wm_training.errors import TrainingError
from wm_training.eval_report import write_json, write_whole
from wm_training.export import export_model, split_episodes
from wm_training.losses import LossConfig, world_model_loss
from wm_training.sequences import Sequences, load_sequences
from wm_training.train import DYNAMICS_PICTURES, JOINT_PICTURES, embed

TABLE_FILE, PAGE_FILE = "ablation.json", "ablation.md"


@dataclass(frozen=True)
class Variant:
    """What differs from the model that is shipped."""

    model: WorldModelConfig = field(default_factory=WorldModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    sees_state: bool = True  # else the encoder gets camera and scan alone; the last action still moves the filter
    near_crashes: bool = True  # else drives with a collision, a near one or the road left are not learned from


VARIANTS: dict[str, Variant] = {
    "as shipped": Variant(),
    "no camera decoder": Variant(loss=LossConfig(camera=0.0)),
    "no state": Variant(sees_state=False),
    "no ensemble": Variant(model=WorldModelConfig(rssm=RssmConfig(prior_heads=1))),
    "no near-crash data": Variant(near_crashes=False),
    "horizon 5": Variant(model=WorldModelConfig(horizon=5)),
    "horizon 8": Variant(model=WorldModelConfig(horizon=8)),
}


@dataclass(frozen=True)
class AblateConfig:
    """Train variants of the model at an equal, small budget and tabulate what they know. The shipped horizon is 12."""

    bags: Annotated[tuple[Path, ...], tyro.conf.arg(aliases=("-b",))] = (Path("runs/bags"),)
    """Bags, or folders of bags."""
    out: Path = Path("runs/ablate")
    """A folder for each variant's model, and the table; variants that are there already are not trained again."""
    encoder: Path | None = None
    """Take the finished encoder of this model folder: only what is behind it is trained, several times as fast."""
    steps: int = 1500
    """Steps of the whole model, or of all behind --encoder, each variant."""
    batch: int = 24
    """Windows a step."""
    length: int = 30
    """Frames a window."""
    learning_rate: float = 8e-4
    held_out: float = 0.04
    """Share of the episodes kept for measuring."""
    episodes: int = 0
    """Drives in closed loop of each variant, over all families; 0: none."""
    eval_seed: int = 500_000
    """First seed of those drives."""
    variants: tuple[str, ...] = tuple(VARIANTS)
    """Which ones, by name."""
    seed: int = 0
    threads: int = 2
    """CPU threads."""

    def budget(self) -> dict[str, Any]:
        """What has to be equal for two variants to stand in one table."""
        found = {n: getattr(self, n) for n in ("steps", "batch", "length", "learning_rate", "held_out", "seed")}
        return found | {"encoder": None if self.encoder is None else read_model_config(self.encoder).model_id}


def run(config: AblateConfig) -> str:
    """Train what is missing, measure it, write the table anew after each variant; the table."""
    unknown = [name for name in config.variants if name not in VARIANTS]
    if unknown:
        raise TrainingError(f"variant {unknown[0]!r}: wm ablate knows {', '.join(VARIANTS)}.")
    torch.set_num_threads(config.threads)
    sequences = load_sequences(config.bags)
    rows, embedded = [], dict[bool, np.ndarray]()
    for name in config.variants:
        folder = config.out / name.replace(" ", "_")
        if not (folder / METRICS_FILE).is_file():
            _make(config, name, sequences, folder, embedded)
        metrics = json.loads((folder / METRICS_FILE).read_text())
        _check_same(config, sequences, metrics["training"], folder)
        rows.append(row_of(name, metrics, _drive(config, folder)))
        write_json(config.out / TABLE_FILE, rows)  # type: ignore[arg-type]  # any JSON-ready object
        write_whole(config.out / PAGE_FILE, markdown(rows) + "\n", "out")
    return markdown(rows)


def _make(
    config: AblateConfig, name: str, sequences: Sequences, folder: Path, embedded: dict[bool, np.ndarray]
) -> None:
    """Train and measure one variant; its model folder.

    embedded: what the finished encoder makes of all frames [F, E], by whether it sees the state; kept from variant to
    variant, which differ in nothing else before the memory.
    """
    training, held_out = split_episodes(sequences.episodes, config.held_out)
    variant = VARIANTS[name]
    chosen = training if variant.near_crashes else calm_episodes(sequences, training)
    model = new_model(config, variant)
    if config.encoder is not None and variant.sees_state not in embedded:
        embedded[variant.sees_state] = embed(model, sequences)
    source = BatchSource(sequences, chosen, config.length, config.seed, embedded.get(variant.sees_state))
    train_variant(config, model, variant.loss, source, name)
    settings = config.budget() | {"variant": name, "bags": sequences.digest, "steps_done": config.steps}
    export_model(model, sequences, held_out, folder, settings | {"episodes_learned_from": len(chosen)})


def new_model(config: AblateConfig, variant: Variant) -> WorldModel:
    """A variant before its training, with the finished encoder where one was named."""
    torch.manual_seed(config.seed)
    model = WorldModel(variant.model)
    if config.encoder is not None:
        finished = load_world_model(config.encoder).encoder.state_dict()
        try:
            model.encoder.load_state_dict(finished)
        except RuntimeError:
            raise TrainingError(f"encoder {config.encoder}: it is of another size than the variants'.") from None
        model.encoder.requires_grad_(False)
    if not variant.sees_state:
        blind_to_state(model)
    return model


def train_variant(config: AblateConfig, model: WorldModel, losses: LossConfig, source: BatchSource, name: str) -> None:
    """`config.steps` of all that is not finished; one cycle of the learning rate, one phase: budgets are equal."""
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learned, config.learning_rate, weight_decay=1e-4, eps=1e-6)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=config.steps, pct_start=min(0.1, 200 / config.steps)
    )
    pictures = JOINT_PICTURES if config.encoder is None else DYNAMICS_PICTURES
    console = Console(stderr=True)
    for step in track(range(config.steps), name, console=console, disable=not console.is_terminal):
        torch.manual_seed((config.seed << 32) + step)
        loss, _ = world_model_loss(model, source.draw(step, config.batch, pictures), losses)
        if not torch.isfinite(loss):
            raise TrainingError(f"{name}: the loss is not finite at step {step}. Lower --learning-rate.")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, 20.0)
        optimizer.step()
        schedule.step()


def blind_to_state(model: WorldModel) -> None:
    """Let nothing of the state into the belief, for good: the weights that take it in are zero and get no gradient.

    As nothing but weights changes, such a model is exported, loaded and driven like every other.
    """
    blind_to(model.encoder.state[0], slice(None))
    first = model.config.rssm.deter + model.config.rssm.recognised
    blind_to(model.rssm.posterior_net[0], slice(first, first + MEASURED_OF_STATE))


def blind_to(layer: nn.Module, inputs: slice) -> None:
    """Make a linear layer forget some of its inputs, and never learn them again."""
    weight = cast(nn.Linear, layer).weight
    with torch.no_grad():
        weight[:, inputs] = 0.0
    kept = torch.ones_like(weight)
    kept[:, inputs] = 0.0
    if weight.requires_grad:
        weight.register_hook(lambda gradient: gradient * kept.to(gradient.device))


def calm_episodes(sequences: Sequences, episodes: np.ndarray) -> np.ndarray:
    """Those of `episodes` without a collision, one that was near, or the road left."""
    rough = collision_risk(sequences) | np.asarray(sequences.off_road) | np.asarray(sequences.collided)
    counts = np.add.reduceat(rough, sequences.episode_start[:-1])
    calm = episodes[counts[episodes] == 0]
    if not len(calm):
        raise TrainingError("no near-crash data: every drive has some; record more, or leave that variant out.")
    return calm


def _check_same(config: AblateConfig, sequences: Sequences, found: dict[str, Any], folder: Path) -> None:
    wanted = config.budget() | {"bags": sequences.digest}
    changed = [name for name, value in wanted.items() if found.get(name) != value]
    if changed:
        raise TrainingError(f"{folder} was made with other {', '.join(changed)}. Choose another --out or remove it.")


def _drive(config: AblateConfig, folder: Path) -> dict[str, Any] | None:
    """The variant's drives in closed loop, kept beside its model."""
    if not config.episodes:
        return None
    from wm_training.evaluate import EvalConfig, evaluate

    return evaluate(
        replace(
            EvalConfig(), agent=f"model:{folder}", suite="all", seed=config.eval_seed, episodes=config.episodes,
            json=folder / "closed_loop.json", resume=True,
        )
    )  # fmt: skip
