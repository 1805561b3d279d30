"""Reference drivers behind one protocol."""

from wm_sim.drivers.constant import ConstantDriver
from wm_sim.drivers.expert import ExpertDriver
from wm_sim.drivers.idm import IdmDriver
from wm_sim.drivers.protocol import Driver
from wm_sim.drivers.random import RandomDriver
from wm_sim.errors import SimError

DRIVERS = ("expert", "idm", "constant", "random")


def make_driver(name: str, seed: int = 0) -> Driver:
    """The driver of that name; `seed` matters to those that draw."""
    if name == "expert":
        return ExpertDriver()
    if name == "idm":
        return IdmDriver()
    if name == "constant":
        return ConstantDriver()
    if name == "random":
        return RandomDriver(seed)
    raise SimError(f"driver {name!r}: unknown. Known are {', '.join(DRIVERS)}.")


__all__ = ["DRIVERS", "ConstantDriver", "Driver", "ExpertDriver", "IdmDriver", "RandomDriver", "make_driver"]
