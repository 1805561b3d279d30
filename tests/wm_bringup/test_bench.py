"""The bench says what it measured, and names what it could not."""

import json

import pytest

from wm_bringup import bench, bench_peers
from wm_bringup.bench import BenchConfig, SimBench, figures, interleaved
from wm_bringup.cli import main
from wm_bringup.errors import BringupError


class Fixed:
    """A case whose rates are known beforehand."""

    def __init__(self, name, log, rates):
        self._name, self._log, self._rates = name, log, iter(rates)

    def run(self, seconds):
        self._log.append(self._name)
        return next(self._rates)

    def close(self):
        self._log.append(f"{self._name} closed")


def test_cases_take_turns():
    log = []
    rates = interleaved({"a": Fixed("a", log, [1, 2]), "b": Fixed("b", log, [3, 4])}, 0.1, 2)
    assert log == ["a", "b", "a", "b"]
    assert rates == {"a": [1, 2], "b": [3, 4]}


def test_a_peer_that_is_not_installed_is_one_sentence():
    peer = bench_peers.Peer("Nowhere-v0", "", ("no_such_module",), "nowhere", lambda: None, "lane_follow")
    assert peer.missing() == "Nowhere-v0 is not measured: install nowhere (requirements-bench.txt)."


def row(api, sensors, rate, name="ours", threads=1, fresh=False):
    return {"name": name, "api": api, "sensors": sensors, "threads": threads, "fresh": fresh, "steps_per_s": rate}


def test_figures_compare_the_batched_camera_with_the_peers_and_say_what_is_met():
    rows = [
        row("single", "96x96 RGB", 200.0, name="CarRacing-v3", fresh=True) | {"counterpart": "lane_follow"},
        row("vector", bench.FULL, 80_000.0) | {"family": "lane_follow"},
        row("single", bench.FULL, 9_000.0),
        row("vector", bench.FULL, 60_000.0),
        row("kernel", "state", 1_200_000.0),
        row("kernel", bench.FULL, 62_000.0),
        row("kernel", bench.FULL, 90_000.0, threads=2),
    ]
    cost = [
        {"sensors": "state", "worlds": 16, "us_per_step": 0.75},
        {"sensors": "state", "worlds": 64, "us_per_step": 1.25},
    ]
    found = {entry["name"]: entry for entry in figures(rows, cost, 0.5)}
    assert found["× CarRacing-v3"]["value"] == 400.0
    assert "× highway-env" not in found
    assert found["batch, camera, steps/s"]["value"] == 62_000.0
    assert found["state: cost over N, ± share of its mean"]["value"] == 0.25
    assert {name for name, entry in found.items() if not entry["met"]} == {
        "one environment, camera, steps/s", "state: cost over N, ± share of its mean"
    }  # fmt: skip


def test_wm_bench_writes_its_figures(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bench, "SWEEP", (2, 4))
    file = tmp_path / "bench.json"
    words = "bench sim --family lane_follow --worlds 4 --threads 1 --seconds 0.01 --repeats 1 --no-peers --json"
    assert main([*words.split(), str(file)]) == 0
    result = json.loads(file.read_text())
    assert {entry["api"] for entry in result["rates"]} == {"single", "vector", "kernel"}
    assert all(entry["steps_per_s"] > 0 for entry in result["rates"])
    assert result["memory_mib_per_world"] > 0
    assert "steps/s" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [{"seconds": 0.0}, {"repeats": 0}, {"worlds": 0}])
def test_senseless_sizes_are_refused(wrong):
    with pytest.raises(BringupError, match="more than 0"):
        bench.bench(BenchConfig(SimBench(**wrong)))
