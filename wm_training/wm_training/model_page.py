"""docs/model.md: what a model measured, written from its metrics.json so that no figure is typed by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wm_training.eval_report import write_whole
from wm_training.open_loop import JUDGED_STEP, RISKS, TARGET_RATIO, TARGETS
from wm_training.surprise import STATISTICS

NOTE = "<!-- Written by `wm measure --page` from the model's metrics.json; measure again instead of editing. -->"
SHOWN_STEPS = (1, 5, 10, 15)
UNITS = {
    "speed": "m/s", "yaw_rate": "rad/s", "lateral_error": "m", "heading_error": "rad", "curvature": "1/m",
    "gap_ahead": "m", "closing_speed": "m/s", "red_light_gap": "m", "crossing_time": "s",
}  # fmt: skip
FAULT_TARGET = 0.95


def write_page(path: Path, metrics: dict[str, Any], model_id: str) -> None:
    """The page and its plots beside it in `images/`; sections whose figures are not there yet are left out."""
    sections = [f"# The model {model_id}\n\n{NOTE}\n\n{_intro(metrics)}"]
    held_out = metrics.get("held_out", {})
    if "open_loop" in held_out:
        from wm_training.model_plots import draw_plots

        draw_plots(held_out, path.parent / "images")
        sections += [_open_loop(held_out), _pictures(held_out, path), _risks(held_out), _faults(held_out)]
    sections += [_interventions(metrics), _closed_loop(metrics), _ablation(metrics)]
    write_whole(path, "\n\n".join(s for s in sections if s) + "\n", "page")


def _intro(metrics: dict[str, Any]) -> str:
    training = metrics.get("training", {})
    return (
        f"{training.get('parameters', 0):,} parameters, trained on {training.get('frames', 0):,} frames of "
        f"{training.get('episodes', 0):,} drives. Every figure below is of drives that it was not trained on.\n"
        "`wm measure MODEL --bags BAGS --page docs/model.md` measures again and writes this page."
    )


def _open_loop(held_out: dict[str, Any]) -> str:
    found = held_out["open_loop"]
    lines = [
        "## Open loop", "",
        f"The filter sees {held_out['frames_filtered']} frames, then the model imagines 1.5 s under the recorded",
        "actions. The baselines know the true state of the last frame: *constant velocity* keeps speed and yaw rate on",
        "a straight lane, *in lane* on one as curved as it is there, *copy last* keeps the value itself. *Model from",
        "truth* adds the change that the model imagines to that true state: what is left are errors of motion, not of",
        "sight. *Interventions* counts the steps to which no action led of a driver that sees more than the sensors:",
        f"those a planner asks about. Training imagines {held_out['horizon_steps']} steps; more is extrapolation.", "",
        "![mean absolute error over 1.5 s](images/model_open_loop.png)", "",
        f"Target: an error after {JUDGED_STEP} steps of at most {TARGET_RATIO:g} of constant velocity's.",
        "Ratios of the model and of the model from truth:", "",
        "| actions | windows | " + " | ".join(name.replace("_", " ") for name in TARGETS) + " | met |",
        "|---|---|---|---|---|",
    ]  # fmt: skip
    for mask, figures in found.items():
        rows = [figures["target"][name] for name in TARGETS]
        met = "yes" if all(row["met"] for row in rows) else "no"
        ratios = " | ".join(f"{_number(row['ratio'], 2)}, {_number(row['from_truth'], 2)}" for row in rows)
        lines.append(f"| {mask} | {figures['windows_at_the_judged_step']} | {ratios} | {met} |")
    lines += ["", "Mean absolute error, interventions, after " + ", ".join(f"{s}" for s in SHOWN_STEPS) + " steps:", ""]
    guessers = list(next(iter(found["interventions"]["mae"].values())))
    lines += [
        "| | " + " | ".join(name.replace("_", " ") for name in guessers) + " |",
        "|---" * (len(guessers) + 1) + "|",
    ]
    for quantity, rows in found["interventions"]["mae"].items():
        cells = [" / ".join(_number(rows[name][s - 1], 3) for s in SHOWN_STEPS) for name in guessers]
        lines.append(f"| {quantity.replace('_', ' ')}, {UNITS[quantity]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _pictures(held_out: dict[str, Any], path: Path) -> str:
    found = held_out["pictures"]
    lines = ["## Pictures", "", "| | filtered | 1 | 3 | 6 | 9 | 12 steps |", "|---|---|---|---|---|---|---|"]
    for name, key, digits in (("PSNR, dB", "psnr_db", 1), ("SSIM", "ssim", 3)):
        for who, prefix in (("model", ""), ("copy last", "copy_")):
            cells = [_number(found[prefix + key][step], digits) for step in (0, 1, 3, 6, 9, 12)]
            lines.append(f"| {name}, {who} | " + " | ".join(cells) + " |")
    if (path.parent / "images" / "model_dreams.jpg").is_file():
        lines += [
            "", "Camera and, below it, the model: filtered, then 0.1, 0.3, 0.6, 0.9 and 1.2 s into a dream.", "",
            "![dreams beside the truth](images/model_dreams.jpg)",
        ]  # fmt: skip
    return "\n".join(lines)


def _risks(held_out: dict[str, Any]) -> str:
    lines = [
        "## Risks", "",
        "Imagined probabilities against what happened, under actions that were not taught. A *plan* is a whole window,",
        "its risk the highest along it, as the planner takes it. The threshold is conformal: at most 10 % of further",
        "bad plans stay below it, if they are drawn as these were. Plans of one drive resemble each other, so the last",
        "two columns judge each half of the drives by the threshold of the other.", "",
        "![reliability](images/model_reliability.png) ![AUROC by step](images/model_risks.png)", "",
        "| | AUROC | Brier | ECE | plans | bad | plan AUROC | threshold | bad plans missed | good plans refused |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for risk in RISKS:
        row = held_out["risks"][risk]
        plan, kept = row["plans"], row["conformal"]
        cells = [
            _number(row["auroc"], 3), _number(row["brier"], 4), _number(row["ece"], 4), str(plan["n"]),
            f"{plan['happened']} in {kept['bad_episodes']} drives", _number(plan["auroc"], 3),
            f"{kept['threshold']:.2g}", _share(kept["missed_in_the_other_half"]),
            _share(kept["false_alarms_in_the_other_half"]),
        ]  # fmt: skip
        lines.append(f"| {risk.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _faults(held_out: dict[str, Any]) -> str:
    found = held_out.get("faults")
    if not found:
        return ""
    lines = [
        "## Sensor faults", "",
        "Healthy drives against the same drives with one sensor failing: AUROC of the half second after the onset, and",
        "of every frame later. *Surprise* is the KL divergence of a frame, with its maximum and mean over five frames.",
        "*Doubt* is the highest over five frames of: error of the foretold picture, change since the last picture (too",
        "large, too small), share of the scan's ranges repeated to the bit, share of its returns lost, unsteadiness of",
        f"its ranges. Beyond the filter it costs one decoded picture, {_number(found['doubt_ms'], 1)} ms.", "",
        f"Target: {FAULT_TARGET:g} within half a second, all faults together.", "",
        "| fault | " + " | ".join(f"{name.replace('_', ' ')}" for name in STATISTICS) + " | doubt while it lasts |",
        "|---" * (len(STATISTICS) + 2) + "|",
    ]  # fmt: skip
    for name, row in (found["auroc"] | {"**all**": found["overall"]}).items():
        cells = [_number(row["onset"][statistic], 3) for statistic in STATISTICS]
        lines.append(f"| {name} | " + " | ".join([*cells, _number(row["lasting"]["doubt"], 3)]) + " |")
    lines += [
        "",
        "What is gone for good looks steady again: a doubt has to be remembered until the sensor recovers.",
    ]
    return "\n".join(lines)


def _interventions(metrics: dict[str, Any]) -> str:
    found = metrics.get("interventions")
    if not found:
        return ""
    lines = [
        "## Interventions", "",
        "Effects of actions held over the horizon, predicted against those of the copied simulator.", "",
        "| effect | slope | R2 |", "|---|---|---|",
    ]  # fmt: skip
    lines += [f"| {name} | {_number(row['slope'], 3)} | {_number(row['r2'], 3)} |" for name, row in found.items()]
    return "\n".join(lines)


def _closed_loop(metrics: dict[str, Any]) -> str:
    found: dict[str, Any] = metrics.get("closed_loop_families", {})
    if not found:
        return ""
    families = list(dict.fromkeys(name for agent in found.values() for name in agent["families"]))
    lines = [
        "## Closed loop", "",
        "Success rate with its 95 % interval, number of drives, and driving score (`wm eval --json`).", "",
        "| family | " + " | ".join(f"{name}, {v['seeds']} seeds from {v['seed']}" for name, v in found.items()) + " |",
        "|---" * (len(found) + 1) + "|",
    ]  # fmt: skip
    for family in families:
        cells = [_drives(agent["families"].get(family)) for agent in found.values()]
        lines.append(f"| {family} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _drives(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    low, high = row["success_ci95"]
    rate = f"{row['success_rate']:.2f} ({low:.2f} to {high:.2f})"
    return f"{rate} of {row['episodes']}, {row['driving_score']:.1f}"


def _ablation(metrics: dict[str, Any]) -> str:
    from wm_training.ablation_table import markdown

    rows = metrics.get("ablation")
    return "## Ablation\n\n" + markdown(rows) if rows else ""


def _number(value: float | None, digits: int) -> str:
    return "n/a" if value is None else f"{value:.{digits}f}"


def _share(value: float | None) -> str:
    return "n/a" if value is None else f"{100.0 * value:.0f} %"
