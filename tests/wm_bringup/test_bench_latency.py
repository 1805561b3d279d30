"""`wm bench latency`: what it makes of the times that its watcher saw, and one short run of the graph."""

import itertools
import json
from pathlib import Path

import pytest

from wm_bringup.bench_latency import CHAIN, LatencyBench, check, summarise
from wm_bringup.cli import main
from wm_bringup.domain import is_free
from wm_bringup.errors import BringupError


def frame(*sent_ms: float | None, compute: tuple[float, float, float] = (1.0, 2.0, 10.0)) -> dict:
    """A frame whose messages were published at these times."""
    times = [None if ms is None else round(ms * 1e6) for ms in sent_ms]
    return dict(zip(CHAIN, times, strict=True)) | {"compute_ms": list(compute)}


def recorded(*frames: dict) -> dict:
    return {"frames": list(frames), "episodes": 1, "ticks": 200, "missed_ticks": 0}


def test_hops_add_up_and_what_is_not_computing_is_the_ros_share() -> None:
    rows = {row["name"]: row for row in summarise(recorded(frame(0, 3, 6, 18, 19)), 10.0)["hops"]}
    assert [rows[f"{a} → {b}"]["p50_ms"] for a, b in itertools.pairwise(CHAIN)] == [3.0, 3.0, 12.0, 1.0]
    assert rows["camera to control"]["p50_ms"] == 19.0
    assert rows["ROS share"]["p50_ms"] == 6.0


def test_a_frame_without_a_command_and_one_beyond_the_period_have_missed() -> None:
    frames = [frame(0, 3, 6, 18, 19), frame(0, 3, 6, 48, 51), frame(0, 3, 6, None, None, compute=(1.0, 2.0, None))]
    slow, fast = summarise(recorded(*frames), 10.0), summarise(recorded(*frames), 20.0)
    assert (slow["missed"], fast["missed"], slow["frames"]) == (1, 2, 3)
    missed = next(entry for entry in slow["figures"] if entry["name"] == "missed deadlines, share")
    assert missed["value"] == pytest.approx(1 / 3, abs=1e-4) and not missed["met"]


def test_a_drive_without_an_answered_frame_is_refused() -> None:
    with pytest.raises(BringupError, match="not one frame"):
        summarise(recorded(frame(0, 1, 2, None, None)), 10.0)


@pytest.mark.parametrize(
    "wrong", [{"scenario": "nowhere"}, {"seconds": 0.0}, {"rate": 0.0}, {"params_file": Path("x")}]
)
def test_senseless_settings_are_refused_in_a_sentence(wrong: dict) -> None:
    with pytest.raises(BringupError, match=r"choose|no such file"):
        check(LatencyBench(**wrong))


@pytest.mark.slow
@pytest.mark.system
def test_the_running_graph_is_measured_by_hop(tmp_path) -> None:
    file = tmp_path / "latency.json"
    domain = str(next(number for number in range(50, 60) if is_free(number)))
    assert main(["bench", "latency", "--seconds", "5", "--no-record", "--domain-id", domain, "--json", str(file)]) == 0
    result = json.loads(file.read_text())
    assert result["frames"] > 10
    rows = {row["name"]: row["p50_ms"] for row in result["hops"]}
    assert 0.0 < rows["plan"] < rows["camera to control"]
