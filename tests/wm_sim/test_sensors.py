"""Camera, labels and view from above show what stands in the world, where it stands."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wm_sim import scene as at
from wm_sim.network.ribbons import pack, strip
from wm_sim.observation import CAMERA_X_M
from wm_sim.sensors import appearance
from wm_sim.sensors.appearance import nominal_appearance, random_appearance
from wm_sim.sensors.bev import BEV_AHEAD_M, BEV_ASIDE_M, BEV_PIXEL_M, BODY_RGB, EGO_RGB
from wm_sim.sensors.camera import camera_scratch, draw_camera
from wm_sim.sensors.raster import add_polygon
from wm_sim.sensors.semantic import Label, draw_labels
from wm_sim.worlds import WorldConfig, Worlds

SIZES = [(64, 64), (180, 320), (360, 640)]
NOBODY, NO_SIGNALS = np.zeros((0, at.AGENT_SIZE)), np.zeros((0, at.SIGNAL_SIZE))


def lane(left=1.75, right=-1.75, surface=at.ASPHALT, length=200.0):
    """A strip of ground along x."""
    s = np.arange(0.0, length + 1.0, 5.0)
    return surface, strip(np.column_stack([s, 0 * s + left]), np.column_stack([s, 0 * s + right]))


ROAD = [lane(3.0, -3.0, at.SHOULDER), lane(), lane(1.75, 1.6, at.PAINT), lane(-1.6, -1.75, at.PAINT)]


def body_at(x, y=0.0, yaw=0.0, colour=(220.0, 20.0, 20.0), body=at.CAR, size=(4.5, 1.8, 1.5)):
    agent = np.zeros((1, at.AGENT_SIZE))
    agent[0, [at.CX, at.CY, at.CYAW, at.ACTIVE, at.BODY]] = x, y, yaw, 1.0, body
    agent[0, [at.LENGTH, at.WIDTH, at.HEIGHT]] = size
    agent[0, [at.RED, at.GREEN, at.BLUE]] = colour
    return agent


def light_at(x, y=-3.0, showing=at.LAMP_RED):
    signal = np.zeros((1, at.SIGNAL_SIZE))
    signal[0, [at.SIGNAL_X, at.SIGNAL_Y, at.SIGNAL_Z]] = x, y, 3.0
    signal[0, [at.GREEN_S, at.YELLOW_S, at.RED_S]] = np.eye(3)[showing]
    return signal


def plain_look(**columns):
    """No noise, wear, haze or texture."""
    look = nominal_appearance()
    look[[appearance.TEXTURE, appearance.HAZE]] = 0.0, 1e9
    for name, value in columns.items():
        look[getattr(appearance, name)] = value
    return look


def see(agents=NOBODY, signals=NO_SIGNALS, pose=(50.0, 0.0, 0.0), size=(64, 64), look=None, strips=ROAD, seed=0):
    image = np.empty((*size, 3), dtype=np.uint8)
    look = plain_look() if look is None else look
    draw_camera(image, camera_scratch(*size), *pack(strips), signals, agents, look, *pose, 0.5, seed)
    return image.astype(float)


def labels_of(agents=NOBODY, signals=NO_SIGNALS, pose=(50.0, 0.0, 0.0), size=(64, 64)):
    labels = np.empty(size, dtype=np.uint8)
    draw_labels(labels, camera_scratch(*size), *pack(ROAD), signals, agents, plain_look(), *pose)
    return labels


def pixel_of(ahead, left, up, size):
    """Row and column at which a pinhole camera, 1.5 m high and 8° down, sees a point given in base_link."""
    pitch, focal = math.radians(8.0), size[1] / 2
    ahead, up = ahead - CAMERA_X_M, up - 1.5
    depth = ahead * math.cos(pitch) - up * math.sin(pitch)
    rise = ahead * math.sin(pitch) + up * math.cos(pitch)
    return size[0] / 2 - focal * rise / depth, size[1] / 2 - focal * left / depth


@settings(max_examples=100, deadline=None)
@given(
    angles=st.lists(st.floats(0.0, 6.2), min_size=3, max_size=8, unique=True),
    radius=st.floats(0.5, 15.0), x=st.floats(16.0, 48.0), y=st.floats(16.0, 24.0),
)  # fmt: skip
def test_a_polygon_covers_exactly_its_area_and_its_centre(angles, radius, x, y):
    turn = -np.sort(angles)
    polygon = np.column_stack([x + radius * np.cos(turn), y + radius * np.sin(turn)])
    scratch = camera_scratch(40, 64)
    add_polygon(scratch.cover, scratch.touched, polygon, len(polygon), 1.0)
    cover = np.cumsum(scratch.cover.astype(float), axis=1)[:, :64]
    px, py = polygon.T
    cross = px * np.roll(py, -1) - np.roll(px, -1) * py
    area = cross.sum() / 2
    assert abs(cover.sum()) == pytest.approx(abs(area), abs=2e-3)
    assert np.abs(cover).max() <= 1.0 + 1e-4
    if abs(area) > 1.0:
        # A pixel's cover counts at its middle, so that the centre may be half a pixel off.
        found = (cover.sum(axis=0) @ (np.arange(64) + 0.5)) / cover.sum()
        assert found == pytest.approx(((px + np.roll(px, -1)) * cross).sum() / (6 * area), abs=0.5)


def test_an_edge_that_cuts_a_pixel_mixes_its_colours_by_area():
    strips = [lane(), (at.PAINT, strip(np.array([[1.0, 9.0], [199.0, 9.0]]), np.array([[1.0, -0.35], [199.0, -0.35]])))]
    image = see(strips=strips, size=(64, 64), look=plain_look())
    white, grey = plain_look()[appearance.MARKING], plain_look()[appearance.ASPHALT]
    for row in (50, 56, 62):
        up = (32 - row - 0.5) / 32
        column = 32 + 32 * 0.35 * (math.sin(math.radians(8.0)) - up * math.cos(math.radians(8.0))) / 1.5
        share = (image[row, int(column), 0] - grey) / (white - grey)
        assert int(column) + share == pytest.approx(column, abs=0.02)


@pytest.mark.parametrize("size", SIZES)
def test_a_mark_on_the_ground_is_seen_where_the_lens_puts_it(size):
    for ahead, left in ((8.0, 0.0), (8.0, -3.0), (12.0, 5.0)):
        edges = np.array([50 + ahead, left]) + 0.25 * np.array([[-1, 1], [1, 1], [-1, -1], [1, -1]])
        mark = (at.STOP_LINE, strip(edges[:2], edges[2:]))
        brighter = (see(strips=[mark], size=size) - see(strips=[], size=size)).sum(axis=2)
        rows, columns = np.mgrid[: size[0], : size[1]] + 0.5
        found = (brighter * rows).sum() / brighter.sum(), (brighter * columns).sum() / brighter.sum()
        assert found == pytest.approx(pixel_of(ahead, left, 0.0, size), abs=0.1 + size[1] / 1000)


def test_moving_left_moves_the_lane_right_and_so_does_turning_left():
    def line(pose):
        return see(pose=pose)[45, 32:].sum(axis=1).argmax()

    assert line((50.0, 0.4, 0.0)) > line((50.0, 0.0, 0.0)) > line((50.0, -0.6, 0.0))
    assert line((50.0, 0.0, 0.15)) > line((50.0, 0.0, 0.0))


def test_far_lines_fade_instead_of_flickering():
    rows = [see(pose=(50.0 + shift, 0.0, 0.0))[28:33] for shift in np.arange(0.0, 4.0, 0.25)]
    assert np.std(rows, axis=0).max() < 12.0


def red(image):
    return image[..., 0] - np.maximum(image[..., 1], image[..., 2]) > 20


def test_a_car_ahead_appears_in_the_middle_and_shrinks_with_distance():
    areas = []
    for gap in (5.0, 10.0, 20.0, 40.0):
        mask = red(see(body_at(54.0 + gap), size=(256, 256)))
        columns = np.flatnonzero(mask.any(axis=0))
        assert columns.min() < 128 <= columns.max()
        areas.append(mask.sum())
    assert all(near > far > 0 for near, far in itertools.pairwise(areas))
    assert not red(see(body_at(40.0))).any()
    assert np.flatnonzero(red(see(body_at(65.0, 3.0))).any(axis=0)).max() < 32


def test_the_nearer_car_hides_the_farther_one_in_any_order():
    near, far = body_at(62.0), body_at(75.0, colour=(20.0, 20.0, 230.0))
    together = see(np.concatenate([near, far]))
    np.testing.assert_array_equal(see(np.concatenate([far, near])), together)
    body = slice(31, 33), slice(29, 35)  # the near car's rear, below the windows
    np.testing.assert_array_equal(together[body], see(near)[body])


@pytest.mark.parametrize("gap", [8.0, 20.0, 30.0])
def test_brake_lights_show_in_the_model_s_picture(gap):
    agents = body_at(54.0 + gap, colour=(60.0, 60.0, 60.0))
    calm = see(agents)
    agents[0, at.A] = -2.0
    assert (see(agents)[..., 0] - calm[..., 0]).max() > (30 if gap < 10 else 8)


@pytest.mark.parametrize("gap", [20.0, 30.0, 40.0])
def test_red_yellow_and_green_are_told_apart_by_their_colour(gap):
    shown = {}
    for lamp in (at.LAMP_GREEN, at.LAMP_YELLOW, at.LAMP_RED):
        image = see(signals=light_at(50.0 + gap, showing=lamp))
        vivid = np.ptp(image, axis=2) * (image != see()).any(axis=2)
        shown[lamp] = image[np.unravel_index(vivid.argmax(), vivid.shape)]
    r, g, b = shown[at.LAMP_GREEN]
    assert g > r + 60 and g > b + 20
    r, g, b = shown[at.LAMP_YELLOW]
    assert min(r, g) > b + 60
    r, g, b = shown[at.LAMP_RED]
    assert r > max(g, b) + 60


def test_a_small_picture_is_the_large_one_seen_from_farther():
    agents, signals = body_at(62.0), light_at(75.0)
    small, large = see(agents, signals, size=(64, 64)), see(agents, signals, size=(512, 512))
    assert np.abs(small - large.reshape(64, 8, 64, 8, 3).mean(axis=(1, 3))).mean() < 4.0
    half, full = see(agents, signals, size=(180, 320)), see(agents, signals, size=(360, 640))
    assert np.abs(half - full.reshape(180, 2, 320, 2, 3).mean(axis=(1, 3))).mean() < 2.0


def test_without_noise_the_ground_is_smooth_and_with_it_repeats():
    near = np.s_[55:64, 25:39]
    assert see()[near].std(axis=(0, 1)).max() < 1.0
    noisy = plain_look(NOISE=5.0)
    first = see(look=noisy, seed=7)
    assert first[near].std(axis=(0, 1)).mean() == pytest.approx(5.0, rel=0.2)
    np.testing.assert_array_equal(first, see(look=noisy, seed=7))
    assert np.any(first != see(look=noisy, seed=8))


def test_seeds_look_different():
    looks = [random_appearance(np.random.default_rng(seed)) for seed in range(6)]
    for a, b in itertools.combinations([see(look=look) for look in looks], 2):
        assert np.abs(a - b).mean() > 5.0


@pytest.fixture(scope="module")
def batch():
    """Four worlds with all views after ten steps, and each of them stepped alone."""
    from wm_sim.scenarios import build_scenario

    config = WorldConfig(semantic=True, bev=True)
    scenarios = [build_scenario(f, 5) for f in ("junction", "signal_stop", "crossing_vru", "merge")]
    together, alone = Worlds(4, config, threads=2), [Worlds(1, config) for _ in scenarios]
    for n, scenario in enumerate(scenarios):
        together.load(n, scenario)
        alone[n].load(0, scenario)
    for _ in range(10):
        for worlds in (together, *alone):
            worlds.step(np.full((len(worlds), 2), 0.1))
    return together, alone


@pytest.mark.parametrize("name", ["camera", "scan", "semantic", "bev"])
def test_a_world_looks_the_same_alone_and_among_others(batch, name):
    together, alone = batch
    for n, worlds in enumerate(alone):
        np.testing.assert_array_equal(together.observation()[name][n], worlds.observation()[name][0])


def test_views_that_are_off_take_no_memory():
    worlds = Worlds(3)
    assert set(worlds.observation()) == {"state", "camera", "scan"}
    assert worlds.semantic.nbytes == worlds.bev.nbytes == 0


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("body", "label"),
    [(at.CAR, Label.VEHICLE), (at.PEDESTRIAN, Label.PEDESTRIAN), (at.CYCLIST, Label.CYCLIST),
     (at.BARRIER, Label.BARRIER)],
)  # fmt: skip
def test_labels_stand_where_the_camera_draws_a_body(size, body, label):
    agents = body_at(61.0, 1.0, body=body, size=(1.6, 0.8, 1.8))
    labelled = labels_of(agents, size=size) == label
    changed = np.abs(see(agents, size=size) - see(size=size)).max(axis=2) > 3
    assert labelled.sum() > 4 * (size[1] / 64) ** 2
    assert (labelled & changed).sum() > 0.9 * labelled.sum()
    middle = np.argwhere(labelled).mean(axis=0) + 0.5
    assert middle == pytest.approx(pixel_of(11.0, 1.0, 0.9, size), abs=0.05 * size[1])


def test_labels_name_ground_sky_and_lights():
    labels = labels_of(signals=light_at(75.0))
    assert labels[0, 32] == Label.SKY
    assert labels[60, 32] == Label.ROAD
    assert labels[36, 2] == Label.VEGETATION
    assert {Label.SHOULDER, Label.MARKING} <= set(labels.ravel().tolist())
    row, column = pixel_of(25.0, -3.0, 3.0, (64, 64))
    assert labels[int(row), int(column)] == Label.SIGNAL


def test_the_view_from_above_is_centred_on_the_ego_and_heading_up(scenes):
    made = scenes.builder(speed=0.0)
    made.add_agent(scenes.road_user(at.STANDING, s=scenes.START_S + 15.0, v=0.0, d=6.0))
    world = Worlds(1, WorldConfig(camera=False, bev=True, noise=False))
    world.load(0, made.build("by hand", 3))
    row, column = (BEV_AHEAD_M - 1.0) / BEV_PIXEL_M, BEV_ASIDE_M / BEV_PIXEL_M
    np.testing.assert_allclose(world.bev[0, int(row), int(column)], EGO_RGB, atol=2)
    row, column = (BEV_AHEAD_M - 15.0) / BEV_PIXEL_M, (BEV_ASIDE_M - 6.0) / BEV_PIXEL_M
    np.testing.assert_allclose(world.bev[0, int(row), int(column)], BODY_RGB[at.CAR], atol=2)
