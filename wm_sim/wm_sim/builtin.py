"""The simulator of this package behind the contract."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wm_sim.contract import BUILTIN, Declaration, Simulator, SimulatorConfig, SimulatorSpec
from wm_sim.scenarios import FAMILIES, ROAD

if TYPE_CHECKING:
    from wm_sim.drivers.protocol import Driver

DECLARATION = Declaration(
    name=BUILTIN,
    about="Roads, traffic and sensors of this package, eleven families of scenarios and map files.",
    scenarios=(*FAMILIES, ROAD),
    usual="stop_go",
    camera="front camera, 1.5 m high, 8 degrees down",
)


def make(config: SimulatorConfig) -> Simulator:
    """A world of its own. Worlds take numba, which loads slowly: only here."""
    from wm_sim.world import World, WorldConfig

    return World(WorldConfig(noise=config.noise, route_length_m=config.route_length_m))


def driver(name: str, seed: int) -> Driver:
    """The reference driver of that name; they take numba too."""
    from wm_sim.drivers import make_driver

    return make_driver(name, seed)


SIMULATOR = SimulatorSpec(
    declaration=DECLARATION,
    make=make,
    drivers={name: partial(driver, name) for name in ("expert", "idm", "pdm", "constant", "random")},
    teachers=("expert", "idm", "pdm"),
)
