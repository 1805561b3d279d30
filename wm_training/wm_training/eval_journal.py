"""The drives that an evaluation has finished, kept beside its --json file as they finish: no interruption loses any.

The first line says what was asked for, each other line is a drive. A whole evaluation takes its journal away, unless it
was asked to go on: then more drives may follow.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from wm_perception.durable import settle
from wm_sim.scoring import EpisodeScore
from wm_sim.scoring.carla import Infractions
from wm_sim.scoring.nuplan import NuplanScore
from wm_training.agents import model_id
from wm_training.errors import TrainingError
from wm_training.eval_report import commit
from wm_training.evaluate import Episode, EvalConfig

# What may differ when an evaluation goes on: where figures go, who computes them, and how many drives there shall be.
FREE = ("json", "pictures", "report", "workers", "backend", "resume", "episodes", "per_family")

Task = tuple[str, int]  # family and seed


class Journal:
    """Drives by family and seed; `add` writes each at once."""

    def __init__(self, path: Path, asked: dict[str, Any]) -> None:
        self.path, self._asked, self._commit = path, asked, commit()
        self.done: dict[Task, Episode] = {}
        self.commits = {self._commit}  # of the source, as each part was driven

    def read(self) -> None:
        """Take up the drives that are there. TrainingError where other settings were asked for."""
        lines = _whole_lines(self.path)
        before = lines[0].get("asked", {}) if lines else self._asked
        differing = sorted(n for n in {*self._asked, *before} if self._asked.get(n) != before.get(n))
        if differing:
            raise TrainingError(
                f"{self.path} was driven with other settings ({', '.join(differing)}). Go on with the same ones."
            )
        for line in lines[1:]:
            episode = _episode(line)
            self.done[episode.family, episode.seed] = episode
            self.commits.add(line["commit"])

    def add(self, episode: Episode) -> None:
        """Append a drive; it is on the disk when this returns."""
        lines = [] if self.path.exists() else [{"asked": self._asked}]
        lines.append(_line(episode) | {"commit": self._commit})
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf8") as file:
                file.writelines(json.dumps(line, allow_nan=False) + "\n" for line in lines)
            settle(self.path)
        except OSError as error:
            raise TrainingError(f"{self.path} cannot be written: {error.strerror}. Choose another --json.") from None

    def remove(self) -> None:
        """The evaluation is whole: its figures are in the --json file."""
        self.path.unlink(missing_ok=True)


def open_journal(config: EvalConfig) -> Journal | None:
    """The journal of an evaluation that writes --json; with --resume, the drives in it.

    TrainingError where drives of another evaluation, or of one that is not to go on, would be lost or mixed in.
    """
    if config.json is None:
        if config.resume:
            raise TrainingError("--resume goes on with the drives kept beside a --json file: name that file.")
        return None
    path = config.json.with_name(f"{config.json.name}.drives")
    journal = Journal(path, asked_of(config))
    if path.exists():
        if not config.resume:
            raise TrainingError(f"{path} holds the drives of an earlier evaluation. Go on with --resume, or delete it.")
        journal.read()
    return journal


def asked_of(config: EvalConfig) -> dict[str, Any]:
    """What the figures depend on, as JSON has it."""
    settings = {item.name: getattr(config, item.name) for item in fields(config) if item.name not in FREE}
    limits = None if config.limits is None else config.limits.read_text(encoding="utf8")
    settings |= {"limits": limits, "model_id": model_id(config.agent)}
    return json.loads(json.dumps(settings, default=str))


def _line(episode: Episode) -> dict[str, Any]:
    plan_ms = [round(1e3 * float(seconds), 3) for seconds in episode.plan_s]
    return {
        "family": episode.family, "seed": episode.seed, "score": asdict(episode.score), "plan_ms": plan_ms,
        "env_s": episode.env_s, "own_return": episode.own_return, "reasons": episode.reasons,
    }  # fmt: skip


def _episode(line: dict[str, Any]) -> Episode:
    score = line["score"]
    judged = score | {"infractions": Infractions(**score["infractions"]), "nuplan": NuplanScore(**score["nuplan"])}
    return Episode(
        line["family"], line["seed"], EpisodeScore(**judged), 1e-3 * np.array(line["plan_ms"]),
        line["env_s"], line["own_return"], Counter(line["reasons"]),
    )  # fmt: skip


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal; one that a crash cut short is dropped from the file too, so that the next begins anew."""
    text = path.read_text(encoding="utf8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        os.truncate(path, len(whole.encode("utf8")))
    try:
        return [json.loads(line) for line in whole.splitlines()]
    except json.JSONDecodeError:
        raise TrainingError(f"{path} is no journal of drives. Delete it, or choose another --json.") from None
