"""The list of faults, the rows made of their runs, and what is kept of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wm_bringup.errors import BringupError
from wm_bringup.faults.command import FaultsConfig, faults, missing
from wm_bringup.faults.judge import Run
from wm_bringup.faults.report import (
    BEGIN,
    END,
    markdown_table,
    put_between_markers,
    read_runs,
    row_of,
    rows_of,
    write_json,
)
from wm_bringup.faults.table import all_faults, chosen_faults

SCHEMA = {"fault", "reaction_ms", "limit_ms", "stop_m", "collision", "recovered", "met"}


def run(fault: str = "kill_planner", reaction_ms: float | None = 150.0, **more) -> Run:
    given = {"collision": False, "off_road": False, "wrong_output": False, "throttle": False, "recovered": "engaged"}
    given |= {"stop_m": 9.0, "reasons": "plan late", "gate_period_rsd": 0.1, "reacted": "soft_stop"} | more
    return Run(fault=fault, speed_mps=8.0, reaction_ms=reaction_ms, **given)


def test_every_fault_has_one_name_and_every_promised_one_is_there() -> None:
    names = [fault.name for fault in all_faults()]
    assert len(names) == len(set(names))
    nodes = ("sim", "perception", "dynamics", "planner", "gate", "recorder")
    streams = ("freeze", "drop", "delay", "duplicate", "reorder", "corrupt")
    wanted = {f"{how}_{node}" for how in ("kill", "stop") for node in nodes}
    wanted |= {f"{how}_{topic}" for how in streams for topic in ("camera", "scan", "odom", "status", "plan")}
    wanted |= {"clock_frozen", "clock_forward", "clock_back", "clock_slow", "disk_full", "cpu_hogs", "second_publisher"}
    wanted |= {"nan_plan.acceleration", "huge_odom.pose.pose.position.x", "minus_huge_status.speed", "nan_scan.ranges"}
    wanted |= {"short_plan.steering_angle", "empty_scan.ranges", "long_camera.data"}
    assert wanted <= set(names)


def test_limits_are_those_of_the_safety_table() -> None:
    limits = {fault.name: fault.limit_ms for fault in all_faults()}
    assert (limits["kill_planner"], limits["kill_gate"], limits["kill_sim"]) == (250.0, 550.0, 1100.0)
    assert (limits["drop_scan"], limits["freeze_odom"], limits["nan_plan.dt"]) == (550.0, 550.0, 250.0)
    assert limits["duplicate_plan"] is None


def test_faults_are_chosen_by_name_group_and_pattern() -> None:
    assert [fault.name for fault in chosen_faults("kill_planner, clock_*")][:2] == ["kill_planner", "clock_frozen"]
    assert {fault.group for fault in chosen_faults("nan_status")} == {"nan_status"}
    assert chosen_faults("") == all_faults()
    with pytest.raises(BringupError, match="kill_planer"):
        chosen_faults("kill_planer")


def test_a_row_has_the_median_the_worst_and_counts_any_harm() -> None:
    runs = [run(reaction_ms=100.0, stop_m=8.0), run(reaction_ms=300.0, stop_m=12.0), run(reaction_ms=140.0)]
    row = row_of("kill_planner", 250.0, runs)
    assert (row.reaction_ms, row.reaction_worst_ms, row.stop_m, row.stop_worst_m) == (140.0, 300.0, 9.0, 12.0)
    assert not row.met  # the worst was late
    assert row_of("kill_planner", 350.0, runs).met
    assert not row_of("kill_planner", 350.0, [*runs, run(collision=True)]).met
    assert not row_of("kill_planner", 350.0, [run(reaction_ms=None)]).met
    assert not row_of("kill_planner", None, [run(), run(recovered="no")]).recovered


def test_results_come_back_from_their_file(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    results = {"kill_planner": [run(), run(died=("dynamics_node",))], "drop_scan": [run("drop_scan", None)]}
    write_json(path, all_faults(), results, {"model": "m"})
    content = json.loads(path.read_text())
    assert content["model"] == "m"
    assert [row["fault"] for row in content["rows"]] == ["kill_planner", "drop_scan"]
    assert set(content["rows"][0]) >= SCHEMA
    assert read_runs(path) == results
    path.write_text("{}")
    with pytest.raises(BringupError, match="wm faults --json"):
        read_runs(path)


def test_what_was_run_is_not_run_again() -> None:
    chosen = chosen_faults("kill_planner,kill_gate")
    todo = missing(chosen, {"kill_planner": [run()]}, repeat=2)
    assert [(fault.name, number) for fault, number in todo] == [("kill_gate", 0), ("kill_planner", 1), ("kill_gate", 1)]


def test_the_table_names_the_fields_that_failed() -> None:
    chosen = chosen_faults("nan_status,kill_planner")
    results = {fault.name: [run(fault.name)] for fault in chosen}
    results["nan_status.speed_limit"] = [run("nan_status.speed_limit", off_road=True)]
    table = markdown_table(chosen, results)
    assert "| kill_planner | 1 | 150 / 150 | 250 | 9.0 / 9.0 | no | yes | yes |" in table
    assert "**no**: nan_status.speed_limit" in table
    assert len(rows_of(chosen, results)) == len(chosen)


def test_a_page_is_changed_between_its_markers_only() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert put_between_markers(page, "new\n", "page") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    with pytest.raises(BringupError, match="page"):
        put_between_markers("nothing here", "new\n", "page")


def test_bad_wishes_are_refused_before_anything_starts(tmp_path: Path) -> None:
    for config in (
        FaultsConfig(only="nonsense"),
        FaultsConfig(repeat=0),
        FaultsConfig(speed=3.0),
        FaultsConfig(markdown=_page(tmp_path)),
    ):
        with pytest.raises(BringupError):
            faults(config)


def _page(folder: Path) -> Path:
    page = folder / "page.md"
    page.write_text("no markers")
    return page


def test_the_list_names_limits_and_where_they_come_from(capsys) -> None:
    assert faults(FaultsConfig(show=True, only="kill_gate")) == 0
    out = capsys.readouterr().out
    assert "kill_gate" in out
    assert "550 ms (gate dies)" in out
