"""A world drives alone, among others, in threads and in another process to the same bits; its camera fails as told."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from wm_sim import SimError, judge
from wm_sim import scene as at
from wm_sim.arrays import TRUTH_NAMES
from wm_sim.scenarios import FAMILIES, build_scenario
from wm_sim.vehicle import SPEED
from wm_sim.world import World, WorldConfig
from wm_sim.worlds import Worlds

CONFIG = WorldConfig()
STEPS = 40
BUFFERS = ("camera", "scan", "state", "truth", "events", "pose", "terminated", "truncated")


def action_of(seed: int, step: int) -> np.ndarray:
    """An action [2] that depends on the episode and the step only."""
    return np.random.default_rng((seed, step)).uniform((-0.15, -0.3), (0.15, 0.8)).astype(np.float32)


def drive(episodes, threads=1, steps=STEPS):
    """Digest of every buffer of each world, one a (family, seed) of `episodes`."""
    worlds = Worlds(len(episodes), CONFIG, threads)
    digests = [hashlib.sha256() for _ in episodes]
    for n, (family, seed) in enumerate(episodes):
        worlds.load(n, build_scenario(family, seed, CONFIG.options))
    for step in range(steps):
        for n, digest in enumerate(digests):
            for name in BUFFERS:
                digest.update(getattr(worlds, name)[n].tobytes())
        worlds.step([action_of(seed, step) for _, seed in episodes])
    return [digest.hexdigest() for digest in digests]


EPISODES = [(family, seed) for family in FAMILIES for seed in (3, 1_000_004)]


@pytest.fixture(scope="module")
def together():
    """Digests of all EPISODES, driven in one batch."""
    return drive(EPISODES)


def test_a_world_alone_gives_the_bits_that_it_gives_among_others(together):
    for n in range(0, len(EPISODES), 3):
        assert drive([EPISODES[n]]) == [together[n]]


def test_two_threads_and_any_order_give_the_same_bits(together):
    assert drive(EPISODES, threads=2) == together
    assert drive(EPISODES[::-1], threads=3)[::-1] == together


def test_another_process_gives_the_same_bits(together):
    program = f"import sys; sys.path.insert(0, {str(sys.path[0])!r})\n" + (
        "import importlib.util\n"
        f"spec = importlib.util.spec_from_file_location('test_worlds', {__file__!r})\n"
        "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)\n"
        "print(*module.drive(module.EPISODES[4:10]))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == together[4:10]


def test_a_world_stepped_by_hand_gives_the_bits_of_a_batch(together):
    family, seed = EPISODES[0]
    world = World(CONFIG)
    world.reset(family, seed)
    digest = hashlib.sha256()
    for step in range(STEPS):
        for name in BUFFERS:
            digest.update(getattr(world.worlds, name)[0].tobytes())
        world.tick()
        world.command(action_of(seed, step))
        world.tick()
        world.sense()
    assert digest.hexdigest() == together[0]


def test_a_scenario_drives_the_same_whatever_drove_in_its_slot_before_and_is_not_changed():
    scenarios = [build_scenario(family, 11, CONFIG.options) for family in ("junction", "stop_go", "roundabout")]
    before = [scenario.scene.agents.copy() for scenario in scenarios]
    ends = []
    for order in ((0, 1, 2), (2, 0, 1)):
        worlds = Worlds(1, WorldConfig(camera=False))
        for which in order:
            worlds.load(0, scenarios[which])
            for _ in range(30):
                worlds.step([[0.0, 0.2]])
            if which == 1:
                ends.append((worlds.state.copy(), worlds.truth.copy(), worlds.scan.copy()))
    for a, b in zip(*ends, strict=True):
        np.testing.assert_array_equal(a, b)
    for scenario, agents in zip(scenarios, before, strict=True):
        np.testing.assert_array_equal(scenario.scene.agents, agents)


def test_loading_a_larger_scene_leaves_the_other_worlds_as_they_are():
    config = WorldConfig(camera=False)
    one, two = Worlds(1, config), Worlds(2, config)
    small, large = (build_scenario(family, 5, config.options) for family in ("lane_follow", "junction"))
    one.load(0, small), two.load(0, small), two.load(1, small)
    for step in range(30):
        if step == 10:
            two.load(1, large)
        one.step([[0.01, 0.3]])
        two.step([[0.01, 0.3], [0.0, 0.0]])
        np.testing.assert_array_equal(one.state[0], two.state[0])
        np.testing.assert_array_equal(one.truth[0], two.truth[0])


def test_buffers_stay_where_they_are_and_truth_has_a_name_for_each_column():
    worlds = Worlds(2, CONFIG)
    buffers = {name: getattr(worlds, name) for name in (*BUFFERS, "reward")}
    for n, family in enumerate(("lane_follow", "merge")):
        worlds.load(n, build_scenario(family, 1, CONFIG.options))
    assert worlds.events.tolist() == [judge.RESET, judge.RESET]
    worlds.step(np.zeros((2, 2)))
    for name, buffer in buffers.items():
        assert getattr(worlds, name) is buffer
    assert worlds.truth.shape == (2, len(TRUTH_NAMES))
    frame = worlds.world(1).sense()
    for name, column in worlds.truth_columns().items():
        if hasattr(frame.truth, name):
            assert column[1] == getattr(frame.truth, name)
    assert worlds.memory_bytes / 2 < 2 * 2**20


def test_worlds_that_cannot_be_stepped_say_so():
    with pytest.raises(SimError, match="one or more"):
        Worlds(0)
    worlds = Worlds(2, WorldConfig(camera=False))
    with pytest.raises(SimError, match="2 of 2 worlds"):
        worlds.step(np.zeros((2, 2)))
    with pytest.raises(SimError, match=r"expected \(2, 2\)"):
        worlds.step(np.zeros((3, 2)))


def pictures(scenes, steps=60, **faults):
    """Camera pictures [T, 64, 64, 3] of a drive whose camera has faults, and of the same drive without them."""
    taken = []
    for entries in ({}, faults):
        made = scenes.builder(speed=10.0)
        made.add_agent(scenes.road_user(at.SCRIPTED, s=scenes.ego_at(12.0), v=8.0), [(8.0, 1.0, 9.0)])
        for name, value in entries.items():
            made.faults[getattr(at, name) - at.FAULT_DELAY_STEPS] = value
        world = scenes.world_of(made, camera=True)
        shown = [world.worlds.camera[0].copy()]
        for _ in range(steps):
            shown.append(world.step((0.0, 0.0)).camera)
        taken.append(np.array(shown))
    return taken[1], taken[0]


@pytest.mark.parametrize("late", [1, 2])
def test_a_late_camera_shows_what_was_there_so_many_steps_ago(scenes, late):
    faulty, sound = pictures(scenes, 12, FAULT_DELAY_STEPS=late)
    np.testing.assert_array_equal(faulty[late:], sound[:-late])
    np.testing.assert_array_equal(faulty[:late], sound[:1].repeat(late, axis=0))


def test_a_camera_that_freezes_shows_one_picture_for_so_long_and_then_goes_on(scenes):
    faulty, sound = pictures(scenes, 60, FAULT_FREEZE_EVERY_S=2.0, FAULT_FREEZE_S=0.6)
    frozen = [step for step in range(61) if not np.array_equal(faulty[step], sound[step])]
    assert frozen == [*range(20, 26), *range(40, 46), 60]
    for step in frozen:
        np.testing.assert_array_equal(faulty[step], faulty[step - 1])


def test_a_camera_that_drops_pictures_repeats_the_last_one_about_that_often(scenes):
    faulty, sound = pictures(scenes, 100, FAULT_DROP_SHARE=0.3)
    dropped = [step for step in range(101) if not np.array_equal(faulty[step], sound[step])]
    assert 15 <= len(dropped) <= 45
    for step in dropped:
        np.testing.assert_array_equal(faulty[step], faulty[step - 1])


def hit(scenes, seconds, action, **agent):
    """The collision event of an ego that drives so beside or towards one road user."""
    made = scenes.builder(speed=agent.pop("ego_speed"))
    script = [(agent.get("v", 0.0), 3.0, 99.0)]
    made.add_agent(scenes.road_user(at.SCRIPTED, **agent), script)
    world = scenes.world_of(made)
    for _ in range(round(seconds / 0.1)):
        frame = world.step(action)
        if frame.truth.collided:
            return frame.events[-1]
    raise AssertionError("nothing was touched")


def test_a_collision_names_who_was_hit_how_fast_and_on_which_side_of_the_ego(scenes):
    event = hit(scenes, 8, (0.0, 0.0), ego_speed=10.0, s=60.0, v=4.0)
    assert event.detail.startswith("car 0 at 6")
    assert event.detail.endswith("m/s, front")
    assert event.intensity == pytest.approx(6.0, abs=0.3)
    event = hit(scenes, 8, (0.0, -1.0), ego_speed=0.0, s=0.0, v=5.0, body=at.CYCLIST)
    assert event.detail == "cyclist 0 at 5.0 m/s, rear"
    event = hit(scenes, 8, (0.08, 0.0), ego_speed=8.0, s=21.0, v=8.0, d=2.6, body=at.BARRIER, LENGTH=12.0)
    assert event.detail.startswith("barrier 0 at")
    assert event.detail.endswith(", left")
    event = hit(scenes, 8, (-0.08, 0.0), ego_speed=8.0, s=21.0, v=8.0, d=-2.6, body=at.PEDESTRIAN, LENGTH=12.0)
    assert event.detail.startswith("pedestrian 0 at")
    assert event.detail.endswith(", right")


def test_a_stop_line_crossed_in_red_is_told_once_and_the_drive_goes_on(scenes):
    made = scenes.builder(speed=10.0)
    for stop_s, offset in ((60.0, 12.0), (90.0, 0.0)):
        made.add_signal(0, stop_s, (stop_s, 3.0, 3.0), 0.0, (10.0, 2.0, 30.0), offset)
    world = scenes.world_of(made)
    kinds = []
    for _ in range(100):
        frame = world.step((0.0, 0.0))
        kinds += [event.type for event in frame.events]
    assert kinds == ["red_light"]  # the second was green or yellow when the ego came
    assert frame.truth.red_lights == 1
    assert not frame.terminated


def test_the_gap_is_what_lies_in_the_width_of_the_ego_wherever_that_drives(scenes):
    for lateral, expected in ((0.0, 25.0), (3.0, 60.0)):
        made = scenes.builder(speed=5.0, lateral=lateral)
        made.add_agent(scenes.road_user(at.STANDING, s=scenes.ego_at(25.0), v=0.0))
        made.add_agent(scenes.road_user(at.STANDING, s=scenes.ego_at(-40.0), v=0.0))
        truth = scenes.world_of(made).sense().truth
        assert truth.gap_ahead_m == pytest.approx(expected, abs=1e-6)
        assert truth.closing_speed_mps == (5.0 if lateral == 0.0 else 0.0)


def test_someone_on_a_path_across_counts_for_the_gap_by_place(scenes):
    across = scenes.straight(40.0, x=80.0, y=-10.0, yaw=0.5 * np.pi)
    for s, expected in ((10.0, 80.0 - 0.25), (2.0, None)):
        made = scenes.builder([scenes.straight(), across], speed=5.0)
        made.add_agent(
            scenes.road_user(at.STANDING, s=s, v=0.0, path=1, body=at.PEDESTRIAN, LENGTH=0.6, WIDTH=0.5)
        )  # fmt: skip
        world = scenes.world_of(made)
        gap = world.sense().truth.gap_ahead_m
        if expected is None:
            assert gap == 60.0
        else:
            assert gap == pytest.approx(expected - scenes.ego_at(0.0, 0.0), abs=1e-6)


def test_off_road_is_beyond_what_the_path_allows_on_either_side(scenes):
    for side, edge in ((1.0, 2.5), (-1.0, 1.0)):
        path = scenes.straight()
        path[:, at.LEFT_M], path[:, at.RIGHT_M] = 2.5, 1.0
        world = scenes.world_of(scenes.builder([path], speed=8.0))
        for _ in range(60):
            frame = world.step((0.06 * side, 0.0))
            if frame.truth.off_road:
                break
            assert side * frame.truth.lateral_error_m <= edge
        assert frame.events[-1].type == "off_road"
        assert side * frame.truth.lateral_error_m > edge
        assert world.ego[SPEED] > 0.0
