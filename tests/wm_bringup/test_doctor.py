"""The doctor finds what is wrong and says what to do."""

from pathlib import Path

import pytest

from wm_bringup import doctor
from wm_bringup.doctor import DoctorConfig, Row
from wm_bringup.domain import lock_domain
from wm_ros import scheduling


def test_a_missing_model_is_a_failure_with_a_remedy(tmp_path: Path) -> None:
    (row,) = doctor.model(tmp_path / "nowhere")
    assert row.level == "fail"
    assert "nowhere" in row.found
    assert row.remedy


def test_a_driving_stack_on_the_domain_is_a_warning_with_a_free_domain(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with lock_domain(0):
        (row,) = doctor.domain(0)
        assert (row.level, row.remedy) == ("warn", "Stop it, or use --domain-id 1.")
    assert doctor.domain(0)[0].level == "ok"


@pytest.mark.ros
def test_the_middleware_carries_a_message_to_another_process() -> None:
    (row,) = doctor.middleware(None)
    assert row.level == "ok", row
    assert " ms" in row.found


@pytest.mark.ros
def test_a_middleware_that_is_not_there_fails_with_a_remedy(monkeypatch) -> None:
    monkeypatch.setenv("RMW_IMPLEMENTATION", "rmw_nowhere_cpp")
    (row,) = doctor.middleware(None)
    assert row.level == "fail"
    assert row.remedy


@pytest.mark.parametrize(("permitted", "level"), [(True, "ok"), (False, "warn")])
def test_who_may_not_schedule_in_real_time_is_told_how(monkeypatch, permitted: bool, level: str) -> None:
    monkeypatch.setattr(scheduling, "permits_realtime", lambda: permitted)
    (row,) = doctor.scheduling()
    assert row.level == level
    assert ("limits.conf" in row.remedy) == (not permitted)


def test_a_check_that_breaks_is_a_failed_row_and_the_others_go_on(monkeypatch) -> None:
    def broken() -> list[Row]:
        raise OSError("no such device")

    for name in ("middleware", "model", "domain"):
        monkeypatch.setattr(doctor, name, lambda _: [])
    monkeypatch.setattr(doctor, "disk", broken)
    rows = {row.what: row for row in doctor.examine(DoctorConfig())}
    assert rows["disk"].level == "fail"
    assert "no such device" in rows["disk"].found
    assert rows["Python"].level == "ok"


@pytest.mark.parametrize(("level", "code"), [("ok", 0), ("warn", 0), ("fail", 1)])
def test_only_a_failure_gives_exit_code_1(monkeypatch, level: str, code: int, capsys) -> None:
    monkeypatch.setattr(doctor, "examine", lambda _: [Row("thing", level, "found so", "mend it")])
    assert doctor.doctor(DoctorConfig()) == code
    assert "thing" in capsys.readouterr().out
