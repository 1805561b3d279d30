"""How far `wm improve` has come: a file that is written whole after every stage, and the table made of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wm_training.errors import TrainingError
from wm_training.eval_report import write_json
from wm_training.improve_rule import Verdict

if TYPE_CHECKING:
    from rich.table import Table

STATE_FILE = "state.json"
GIVEN = 0  # stands for the model that the first round begins from


@dataclass(frozen=True)
class Round:
    """A round and its stages; one that is not finished is None or False."""

    number: int  # from 1
    start: int  # the round whose model drove and was trained on, or GIVEN
    collected: dict[str, Any] | None = None  # figures of the drives
    trained: bool = False
    verdict: Verdict | None = None


@dataclass(frozen=True)
class State:
    """All rounds so far, in order."""

    settings: dict[str, Any]  # what has to be equal to go on
    rounds: tuple[Round, ...] = ()

    @property
    def kept(self) -> int:
        """The round whose model is the best so far, or GIVEN."""
        return max((one.number for one in self.rounds if one.verdict and one.verdict.keep), default=GIVEN)

    def round(self, number: int) -> Round:
        """That round as far as it has come; a new one begins from the model kept so far."""
        return next((one for one in self.rounds if one.number == number), Round(number, self.kept))

    def with_round(self, changed: Round) -> State:
        """The same with one round further on."""
        others = [one for one in self.rounds if one.number != changed.number]
        return replace(self, rounds=(*others, changed))

    def finished(self, number: int) -> bool:
        return self.round(number).verdict is not None


def write_state(folder: Path, state: State) -> None:
    """Write the whole file or leave the old one."""
    plain = asdict(state) | {"kept": state.kept, "model": str(model_of(folder, state, state.kept))}
    write_json(folder / STATE_FILE, plain)


def read_state(folder: Path, settings: dict[str, Any]) -> State:
    """The state in a folder, or a fresh one where it is empty. TrainingError if it was begun in another way."""
    path = folder / STATE_FILE
    if not path.is_file():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise TrainingError(f"{folder} holds something else than rounds of wm improve; choose another --out.")
        return State(settings)
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        state = State(plain["settings"], tuple(_round(one) for one in plain["rounds"]))
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise TrainingError(f"{path} is damaged ({error}); choose another --out.") from error
    changed = [name for name, value in settings.items() if state.settings.get(name) != value]
    if changed:
        found = ", ".join(f"{name} {state.settings.get(name)} (now {settings[name]})" for name in changed)
        raise TrainingError(f"{folder} was begun with {found}. Go on with the same or choose another --out.")
    return state


def round_folder(folder: Path, number: int) -> Path:
    """Where a round keeps its bags, training run and evaluation."""
    return folder / f"round-{number:02d}"


def model_of(folder: Path, state: State, number: int) -> Path:
    """The model folder that a round made; of GIVEN the one that was named."""
    return Path(state.settings["model"]) if number == GIVEN else round_folder(folder, number) / "train" / "model"


HEADS = ("round", "from", "drives", "crashed", "near", "before", "after", "gain", "at fault", "")


def cells(one: Round) -> list[str]:
    """A finished round's line in the order of HEADS; gain with its standard error, scores are driving scores."""
    got, verdict = one.collected, one.verdict
    if got is None or verdict is None:
        return [str(one.number), str(one.start), *["-"] * 7, "not finished"]
    counts = [str(got[name]) for name in ("episodes", "crashed", "near_crashes")]
    scores = [f"{verdict.score_before:.1f}", f"{verdict.score:.1f}", f"{verdict.gain:+.1f} ± {verdict.gain_sem:.1f}"]
    fault = f"{verdict.at_fault_before} -> {verdict.at_fault}"
    return [str(one.number), str(one.start), *counts, *scores, fault, verdict.reason]


def table(state: State) -> Table:
    """One line a round, 80 columns wide."""
    from rich.table import Table

    grid = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for head in HEADS:
        grid.add_column(head, justify="right" if head else "left", no_wrap=True)
    for one in state.rounds:
        grid.add_row(*cells(one))
    return grid


def _round(plain: dict[str, Any]) -> Round:
    verdict = plain["verdict"]
    return Round(**(plain | {"verdict": None if verdict is None else Verdict(**verdict)}))
