"""Scenario families: what every seed of every family gives."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wm_sim import scenarios
from wm_sim import scene as at
from wm_sim.errors import SimError
from wm_sim.scenarios import FAMILIES, REPORTING_SEEDS, Options, Scenario, build_scenario, is_reporting_seed
from wm_sim.scenarios.draws import script_time
from wm_sim.scenarios.faults import FRICTION
from wm_sim.sensors.appearance import nominal_appearance
from wm_sim.vehicle import YAW, VehicleParameters, X, Y

ALL = tuple(FAMILIES)
DESIGNED = {
    "lane_follow", "stop_go", "hard_brake", "cut_in", "static_block", "merge", "junction", "roundabout",
    "crossing_vru", "signal_stop", "faults",
}  # fmt: skip
families = st.sampled_from(ALL)
seeds = st.integers(0, REPORTING_SEEDS - 1)
some_seeds = settings(max_examples=40, deadline=None)


def scene_bytes(scenario: Scenario) -> bytes:
    return b"".join(np.ascontiguousarray(array).tobytes() for array in scenario.scene)


def agents_of(scenario: Scenario, kind: int) -> np.ndarray:
    return scenario.scene.agents[scenario.scene.agents[:, at.KIND] == kind]


def test_the_families_of_the_design_are_there() -> None:
    assert set(ALL) >= DESIGNED


def test_a_new_file_is_all_that_a_new_family_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "night_drive.py").write_text(
        textwrap.dedent(
            """
            from wm_sim.scenarios.lane_follow import build
            from wm_sim.scenarios.scenario import Family
            FAMILY = Family("night_drive", "lane_follow by another name", build)
            """
        )
    )
    monkeypatch.setattr(scenarios, "__path__", [*scenarios.__path__, str(tmp_path)])
    assert set(scenarios.discover()) == {*ALL, "night_drive"}


@some_seeds
@given(families, seeds)
def test_every_array_is_finite_and_of_the_layout(family: str, seed: int) -> None:
    scenario = build_scenario(family, seed)
    scene = scenario.scene
    for name, array in zip(scene._fields, scene, strict=True):
        assert np.isfinite(array).all(), name
        assert array.flags.c_contiguous, name
        assert array.dtype == (np.int64 if name == "first" else np.float64), name
    assert scene.paths.shape == (scene.first[-1], at.PATH_SIZE)
    count = len(scene.first) - 1
    assert scene.overlaps.shape == (count, count, 3)
    assert len(scene.scripts) == len(scene.agents)
    for rows, size in (
        (scene.agents, at.AGENT_SIZE), (scene.conflicts, at.CONFLICT_SIZE), (scene.signals, at.SIGNAL_SIZE),
        (scene.ribbons, at.RIBBON_SIZE), (scene.edges, at.EDGE_SIZE), (scene.setup[None], at.SETUP_SIZE),
    ):  # fmt: skip
        assert rows.shape[1] == size
    assert set(scene.agents[:, at.PATH]) <= set(range(count))
    assert scene.ribbons[:, at.RIBBON_LAST].max() <= len(scene.edges)


@some_seeds
@given(families, seeds)
def test_the_route_fits_on_path_0_and_the_time_allows_a_slow_drive(family: str, seed: int) -> None:
    scenario = build_scenario(family, seed)
    setup, scene = scenario.scene.setup, scenario.scene
    assert setup[at.START_S] == scenario.start_s >= 0.0
    assert setup[at.FINISH_S] == pytest.approx(scenario.start_s + scenario.route_length_m)
    assert setup[at.FINISH_S] + 40.0 < (scene.first[1] - 1) * at.LINE_STEP_M
    assert scenario.route_length_m / scenario.time_limit_s < 0.5 * scenario.speed_limit_mps
    assert setup[at.SEED] == seed
    step = np.hypot(*np.diff(scene.route, axis=0).T)
    assert step.min() > 1.0 and step.max() < 2.6
    path = scene.paths[: scene.first[1]]
    assert np.hypot(*np.diff(path[:, :2], axis=0).T).max() == pytest.approx(at.LINE_STEP_M, abs=0.02)
    assert (path[:, at.LEFT_M] > 1.4).all() and (path[:, at.RIGHT_M] > 1.4).all()
    assert 2.9 <= scenario.lane_width_m <= 3.9
    assert 4.9 < scenario.speed_limit_mps <= 20.0


@some_seeds
@given(families, seeds)
def test_nobody_touches_the_ego_or_another_at_the_start(family: str, seed: int) -> None:
    scene = build_scenario(family, seed).scene
    bodies = [(scene.ego[X] + 1.29 * np.cos(scene.ego[YAW]), scene.ego[Y] + 1.29 * np.sin(scene.ego[YAW]), 4.5, 1.6)]
    bodies += [tuple(agent[[at.CX, at.CY, at.LENGTH, at.WIDTH]]) for agent in scene.agents]
    for k, (x, y, length, width) in enumerate(bodies):
        for ox, oy, other_length, other_width in bodies[k + 1 :]:
            apart = np.hypot(x - ox, y - oy)
            assert apart > 0.5 * (width + other_width), (k, apart)
            assert apart > 0.5 * (length + other_length) or apart > 2.0, (k, apart)


@some_seeds
@given(families, seeds)
def test_the_same_seed_gives_the_same_bytes(family: str, seed: int) -> None:
    assert scene_bytes(build_scenario(family, seed)) == scene_bytes(build_scenario(family, seed))


@some_seeds
@given(families, st.integers(0, REPORTING_SEEDS - 2))
def test_another_seed_gives_another_scene(family: str, seed: int) -> None:
    assert scene_bytes(build_scenario(family, seed)) != scene_bytes(build_scenario(family, seed + 1))


@some_seeds
@given(families, seeds)
def test_without_noise_the_road_stays_and_the_car_and_look_are_nominal(family: str, seed: int) -> None:
    drawn, nominal = build_scenario(family, seed), build_scenario(family, seed, Options(noise=False))
    assert np.array_equal(drawn.scene.paths, nominal.scene.paths)
    assert np.array_equal(drawn.scene.agents, nominal.scene.agents)
    assert np.array_equal(nominal.scene.look, nominal_appearance())
    assert not nominal.scene.setup[at.BIAS_X : at.DRIFT_PHASE + 1].any()
    if family != "faults":  # whose car is what is tested
        assert nominal.vehicle == VehicleParameters()


@some_seeds
@given(families, seeds)
def test_options_are_kept(family: str, seed: int) -> None:
    scenario = build_scenario(family, seed, Options(time_limit_s=7.0, density=0.0))
    assert scenario.time_limit_s == scenario.scene.setup[at.TIME_LIMIT_S] == 7.0
    if family in ("merge", "junction", "roundabout", "signal_stop"):
        assert len(scenario.scene.agents) == 0
    else:
        assert build_scenario(family, seed, Options(route_length_m=150.0)).route_length_m == 150.0


@some_seeds
@given(seeds)
def test_hard_brake_brakes_at_4_to_8(seed: int) -> None:
    scenario = build_scenario("hard_brake", seed)
    assert len(agents_of(scenario, at.BRAKING)) == 1
    braking = scenario.scene.scripts[0, ::2, at.SCRIPT_RATE]
    assert braking.min() >= 4.0 and braking.max() <= 8.0
    assert 5.0 <= scenario.scene.ego[3] <= 18.0


@some_seeds
@given(seeds)
def test_cut_in_comes_from_beside_with_gap_and_speed_in_range(seed: int) -> None:
    scenario = build_scenario("cut_in", seed)
    (car,) = agents_of(scenario, at.STATION)
    assert 5.0 <= car[at.TRIGGER_VALUE] <= 25.0
    assert -5.0 <= car[at.DESIRED] <= 5.0
    assert 2.0 <= car[at.TRIGGER_S] <= 5.0
    assert abs(car[at.D]) == pytest.approx(scenario.lane_width_m, abs=0.21)


@some_seeds
@given(seeds)
def test_static_block_leaves_a_way_past(seed: int) -> None:
    scenario = build_scenario("static_block", seed)
    width = scenario.lane_width_m
    for block in agents_of(scenario, at.STANDING):
        reach = block[at.D] + 0.5 * block[at.WIDTH] + 0.5 * width  # from the lane's right edge
        assert 0.5 <= reach <= 2.5
        row = scenario.scene.paths[round(block[at.S] / at.LINE_STEP_M)]
        assert row[at.LEFT_M] == pytest.approx(1.5 * width) and row[at.ONCOMING_LEFT] == 1.0
    first = agents_of(scenario, at.STANDING)[0]
    assert 15.0 <= first[at.S] - 0.5 * first[at.LENGTH] - scenario.start_s - 3.544 <= 60.0


@some_seeds
@given(seeds)
def test_crossing_people_have_their_speeds_and_meet_the_route(seed: int) -> None:
    scenario = build_scenario("crossing_vru", seed)
    crossing = agents_of(scenario, at.CROSSING)
    assert len(crossing)
    for agent in crossing:
        low, high = (0.8, 2.0) if agent[at.BODY] == at.PEDESTRIAN else (2.0, 5.0)
        assert low <= agent[at.DESIRED] <= high
        assert 2.0 <= agent[at.TRIGGER_VALUE] <= 4.0
        k = int(agent[at.PATH])
        path = scenario.scene.paths[scenario.scene.first[k] : scenario.scene.first[k + 1]]
        meeting = scenario.scene.paths[round(agent[at.TRIGGER_S] / at.LINE_STEP_M)]
        assert np.hypot(path[:, at.LX] - meeting[at.LX], path[:, at.LY] - meeting[at.LY]).min() < 0.6


@some_seeds
@given(seeds)
def test_lights_never_let_both_roads_go(seed: int) -> None:
    scenario = build_scenario("signal_stop", seed)
    signals = scenario.scene.signals
    own, crossing = signals[signals[:, at.SIGNAL_PATH] == 0][0], signals[signals[:, at.SIGNAL_PATH] == 1][0]
    for time in np.arange(0.0, 60.0, 0.25):
        red = [
            (time + row[at.OFFSET_S]) % row[at.GREEN_S : at.RED_S + 1].sum() >= row[at.GREEN_S] + row[at.YELLOW_S]
            for row in (own, crossing)
        ]
        assert any(red)


@some_seeds
@given(st.sampled_from(("junction", "roundabout", "merge")), seeds)
def test_the_ego_has_to_give_way(family: str, seed: int) -> None:
    scenario = build_scenario(family, seed)
    own = scenario.scene.conflicts[scenario.scene.conflicts[:, at.YIELDS] == 0]
    assert len(own)
    assert (own[:, at.YIELD_LINE_S] > scenario.start_s + 15.0).all()
    assert (own[:, at.YIELD_OUT] < scenario.start_s + scenario.route_length_m).all()


@some_seeds
@given(seeds)
def test_faults_stay_in_their_ranges(seed: int) -> None:
    scenario = build_scenario("faults", seed)
    setup = scenario.scene.setup
    assert setup[at.FAULT_DELAY_STEPS] in (0.0, 1.0, 2.0)
    assert 0.0 <= setup[at.FAULT_DROP_SHARE] <= 0.3
    assert FRICTION[0] <= scenario.vehicle.friction <= FRICTION[1]


def test_a_script_takes_the_time_of_its_pieces() -> None:
    script = np.array([[10.0, 2.0, 3.0], [0.0, 5.0, 2.0], [4.0, 2.0, 1.0]])
    # 0 → 10 m/s: 5 s, 25 m; 30 m in 3 s; to a stop: 2 s, 10 m; 2 s standing; to 4 m/s: 2 s, 4 m; then 4 m/s.
    assert script_time(script, 0.0, 55.0) == pytest.approx(8.0)
    assert script_time(script, 0.0, 69.0) == pytest.approx(14.0)
    assert script_time(script, 0.0, 77.0) == pytest.approx(16.0)


@pytest.mark.parametrize(
    ("family", "seed", "options", "words"),
    [
        ("parking", 0, Options(), "'parking': unknown. Known are lane_follow, stop_go"),
        ("lane_follow", -1, Options(), "seed -1"),
        ("lane_follow", 0, Options(route_length_m=5.0), "route length 5.0 m"),
        ("lane_follow", 0, Options(time_limit_s=0.0), "time limit 0.0 s"),
        ("lane_follow", 0, Options(density=-1.0), "density -1.0"),
    ],
)
def test_what_cannot_be_built_is_named(family: str, seed: int, options: Options, words: str) -> None:
    with pytest.raises(SimError, match=words):
        build_scenario(family, seed, options)


def test_reporting_seeds_begin_at_a_million() -> None:
    assert is_reporting_seed(1_000_000) and not is_reporting_seed(999_999)
