"""What the report says about a drive."""

import json

import numpy as np
import pytest

from wm_bringup.record import DriveRecord, Moment, TruthRow
from wm_bringup.report import summarise, table, write_json
from wm_bringup.scene import from_above, scan_points, to_map

STEP_NS = 100_000_000


@pytest.fixture
def record() -> DriveRecord:
    """Three standing frames, then 20 driven at 10 m/s straight on; the last lead gap is 8 m, closing at 4 m/s."""
    record = DriveRecord("stop_go", 7, "realtime", route=np.array([[0.0, 0.0], [100.0, 0.0]]))
    for index in range(23):
        step = max(0, index - 2)
        truth = TruthRow(step, 0.1 if step % 2 else -0.3, 28.0 - step, 4.0 if step else 0.0, float(step), 40.0)
        moment = Moment(
            STEP_NS * (10 + index),
            np.zeros((64, 64, 3), np.uint8),
            np.full(72, 60.0, np.float32),
            (float(step), 0.0, 0.0),
            speed=10.0,
            plan_ms=30.0 + step,
            camera_sent_ns=index * STEP_NS,
            control_sent_ns=index * STEP_NS + 40_000_000,
            truth=truth,
        )
        record.moments[moment.stamp_ns] = moment
    record.outcome, record.outcome_ns = "route_done", max(record.moments)
    record.commands, record.limited, record.ticks, record.missed_ticks = 100, 5, 40, 1
    record.sources.update({"plan": 98, "soft_stop": 2})
    return record


def test_the_figures_are_those_of_the_driven_part(record: DriveRecord) -> None:
    summary = summarise(record, "runs/bag")
    assert summary["frames"] == 21
    assert summary["duration_s"] == pytest.approx(2.0)
    assert summary["distance_m"] == pytest.approx(20.0)
    assert summary["lateral_error_max_m"] == pytest.approx(0.3)
    assert summary["min_gap_m"] == pytest.approx(8.0)
    assert summary["min_ttc_s"] == pytest.approx(2.0)
    assert summary["camera_to_control_ms"]["p99"] == pytest.approx(40.0)
    assert summary["missed_periods"] == 0.0
    assert summary["missed_ticks"] == pytest.approx(1 / 40)
    assert summary["commands"] == {"plan": 0.98, "soft_stop": 0.02}
    assert summary["bag"] == "runs/bag"


def test_a_frame_without_a_command_in_time_is_a_missed_period(record: DriveRecord) -> None:
    moments = record.driven()
    moments[3].control_sent_ns = None
    moments[5].control_sent_ns = moments[5].camera_sent_ns + 101_000_000
    assert summarise(record)["missed_periods"] == pytest.approx(2 / 19, abs=1e-4)


def test_a_finished_route_is_complete_and_a_crash_as_far_as_it_got(record: DriveRecord) -> None:
    assert summarise(record)["route_completion"] == 1.0
    record.outcome = "collision"
    assert summarise(record)["route_completion"] == pytest.approx(0.5)
    assert summarise(record)["success"] is False


def test_what_was_never_measured_is_null_and_the_table_can_still_be_printed(tmp_path) -> None:
    summary = summarise(DriveRecord("lane_follow", 1, "lockstep"))
    write_json(summary, tmp_path / "report.json")
    read = json.loads((tmp_path / "report.json").read_text())
    assert read["outcome"] == "interrupted"
    assert read["camera_to_control_ms"] is None
    assert "not recorded" in table(summary)


def test_the_table_names_what_a_reader_looks_for(record: DriveRecord) -> None:
    text = table(summarise(record, "runs/bag"))
    for words in ("route done", "100.0% of 40 m", "p50 40.0 ms", "soft stop 2.0%", "limited 5.00%", "runs/bag"):
        assert words in text


def test_lidar_returns_stand_where_the_beam_met_them() -> None:
    scan = np.full(72, 60.0, np.float32)
    scan[36] = 10.0  # the sector just left of straight ahead
    point = scan_points(scan)[0]
    assert point == pytest.approx([1.3 + 10.0 * np.cos(np.radians(2.5)), 10.0 * np.sin(np.radians(2.5))])
    assert to_map(np.array([[2.0, 0.0]]), (1.0, 1.0, np.pi / 2))[0] == pytest.approx([1.0, 3.0])


def test_the_view_from_above_shows_car_route_and_returns(record: DriveRecord) -> None:
    moment = record.driven()[-1]
    empty = from_above(moment, None, np.zeros((0, 2)), 200)
    moment.scan = np.full(72, 15.0, np.float32)
    full = from_above(moment, record.route, np.zeros((0, 2)), 200)
    assert empty.shape == (200, 200, 3)
    assert (empty == (235, 235, 235)).all(axis=2).sum() > 20
    assert (full != empty).any(axis=2).sum() > 200


def test_picture_and_film_are_written(record: DriveRecord, tmp_path) -> None:
    import cv2

    from wm_bringup.film import write_film, write_picture

    write_picture(record, tmp_path / "picture.png")
    write_film(record, tmp_path / "drive.mp4")
    assert cv2.imread(str(tmp_path / "picture.png")).shape[1] > 800
    film = cv2.VideoCapture(str(tmp_path / "drive.mp4"))
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) == 21
