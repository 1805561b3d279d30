"""The bridge to CARLA, made for a stand-in server."""

import pytest


@pytest.fixture
def free_port(find_free_port):
    return find_free_port()


@pytest.fixture
def bridge(find_free_port):
    """Makes simulators that are closed at the end: `bridge(stand_in, traffic=4)`."""
    from wm_sim.bridges.carla import SIMULATOR
    from wm_sim.contract import SimulatorConfig

    made = []

    def make(stand_in, route_length_m=None, noise=False, **settings):
        texts = {"port": str(stand_in.port), "tm_port": str(find_free_port())}
        texts |= {name: str(value) for name, value in settings.items()}
        made.append(SIMULATOR.make(SimulatorConfig(noise, route_length_m, texts)))
        return made[-1]

    yield make
    for simulator in made:
        simulator.close()
