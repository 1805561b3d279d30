"""OpenDRIVE files: every kind of curve, lane sections, links and junctions; damage is refused by element and reason."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wm_sim.errors import SimError
from wm_sim.network.files import load_road
from wm_sim.network.paths import route_path
from wm_sim.network.routes import shortest_route
from wm_sim.scenarios.from_file import scenario_from_file
from wm_sim.scene import LCURVATURE

FILE = Path(__file__).parent / "data" / "four_curves.xodr"
some = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

ROAD = """<OpenDRIVE><header revMajor="1" revMinor="6"/><road id="1" length="{length}" junction="-1">
<planView><geometry s="0" x="{x}" y="{y}" hdg="{heading}" length="{length}">{shape}</geometry></planView>
<lanes><laneSection s="0"><center><lane id="0" type="none"/></center><right>
<lane id="-1" type="driving"><width sOffset="0" a="3.5" b="0" c="0" d="0"/></lane></right></laneSection></lanes></road>
</OpenDRIVE>
"""


def lane_of(tmp_path, shape, length, x=0.0, y=0.0, heading=0.0):
    file = tmp_path / "one.xodr"
    file.write_text(ROAD.format(shape=shape, length=length, x=x, y=y, heading=heading))
    return load_road(file).network.lanes["1_0_-1"]


@given(st.floats(-0.1, 0.1), st.floats(-0.1, 0.1), st.floats(10.0, 80.0), st.floats(-3.0, 3.0))
@some
def test_spirals_and_arcs_are_where_integration_puts_them(tmp_path, first, last, length, heading):
    lane = lane_of(tmp_path, f'<spiral curvStart="{first}" curvEnd="{last}"/>', length, 5.0, -3.0, heading)
    s = np.linspace(0.0, length, 20_001)
    yaw = heading + s * (first + 0.5 * (last - first) / length * s)
    x, y = 5.0 + np.trapezoid(np.cos(yaw), s), -3.0 + np.trapezoid(np.sin(yaw), s)
    np.testing.assert_allclose(lane.left[-1], (x, y), atol=1e-3)
    normal = np.array([-math.sin(yaw[-1]), math.cos(yaw[-1])])
    np.testing.assert_allclose(lane.right[-1], np.array([x, y]) - 3.5 * normal, atol=1e-3)


def test_an_arc_is_a_circle(tmp_path):
    lane = lane_of(tmp_path, '<arc curvature="0.05"/>', 10.0 * math.pi)
    np.testing.assert_allclose(np.hypot(lane.left[:, 0], lane.left[:, 1] - 20.0), 20.0, atol=1e-4)
    np.testing.assert_allclose(np.hypot(lane.right[:, 0], lane.right[:, 1] - 20.0), 23.5, atol=1e-4)
    np.testing.assert_allclose(lane.left[-1], (20.0, 20.0), atol=1e-6)


def test_cubics_follow_their_terms(tmp_path):
    shape = '<paramPoly3 pRange="arcLength" aU="0" bU="1" cU="0" dU="0" aV="0" bV="0" cV="0.01" dV="0"/>'
    lane = lane_of(tmp_path, shape, 30.0)
    np.testing.assert_allclose(lane.left[-1], (30.0, 9.0), atol=1e-9)
    lane = lane_of(tmp_path, '<poly3 a="0" b="0" c="0.01" d="0"/>', 30.0)
    np.testing.assert_allclose(lane.left[:, 1], 0.01 * lane.left[:, 0] ** 2, atol=1e-3)
    assert np.hypot(*np.diff(lane.left, axis=0).T).sum() == pytest.approx(30.0, abs=0.01)


def test_lanes_sections_links_and_junctions_become_a_network():
    lanes = load_road(FILE).network.lanes
    assert lanes["1_0_-1"].successors == ("1_1_-1",)
    assert lanes["1_1_-1"].successors == ("2_0_-1",) and lanes["1_1_-2"].successors == ("3_0_-1",)
    assert lanes["2_0_-1"].successors == ("4_0_-1",)
    assert lanes["4_0_1"].successors == ("5_0_-1",) and lanes["5_0_-1"].successors == ("1_1_1",)
    assert lanes["1_1_1"].successors == ("1_0_1",)
    assert {name for name, lane in lanes.items() if lane.junction} == {"2_0_-1", "3_0_-1", "5_0_-1"}
    assert lanes["1_0_-1"].left_neighbour == "1_0_1" and lanes["1_0_-1"].left_oncoming
    assert lanes["1_1_-1"].right_neighbour == "1_1_-2" and not lanes["1_1_-1"].right_oncoming
    assert lanes["1_0_-1"].limit_mps == pytest.approx(50.0 / 3.6) and lanes["1_1_-1"].limit_mps == 8.0
    assert (lanes["1_0_-1"].left_mark, lanes["1_0_-1"].right_mark) == ("dashed", "solid")
    np.testing.assert_allclose(lanes["1_0_-1"].left[0], (0.0, 0.5), atol=1e-9)
    np.testing.assert_allclose(lanes["1_0_-1"].right[0], (0.0, -3.0), atol=1e-9)
    np.testing.assert_allclose(lanes["1_1_-2"].width_m[[0, -1]], (0.0, 3.5), atol=1e-6)
    for lane in lanes.values():
        for name in lane.successors:
            assert math.dist(lane.centre[-1], lanes[name].centre[0]) < 0.05


def test_routes_lead_through_the_junction_both_ways():
    network = load_road(FILE).network
    there = route_path(network, shortest_route(network, "1_0_-1", {"4_0_-1"}))
    back = route_path(network, shortest_route(network, "4_0_1", {"1_0_1"}))
    assert there.length_m == pytest.approx(300.0, abs=2.0) and back.length_m == pytest.approx(300.0, abs=3.0)
    assert np.abs(there.samples[:, LCURVATURE]).max() < 0.03


def test_the_seed_draws_the_route():
    ends = {tuple(np.round(scenario_from_file(FILE, seed).scene.route[-1])) for seed in range(12)}
    assert len(ends) > 1


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('revMajor="1"', 'revMajor="7"', "<header>: revMajor=7"),
        ('<arc curvature="0.02"/>', "<circle/>", "<geometry>: its kind of curve is unknown"),
        ('<arc curvature="0.02"/>', '<arc curvature="tight"/>', "<arc>: curvature='tight' is not a number"),
        ('<arc curvature="0.02"/>', '<arc curvature="-0.02"/>', "does not begin where the geometry before it ends"),
        ('pRange="normalized"', 'pRange="half"', "<paramPoly3>: pRange='half'"),
        ('length="180.0"', 'length="300.0"', "<road id='1'>: length=300.0, but its geometry ends at 180.000"),
        ('elementType="junction" elementId="9"', 'elementType="junction" elementId="8"', "junction 8, to which road 1"),
        ('<laneLink from="-2" to="-1"/>', '<laneLink from="-2" to="-3"/>', "leads to lane -3 of road 3"),
        ('connectingRoad="3"', 'connectingRoad="33"', "<connection id='1'>: road 33 is not in the file"),
        ('contactPoint="start"', 'contactPoint="middle"', "contactPoint='middle'"),
        ('<lane id="2"', '<lane id="3"', "its lane numbers have a gap"),
        ('a="3.5"', 'a="-3.5"', "<lane id='1'>: its width runs from -3.50"),
        ('unit="km/h"', 'unit="knots"', "<speed>: unit='knots'"),
        ('junction="-1">', 'junction="-1" rule="LHT">', "left-hand traffic is not supported"),
        ('type="driving"', 'type="grass"', "leads to lane|begins|JOIN"),
        ("<OpenDRIVE>", "<!DOCTYPE x><OpenDRIVE>", "DTD"),
        ("<OpenDRIVE>", "<OpenSCENARIO>", "not whole XML"),
    ],
)
def test_damage_is_named_by_element_and_reason(tmp_path, old, new, reason):
    text = FILE.read_text()
    assert old in text
    file = tmp_path / "damaged.xodr"
    file.write_text(text.replace(old, new, 1))
    if new == 'type="grass"':  # a lane that is none to drive on is left out with the links to it
        assert "1_0_1" not in load_road(file).network.lanes
        return
    with pytest.raises(SimError, match=reason) as caught:
        load_road(file)
    assert "damaged.xodr" in str(caught.value)


@given(st.data())
@some
def test_a_mutated_file_loads_or_is_refused(tmp_path, data):
    text = FILE.read_text()
    cut = data.draw(st.integers(0, len(text)))
    kind = data.draw(st.sampled_from(["cut", "junk", "digit", "drop"]))
    if kind == "cut":
        text = text[:cut]
    elif kind == "junk":
        text = text[:cut] + data.draw(st.text(max_size=6)) + text[cut:]
    elif kind == "drop":
        lines = text.splitlines()
        del lines[data.draw(st.integers(1, len(lines) - 1))]
        text = "\n".join(lines)
    else:
        digits = [i for i, c in enumerate(text) if c.isdigit()]
        i = data.draw(st.sampled_from(digits))
        text = text[:i] + data.draw(st.sampled_from(["", "-", "9", "1e9", "nan", "inf", "0", "e"])) + text[i + 1 :]
    file = tmp_path / "mutated.xodr"
    file.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        scenario = scenario_from_file(file, 0)
    except SimError:
        return
    assert np.isfinite(scenario.scene.paths).all()
