"""The page of `wm eval --report`: one HTML file with bars, a table and the worst drives, complete in itself."""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wm_training.errors import TrainingError
from wm_training.eval_report import HEADS, cells, rows, title, write_whole

if TYPE_CHECKING:
    from wm_training.evaluate import Episode, EvalConfig

WORST = 6  # drives with a picture
PICTURE_PX, PICTURE_M = 400, 45.0
BLUE, ORANGE, GREEN, RED, GREY = "#3273b5", "#d9822b", "#3d8a5f", "#c0392b", "#5b6470"
RATES = (
    ("success", "success_rate", "success_ci95", GREEN),
    ("at-fault collision", "at_fault_rate", "at_fault_ci95", RED),
    ("off road", "off_road_rate", "off_road_ci95", ORANGE),
)

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1d2329; max-width: 1080px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
p.sub { color: #5b6470; margin-top: 0; } svg { width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .55rem; text-align: right; border-bottom: 1px solid #e3e6ea; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } tr:last-child td { border-bottom: none; }
.wide { overflow-x: auto; }
.drives { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 1rem; }
figure { margin: 0; border: 1px solid #e3e6ea; border-radius: 6px; overflow: hidden; }
figure img { width: 100%; display: block; } figcaption { padding: .5rem .7rem; font-size: .9rem; }
footer { color: #5b6470; font-size: .85rem; margin-top: 2rem; }
"""


def write_page(path: Path, config: EvalConfig, report: dict[str, Any], episodes: list[Episode]) -> None:
    """Drive the worst drives again for their pictures and write the page, whole or not at all."""
    worst = worst_of(episodes)
    pictures = [_top_view(config, episode) for episode in worst]
    write_whole(path, page(report, worst, pictures), "report")


def worst_of(episodes: list[Episode]) -> list[Episode]:
    """The drives to look at first: failures, then the lowest scores."""
    return sorted(episodes, key=lambda e: (e.score.success, e.score.driving_score, e.score.nuplan_score))[:WORST]


def page(report: dict[str, Any], worst: list[Episode], pictures: list[NDArray[np.uint8]]) -> str:
    """The HTML; `pictures` [size, size, 3] show `worst`."""
    named = html.escape(title(report))
    about = f"{report['episodes']} drives, {report['km']:.1f} km"
    about += f", model {report['model_id']}" if report["model_id"] else ""
    about += f", commit {report['commit']}" if report["commit"] else ""
    about += f", {report['blackout']} taken away" if "blackout" in report else ""
    about += f", road {report['road']}, traffic {report['traffic']}" if "road" in report else ""
    about += ", interrupted" if report.get("interrupted") else ""
    drives = "\n".join(_figure(episode, picture) for episode, picture in zip(worst, pictures, strict=True))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{named}</title><style>{STYLE}</style></head><body>
<h1>{named}</h1><p class="sub">{html.escape(about)}</p>
<h2>Rates with Wilson 95 % intervals</h2>
{_rates(report)}
<h2>Scores</h2>
{_scores(report)}
<h2>Figures</h2>
<div class="wide">{_table(report)}</div>
<h2>Worst drives</h2>
<div class="drives">
{drives}
</div>
<footer>Success: route completed in time, no collision, never off the road, no red light. Score: CARLA leaderboard 2.1.
nuPlan: closed-loop score. Fault: collisions at fault by nuPlan's classes. Comfort: share of 2 s pieces inside nuPlan's
six bounds. RSS: share of the time behind something with less than the safe gap (response 0.2 s, 1.5, 6 and 8 m/s²;
beside it the defaults of ad-rss-lib). Seeds from 1,000,000 up are kept for reporting and never trained on.</footer>
</body></html>
"""


def _rates(report: dict[str, Any]) -> str:
    """Success, at-fault and off-road rates per family, each with its interval."""
    table = rows(report)
    names, figure, axes = _axes(table, len(RATES))
    for axis, (label, rate, interval, colour) in zip(axes, RATES, strict=True):
        values = np.array([row[rate] for row in table.values()])
        low, high = np.array([row[interval] for row in table.values()]).T
        axis.barh(names, values, color=colour, height=0.6)
        spread = np.maximum(np.array([values - low, high - values]), 0.0)
        axis.errorbar(values, names, xerr=spread, fmt="none", ecolor=GREY, capsize=3, lw=1.2)
        axis.set_xlim(0.0, 1.0)
        axis.set_title(label, fontsize=10)
    return _svg(figure)


def _scores(report: dict[str, Any]) -> str:
    """Driving score and nuPlan's score per family."""
    table = rows(report)
    names, figure, axes = _axes(table, 2)
    kinds = (("CARLA leaderboard 2.1", "driving_score", BLUE), ("nuPlan closed loop", "nuplan_score", GREEN))
    for axis, (label, key, colour) in zip(axes, kinds, strict=True):
        values = [row[key] for row in table.values()]
        axis.barh(names, values, color=colour, height=0.6)
        for i, value in enumerate(values):
            axis.text(min(value + 1.0, 90.0), i, f"{value:.1f}", va="center", fontsize=8, color="#1d2329")
        axis.set_xlim(0.0, 100.0)
        axis.set_title(label, fontsize=10)
    return _svg(figure)


def _axes(table: dict[str, Any], count: int) -> tuple[list[str], Any, Any]:
    """Families as rows, top down, and a figure of `count` panels that share them."""
    from matplotlib.figure import Figure

    names = list(table)
    figure = Figure(figsize=(10.0, 0.9 + 0.32 * len(names)), layout="constrained")
    axes = figure.subplots(1, count, sharey=True, squeeze=False)[0]
    for axis in axes:
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.tick_params(axis="y", length=0)
        axis.grid(axis="x", color="#e3e6ea", lw=0.8)
        axis.set_axisbelow(True)
    axes[0].invert_yaxis()
    return names, figure, axes


def _svg(figure: Any) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _table(report: dict[str, Any]) -> str:
    heads = (*HEADS, "timeouts", "min TTC", "RSS", "RSS default")

    def line(name: str, row: dict[str, Any]) -> str:
        told = [*cells(name, row), str(row["timeouts"]), _number(row["min_ttc_s"], ".1f", " s")]
        told += [_number(row[key], ".3f") for key in ("rss_violations", "rss_violations_default")]
        return "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in told) + "</tr>"

    head = "<tr>" + "".join(f"<th>{name}</th>" for name in heads) + "</tr>"
    return f"<table>{head}{''.join(line(name, row) for name, row in rows(report).items())}</table>"


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "-" if value is None else f"{value:{form}}{unit}"


def _figure(episode: Episode, picture: NDArray[np.uint8]) -> str:
    import cv2

    done, data = cv2.imencode(".png", picture[..., ::-1])
    if not done:
        raise TrainingError("a picture of the report could not be made: leave --report out.")
    source = base64.b64encode(data.tobytes()).decode()
    caption = html.escape(caption_of(episode))
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{source}"><figcaption>{caption}</figcaption></figure>'
    )


def caption_of(episode: Episode) -> str:
    """What happened in a drive, in one line."""
    score = episode.score
    end = score.end.replace("_", " ")
    if score.collision:
        end = (
            f"hit a {score.hit} ({score.collision_class.replace('_', ' ')}, {'' if score.at_fault else 'not '}at fault)"
        )
    red = f", {score.red_lights} red light{'s' * (score.red_lights > 1)}" if score.red_lights else ""
    return (
        f"{episode.family} seed {episode.seed}: {end}{red} after {score.duration_s:.1f} s, "
        f"route {score.route_completion:.0%}, score {score.driving_score:.0f}, nuPlan {score.nuplan_score:.0f}"
    )


def _top_view(config: EvalConfig, episode: Episode) -> NDArray[np.uint8]:
    from wm_training.evaluate import replay

    return replay(config, episode.family, episode.seed, PICTURE_PX, PICTURE_M)[1]
