"""What `wm bench planner` and `wm bench latency` show: tables, a bar while they run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

PARTS = {
    "default": "The default plan while driving",
    "sweep": "One change at a time",
    "peers": "Same model, same budget",
}


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on standard error; what it gives moves it on by one."""
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda: bar.advance(task)


def wide_console() -> Console:
    """Standard output, with room for a table where it is not a terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=120)


def busy(machine: Mapping[str, Any]) -> str:
    """A sentence where the machine had other work when the measuring began; empty on a quiet one."""
    if machine["load"] <= 0.5 * machine["cores"]:
        return ""
    return f"The machine was busy (load {machine['load']}): times and their ratios speak of its other work too."


def show(result: Mapping[str, Any]) -> None:
    """Print the tables of `wm bench planner`."""
    console, here = wide_console(), result["machine"]
    console.print(f"{here['processor']}, {here['cores']} cores, load {here['load']}, model {result['model_id']}")
    for part, title in PARTS.items():
        rows = [row for row in result["plans"] if row["part"] == part]
        if rows:
            console.print(_plans(f"{title}: {rows[0]['count']:,} plans each", rows))
    if result["screening"]:
        console.print(_screening(result["screening"]))
    console.print(_rates(result["gflops"]))
    if "curve" in result:
        console.print(_curve(result["curve"]))
    console.print(figure_table(result["figures"]))
    for sentence in (*result["missing"], busy(here)):
        if sentence:
            console.print(sentence)


def figure_table(figures: Sequence[Mapping[str, Any]]) -> Table:
    """Figures beside what is wanted of them; `met` is what they were judged to be."""
    table = Table("figure", box=SIMPLE_HEAD)
    for name in ("value", "wanted", "met"):
        table.add_column(name, justify="right")
    for row in figures:
        if row["wanted"] is None:
            table.add_row(row["name"], f"{row['value']:,.2f}", "", "")
            continue
        least = (row["value"] >= row["wanted"]) == row["met"]
        sign = "≥" if least else "≤"
        table.add_row(row["name"], f"{row['value']:,.2f}", f"{sign} {row['wanted']:g}", "yes" if row["met"] else "no")
    return table


def _plans(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("engine", "solver", "candidates, steps"):
        table.add_column(name, no_wrap=True)
    for name in ("threads", "p50 ms", "p99 ms", "worst", "CPU p50", "× first"):
        table.add_column(name, justify="right", no_wrap=True)
    firsts = {row["threads"]: row["p50_ms"] for row in reversed(rows)}
    for row in rows:
        table.add_row(
            row["engine"], row["solver"], row["size"], str(row["threads"]), f"{row['p50_ms']:.1f}",
            f"{row['p99_ms']:.1f}", f"{row['max_ms']:.1f}", f"{row['cpu_p50_ms']:.1f}",
            f"{row['p50_ms'] / firsts[row['threads']]:.2f}",
        )  # fmt: skip
    return table


def _screening(rows: Sequence[Mapping[str, Any]]) -> Table:
    title = f"Candidates left out unimagined: {rows[0]['plans']:,} plans each"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for name in ("screening_margin", "imagined, mean", "plans unlike the first", "p50 ms"):
        table.add_column(name, justify="right")
    for row in rows:
        margin = "inf" if row["margin"] is None else f"{row['margin']:g}"
        table.add_row(margin, f"{row['imagined_mean']:.0f}", str(row["unlike"]), f"{row['p50_ms']:.1f}")
    return table


def _rates(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(
        title="Arithmetic on one thread, GFLOP in a second of its processor time", title_justify="left", box=SIMPLE_HEAD
    )
    table.add_column("what")
    for name in ("median", "highest"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(row["name"], f"{row['median']:.1f}", f"{row['high']:.1f}")
    return table


def _curve(points: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title=f"{points[0]['drives']} drives a point", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("search")
    for name in ("p50 ms", "p99 ms", "driving score", "±", "reward a step", "±", "success"):
        table.add_column(name, justify="right")
    for row in points:
        table.add_row(
            row["name"], f"{row['p50_ms']:.1f}", f"{row['p99_ms']:.1f}",
            f"{row['score']:.1f}", f"{row['score_sem']:.1f}", f"{row['reward']:.3f}", f"{row['reward_sem']:.3f}",
            f"{row['success']:.2f}",
        )  # fmt: skip
    return table
