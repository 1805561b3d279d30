"""Every simulator keeps the contract, CARLA on a stand-in server; the other bridges mean by a number what we mean."""

import builtins
import json
import math
import sys
from contextlib import ExitStack, closing
from types import SimpleNamespace

import numpy as np
import pytest

from wm_sim import contract
from wm_sim.bridges.boxes import scan_of
from wm_sim.bridges.line import Line
from wm_sim.contract import (
    PARTS,
    Declaration,
    Simulator,
    SimulatorConfig,
    SimulatorSpec,
    find_simulator,
    known_simulators,
    make_simulator,
    parse_settings,
)
from wm_sim.errors import SimError
from wm_sim.frame import Frame
from wm_sim.observation import CAMERA_SHAPE, SCAN_MAX_M, SCAN_SIZE, RouteTracker, route_ahead, state_vector

NAMES = tuple(known_simulators())
STEPS = 6


def made(name: str, **settings: str) -> Simulator:
    """The simulator, or a skip that says what is absent."""
    try:
        return make_simulator(name, SimulatorConfig(settings=settings))
    except SimError as error:
        pytest.skip(str(error))


@pytest.fixture(params=NAMES)
def simulator(request):
    with ExitStack() as stack:
        settings = {}
        if request.param == "carla":  # alone on the road: its traffic manager repeats itself to half a metre
            stand_in = stack.enter_context(request.getfixturevalue("server")())
            settings = {"port": str(stand_in.port), "traffic": "0"}
        world = stack.enter_context(closing(made(request.param, **settings)))
        yield SimpleNamespace(world=world, spec=find_simulator(request.param))


@pytest.fixture
def carracing():
    world = made("carracing")
    yield world
    world.close()


@pytest.fixture
def highway():
    world = made("highway")
    yield world
    world.close()


def drive(world: Simulator, scenario: str, seed: int, actions) -> list[Frame]:
    frames = [world.reset(scenario, seed)]
    for action in actions:
        frames.append(world.step(action))
    return frames


def picture(frame: Frame) -> np.ndarray:
    """The camera's picture but for its corner, where the stand-in CARLA server spells the number of its own frame."""
    seen = frame.camera.copy()
    seen[0, 0] = 0
    return seen


def gentle(count=STEPS):
    return np.random.default_rng(0).uniform((-0.05, 0.0), (0.05, 0.4), (count, 2)).astype(np.float32)


def test_a_frame_is_what_the_stack_reads_and_its_state_is_what_a_bag_gives_back(simulator) -> None:
    declaration = simulator.spec.declaration
    frames = drive(simulator.world, declaration.usual_scenario, 3, gentle())
    tracker = RouteTracker(simulator.world.route)
    for step, frame in enumerate(frames):
        assert frame.camera.shape == CAMERA_SHAPE and frame.camera.dtype == np.uint8
        assert frame.scan.shape == (SCAN_SIZE,) and ((frame.scan > 0) & (frame.scan <= SCAN_MAX_M)).all()
        assert (frame.truth.step, frame.time_s) == (step, pytest.approx(0.1 * step))
        assert (frame.truth.scenario, frame.truth.episode) == (declaration.usual_scenario, 3)
        assert np.isfinite(frame.state).all() and math.isfinite(frame.truth.reward)
        rebuilt = state_vector(
            frame.speed_mps, frame.acceleration_mps2, frame.yaw_rate_radps, frame.steering_angle_rad, frame.commanded,
            frame.speed_limit_mps, tracker.ahead(*frame.pose),
        )  # fmt: skip
        np.testing.assert_array_equal(frame.state, rebuilt)
    assert [event.type for event in frames[0].events] == ["reset"]
    assert frames[-1].truth.progress_m > frames[0].truth.progress_m
    assert np.std([frame.camera for frame in frames]) > 5.0


def test_the_same_seed_and_actions_give_the_same_frames_and_another_seed_others(simulator) -> None:
    scenario = simulator.spec.declaration.usual_scenario
    one, again = (drive(simulator.world, scenario, 3, gentle()) for _ in range(2))
    for first, second in zip(one, again, strict=True):
        np.testing.assert_array_equal(first.state, second.state)
        np.testing.assert_array_equal(picture(first), picture(second))
        np.testing.assert_array_equal(first.scan, second.scan)
        assert first.truth == second.truth
    other = simulator.world.reset(scenario, 4)
    assert not np.array_equal(other.state, one[0].state)


