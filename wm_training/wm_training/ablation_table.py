"""The table of `wm ablate`, for the terminal and for a model's page."""

from __future__ import annotations

from typing import Any

from wm_training.open_loop import JUDGED_STEP

COLUMNS = (
    "speed error, m/s", "lateral error, m", "collision AUROC", "off-road AUROC", "picture PSNR, dB",
    "lateral slope", "lateral R2", "closed loop",
)  # fmt: skip


def row_of(name: str, metrics: dict[str, Any], report: dict[str, Any] | None) -> dict[str, Any]:
    """What the table keeps of a variant's metrics.json and of its `wm eval --json`, if it has driven."""
    held_out, effect = metrics["held_out"], metrics["interventions"]["lateral_error_m"]
    mae = held_out["open_loop"]["interventions"]["mae"]
    return {
        "variant": name,
        "speed error, m/s": mae["speed"]["model"][JUDGED_STEP - 1],
        "lateral error, m": mae["lateral_error"]["model"][JUDGED_STEP - 1],
        "collision AUROC": held_out["risks"]["collision"]["auroc"],
        "off-road AUROC": held_out["risks"]["off_road"]["auroc"],
        "picture PSNR, dB": held_out["pictures"]["psnr_db"][0],
        "lateral slope": effect["slope"],
        "lateral R2": effect["r2"],
        "closed loop": None if report is None else report["success_rate"],
        "drives": None if report is None else report["episodes"],
        "steps": metrics["training"]["steps_done"],
        "encoder": metrics["training"].get("encoder"),
    }


def markdown(rows: list[dict[str, Any]]) -> str:
    """One line a variant; errors after 1 s of imagination under actions that were not taught."""
    steps = sorted({row["steps"] for row in rows})
    drives = max((row["drives"] or 0 for row in rows), default=0)
    driven = f"; success over {drives} drives" if drives else "; no closed loop was driven"
    encoder = next((row["encoder"] for row in rows if row.get("encoder")), None)
    what = f"all that is behind the finished encoder of model {encoder}" if encoder else "the whole model"
    lines = [
        f"Each variant learned for {' or '.join(map(str, steps))} steps of {what}, the same windows in the",
        f"same order where its data allows. Errors after {JUDGED_STEP} steps, interventions only{driven}.", "",
        "| variant | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|",
    ]  # fmt: skip
    for row in rows:
        cells = ["n/a" if row[name] is None else f"{row[name]:.3g}" for name in COLUMNS]
        lines.append(f"| {row['variant']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
