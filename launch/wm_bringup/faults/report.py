"""Rows of the fault table out of runs, as JSON, on the screen and in a Markdown page."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wm_bringup.errors import BringupError
from wm_bringup.faults.fault import Fault
from wm_bringup.faults.judge import NOT, Run, meets
from wm_perception.durable import write_text

BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"
Results = Mapping[str, Sequence[Run]]  # fault name → its repetitions


@dataclass(frozen=True)
class Row:
    """All repetitions of one fault."""

    fault: str
    reaction_ms: float | None  # median
    reaction_worst_ms: float | None
    limit_ms: float | None
    stop_m: float | None  # median
    stop_worst_m: float | None
    collision: bool  # in any repetition, as everything that follows
    off_road: bool
    throttle: bool
    wrong_output: bool
    died: tuple[str, ...]
    recovered: bool  # in all repetitions
    met: bool  # in all repetitions
    runs: int


def row_of(name: str, limit_ms: float | None, runs: Sequence[Run]) -> Row:
    """One line for all repetitions of a fault (at least one)."""
    reactions = [run.reaction_ms for run in runs if run.reaction_ms is not None]
    stops = [run.stop_m for run in runs if run.stop_m is not None]
    return Row(
        fault=name,
        reaction_ms=statistics.median(reactions) if reactions else None,
        reaction_worst_ms=max(reactions, default=None),
        limit_ms=limit_ms,
        stop_m=statistics.median(stops) if stops else None,
        stop_worst_m=max(stops, default=None),
        collision=any(run.collision for run in runs),
        off_road=any(run.off_road for run in runs),
        throttle=any(run.throttle for run in runs),
        wrong_output=any(run.wrong_output for run in runs),
        died=tuple(sorted({node for run in runs for node in run.died})),
        recovered=all(run.recovered != NOT for run in runs),
        met=all(meets(run, limit_ms) for run in runs),
        runs=len(runs),
    )


def rows_of(faults: Iterable[Fault], results: Results) -> list[Row]:
    """A row for every fault that was run."""
    return [row_of(fault.name, fault.limit_ms, results[fault.name]) for fault in faults if results.get(fault.name)]


def write_json(path: Path, faults: Iterable[Fault], results: Results, about: Mapping[str, Any]) -> None:
    """Replace the file: what was run where, a row a fault, every run."""
    content = {
        **about,
        "rows": [asdict(row) for row in rows_of(faults, results)],
        "runs": [asdict(run) for runs in results.values() for run in runs],
    }
    write_text(path, json.dumps(content, indent=1) + "\n")


def read_runs(path: Path) -> dict[str, list[Run]]:
    """The runs of a file that `write_json` wrote; BringupError in one sentence when it is another."""
    try:
        content = json.loads(path.read_text())
        runs = [Run(**{**run, "died": tuple(run["died"])}) for run in content["runs"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BringupError(f"{path}: not a file that `wm faults --json` wrote ({error}).") from error
    results: dict[str, list[Run]] = {}
    for run in runs:
        results.setdefault(run.fault, []).append(run)
    return results


def line(fault: Fault, run: Run) -> str:
    """One run in one line for the screen."""
    reaction = "drove on" if run.reaction_ms is None else f"{run.reaction_ms:.0f} ms ({run.reacted})"
    limit = "" if fault.limit_ms is None else f" of {fault.limit_ms:.0f}"
    stop = "" if run.stop_m is None else f", {run.stop_m:.1f} m to the stand"
    marks = [
        name.replace("_", " ") for name in ("collision", "off_road", "throttle", "wrong_output") if getattr(run, name)
    ]
    marks += [f"{node} died" for node in run.died]
    marks += [f"bag: {run.bag}"] if run.bag else []
    verdict = "met" if meets(run, fault.limit_ms) else "NOT MET"
    return f"{verdict:<8}{fault.name:<34} {reaction}{limit}{stop}; recovered: {run.recovered}" + "".join(
        f"; {mark}" for mark in marks
    )


def markdown_table(faults: Sequence[Fault], results: Results) -> str:
    """One line a group of faults: their worst and median, and which of them did not meet what was asked."""
    lines = [
        "| fault | runs | reaction ms, median / worst | limit ms | m to the stand, median / worst | hurt | recovered "
        "| met |",
        "|---|---|---|---|---|---|---|---|",
    ]
    groups: dict[str, list[Fault]] = {}
    for fault in faults:
        if results.get(fault.name):
            groups.setdefault(fault.group, []).append(fault)
    for group, members in groups.items():
        for limit in sorted({member.limit_ms for member in members}, key=lambda limit_ms: limit_ms or 0.0):
            lines.append(_group_line(group, limit, [member for member in members if member.limit_ms == limit], results))
    return "\n".join(lines) + "\n"


def _group_line(group: str, limit_ms: float | None, members: Sequence[Fault], results: Results) -> str:
    row = row_of(group, limit_ms, [run for member in members for run in results[member.name]])
    failed = [m.name for m in members if not row_of(m.name, limit_ms, results[m.name]).met]
    stuck = [m.name for m in members if not row_of(m.name, limit_ms, results[m.name]).recovered]
    several = f" ({len(members)} fields)" if len(members) > 1 else ""
    hurt = [name.replace("_", " ") for name in ("collision", "off_road") if getattr(row, name)]
    cells = (
        f"{group}{several}",
        str(row.runs),
        _pair(row.reaction_ms, row.reaction_worst_ms, ".0f"),
        "" if limit_ms is None else f"{limit_ms:.0f}",
        _pair(row.stop_m, row.stop_worst_m, ".1f"),
        ", ".join(hurt) or "no",
        "yes" if not stuck else f"no: {', '.join(stuck)}",
        "yes" if not failed else f"**no**{': ' + ', '.join(failed) if several else ''}",
    )
    return f"| {' | '.join(cells)} |"


def _pair(median: float | None, worst: float | None, form: str) -> str:
    return "–" if median is None or worst is None else f"{median:{form}} / {worst:{form}}"


def put_between_markers(page: str, table: str, name: str) -> str:
    """The page with what stands between the markers replaced; BringupError when it has none."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise BringupError(f"{name}: no lines {BEGIN} and {END} to write the table between.")
    return f"{head}{BEGIN}\n{table}{END}{tail}"