def test_a_model_step_is_two_ticks_with_the_command_between_them(simulator) -> None:
    scenario = simulator.spec.declaration.usual_scenario
    stepped = drive(simulator.world, scenario, 5, gentle())[-1]
    simulator.world.reset(scenario, 5)
    for action in gentle():
        simulator.world.tick()
        simulator.world.command(action)
        simulator.world.tick()
        frame = simulator.world.sense()
    np.testing.assert_array_equal(frame.state, stepped.state)
    np.testing.assert_array_equal(picture(frame), picture(stepped))


def test_a_command_that_is_no_number_brakes_and_one_beyond_the_actuators_is_clipped(simulator) -> None:
    scenario = simulator.spec.declaration.usual_scenario
    frames = drive(simulator.world, scenario, 3, [(9.0, 9.0), (math.nan, 0.5)])
    assert frames[1].commanded == pytest.approx([1.0, 1.0], abs=1e-6)
    assert frames[2].commanded == pytest.approx([1.0, -1.0], abs=1e-6)


def test_it_declares_itself_refuses_what_it_does_not_know_and_closes_twice(simulator) -> None:
    declaration = simulator.spec.declaration
    assert declaration.missing <= set(PARTS) and set(simulator.spec.teachers) <= set(simulator.spec.drivers)
    assert json.loads(declaration.told()) == {"name": declaration.name, "missing": sorted(declaration.missing)}
    with pytest.raises(SimError, match="Known are"):
        simulator.world.reset("no such scenario", 0)
    with pytest.raises(SimError, match="no setting 'colour'"):
        make_simulator(declaration.name, SimulatorConfig(settings={"colour": "red"}))
    simulator.world.close()
    simulator.world.close()


def test_an_unknown_simulator_is_one_sentence_with_those_known() -> None:
    with pytest.raises(SimError, match=r"^simulator 'moon': unknown\. Known are builtin, .*\.$"):
        find_simulator("moon")


def test_a_package_of_somebody_else_adds_a_simulator_by_an_entry_point(monkeypatch) -> None:
    theirs = SimulatorSpec(Declaration("theirs", "", ("road",), camera="front"), make=lambda config: None)
    points = (
        SimpleNamespace(name="theirs", value="their_package:SIMULATOR"),
        SimpleNamespace(name="builtin", value="their_package:SIMULATOR"),  # ours keep their names
        SimpleNamespace(name="broken", value="no_such_package:SIMULATOR"),
        SimpleNamespace(name="odd", value="their_package:other"),
    )
    monkeypatch.setitem(sys.modules, "their_package", SimpleNamespace(SIMULATOR=theirs, other=1))
    monkeypatch.setattr(contract, "_entry_points", lambda: points)
    assert find_simulator("theirs") is theirs
    assert find_simulator("builtin").declaration.name == "builtin"
    for name, why in (("broken", "cannot be loaded"), ("odd", "expected a SimulatorSpec")):
        with pytest.raises(SimError, match=why):
            find_simulator(name)


def test_settings_are_read_by_name() -> None:
    assert parse_settings(" host=10.0.0.2, port=2000") == {"host": "10.0.0.2", "port": "2000"}
    assert parse_settings("") == {}
    with pytest.raises(SimError, match="name=value"):
        parse_settings("host")


@pytest.mark.parametrize(("name", "module"), [("carracing", "Box2D"), ("highway", "highway_env")])
def test_an_absent_package_is_one_sentence_with_the_command_that_brings_it(monkeypatch, name, module) -> None:
    load = builtins.__import__

    def without(wanted, *args, **kwargs):
        if wanted.split(".")[0] == module:
            raise ModuleNotFoundError(f"No module named '{module}'", name=module)
        return load(wanted, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SimError, match=rf"{module} is not installed: pip install -r requirements-bench\.txt"):
        make_simulator(name)


def test_carracing_turns_left_for_left_and_meets_targets_of_acceleration(carracing) -> None:
    frames = drive(carracing, "lap", 7, [(0.0, 1.0 / 3.0)] * 30)  # 1 m/s²
    assert frames[-1].speed_mps == pytest.approx(3.0, rel=0.15)
    turned = [carracing.step((0.3, 0.0)) for _ in range(6)][-1]
    assert turned.steering_angle_rad == pytest.approx(0.18, abs=0.02)
    assert turned.yaw_rate_radps > 0.05
    before = turned.speed_mps
    braked = [carracing.step((0.0, -0.5)) for _ in range(5)][-1]  # 3 m/s² for half a second
    assert before - braked.speed_mps == pytest.approx(1.5, rel=0.25)


