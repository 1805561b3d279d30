"""Reference drivers behind one protocol."""

from collections.abc import Callable

from wm_sim.drivers.constant import ConstantDriver
from wm_sim.drivers.expert import ExpertDriver
from wm_sim.drivers.idm import IdmDriver
from wm_sim.drivers.pdm import PdmDriver
from wm_sim.drivers.protocol import Driver
from wm_sim.drivers.random import RandomDriver
from wm_sim.errors import SimError

DRIVERS: dict[str, Callable[[int], Driver]] = {
    "expert": lambda seed: ExpertDriver(),
    "idm": lambda seed: IdmDriver(),
    "pdm": lambda seed: PdmDriver(),
    "constant": lambda seed: ConstantDriver(),
    "random": RandomDriver,
}


def make_driver(name: str, seed: int = 0) -> Driver:
    """The driver of that name; `seed` matters to those that draw."""
    if name not in DRIVERS:
        raise SimError(f"driver {name!r}: unknown. Known are {', '.join(DRIVERS)}.")
    return DRIVERS[name](seed)


__all__ = [
    "DRIVERS", "ConstantDriver", "Driver", "ExpertDriver", "IdmDriver", "PdmDriver", "RandomDriver", "make_driver",
]  # fmt: skip
