"""Where things lie: the shipped model, the stack's parameters, the folder of a run."""

from __future__ import annotations

import time
from pathlib import Path

from wm_bringup.errors import BringupError

MODEL = "models/default"


def _roots() -> list[Path]:
    """Folders that may hold `models/` and `launch/params/`: here, the workspace, the installed share."""
    here = Path(__file__).resolve()
    return [Path.cwd(), *here.parents]


def find_model(model: str | Path) -> Path:
    """The model folder as named, or below the workspace when it is not below the current folder."""
    path = Path(model).expanduser()
    candidates = [path] if path.is_absolute() else [root / path for root in _roots()]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate.resolve()
    raise BringupError(f"model {model}: no such folder. Name a model folder with --model, or train one with wm train.")


def stack_parameters() -> Path:
    """params/stack.yaml of the workspace or of the installed package."""
    for root in Path(__file__).resolve().parents:
        for candidate in (root / "params/stack.yaml", root / "share/wm_bringup/params/stack.yaml"):
            if candidate.is_file():
                return candidate
    raise BringupError("params/stack.yaml is not installed with wm_bringup. Build the workspace again: make setup.")


def fresh_folder(out: Path | None) -> Path:
    """The folder of a new run, made; refuses one that exists."""
    folder = (Path("runs") / f"drive-{time.strftime('%Y%m%d-%H%M%S')}" if out is None else out).expanduser().resolve()
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise BringupError(f"output folder {folder} exists already. Name another with --out, or remove it.") from error
    except OSError as error:
        raise BringupError(f"output folder {folder}: {error.strerror}. Name another with --out.") from error
    return folder
