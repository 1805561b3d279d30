"""CARLA behind the contract: `sim:=carla`. Importing this needs no client library; making a simulator does."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wm_sim.bridges.carla.settings import ABOUT, read_settings
from wm_sim.contract import Actuators, Declaration, Simulator, SimulatorConfig, SimulatorSpec
from wm_sim.observation import SCAN_MAX_M
from wm_sim.scenarios import ROAD

if TYPE_CHECKING:
    from wm_sim.drivers.protocol import Driver

EMPTY, TRAFFIC = "empty", "traffic"
WHEELBASE_M = 2.87  # of the usual vehicle, Tesla Model 3; the gate and the expert reckon with it

DECLARATION = Declaration(
    name="carla",
    about="A CARLA server, 0.9.15, 0.9.16 or 0.10, through its Python client.",
    scenarios=(EMPTY, TRAFFIC, ROAD),
    usual=TRAFFIC,
    camera="front camera, 1.5 m high, 8 degrees down, as rendered by the server",
    scan=f"72 beams, {SCAN_MAX_M:g} m, from a ray-cast lidar",
    actuators=Actuators(note="targets go to CARLA's Ackermann controller, or to pedals corrected by what they did"),
    missing=frozenset({"red_light_gap", "crossing_time"}),
    settings=ABOUT,
    limits={"wheelbase_m": WHEELBASE_M},
)


def make(config: SimulatorConfig) -> Simulator:
    """A bridge; it connects here, so that what is wrong is said before anything drives."""
    from wm_sim.bridges.carla.simulator import CarlaSimulator

    return CarlaSimulator(DECLARATION, config, read_settings(config.settings))


def expert(seed: int) -> Driver:
    """Pure pursuit of the route and a pace that curves and the car ahead allow."""
    from wm_sim.bridges.pursuit import PursuitConfig, PursuitDriver

    return PursuitDriver(PursuitConfig(WHEELBASE_M))


def driver(name: str, seed: int) -> Driver:
    """The reference driver of that name."""
    from wm_sim.drivers import make_driver

    return make_driver(name, seed)


SIMULATOR = SimulatorSpec(
    declaration=DECLARATION,
    make=make,
    drivers={"expert": expert, **{name: partial(driver, name) for name in ("constant", "random")}},
    teachers=("expert",),
)
