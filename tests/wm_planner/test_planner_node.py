"""planner_node in a world whose truth is known: settings that change while it works, counts, markers."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import rclpy
from rclpy.parameter import Parameter
from visualization_msgs.msg import Marker

from wm_msgs.msg import Belief, Observation
from wm_planner import planner_node
from wm_planner.car_limits import car_limits, parse_limits
from wm_planner.planner import SPEED
from wm_planner.planner_node import PlannerNode
from wm_planner.planner_settings import SETTINGS
from wm_ros.convert import floats, scan_msg, to_stamp
from wm_ros.errors import MessageError

pytestmark = pytest.mark.ros


@pytest.fixture
def node(lane_engine, monkeypatch):
    monkeypatch.setattr(planner_node, "load_engine", lambda *_: lane_engine)
    rclpy.init()
    node = PlannerNode()
    node.start()
    node.set_parameters([Parameter("deadline_s", value=0.0)])
    yield node
    node.stop()
    node.destroy_node()
    rclpy.shutdown()


@pytest.fixture
def plan(node, car, monkeypatch):
    """The next plan of the node, and what it published as markers."""
    said = []
    monkeypatch.setattr(node.markers, "publish", said.append)
    monkeypatch.setattr(node.markers, "get_subscription_count", lambda: 1)
    frames = iter(range(1, 1000))

    def run(**truth):
        said.clear()
        stamp, state = to_stamp(next(frames)), np.zeros(15, np.float32)
        state[SPEED] = 10.0
        node.on_observation(Observation(source_stamp=stamp, state=floats(state)))
        node.on_belief(Belief(source_stamp=stamp, latent=floats(car(**truth)), model_id="0" * 12))
        assert node.answer.source_stamp == stamp
        return node.answer, list(said)

    return run


def change(node, **values):
    return node.set_parameters_atomically(
        [Parameter(name.replace("__", "."), value=value) for name, value in values.items()]
    )


def test_every_setting_is_a_parameter_that_describes_itself_and_may_change(node):
    for item in SETTINGS:
        descriptor = node.describe_parameter(item.name)
        assert descriptor.description == item.description and not descriptor.read_only
        assert node.get_parameter(item.name).value == item.default


def test_a_changed_weight_counts_from_the_next_plan_on(node, plan):
    assert plan(lateral=0.5)[0].samples == 448
    assert change(node, screening_margin=math.inf).successful
    node.engine.scored = 0
    assert plan(lateral=0.5)[0].samples == node.engine.scored == 448
    assert change(node, search="half", objective__off_road_max=0.01).successful
    answer, _ = plan(lateral=0.5)
    assert answer.samples == 256
    assert node.planner.config.objective.off_road_max == 0.01
    assert change(node, solver="policy").successful
    assert plan()[0].samples == 64


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"objective__collision_weight": -1.0}, ("collision_weight",)),
        ({"objective__collision_weight": math.nan}, ("collision_weight", "nan")),
        ({"objective__collision_max": 1.5}, ("collision_max",)),
        ({"objective__collision_weight": "much"}, ("DOUBLE",)),
        ({"objective__constraints": "none"}, ("constraints", "fixed, conformal, off")),
        ({"solver": "gradient"}, ("solver", "icem, cem, mppi, random, policy")),
        ({"icem__elites": 100}, ("elites 100", "64")),
        ({"search": "half", "icem__knots": 13}, ("knots 13", "12")),
        ({"deadline_s": -0.1}, ("deadline_s",)),
    ],
    ids=str,
)
def test_a_bad_value_is_refused_with_a_sentence_and_changes_nothing(node, plan, values, words):
    before = node.planner.config
    refused = change(node, **values)
    assert not refused.successful
    assert all(word in refused.reason for word in words), refused.reason
    plan()
    assert node.planner.config == before and node.get_parameter("search").value == "full"


def test_late_plans_and_their_status_are_counted_in_diagnostics(node, plan):
    plan()
    change(node, deadline_s=1e-6)
    for _ in range(2):
        answer, _ = plan()
        assert answer.status == answer.STATUS_TIMEOUT
    values = {item.key: item.value for item in node.health.report("active").status[0].values}
    assert values["plans.plans"] == "3" and values["plans.late"] == "2"
    assert values["plans.timeout"] == "2" and values["plans.ok"] == "1"


def test_markers_show_plan_and_candidates_when_wanted_and_cost_nothing_else(node, plan):
    assert plan()[1] == []
    assert change(node, markers_hz=0.001).successful
    _, [message] = plan()
    clear, *lines = message.markers
    assert clear.action == Marker.DELETEALL
    assert {line.type for line in lines} == {Marker.LINE_STRIP}
    assert [sum(line.ns == name for line in lines) for name in ("return", "risk", "plan")] == [64, 64, 1]
    assert all(len(line.points) == 13 and line.header.frame_id == "base_link" for line in lines)
    assert plan()[1] == []  # sooner than a thousand seconds


def test_conformal_limits_without_measurements_are_said_to_be_the_fixed_ones(node, monkeypatch):
    said = []
    monkeypatch.setattr(node, "get_logger", lambda: SimpleNamespace(warning=said.append))
    assert change(node, objective__constraints="conformal").successful
    [sentence] = said
    assert "no conformal limit" in sentence and "fixed limit" in sentence
    assert node.health.facts["collision_max"] == "0.7"


def test_plans_stay_within_the_limits_of_the_car_whatever_setting_changes(lane_engine, car, monkeypatch):
    monkeypatch.setattr(planner_node, "load_engine", lambda *_: lane_engine)
    rclpy.init(args=["--ros-args", "-p", "limits:=wheelbase_m=3.24,lateral_acceleration_max_mps2=8.0"])
    node = PlannerNode()
    try:
        node.start()
        expected = car_limits({"wheelbase_m": 3.24, "lateral_acceleration_max_mps2": 8.0})
        assert node.planner.config.limits == expected
        assert change(node, search="half").successful
        node.planner.plan_from(car(), np.zeros(15, np.float32))
        assert node.planner.config.limits == expected and node.planner.config.search.candidates == (128, 64, 64)
        assert parse_limits(node.health.facts["limits"]).keys() == {"wheelbase_m", "lateral_acceleration_max_mps2"}
    finally:
        node.stop()
        node.destroy_node()
        rclpy.shutdown()


def test_a_plan_heeds_the_scan_of_its_own_moment_and_no_other(node, plan, monkeypatch):
    heeded = []
    plan_from = node.planner.plan_from
    monkeypatch.setattr(
        node.planner, "plan_from", lambda *given, scan, **more: (heeded.append(scan), plan_from(*given, **more))[1]
    )
    node.on_scan(scan_msg(np.full(72, 7.0, np.float32), to_stamp(2), "lidar"))
    for _ in range(3):
        plan()
    assert heeded[0] is None and heeded[2] is None
    np.testing.assert_array_equal(heeded[1], np.full(72, 7.0, np.float32))


def test_a_scan_of_another_size_is_refused(node):
    with pytest.raises(MessageError, match="scan of 36 ranges; 72 are needed"):
        node.on_scan(scan_msg(np.full(36, 7.0, np.float32), to_stamp(1), "lidar"))
