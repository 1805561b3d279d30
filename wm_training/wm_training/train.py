"""`wm train`: bags in, world model out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import tyro
from lightning_fabric import Fabric

from wm_dynamics.model_files import load_world_model
from wm_dynamics.world_model import WorldModel, WorldModelConfig, with_every_label
from wm_perception.model_folder import read_model_config
from wm_perception.scan_memory import earlier_frames
from wm_training.batches import BatchSource
from wm_training.board import HeldOut
from wm_training.checkpoint import CHECKPOINT_FILE, Spent, Training, read_checkpoint, restore
from wm_training.devices import Accelerator, Precision, make_fabric, rank_seed
from wm_training.ema import WeightAverage
from wm_training.errors import TrainingError
from wm_training.export import export_model, split_episodes
from wm_training.interrupt import how_to_go_on, stopping_says
from wm_training.learner import Learner, Phase, Task
from wm_training.loop import Loop, LoopConfig
from wm_training.sequences import Sequences, load_sequences

PERCEPTION_STEPS = 18000  # of a new model's encoder
JOINT_PICTURES, DYNAMICS_PICTURES, IMAGINATION_PICTURES = 7, 1, 1  # of a window's frames are drawn to reconstruct


@dataclass(frozen=True)
class TrainConfig:
    """Train a world model on bags; leaves checkpoints, TensorBoard logs and a model folder in OUT."""

    bags: Annotated[tuple[Path, ...], tyro.conf.arg(aliases=("-b",))] = (Path("runs/bags"),)
    """Bags, or folders of bags."""
    mapping: Path | None = None
    """YAML file that says where our fields are in bags that are not from this stack; see docs/training.md."""
    out: Path = Path("runs/train")
    """Folder for checkpoints and logs; the model is OUT/model."""
    start_from: Path | None = None
    """Model folder to go on from, for example with more or other bags; None: a new model."""
    perception_steps: int | None = None
    """Steps of the encoder alone, on single frames. None: 18000 for a new model; 0 when going on from one, whose memory
    has learned to read its encoder."""
    perception_batch: int = 256
    """Frames a step and process of the encoder alone."""
    joint_steps: int = 0
    """Steps of the whole model after those; a step sees batch x length frames."""
    dynamics_steps: int = 8000
    """Steps after those, with the encoder finished: everything behind it, on more windows a step."""
    batch: int = 24
    """Windows a step and process of the whole model."""
    dynamics_batch: int = 96
    """Windows a step and process once the encoder is finished."""
    length: int = 30
    """Frames a window, 0.1 s each."""
    imagination_steps: int = 0
    """Steps in which the policy and the value then learn by driving in the finished model; 0: none."""
    imagination_batch: int = 32
    """Windows a step from which imagination starts."""
    imagination_rate: float = 3e-4
    """Learning rate of imagination."""
    learning_rate: float = 2.5e-3
    warmup: int = 200
    """Steps of a phase until the learning rate is reached; it then falls along a half cosine to a twentieth."""
    weight_decay: float = 0.03
    clip_norm: float = 20.0
    """Largest norm of the gradient."""
    ema_decay: float = 0.998
    """Share of the averaged weights that a step keeps; the model that is written is the average. 0: no average."""
    seed: int = 0
    threads: int = 2
    """CPU threads of a process."""
    accelerator: Accelerator = "auto"
    """Where to train: a GPU if there is one, or as said."""
    devices: str = "auto"
    """Processes a node: all GPUs or one CPU unless given. Under torchrun, torchrun's."""
    precision: Precision = "32-true"
    """Of the forward pass; weights, losses and their sums stay float32."""
    held_out: float = 0.04
    """Share of the episodes kept for measuring, never trained on."""
    checkpoint_every: int = 250
    """Steps between checkpoints."""
    pictures_every: int = 500
    """Steps between pictures for TensorBoard: dreams and calibration on held-out drives; 0: none."""
    resume: bool = False
    """Go on from the checkpoint in OUT."""

    def settings(self) -> dict[str, Any]:
        """What has to be equal for a resumed run to equal the uninterrupted one."""
        free = (
            "bags",
            "mapping",
            "out",
            "start_from",
            "threads",
            "accelerator",
            "devices",
            "checkpoint_every",
            "pictures_every",
        )
        found = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in (*free, "resume")}
        return found | {"perception_steps": self.encoder_steps}

    @property
    def encoder_steps(self) -> int:
        """Of the encoder alone."""
        if self.perception_steps is not None:
            return self.perception_steps
        return PERCEPTION_STEPS if self.start_from is None else 0

    @property
    def steps(self) -> int:
        """Of all phases."""
        return self.encoder_steps + self.joint_steps + self.dynamics_steps + self.imagination_steps

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Those that have any steps, in order."""
        rate, warmup, length = self.learning_rate, self.warmup, self.length
        every: list[Phase] = []
        plan: tuple[tuple[Task, int, int, int, int, float], ...] = (
            ("perception", self.encoder_steps, self.perception_batch, 1, 0, rate),
            ("whole model", self.joint_steps, self.batch, length, JOINT_PICTURES, rate),
            ("dynamics", self.dynamics_steps, self.dynamics_batch, length, DYNAMICS_PICTURES, rate),
            ("imagination", self.imagination_steps, self.imagination_batch, length, IMAGINATION_PICTURES,
             self.imagination_rate),
        )  # fmt: skip
        for task, steps, batch, frames, pictures, peak in plan:
            first = every[-1].last_step if every else 0
            every.append(Phase(task, first, first + steps, batch, frames, pictures, peak, warmup))
        return tuple(phase for phase in every if phase.first_step < phase.last_step)


def train(config: TrainConfig) -> Path | None:
    """Train and write the model folder; its path, or None in all processes but the first.

    Ctrl-C at any time keeps the last checkpoint and raises TrainingError with how to go on.
    """
    torch.set_num_threads(config.threads)
    fabric = make_fabric(config.accelerator, config.devices, config.precision)
    fabric.launch()
    with _stages(config) as now:
        _check_out(config)
        now("reading the bags")
        with fabric.rank_zero_first():
            sequences = load_sequences(config.bags, mapping=config.mapping)
        training_episodes, held_out = split_episodes(sequences.episodes, config.held_out)
        if not len(held_out) or not len(training_episodes):
            raise TrainingError(
                f"{sequences.episodes} drives leave none to train on or none to measure on with --held-out "
                f"{config.held_out:g}. Record more or give a larger share."
            )
        now("preparing the model")
        loop, first = _prepare(config, fabric, sequences, held_out)
        learner = loop.training.learner
        for phase in config.phases:
            if first < phase.last_step:
                loop.begin(phase, first)
                now("computing the embeddings" if phase.finished_encoder else "training")
                embedding = embed(learner.model, sequences) if phase.finished_encoder else None
                seed = rank_seed(config.seed, fabric.global_rank)
                source = BatchSource(sequences, training_episodes, phase.length, seed, embedding)
                now("training")
                loop.run(phase, source, first)
                first = phase.last_step
        if not fabric.is_global_zero:
            return None
        now("measuring and writing the model")
        loop.training.average.store(learner.model)
        folder = config.out / "model"
        figures = loop.config.settings | {"steps_done": first} | loop.spent.figures()
        export_model(learner.model.cpu(), sequences, held_out, folder, figures)
        print(_summary(loop.spent, first))
        return folder


def embed(model: WorldModel, sequences: Sequences, batch: int = 256) -> np.ndarray:
    """Embeddings float32 [T, E] of all frames by the encoder as it is now."""
    out = np.empty((len(sequences), model.config.rssm.embedding), np.float32)
    earlier = earlier_frames(sequences.episode_start[:-1], len(sequences))
    device = next(model.parameters()).device
    with torch.inference_mode():
        for start in range(0, len(out), batch):
            part = slice(start, start + batch)
            scans = np.stack((sequences.scan[part], sequences.scan[earlier[part]]), axis=1)
            frames = (sequences.camera[part], scans, sequences.state[part])
            out[part] = model.encoder(*(torch.from_numpy(np.array(x)).to(device) for x in frames)).cpu().numpy()
    return out


def _prepare(config: TrainConfig, fabric: Fabric, sequences: Sequences, held_out: np.ndarray) -> tuple[Loop, int]:
    """The loop, and the step that it begins with: 0 or that of the checkpoint."""
    torch.manual_seed(config.seed)
    model, start = _first_model(config)
    learner = Learner(model).to(fabric.device)
    optimizer = torch.optim.AdamW(
        learner.parameters(), config.learning_rate, weight_decay=config.weight_decay, eps=1e-6
    )
    training = Training(learner, WeightAverage(model, config.ema_decay), optimizer)
    settings = config.settings() | {"bags": sequences.digest, "processes": fabric.world_size}
    settings |= {"start_from": start} if start else {}
    first, spent = 0, Spent()
    if config.resume:
        checkpoint = read_checkpoint(config.out)
        restore(checkpoint, training, settings, config.out)
        fabric.strategy.precision.load_state_dict(checkpoint.scaler)
        first, spent = checkpoint.step, checkpoint.spent
    config.out.mkdir(parents=True, exist_ok=True)
    loop_config = LoopConfig(
        config.out, config.seed, config.clip_norm, config.steps, config.checkpoint_every,
        config.pictures_every, settings,
    )  # fmt: skip
    shown = HeldOut(sequences, held_out, model.config.horizon, config.seed)
    return Loop(loop_config, fabric, training, shown, spent), first


def _first_model(config: TrainConfig) -> tuple[WorldModel, str]:
    """The model that training begins with, and the id of the one it was taken from ("" for a new one)."""
    if config.start_from is None:
        return WorldModel(WorldModelConfig()), ""
    found = read_model_config(config.start_from)
    return with_every_label(load_world_model(config.start_from, found)).train(), found.model_id


def _check_out(config: TrainConfig) -> None:
    if config.resume == (config.out / CHECKPOINT_FILE).exists():
        return
    if config.resume:
        raise TrainingError(f"{config.out}: no {CHECKPOINT_FILE} to resume from. Start without --resume.")
    raise TrainingError(f"{config.out} already holds a training run. Go on with --resume or choose another --out.")


@contextmanager
def _stages(config: TrainConfig) -> Iterator[Callable[[str], None]]:
    """Ctrl-C inside says what was going on and how to go on; call the value with what begins now."""
    stage = "starting"

    def now(what: str) -> None:
        nonlocal stage
        stage = what

    def sentence() -> str:
        kept = (config.out / CHECKPOINT_FILE).exists()
        advice = how_to_go_on(config.out) if kept else "Nothing was trained yet; start again."
        return f"stopped while {stage}. {advice}"

    with stopping_says(sentence):
        yield now


def _summary(spent: Spent, steps: int) -> str:
    hours, rest = divmod(round(spent.seconds), 3600)
    rate = spent.figures()["frames_per_s"]
    return f"{steps} steps in {hours} h {rest // 60:02d} min, {rate} frames/s, {spent.peak_memory_mib} MiB at most."
