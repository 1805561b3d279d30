"""The whole graph in simulators of others: gate and planner hold the limits that these declare of their cars."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wm_planner.car_limits import car_limits, parse_limits
from wm_sim.contract import find_simulator, make_simulator
from wm_sim.errors import SimError

pytestmark = [pytest.mark.system, pytest.mark.slow]
FRAMES, SEED = 30, 1


def messages(bag: Path, topic: str) -> Iterator[Any]:
    """Decoded messages of one topic of a bag."""
    from mcap.reader import make_reader
    from mcap_ros2.decoder import DecoderFactory

    with next(bag.glob("*.mcap")).open("rb") as file:
        for _, _, _, message in make_reader(file, decoder_factories=[DecoderFactory()]).iter_decoded_messages([topic]):
            yield message


def facts(bag: Path, node: str) -> dict[str, str]:
    """What a node said of itself last."""
    found: dict[str, str] = {}
    for message in messages(bag, "/diagnostics"):
        for status in message.status:
            if status.name == node:
                found = {item.key: item.value for item in status.values}
    return found


def lateral_errors(model: Path, sim: str, frames: int) -> np.ndarray:
    """Truth's lateral error [frames] of the same drive in one process, m."""
    from wm_training.agents import make_agent

    world, driver = make_simulator(sim), make_agent(f"model:{model}", 0, sim=sim)
    try:
        frame = world.reset(find_simulator(sim).declaration.usual_scenario, SEED)
        driver.reset(world)
        found = [frame.truth.lateral_error_m]
        while len(found) < frames:
            frame = world.step(driver.act(frame))
            found.append(frame.truth.lateral_error_m)
    finally:
        world.close()
    return np.array(found, np.float32)


@pytest.mark.parametrize("sim", ["carracing", "highway"])
def test_a_drive_holds_the_limits_of_its_simulators_car_and_is_the_agents(sim, model, start_drive, tmp_path) -> None:
    try:
        make_simulator(sim).close()
    except SimError as error:
        pytest.skip(str(error))
    drive = start_drive(tmp_path / "drive", "--sim", sim, "--mode", "lockstep", "--seed", str(SEED))
    drive.until_frames(FRAMES)
    drive.process.terminate()
    code, text = drive.wait()
    assert code in (0, 130, 143), text
    bag = drive.out / "bag"
    declared = find_simulator(sim).declaration.limits
    for node in ("safety_gate_node", "planner_node"):
        assert car_limits(parse_limits(facts(bag, node)["limits"])) == car_limits(declared), node
    assert json.loads(next(messages(bag, "/simulator")).data)["name"] == sim
    lateral = {message.step: message.lateral_error for message in messages(bag, "/truth")}
    assert sorted(lateral) == list(range(len(lateral))) and len(lateral) >= FRAMES
    driven = np.array([lateral[step] for step in range(FRAMES)], np.float32)
    np.testing.assert_array_equal(driven, lateral_errors(model, sim, FRAMES))
