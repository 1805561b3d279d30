"""Evaluations side by side: `python -m wm_training.compare BASE.json OTHER.json ...` prints a Markdown table.

Every row is set against the first: how many at-fault collisions and drives off the road less, at what change of the
mean return. The same suite, seed and number of drives are asked for, so that every row drove the same worlds.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wm_training.errors import TrainingError

SAME = ("agent", "suite", "seed", "episodes", "model_id")
HEAD = (
    "planner", "drives", "success (95 % interval)", "at fault", "off road", "both, against the first", "return",
    "against the first",
)  # fmt: skip


def compare(paths: Sequence[Path]) -> str:
    """The table; TrainingError where files cannot be compared."""
    if len(paths) < 2:
        raise TrainingError("compare: give two or more files of wm eval --json; the first is what others are held to.")
    reports = [_read(path) for path in paths]
    base = reports[0]
    for path, report in zip(paths, reports, strict=True):
        differs = [key for key in SAME if report.get(key) != base.get(key)]
        if differs:
            raise TrainingError(f"{path}: other {', '.join(differs)} than {paths[0]}; only the planner may differ.")
    rows = ["| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|"]
    return "\n".join(rows + [_row(report, base) for report in reports])


def _row(report: dict[str, Any], base: dict[str, Any]) -> str:
    low, high = report["success_ci95"]
    cells = [
        settings_in_words(report), str(report["episodes"]), f"{report['success_rate']:.2f} ({low:.2f} to {high:.2f})",
        str(report["at_fault_collisions"]), str(report["off_road"]), _change(_harm(report), _harm(base)),
        f"{report['return_mean']:.1f} ± {report['return_sem']:.1f}",
        _change(report["return_mean"], base["return_mean"]),
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def settings_in_words(report: dict[str, Any]) -> str:
    """What differs from the planner's defaults."""
    words = [f"{name.removeprefix('objective.')}={value}" for name, value in report.get("planner", {}).items()]
    words += [] if report.get("gate", True) else ["no gate"]
    return ", ".join(words) or "defaults"


def _harm(report: dict[str, Any]) -> int:
    return int(report["at_fault_collisions"] + report["off_road"])


def _change(value: float, base: float) -> str:
    return "n/a" if base == 0 else f"{100.0 * (value - base) / abs(base):+.0f} %"


def _read(path: Path) -> dict[str, Any]:
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        report["success_ci95"], report["return_mean"], report["at_fault_collisions"]
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError):
        raise TrainingError(f"{path} is no file of wm eval --json; write it again.") from None
    return report


if __name__ == "__main__":
    try:
        print(compare([Path(word) for word in sys.argv[1:]]))
    except TrainingError as error:
        sys.exit(str(error))
