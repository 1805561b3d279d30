"""`wm measure` and `wm ablate`: what they write, on a made-up model and a few short drives."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from wm_dynamics.model_files import load_world_model, write_model_folder
from wm_dynamics.rssm import RssmConfig
from wm_dynamics.world_model import WorldModel, WorldModelConfig
from wm_perception.model_folder import read_model_config
from wm_training import ablation, export, measure, measure_command, surprise
from wm_training.ablation import VARIANTS, AblateConfig, blind_to_state, calm_episodes
from wm_training.batches import BatchSource
from wm_training.errors import TrainingError
from wm_training.measure_command import MeasureConfig, by_family, unseen_episodes
from wm_training.sequences import load_sequences
from wm_training.train import embed

SMALL = WorldModelConfig(rssm=RssmConfig(recognised=16, deter=16, groups=4, classes=4, hidden=16, prior_hidden=8))
ROW = {"episodes": 4, "success_rate": 0.5, "success_ci95": [0.15, 0.85], "driving_score": 60.0}


@pytest.fixture(autouse=True)
def few_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, count in ((measure, 24), (surprise, 12)):
        monkeypatch.setattr(module, "WINDOWS", count)
        monkeypatch.setattr(module, "BATCH", 12)
    monkeypatch.setattr(measure, "PICTURE_WINDOWS", 12)
    effects = {"lateral_error_m": {"slope": 0.5, "r2": 0.25}}
    monkeypatch.setattr(export, "measure_interventions", lambda _: effects)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    write_model_folder(
        folder, WorldModel(SMALL), training={"frames": 10}, metrics={}, disagreement_p95=1.0, surprise_p999=1.0
    )
    return folder


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "expert.json"
    common = {"agent": "expert", "seed": 5, "seeds": "tuning", "model_id": None, "commit": "abc"}
    path.write_text(json.dumps(common | ROW | {"families": {"merge": ROW, "junction": ROW | {"episodes": 0}}}))
    return path


@pytest.mark.slow
def test_measuring_writes_metrics_thresholds_and_a_page_whose_pictures_are_there(
    model: Path, explored: Path, report: Path, tmp_path: Path
) -> None:
    before = read_model_config(model)
    page = tmp_path / "docs" / "model.md"
    measure_command.run(MeasureConfig(model, bags=(explored,), closed_loop=(report,), page=page))
    metrics = json.loads((model / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert metrics["held_out"]["open_loop"]["all"]["windows"] == 24
    after = read_model_config(model)
    assert set(after.risk_thresholds) == {"collision", "off_road"}
    assert replace(after, risk_thresholds={}) == before
    load_world_model(model)
    text = page.read_text()
    assert "| merge | 0.50 (0.15 to 0.85) of 4, 60.0 |" in text
    assert "junction" not in text
    pictures = [part.split(")")[0] for part in text.split("](")[1:]]
    assert pictures
    assert all((page.parent / name).is_file() for name in pictures)
    assert sum((page.parent / name).stat().st_size for name in pictures) < 300_000


def test_a_page_without_measurements_says_what_is_known(model: Path, tmp_path: Path) -> None:
    measure_command.run(MeasureConfig(model, page=tmp_path / "model.md"))
    assert read_model_config(model).model_id in (tmp_path / "model.md").read_text()


def test_a_model_is_measured_on_the_held_out_drives_of_its_own_bags_and_on_all_of_others(
    model: Path, explored: Path
) -> None:
    found, sequences = read_model_config(model), load_sequences(explored)
    own = replace(found, training={"bags": sequences.digest, "held_out": 0.25})
    assert list(unseen_episodes(own, sequences)) == [3, 7, 11]
    assert len(unseen_episodes(found, sequences)) == 12


def test_a_file_that_is_no_evaluation_is_refused() -> None:
    with pytest.raises(TrainingError, match="Give files that wm eval --json wrote"):
        by_family({"rows": []})


def test_a_model_blind_to_the_state_stays_blind_while_it_learns() -> None:
    torch.manual_seed(0)
    model = WorldModel(SMALL)
    blind_to_state(model)
    camera, scans, deter = torch.zeros(1, 64, 64, 3, dtype=torch.uint8), torch.zeros(1, 2, 72), torch.zeros(1, 16)
    optimizer = torch.optim.AdamW(model.parameters(), 0.1)

    def posterior() -> torch.Tensor:
        return model.rssm.posterior(deter, model.encoder(camera, scans, torch.randn(1, 15)))

    for _ in range(3):
        posterior().square().sum().backward()
        optimizer.step()
    assert torch.equal(posterior(), posterior())


@pytest.mark.parametrize("variant", ["as shipped", "no state"])
def test_behind_a_finished_encoder_a_variant_learns_and_the_encoder_stays(
    explored: Path, model: Path, variant: str
) -> None:
    sequences = load_sequences(explored)
    asked = replace(VARIANTS[variant], model=SMALL)
    config = AblateConfig(encoder=model, steps=2, batch=2, length=20, threads=1)
    learned = ablation.new_model(config, asked)
    before = {name: value.clone() for name, value in learned.state_dict().items()}
    source = BatchSource(sequences, np.arange(4), 20, 0, embed(learned, sequences))
    ablation.train_variant(config, learned, asked.loss, source, variant)
    changed = {name for name, value in learned.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and not any(name.startswith("encoder.") for name in changed)
    finished = load_world_model(model).encoder.state_dict()
    same = [torch.equal(value, finished[name]) for name, value in learned.encoder.state_dict().items()]
    assert all(same) is (variant == "as shipped")
    with pytest.raises(TrainingError, match="of another size"):
        ablation.new_model(config, VARIANTS[variant])


def test_calm_drives_hold_no_accident_and_no_near_one(explored: Path) -> None:
    sequences = load_sequences(explored)
    calm = calm_episodes(sequences, np.arange(sequences.episodes))
    assert 0 < len(calm) < sequences.episodes
    for episode in calm:
        frames = slice(sequences.episode_start[episode], sequences.episode_start[episode + 1])
        assert not sequences.collided[frames].any()
        assert not sequences.off_road[frames].any()


@pytest.mark.slow
def test_ablation_trains_what_is_missing_and_tabulates_all(
    explored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {name: replace(v, model=replace(SMALL, horizon=v.model.horizon)) for name, v in VARIANTS.items()}
    monkeypatch.setattr(ablation, "VARIANTS", small)
    config = AblateConfig(
        bags=(explored,), out=tmp_path, steps=2, batch=2, length=20, held_out=0.3, threads=1,
        variants=("as shipped", "no state", "horizon 5"),
    )  # fmt: skip
    made: list[str] = []
    make: Any = ablation._make
    monkeypatch.setattr(ablation, "_make", lambda c, name, *rest: (made.append(name), make(c, name, *rest)))
    table = ablation.run(replace(config, variants=("as shipped",)))
    assert "| as shipped | " in table
    table = ablation.run(config)
    assert made == list(config.variants)
    rows = json.loads((tmp_path / "ablation.json").read_text())
    assert [row["variant"] for row in rows] == list(config.variants)
    assert all(row["lateral slope"] == 0.5 for row in rows)
    with pytest.raises(TrainingError, match="was made with other steps"):
        ablation.run(replace(config, steps=3))
    with pytest.raises(TrainingError, match="wm ablate knows"):
        ablation.run(replace(config, variants=("no road",)))
