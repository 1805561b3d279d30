"""The report of a drive: one JSON object and one readable table."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from wm_bringup.record import NO_LEAD_M, DriveRecord, Moment

PERIOD_MS = 100.0  # a frame answered later than the next one came has missed its period


def summarise(record: DriveRecord, bag: str = "") -> dict[str, Any]:
    """Everything that the report says: SI units unless the name says ms; None where nothing was measured.

    camera_to_control_ms: from the publication of a camera frame to that of the first planned control_cmd that descends
    from it, both as stamped by the middleware on this machine's clock.
    missed_periods: share of frames that got no planned command within one model step (realtime: of the wall).
    """
    moments = record.driven()
    truths = [moment.truth for moment in moments if moment.truth is not None]
    speeds = [moment.speed for moment in moments if moment.speed is not None]
    errors = [abs(truth.lateral_error) for truth in truths]
    following = [truth for truth in truths if truth.gap_ahead < NO_LEAD_M]
    gaps = [truth.gap_ahead for truth in following]
    ttc = [truth.gap_ahead / truth.closing_speed for truth in following if truth.closing_speed > 0.05]
    answered = moments[1:-1]  # the first waited for the driver, nobody answers the last
    latency = [ms for ms in map(camera_to_control_ms, answered) if ms is not None]
    late = sum(ms is None or ms > PERIOD_MS for ms in map(camera_to_control_ms, answered))
    length = truths[-1].route_length if truths else 0.0
    progress = max((truth.progress for truth in truths), default=0.0)
    realtime = record.mode == "realtime"
    return {
        "scenario": record.scenario,
        "seed": record.seed,
        "mode": record.mode,
        "model_id": record.model_id,
        "outcome": record.outcome or "interrupted",
        "detail": record.outcome_detail,
        "success": record.outcome == "route_done",
        "frames": len(moments),
        "duration_s": round((moments[-1].stamp_ns - moments[0].stamp_ns) * 1e-9, 3) if moments else 0.0,
        "route_length_m": _rounded(length),
        "route_completion": _rounded(_completion(record.outcome, progress, length)),
        "distance_m": _rounded(_distance(moments)),
        "mean_speed_mps": _rounded(np.mean(speeds)) if speeds else None,
        "lateral_error_mean_m": _rounded(np.mean(errors)) if errors else None,
        "lateral_error_max_m": _rounded(max(errors)) if errors else None,
        "min_gap_m": _rounded(min(gaps)) if gaps else None,
        "min_ttc_s": _rounded(min(ttc)) if ttc else None,
        "plan_ms": _percentiles([moment.plan_ms for moment in moments if moment.plan_ms is not None]),
        "camera_to_control_ms": _percentiles(latency),
        "missed_periods": _rounded(late / len(answered)) if realtime and answered else None,
        "missed_ticks": _rounded(record.missed_ticks / record.ticks) if realtime and record.ticks else None,
        "commands": {source: _rounded(count / record.commands) for source, count in record.sources.most_common()},
        "commands_limited": _rounded(record.limited / record.commands) if record.commands else None,
        "gate_reasons": sorted(record.reasons),
        "lost_messages": dict(record.lost),
        "restarts": dict(record.restarts),
        "startup_s": _rounded(record.startup_s) if record.startup_s is not None else None,
        "bag": bag or None,
    }


def camera_to_control_ms(moment: Moment) -> float | None:
    """Latency of one frame, None where no planned command answered it."""
    if moment.camera_sent_ns is None or moment.control_sent_ns is None:
        return None
    return (moment.control_sent_ns - moment.camera_sent_ns) * 1e-6


def write_json(summary: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(summary, indent=2) + "\n")


def table(summary: dict[str, Any]) -> str:
    """The report for people."""
    from rich.console import Console
    from rich.table import Table

    mean_speed = _number(summary["mean_speed_mps"])
    errors = (_number(summary["lateral_error_mean_m"]), _number(summary["lateral_error_max_m"]))
    ahead = (_number(summary["min_gap_m"]), _number(summary["min_ttc_s"]))
    rows = [
        ("outcome", summary["outcome"].replace("_", " ") + (f" ({summary['detail']})" if summary["detail"] else "")),
        ("route", f"{summary['route_completion']:.1%} of {summary['route_length_m']:.0f} m"),
        ("driven", f"{summary['distance_m']:.0f} m in {summary['duration_s']:.1f} s, mean {mean_speed} m/s"),
        ("lateral error", f"mean {errors[0]} m, max {errors[1]} m"),
        ("car ahead", f"nearest {ahead[0]} m, least time to collision {ahead[1]} s"),
        ("plan", _latency(summary["plan_ms"])),
        ("camera to control", _latency(summary["camera_to_control_ms"])),
    ]
    if summary["mode"] == "realtime":
        missed = (_share(summary["missed_periods"]), _share(summary["missed_ticks"]))
        rows.append(("missed periods", f"{missed[0]}; simulator ticks {missed[1]}"))
    gate = ", ".join(f"{source.replace('_', ' ')} {share:.1%}" for source, share in summary["commands"].items()) or "–"
    gate += f"; limited {_share(summary['commands_limited'])}"
    gate += f"; {', '.join(summary['gate_reasons'])}" if summary["gate_reasons"] else ""
    lost = ", ".join(f"{topic} {count}" for topic, count in summary["lost_messages"].items()) or "none"
    rows += [("safety gate", gate), ("lost messages", lost)]
    if summary["restarts"]:
        rows.append(("started again", ", ".join(f"{name} {count}" for name, count in summary["restarts"].items())))
    if summary["startup_s"] is not None:
        rows.append(("start-up", f"{summary['startup_s']:.1f} s"))
    rows.append(("bag", summary["bag"] or "not recorded"))
    model = summary["model_id"] or "unknown"
    grid = Table(title=f"{summary['scenario']} seed {summary['seed']}, {summary['mode']}, model {model}")
    grid.add_column("what")
    grid.add_column("value", overflow="fold")
    for row in rows:
        grid.add_row(*row)
    console = Console(file=io.StringIO(), width=110, record=True, force_terminal=False)
    console.print(grid)
    return console.export_text()


def _completion(outcome: str | None, progress: float, length: float) -> float:
    if outcome == "route_done":
        return 1.0
    return min(1.0, progress / length) if length else 0.0


def _distance(moments: list[Moment]) -> float:
    points = [moment.pose[:2] for moment in moments if moment.pose is not None]
    return float(np.sum(np.hypot(*np.diff(points, axis=0).T))) if len(points) > 1 else 0.0


def _percentiles(values: list[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {
        "p50": _rounded(np.percentile(values, 50)),
        "p99": _rounded(np.percentile(values, 99)),
        "max": _rounded(max(values)),
    }


def _rounded(value: Any) -> Any:
    return round(float(value), 4) if math.isfinite(value) else None


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"


def _latency(value: dict[str, float] | None) -> str:
    return "–" if value is None else f"p50 {value['p50']:.1f} ms, p99 {value['p99']:.1f} ms"
