"""One frame of `wm top`, as rich renders it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from wm_bringup.top_state import HOPS, Percentiles, Seen
from wm_planner.safety.reasons import Source, State, describe
from wm_ros.liveness import Expectation, Level, Verdict

STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.ERROR: "bold red", Level.STALE: "magenta"}
GATE_STYLES = {State.ACTIVE: "green", State.STOPPED: "cyan", State.SOFT_STOP: "yellow", State.EMERGENCY: "bold red"}
PLAN_STATUS = ("ok", "no safe candidate", "search failed: full braking", "cut by its deadline")
NOTHING = "–"


def frame(
    seen: Seen, verdicts: Mapping[str, Verdict], expected: Mapping[str, Expectation], title: str, now_s: float
) -> RenderableType:
    """Everything at this moment. expected: by topic; now_s: steady clock."""
    return Group(
        Text(f"{title}, {seen.mode}", style="bold"),
        summary(seen),
        topics(verdicts, expected),
        nodes(seen, now_s),
        hops(seen),
        troubles(seen, now_s),
    )


def summary(seen: Seen) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    table.add_row("gate", gate(seen))
    table.add_row("plan", plan(seen))
    table.add_row("car", car(seen))
    return table


def gate(seen: Seen) -> Text:
    if seen.gate_state is None:
        return Text("not heard", style=STYLES[Level.STALE])
    state = State(seen.gate_state)
    text = Text(state.name, style=GATE_STYLES[state])
    why = describe(seen.gate_reasons)
    text.append(f" {', '.join(why)}" if why else "", style="default")
    if seen.source is not None:
        by = Source(seen.source).name.lower().replace("_", " ")
        text.append(f"; commands by {by}{', limited' if seen.limited else ''}", style="default")
    if seen.command_age_s is not None:
        text.append(f"; plan {seen.command_age_s:.2f} s old", style="default")
    return text


def plan(seen: Seen) -> Text:
    if seen.plan_status is None:
        return Text("not heard", style=STYLES[Level.STALE])
    status = PLAN_STATUS[seen.plan_status] if seen.plan_status < len(PLAN_STATUS) else str(seen.plan_status)
    return Text(f"{spread(seen.solve_ms)}, {seen.samples} candidates, {status}")


def car(seen: Seen) -> Text:
    speed = number(seen.speed_mps, "m/s", 1)
    limit = "" if seen.speed_limit_mps is None else f" of {seen.speed_limit_mps:.1f} m/s"
    return Text(f"{speed}{limit}; surprise {number(seen.surprise_nats, 'nats', 1)}; model {seen.model_id or NOTHING}")


def topics(verdicts: Mapping[str, Verdict], expected: Mapping[str, Expectation]) -> Table:
    table = heading("topic", ("Hz", True), ("expected", True), ("age s", True), "how it does")
    for name, verdict in verdicts.items():
        promise = expected.get(name)
        wanted = NOTHING if promise is None or promise.rate_hz is None else f"{promise.rate_hz:g}"
        wall = " wall" if promise is not None and promise.steady else ""
        words = Text(verdict.words, style=STYLES[verdict.level])
        table.add_row(name, number(verdict.rate_hz), wanted + wall, number(verdict.age_s, places=2), words)
    return table


def nodes(seen: Seen, now_s: float) -> Table:
    table = heading("node", "state", ("started again", True), "work: p50, max of the last second, ms", "says")
    for name in sorted(seen.roll.reports):
        report = seen.roll.reports[name]
        active = seen.roll.is_active(name, now_s)
        state = Text(seen.roll.state(name, now_s), style=STYLES[Level.OK if active else Level.ERROR])
        says = report.message if report.message != report.values["state"] else ""
        again = seen.roll.restarts[name]
        table.add_row(name, state, str(again) if again else "", work(report.values), says)
    return table


def work(values: Mapping[str, str]) -> str:
    """Measured stretches of work of one node: "encode 2.1, 3.4"."""
    found = []
    for key, value in values.items():
        if key.endswith(".p50_ms"):
            name = key.removesuffix(".p50_ms")
            found.append(f"{name} {float(value):.1f}, {float(values.get(f'{name}.max_ms', value)):.1f}")
    return "; ".join(found)


def hops(seen: Seen) -> Table:
    table = heading("from camera to control", ("p50 ms", True), ("p99 ms", True))
    ways = [(f"{before} to {after}", seen.hops.hops[after]) for before, after in itertools.pairwise(HOPS)]
    for name, measured in [*ways, ("the whole way", seen.hops.whole)]:
        values = measured.of(50, 99)
        table.add_row(name, *([NOTHING] * 2 if values is None else [f"{value:.1f}" for value in values]))
    return table


def troubles(seen: Seen, now_s: float) -> RenderableType:
    found = seen.troubles.newest()
    if not found:
        return Text("no warnings, no errors", style="dim")
    table = heading("last warnings and errors", ("ago", True), ("times", True), "")
    for trouble in found:
        text = Text(trouble.text, style=STYLES[Level(trouble.level)])
        table.add_row(trouble.who, f"{now_s - trouble.steady_s:.0f} s", str(trouble.times), text)
    return table


def heading(*columns: str | tuple[str, bool]) -> Table:
    """A table without lines; a column with True is of numbers."""
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0), expand=False)
    for column in columns:
        name, right = column if isinstance(column, tuple) else (column, False)
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    return table


def spread(measured: Percentiles) -> str:
    values = measured.of(50, 99)
    return NOTHING if values is None else f"p50 {values[0]:.0f} ms, p99 {values[1]:.0f} ms"


def number(value: float | None, unit: str = "", places: int = 1) -> str:
    return NOTHING if value is None else f"{value:.{places}f}{f' {unit}' if unit else ''}"
