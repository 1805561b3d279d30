"""What the benches of running nodes make of their readings; and that nodes they started end with them."""

import numpy as np
import psutil
import pytest

from wm_bringup.bench_gate_node import figures as period_figures
from wm_bringup.bench_gate_node import line
from wm_bringup.bench_soak import SoakBench, bench_soak
from wm_bringup.bench_soak import figures as soak_figures
from wm_bringup.domain import chosen_domain
from wm_bringup.errors import BringupError
from wm_bringup.hogs import hogs
from wm_bringup.loose_graph import LooseGraph
from wm_bringup.topology import Process


def test_the_period_is_read_off_the_times_of_publication():
    even = [k * 20_000_000 for k in range(100)]
    row = period_figures(even[::-1])  # messages may overtake each other
    assert (row["rate_hz"], row["mean_ms"], row["rsd"], row["met"]) == (50.0, 20.0, 0.0, True)
    uneven = np.cumsum([5_000_000, 35_000_000] * 50).tolist()
    row = period_figures(uneven)
    assert row["rsd"] == pytest.approx(0.75, abs=0.01) and not row["met"] and row["max_ms"] == 35.0
    assert line({"hogs_per_core": 1, "cores": 2, **row}).startswith("busy processes: 1 a core, 2 cores")
    with pytest.raises(BringupError, match="sent 3 commands"):
        period_figures(even[:3])


def test_memory_is_flat_when_it_stays_after_warming_up():
    warming = [(50.0 + k, 10) for k in range(10)]
    steady = [(60.0 + 0.1 * (k % 3), 12 + k % 2) for k in range(90)]
    assert soak_figures(warming + steady)["flat"]
    leaking = [(60.0 + 0.1 * k, 12) for k in range(100)]
    assert not soak_figures(leaking)["flat"]
    opening = [(60.0, 12 + k // 10) for k in range(100)]
    row = soak_figures(opening)
    assert not row["flat"] and row["handles_more"] == pytest.approx(6.0, abs=0.5) and row["handles_most"] == 21


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (SoakBench(minutes=0.5), "--minutes must be 1 or more"),
        (SoakBench(every_s=0.1), "--every-s 0.5 or more"),
        (SoakBench(families=("moon",)), "unknown scenario moon"),
    ],
)
def test_a_soak_that_cannot_be_is_one_sentence(config, words):
    with pytest.raises(BringupError, match=words):
        bench_soak(config)


def test_busy_processes_end_with_the_block():
    before = psutil.Process().children()
    with hogs(2):
        # Not by their command lines: a process that has only just begun may not show one yet.
        busy = [it for it in psutil.Process().children() if it not in before]
        assert len(busy) == 2
    assert not any(it.is_running() for it in busy)


@pytest.mark.ros
def test_a_node_that_ends_is_named_with_its_last_words(tmp_path):
    graph = LooseGraph(
        [Process("wm_planner", "safety_gate_node")], chosen_domain(None), tmp_path, safety_gate_node={"rate_hz": 1.0}
    )
    try:
        with pytest.raises(BringupError, match="safety_gate_node ended .*rate_hz"):
            graph.until(lambda: False, "never", 120.0)
    finally:
        graph.end()
    assert all(process.poll() is not None for process in graph.running.values())
