import json

import numpy as np
import pytest

from wm_bringup import bench_memory
from wm_bringup.bench_memory import MemoryBench, figures
from wm_bringup.errors import BringupError


def test_a_leak_of_a_kilobyte_a_plan_is_seen_and_flat_memory_is_not_called_one():
    plans = np.arange(10_000)[::50]
    flat = figures(300.0 + np.where(plans % 200 == 0, 1.0, 0.0))
    assert flat["met"] and abs(flat["growth_share"]) < 0.001
    leaking = figures(300.0 + 2e-3 * plans)
    assert not leaking["met"] and leaking["growth_share"] > 0.05


@pytest.mark.parametrize("wrong", [{"plans": 10}, {"family": "nowhere"}])
def test_senseless_choices_are_refused(wrong):
    with pytest.raises(BringupError, match="choose"):
        bench_memory.bench_memory(MemoryBench(**wrong))


def test_it_drives_in_closed_loop_and_writes_its_readings(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bench_memory, "WARM_UP", 5)
    monkeypatch.setattr(bench_memory, "READINGS", 4)
    assert bench_memory.bench_memory(MemoryBench(plans=8, json=tmp_path / "memory.json")) == 0
    result = json.loads((tmp_path / "memory.json").read_text())
    assert len(result["rss_mib"]) == 4 and result["mean_mib"] > 50
    assert "8 plans: resident memory" in capsys.readouterr().out