@pytest.mark.slow
def test_carracing_pays_its_own_reward_and_ends_after_its_own_thousand_frames(carracing) -> None:
    standing = drive(carracing, "lap", 7, [(0.0, -1.0)] * 999)
    assert not standing[-1].truncated and standing[-1].speed_mps == pytest.approx(0.0, abs=0.01)
    last = carracing.step((0.0, -1.0))
    assert last.truncated and [event.type for event in last.events] == ["timeout"]
    tiles = 1000.0 / len(carracing._env.track) * carracing._env.tile_visited_count
    assert sum(frame.own_reward for frame in [*standing, last]) == pytest.approx(tiles - 100.0, abs=0.2)


def test_carracings_route_begins_at_the_car_and_goes_on_into_the_next_lap(carracing) -> None:
    frame = carracing.reset("lap", 8)
    assert frame.truth.lateral_error_m == pytest.approx(0.0, abs=0.3)
    assert frame.truth.heading_error_rad == pytest.approx(0.0, abs=0.1)
    lap = carracing.line.length_m
    assert 700.0 < lap < 1500.0
    stretches = np.hypot(*np.diff(carracing.route, axis=0).T)
    assert stretches.sum() == pytest.approx(lap + 100.0, rel=0.01)
    assert stretches.max() < 2.1
    before, after = route_ahead(carracing.route, *frame.pose), frame.state[7:]
    np.testing.assert_array_equal(before, after)


def test_highway_turns_left_for_left_and_does_not_roll_back(highway) -> None:
    frames = drive(highway, "racetrack", 1, [(0.0, 0.0)] * 2)
    turned = highway.step((0.1, 0.0))
    turned = highway.step((0.1, 0.0))
    assert turned.steering_angle_rad == pytest.approx(0.06) and turned.yaw_rate_radps > 0.0
    assert turned.truth.lateral_error_m > frames[-1].truth.lateral_error_m
    standing = [highway.step((0.0, -1.0)) for _ in range(40)][-1]
    assert standing.speed_mps == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("scenario", find_simulator("highway").declaration.scenarios)
def test_every_highway_scenario_starts_in_its_lane_and_knows_whom_it_follows(highway, scenario) -> None:
    frames = drive(highway, scenario, 2, [(0.0, 0.0)] * 5)
    assert abs(frames[0].truth.lateral_error_m) < 0.5 and abs(frames[0].truth.heading_error_rad) < 0.1
    for frame in frames:
        if frame.truth.gap_ahead_m < 40.0 and abs(frame.truth.curvature_1pm) < 1e-3:
            front = frame.scan[SCAN_SIZE // 2 - 1 : SCAN_SIZE // 2 + 1].min()
            assert front - 3.7 == pytest.approx(frame.truth.gap_ahead_m, abs=1.0)  # lidar 3.7 m behind the bumper


def test_highways_intersection_changes_no_drive_of_another_scenario(highway) -> None:
    before = drive(highway, "merge", 4, gentle(10))[-1]
    highway.reset("intersection", 4)
    after = drive(highway, "merge", 4, gentle(10))[-1]
    np.testing.assert_array_equal(before.state, after.state)
    np.testing.assert_array_equal(before.scan, after.scan)


def test_a_scan_sees_boxes_where_they_are() -> None:
    box = np.array([[20.0, 0.0, 0.0, 4.0, 2.0, 0.0], [0.0, 15.0, math.pi / 2, 4.0, 2.0, 0.0]])
    scan = scan_of(box, (0.0, 0.0, 0.0))
    assert scan[SCAN_SIZE // 2] == pytest.approx(18.0 - 1.3, abs=0.1)  # ahead, from the lidar 1.3 m ahead
    left = scan[SCAN_SIZE // 2 + SCAN_SIZE // 4 - 3 : SCAN_SIZE // 2 + SCAN_SIZE // 4 + 5].min()
    assert left == pytest.approx(13.0, abs=0.2)
    assert (scan[: SCAN_SIZE // 4] == SCAN_MAX_M).all()


@pytest.mark.parametrize("turn", [1.0, -1.0])
def test_a_line_tells_the_side_the_heading_and_the_curvature(turn: float) -> None:
    angle = np.linspace(0.0, 2.0 * math.pi, 360, endpoint=False)
    line = Line(np.stack([50.0 * np.sin(angle), turn * 50.0 * (1.0 - np.cos(angle))], axis=1), closed=True)
    s, lateral, heading, curvature = line.locate(0.0, 1.0)
    assert (s % line.length_m, lateral) == (pytest.approx(0.0, abs=0.5), pytest.approx(1.0, abs=0.05))
    assert (heading, curvature) == (pytest.approx(0.0, abs=0.02), pytest.approx(turn / 50.0, rel=0.02))
    x, y = line.point(line.length_m + 10.0)
    assert x == pytest.approx(50.0 * math.sin(0.2), abs=0.1)
    assert y == pytest.approx(turn * 50.0 * (1.0 - math.cos(0.2)), abs=0.1)
