"""The plots of a model's page, from its metrics: small PNGs, readable on light and dark paper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from wm_sim.observation import STEP_S
from wm_training.open_loop import RISKS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DPI = 80
COLOURS = {
    "model": "#0072b2",
    "model_from_truth": "#56b4e9",
    "constant_velocity": "#d55e00",
    "constant_velocity_in_lane": "#e69f00",
    "copy_last": "#777777",
}
DRAWN = {"speed": "speed, m/s", "yaw_rate": "yaw rate, rad/s", "lateral_error": "lateral offset, m"}


def draw_plots(held_out: dict[str, Any], folder: Path) -> None:
    """open_loop.png, risks.png and reliability.png in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    _save(folder / "model_open_loop.png", len(DRAWN), lambda axes: _open_loop(axes, held_out["open_loop"]))
    _save(folder / "model_risks.png", len(RISKS), lambda axes: _risks(axes, held_out["open_loop"]["interventions"]))
    _save(folder / "model_reliability.png", len(RISKS), lambda axes: _reliability(axes, held_out["risks"]))


def _save(path: Path, columns: int, draw: Any) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, columns, figsize=(3.6 * columns, 3.0), layout="constrained")
    draw(list(axes))
    figure.savefig(path, dpi=DPI, facecolor="white", metadata={"Software": None})
    pyplot.close(figure)


def _open_loop(axes: list[Axes], open_loop: dict[str, Any]) -> None:
    mae = open_loop["interventions"]["mae"]
    for axis, (quantity, name) in zip(axes, DRAWN.items(), strict=True):
        for guesser, values in mae[quantity].items():
            if guesser == "constant_velocity_in_lane" and quantity != "lateral_error":
                continue  # the same line
            _line(axis, values, guesser)
        axis.set(title=name, xlabel="s ahead", ylim=(0, None))
    axes[0].set_ylabel("mean absolute error")
    _legend(axes[-1], "upper left")


def _risks(axes: list[Axes], found: dict[str, Any]) -> None:
    for axis, risk in zip(axes, RISKS, strict=True):
        for guesser, figures in found[risk].items():
            _line(axis, figures["auroc"], guesser)
        axis.set(title=f"{risk.replace('_', ' ')}, AUROC", xlabel="s ahead", ylim=(0.4, 1.02))
    _legend(axes[0], "lower left")


def _reliability(axes: list[Axes], risks: dict[str, Any]) -> None:
    for axis, risk in zip(axes, RISKS, strict=True):
        axis.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=1)
        for label, rows, colour in (
            ("each step", risks[risk]["reliability"], COLOURS["model"]),
            ("highest of a plan", risks[risk]["plans"]["reliability"], COLOURS["constant_velocity"]),
        ):
            size = [8 + 60 * row["n"] / sum(r["n"] for r in rows) for row in rows]
            x, y = [row["predicted"] for row in rows], [row["happened"] for row in rows]
            axis.plot(x, y, color=colour, linewidth=1)
            axis.scatter(x, y, s=size, color=colour, label=label)
        axis.set(title=risk.replace("_", " "), xlabel="predicted", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    axes[0].set_ylabel("happened")
    _legend(axes[0], "upper left")


def _legend(axis: Axes, place: Literal["upper left", "lower left"]) -> None:
    if axis.get_legend_handles_labels()[0]:
        axis.legend(fontsize=7, frameon=False, loc=place)


def _line(axis: Axes, values: list[float | None], guesser: str) -> None:
    known = [(STEP_S * step, value) for step, value in enumerate(values, start=1) if value is not None]
    if known:
        axis.plot(*zip(*known, strict=True), color=COLOURS[guesser], label=guesser.replace("_", " "), linewidth=1.5)
