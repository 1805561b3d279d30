"""CommonRoad files: lanelets, lights, recorded road users and the task; damage is refused by element and reason."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wm_sim.drivers import make_driver
from wm_sim.errors import SimError
from wm_sim.network.files import load_road
from wm_sim.scenarios.from_file import scenario_from_file
from wm_sim.scene import (
    ACTIVE,
    BODY,
    CAR,
    CX,
    CY,
    CYAW,
    KIND,
    LCURVATURE,
    LIMIT_MPS,
    LOGGED,
    LX,
    LY,
    OVERLAP_FROM,
    OVERLAP_TO,
    PATH,
    PEDESTRIAN,
    REACTIVE,
    STOP_S,
    TRACK,
    TRACK_ALONG,
    TRACK_V,
    TRACK_X,
    V,
)
from wm_sim.world import World, WorldConfig

FILE = Path(__file__).parent / "data" / "lanes_and_a_light.xml"
RECORDED = Path(__file__).parents[2].parent / "shared" / "data" / "commonroad"
NAMES = ("USA_Lanker-1_1_T-1", "USA_Peach-4_8_T-1", "USA_US101-3_3_T-1", "USA_US101-4_1_T-1")
some = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=NAMES)
def recorded(request):
    """A file of recorded traffic."""
    path = RECORDED / f"{request.param}.xml"
    if not path.is_file():
        pytest.skip("the recorded scenarios lie beside the repository, in ../shared/data/commonroad")
    return path


def test_lanelets_become_lanes_with_links_marks_and_limits():
    lanes = load_road(FILE).network.lanes
    assert lanes["1"].successors == ("4", "5") and lanes["5"].predecessors == ("1",)
    assert lanes["1"].left_neighbour == "2" and not lanes["1"].left_oncoming
    assert lanes["2"].left_neighbour == "3" and lanes["2"].left_oncoming
    assert (lanes["2"].left_mark, lanes["2"].right_mark) == ("solid", "dashed")
    assert all(lane.limit_mps == 12.5 for lane in lanes.values())
    assert [name for name, lane in lanes.items() if lane.junction] == ["4", "5"]
    assert lanes["1"].stop_line
    np.testing.assert_allclose(lanes["1"].centre[:, 1], -1.75)


def test_a_light_keeps_its_cycle_and_stops_the_route_at_its_lanelet():
    (signal,) = load_road(FILE).network.signals
    assert (signal.green_s, signal.yellow_s, signal.red_s) == pytest.approx((10.0, 3.0, 17.0))
    assert signal.offset_s == pytest.approx(12.0)  # the cycle began 1 s later: yellow for 2 s at time 0
    scenario = scenario_from_file(FILE, 0)
    (row,) = scenario.scene.signals
    i = round(row[STOP_S] / 0.5)
    assert scenario.scene.paths[i, LX] == pytest.approx(59.5, abs=0.5)


def test_the_task_is_driven_from_its_start_through_a_change_of_lanes_to_its_goal():
    scenario = scenario_from_file(FILE, 0)
    path = scenario.scene.paths
    x, y, yaw, speed = scenario.scene.ego[:4]
    assert (x, y, yaw, speed) == pytest.approx((10.0 - 1.29, 1.75, 0.0, 8.0), abs=1e-3)
    at = round((scenario.start_s + scenario.route_length_m) / 0.5)
    assert path[at, LX] == pytest.approx(60.0, abs=0.6)
    assert path[at, LY] == pytest.approx(-1.75, abs=0.05)
    assert np.abs(path[:, LCURVATURE]).max() < 0.1
    assert scenario.time_limit_s >= 18.0
    assert scenario.family == "road:lanes_and_a_light.xml"


def test_recorded_users_are_replayed():
    scene = scenario_from_file(FILE, 0, traffic="logged").scene
    car, walker, parked = scene.agents
    assert scene.agents[:, KIND].tolist() == [LOGGED] * 3
    assert scene.agents[:, BODY].tolist() == [CAR, PEDESTRIAN, CAR]
    assert scene.agents[:, ACTIVE].tolist() == [1.0, 0.0, 1.0]
    assert car[[CX, CY, CYAW, V]] == pytest.approx([20.0, -1.75, 0.0, 10.0])
    track = scene.tracks[int(car[TRACK])]
    np.testing.assert_allclose(track[:31, TRACK_X], 20.0 + np.arange(31))
    assert np.isnan(track[31:, TRACK_X]).all()
    assert np.isnan(scene.tracks[int(walker[TRACK]), :5, TRACK_X]).all()
    still = scene.tracks[int(parked[TRACK])]
    assert (still[:, TRACK_X] == 100.0).all() and (still[:, TRACK_V] == 0.0).all()


def test_reactive_users_have_paths_that_share_ground_with_the_ego():
    scene = scenario_from_file(FILE, 0, traffic="reactive").scene
    assert scene.agents[:, KIND].tolist() == [REACTIVE, LOGGED, LOGGED]
    path = int(scene.agents[0, PATH])
    assert path == 1
    along = scene.tracks[int(scene.agents[0, TRACK]), :31, TRACK_ALONG]
    np.testing.assert_allclose(np.diff(along), 1.0, atol=0.05)
    assert scene.overlaps[0, 1, OVERLAP_FROM] < scene.overlaps[0, 1, OVERLAP_TO]


def test_no_traffic_leaves_the_road_empty():
    assert len(scenario_from_file(FILE, 0, traffic="none").scene.agents) == 0
    with pytest.raises(SimError, match="traffic 'some'"):
        scenario_from_file(FILE, 0, traffic="some")


def test_without_a_task_the_seed_draws_the_route(tmp_path):
    text = FILE.read_text()
    begin, end = text.index("  <planningProblem"), text.index("</commonRoad>")
    file = tmp_path / "free.xml"
    file.write_text(text[:begin] + text[end:])
    ends = {tuple(np.round(scenario_from_file(file, seed, traffic="none").scene.route[-1])) for seed in range(12)}
    assert len(ends) > 1


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('commonRoadVersion="2020a"', 'commonRoadVersion="1999"', "version '1999' is not supported"),
        ('timeStepSize="0.1"', 'timeStepSize="zero"', "timeStepSize='zero' is not a number"),
        ('<successor ref="4"/>', '<successor ref="44"/>', "<successor>: lanelet 1 refers to lanelet 44"),
        ("<point><x>20</x><y>0</y></point>", "", "<lanelet id='1'>: its left bound has 3 points, its right one 4"),
        ("<point><x>20</x><y>0</y></point>", "<point><x>far</x><y>0</y></point>", "<x>: 'far' is not a number"),
        ("<point><x>20</x><y>0</y></point>", "<point><x>20</x></point>", "<point>: it needs a <y>"),
        ('drivingDir="same"', 'drivingDir="up"', "drivingDir='up'"),
        ("<additionalValue>12.5<", "<additionalValue>-1<", "a limit of -1.0 m/s"),
        ('<lanelet ref="5"/></position>', '<lanelet ref="55"/></position>', "its goal lanelet 55"),
        ('<lanelet ref="5"/></position>', '<lanelet ref="3"/></position>', "no way leads from lane 2 to 3"),
        ("<length>4.4<", "<length>440<", "a size of 440.00 × 1.80 m"),
        ("<color>green</color>", "<color>blue</color>", "a cycle of red, red, blue, yellow"),
        ("<x>10.0</x>", "<x>1000.0</x>", "lies on no lane"),
        ("<trajectory>", "<occupancySet/><other>", "not whole XML"),
        ("<exact>2</exact></time>", "<exact>0</exact></time>", "the times of its states do not grow"),
        ("<?xml", '<!DOCTYPE a [<!ENTITY b "c">]><?xml', "not whole XML|DTD"),
        ("<commonRoad ", '<!DOCTYPE a [<!ENTITY b "c">]><commonRoad ', "line 2: it declares a DTD or entities"),
    ],
)
def test_damage_is_named_by_element_and_reason(tmp_path, old, new, reason):
    text = FILE.read_text()
    assert old in text
    file = tmp_path / "damaged.xml"
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(SimError, match=reason) as caught:
        scenario_from_file(file, 0)
    assert "damaged.xml" in str(caught.value)


@given(st.data())
@some
def test_a_mutated_file_loads_or_is_refused(tmp_path, data):
    text = FILE.read_text()
    cut = data.draw(st.integers(0, len(text)))
    kind = data.draw(st.sampled_from(["cut", "digit", "junk", "drop"]))
    if kind == "cut":
        text = text[:cut]
    elif kind == "junk":
        text = text[:cut] + data.draw(st.text(max_size=6)) + text[cut:]
    else:  # still whole XML: a number changed, or a line left out
        lines = text.splitlines()
        k = data.draw(st.integers(2, len(lines) - 2))
        if kind == "drop":
            del lines[k]
        else:
            digits = [i for i, c in enumerate(lines[k]) if c.isdigit()]
            if digits:
                i = data.draw(st.sampled_from(digits))
                new = data.draw(st.sampled_from(["", "-", "9", "1e9", "nan", "inf", "0", "e"]))
                lines[k] = lines[k][:i] + new + lines[k][i + 1 :]
        text = "\n".join(lines)
    file = tmp_path / "mutated.xml"
    file.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        scenario = scenario_from_file(file, 0, traffic="reactive")
    except SimError:
        return
    assert np.isfinite(scenario.scene.paths).all()
    assert np.isfinite(scenario.scene.agents).all()


def test_recorded_traffic_is_read_with_its_task(recorded):
    road = load_road(recorded)
    assert len(road.users) >= 9
    assert road.start is not None and (road.goal_lanes or road.goal_point)
    for traffic in ("logged", "reactive"):
        scenario = scenario_from_file(recorded, 0, traffic=traffic)
        scene = scenario.scene
        path = scene.paths[: scene.first[1]]
        x, y, yaw, speed = scene.ego[:4]
        assert (x + 1.29 * math.cos(yaw), y + 1.29 * math.sin(yaw)) == pytest.approx((0.0, 0.0), abs=0.02)
        assert yaw == pytest.approx(road.start.yaw_rad, abs=0.01) and speed == road.start.speed_mps
        assert scenario.route_length_m >= 15.0
        assert len(path) * 0.5 > scenario.start_s + scenario.route_length_m + 80.0
        assert np.abs(path[:, LCURVATURE]).max() < 1.0 / 5.0
        assert path[:, LIMIT_MPS].min() >= 3.0
        assert len(scene.agents) == len(road.users)
        assert len(scene.ribbons) > 50


@pytest.mark.parametrize("traffic", ["logged", "reactive", "none"])
def test_idm_drives_recorded_traffic_to_its_goal_without_a_collision(recorded, traffic):
    world = World(WorldConfig(camera=False))
    driver = make_driver("idm", 0)
    frame = world.reset_to(scenario_from_file(recorded, 0, traffic=traffic))
    driver.reset(world)
    events = []
    while not (frame.terminated or frame.truncated):
        frame = world.step(driver.act(frame))
        events += [event.type for event in frame.events]
        assert np.isfinite(world.cars).all()
    assert events[-1] == "route_done" and "collision" not in events


def test_who_was_recorded_is_where_the_recording_says_and_gone_after_it():
    scenario = scenario_from_file(FILE, 0, traffic="logged")
    world = World(WorldConfig(camera=False))
    world.reset_to(scenario)
    for step in range(1, 36):
        world.step((0.0, -1.0))
        car, walker, parked = world.cars
        assert car[ACTIVE] == float(step <= 30) and walker[ACTIVE] == float(5 <= step <= 20)
        if step <= 30:
            assert car[CX] == pytest.approx(20.0 + step, abs=1e-6)
        assert parked[ACTIVE] == 1.0 and parked[CX] == 100.0


def test_a_map_file_can_be_named_wherever_a_family_can():
    world = World(WorldConfig(camera=False))
    world.reset(f"road:{FILE},reactive", 3)
    assert world.cars[0, KIND] == REACTIVE
    world.reset(f"road:{FILE},none", 3)
    assert len(world.cars) == 0
    with pytest.raises(SimError, match="not 'some'"):
        world.reset(f"road:{FILE},some", 3)
    with pytest.raises(SimError, match="lane width scales centre-line files"):
        world.reset(f"road:{FILE},3.5", 3)


@given(st.data())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_recorded_file_cut_anywhere_is_refused(recorded, tmp_path, data):
    whole = recorded.read_bytes()
    file = tmp_path / "cut.xml"
    file.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 20))])
    with pytest.raises(SimError, match=r"cut\.xml: not whole XML"):
        load_road(file)
