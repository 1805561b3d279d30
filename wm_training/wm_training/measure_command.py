"""`wm measure`: measure a model on drives that it was not trained on, keep the figures with it, write its page."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
import tyro

from wm_training.errors import TrainingError

if TYPE_CHECKING:
    from wm_dynamics.world_model import WorldModel
    from wm_perception.model_folder import ModelConfig
    from wm_training.sequences import Sequences

STRIP_WINDOWS = 4
KEPT = (
    "episodes", "success_rate", "success_ci95", "driving_score", "nuplan_score", "at_fault_collisions", "off_road",
    "red_lights",
)  # fmt: skip


@dataclass(frozen=True)
class MeasureConfig:
    """Measure a model again: its metrics.json, its risk thresholds, its page."""

    model: tyro.conf.Positional[Path] = Path("models/default")
    """Model folder."""
    bags: Annotated[tuple[Path, ...], tyro.conf.arg(aliases=("-b",))] = ()
    """Drives to measure on: the bags of its training, of which the held-out drives are taken, or others entirely."""
    interventions: bool = False
    """Ask the simulator again what actions cause."""
    closed_loop: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="JSON ...")] = ()
    """Files of wm eval --json whose figures by family go beside."""
    ablation: Annotated[Path | None, tyro.conf.arg(metavar="JSON")] = None
    """The table of wm ablate to go beside."""
    page: Path | None = None
    """Write the figures as a page, its pictures in images/ beside it."""
    seed: int = 0
    """Draws the windows."""
    threads: int = 2
    """CPU threads."""


def run(config: MeasureConfig) -> str:
    """Measure what was asked for and write it whole; one line on what was written."""
    from wm_dynamics.model_files import METRICS_FILE, load_world_model, write_metrics
    from wm_perception.model_folder import read_model_config, write_model_config

    torch.set_num_threads(config.threads)
    found = read_model_config(config.model)
    metrics = _read_json(config.model / METRICS_FILE)
    if config.bags or config.interventions:
        model = load_world_model(config.model, found)
        if config.bags:
            thresholds = _measure(config, found, model, metrics)
            write_model_config(config.model, replace(found, risk_thresholds=thresholds))
        if config.interventions:
            from wm_training.interventions import measure_interventions

            metrics["interventions"] = measure_interventions(model)
    if config.closed_loop:
        kept = metrics.setdefault("closed_loop_families", {})
        kept.update(by_family(_read_json(path)) for path in config.closed_loop)
    if config.ablation is not None:
        metrics["ablation"] = _read_json(config.ablation)
    write_metrics(config.model, metrics)
    if config.page is not None:
        from wm_training.model_page import write_page

        write_page(config.page, metrics, found.model_id)
    return f"{config.model / METRICS_FILE} written" + (f", {config.page} too." if config.page else ".")


def unseen_episodes(found: ModelConfig, sequences: Sequences) -> np.ndarray:
    """Indices of the drives that the model was not trained on: the held-out ones of its own bags, all of others."""
    from wm_training.export import split_episodes

    if sequences.digest != found.training.get("bags"):
        return np.arange(sequences.episodes)
    return split_episodes(sequences.episodes, found.training["held_out"])[1]


def by_family(report: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Who drove, and the figures of each family and of all, of a `wm eval --json` object."""
    try:
        rows = {name: row for name, row in report["families"].items() if row["episodes"]}
        families = {
            name: {key: row[key] for key in KEPT if key in row} for name, row in (rows | {"all": report}).items()
        }
        return report["agent"].split(":")[0], {
            "seed": report["seed"], "seeds": report["seeds"], "model_id": report["model_id"],
            "commit": report["commit"], "families": families,
        }  # fmt: skip
    except (KeyError, AttributeError, TypeError) as error:
        raise TrainingError(f"--closed-loop: a file lacks {error}. Give files that wm eval --json wrote.") from error


def _measure(
    config: MeasureConfig, found: ModelConfig, model: WorldModel, metrics: dict[str, Any]
) -> dict[str, dict[float, float]]:
    """Put the figures of held-out drives into `metrics`; the risk thresholds."""
    from wm_training.measure import measure_model
    from wm_training.sequences import load_sequences

    sequences = load_sequences(config.bags)
    episodes = unseen_episodes(found, sequences)
    measured = measure_model(model, sequences, episodes, config.seed)
    metrics["held_out"] = measured.metrics | {"bags": sequences.digest}
    if config.page is not None:
        _draw_strip(model, sequences, episodes, config.page.parent / "images" / "model_dreams.jpg", config.seed)
    return measured.risk_thresholds


def _draw_strip(model: WorldModel, sequences: Sequences, episodes: np.ndarray, path: Path, seed: int) -> None:
    from wm_training.batches import BatchSource
    from wm_training.dreams import STRIP_STEPS, dream_strip
    from wm_training.filtering import batch_of, draw_windows, filter_windows
    from wm_training.measure import FILTERED

    length = FILTERED + STRIP_STEPS[-1]
    source = BatchSource(sequences, episodes, length, seed)
    batch = batch_of(source, draw_windows(sequences, episodes, length, STRIP_WINDOWS, seed))
    with torch.inference_mode():
        seen = filter_windows(model.eval(), batch.camera, batch.scans, batch.state)
        dream_strip(model, batch, seen, FILTERED, path)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise TrainingError(f"{path} is no JSON file; write it again.") from None
