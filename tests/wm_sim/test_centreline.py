"""Centre-line files become roads, circuits among them; what cannot be driven is refused by line and reason."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wm_sim.errors import SimError
from wm_sim.network.files import load_road
from wm_sim.network.line import length_along
from wm_sim.scenarios.from_file import scenario_from_file
from wm_sim.scene import LANE_WIDTH_M, LCURVATURE, LEFT_M, LIMIT_MPS, LX, LY, RIGHT_M

some = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(path, points, right=1.75, left=1.75, header="# x_m,y_m,w_tr_right_m,w_tr_left_m"):
    rows = [f"{x:.4f},{y:.4f},{right},{left}" for x, y in points]
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def oval(points=80, straight=60.0, radius=25.0):
    s = np.linspace(0.0, 2 * straight + 2 * math.pi * radius, points, endpoint=False)
    xy = []
    for at in s:
        if at < straight:
            xy.append((at, 0.0))
        elif at < straight + math.pi * radius:
            turn = (at - straight) / radius
            xy.append((straight + radius * math.sin(turn), radius - radius * math.cos(turn)))
        elif at < 2 * straight + math.pi * radius:
            xy.append((2 * straight + math.pi * radius - at, 2 * radius))
        else:
            turn = (at - 2 * straight - math.pi * radius) / radius
            xy.append((-radius * math.sin(turn), radius + radius * math.cos(turn)))
    return xy


@pytest.mark.parametrize("repeat_first", [False, True])
def test_a_line_that_returns_to_its_start_is_a_circuit_without_a_seam(tmp_path, repeat_first):
    points = oval()
    road = load_road(write(tmp_path / "oval.csv", points + points[:1] if repeat_first else points))
    lane = road.network.lanes["lane"]
    assert road.circuit and lane.successors == ("lane",)
    assert length_along(lane.centre)[-1] == pytest.approx(120.0 + 50.0 * math.pi, abs=0.6)
    np.testing.assert_allclose(lane.centre[0], lane.centre[-1], atol=1e-9)
    np.testing.assert_allclose(lane.left[0], lane.left[-1], atol=1e-6)
    scenario = scenario_from_file(tmp_path / "oval.csv", 0)
    path = scenario.scene.paths
    assert scenario.route_length_m == pytest.approx(277.1, abs=1.0)
    assert len(path) * 0.5 > scenario.start_s + scenario.route_length_m + 80.0
    assert np.abs(path[:, LCURVATURE]).max() < 1.15 / 25.0
    np.testing.assert_allclose(path[5:-5, LEFT_M] + path[5:-5, RIGHT_M], 3.5, atol=0.05)


def test_limits_fall_to_what_bends_allow(tmp_path):
    path = scenario_from_file(write(tmp_path / "oval.csv", oval()), 0).scene.paths
    assert (path[:, LIMIT_MPS] ** 2 * np.abs(path[:, LCURVATURE])).max() < 2.2 + 1e-6
    assert path[:, LIMIT_MPS].max() > 10.0
    assert np.diff(path[:, LIMIT_MPS] ** 2).min() > -2.0 * 1.5 * 0.5 - 1e-6


@given(st.floats(2.5, 8.0), st.floats(0.05, 4.0), st.floats(0.2, 0.8))
@some
def test_scaling_to_a_lane_width_scales_the_whole_road(tmp_path, want, width, share):
    points = np.array(oval()) * width / 3.5
    file = write(tmp_path / "oval.csv", points, right=share * width, left=(1.0 - share) * width)
    try:
        road = load_road(file, want)
    except SimError as error:
        assert "tightest bend" in str(error)
        return
    lane = road.network.lanes["lane"]
    np.testing.assert_allclose(lane.width_m, want, rtol=1e-3)
    assert length_along(lane.centre)[-1] == pytest.approx((120.0 + 50.0 * math.pi) * want / 3.5, rel=0.01)


def test_an_open_line_is_a_road_with_an_end(tmp_path):
    x = np.arange(0.0, 200.0, 5.0)
    file = write(
        tmp_path / "road.csv",
        np.stack([x, 10.0 * np.sin(x / 40.0)], axis=1),
        1.5,
        2.5,
        header="x_m,y_m,w_tr_right_m,w_tr_left_m",
    )
    scenario = scenario_from_file(file, 3)
    path = scenario.scene.paths
    assert not load_road(file).circuit
    np.testing.assert_allclose(path[20:300, LEFT_M], 2.5, atol=0.05)
    np.testing.assert_allclose(path[20:300, RIGHT_M], 1.5, atol=0.05)
    np.testing.assert_allclose(path[20:300, LANE_WIDTH_M], 4.0, atol=0.05)
    np.testing.assert_allclose(path[20:300, LY], 10.0 * np.sin(path[20:300, LX] / 40.0), atol=0.15)


def test_the_same_seed_gives_the_same_scenario(tmp_path):
    file = write(tmp_path / "oval.csv", oval())
    first, second, third = (scenario_from_file(file, seed) for seed in (1, 1, 2))
    for a, b in zip(first.scene, second.scene, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first.scene.ego, third.scene.ego)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0,0,1.7\n", "line 1: 3 columns"),
        ("0,0,1.7,1.7\n5,zero,1.7,1.7\n", "line 2: .* is not four numbers"),
        ("0,0,1.7,1.7\n5,nan,1.7,1.7\n", "line 2: .* no coordinate"),
        ("0,0,1.7,1.7\n5,0,-1.7,1.7\n", "line 2: a width is negative"),
        ("0,0,1.7,1.7\n5,0,1.7,1.7\n", "at least four"),
        ("".join(f"{5 * k},0,0.1,0.1\n" for k in range(9)), "0.20 m wide .* lane width of 3.5"),
        ("".join(f"{5 * k},{4 * (k % 2)},2,2\n" for k in range(9)), "tightest bend has a radius"),
        ("".join("1,1,2,2\n" for k in range(9)), "0.0 m long"),
    ],
)
def test_damage_is_named_by_line_and_reason(tmp_path, text, reason):
    file = tmp_path / "damaged.csv"
    file.write_text(text)
    with pytest.raises(SimError, match=reason) as caught:
        load_road(file)
    assert "damaged.csv" in str(caught.value)


def test_what_is_no_map_is_refused(tmp_path):
    (tmp_path / "map.osm").write_text("")
    with pytest.raises(SimError, match="cannot tell its kind"):
        load_road(tmp_path / "map.osm")
    with pytest.raises(SimError, match="cannot be read"):
        load_road(tmp_path / "missing.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(SimError, match="cannot be read as text"):
        load_road(tmp_path / "bytes.csv")
    with pytest.raises(SimError, match="lane width"):
        load_road(write(tmp_path / "oval.csv", oval()), 100.0)


@given(st.data())
@some
def test_a_mutated_file_loads_or_is_refused(tmp_path, data):
    text = write(tmp_path / "whole.csv", oval(40)).read_text()
    cut = data.draw(st.integers(0, len(text)))
    junk = data.draw(st.text(st.sampled_from("0123456789.,-eEnaif#\n;x "), max_size=8))
    file = tmp_path / "mutated.csv"
    file.write_text(text[:cut] + junk + text[cut + data.draw(st.integers(0, 40)) :])
    try:
        scenario = scenario_from_file(file, 0)
    except SimError:
        return
    assert np.isfinite(scenario.scene.paths).all()
