"""Scenario families. A family is one file here that has a FAMILY: nothing else needs to know of it."""

from importlib import import_module
from pkgutil import iter_modules

from wm_sim.errors import SimError
from wm_sim.scenarios.scenario import Family, Options, Scenario, generator

_ORDER = ("lane_follow", "stop_go")  # these first, then by name


def discover() -> dict[str, Family]:
    """The families of this folder, by name."""
    names = sorted((module.name for module in iter_modules(__path__)), key=lambda name: (name not in _ORDER, name))
    found = [getattr(import_module(f"{__name__}.{name}"), "FAMILY", None) for name in names]
    return {family.name: family for family in found if isinstance(family, Family)}


FAMILIES: dict[str, Family] = discover()

SEED_MAX = 2**32 - 1
REPORTING_SEEDS = 1_000_000  # seeds from here up are for reporting and never trained on
DEFAULTS = Options()
ROAD = "road:"


def is_reporting_seed(seed: int) -> bool:
    """Whether episodes of this seed are kept for reporting."""
    return seed >= REPORTING_SEEDS


def build_scenario(family: str, seed: int, options: Options = DEFAULTS) -> Scenario:
    """The episode that (family, seed) stands for; `road:FILE` names a map file, see from_file.py."""
    if family not in FAMILIES and not family.startswith(ROAD):
        raise SimError(f"scenario {family!r}: unknown. Known are {', '.join(FAMILIES)}, and {ROAD}FILE for a map file.")
    if not 0 <= seed <= SEED_MAX:
        raise SimError(f"seed {seed}: expected 0 to {SEED_MAX}.")
    if options.route_length_m is not None and not 20.0 <= options.route_length_m <= 20_000.0:
        raise SimError(f"route length {options.route_length_m} m: expected 20 to 20000.")
    if options.time_limit_s is not None and not options.time_limit_s > 0.0:
        raise SimError(f"time limit {options.time_limit_s} s: expected more than 0.")
    if not 0.0 <= options.density <= 4.0:
        raise SimError(f"density {options.density}: expected 0 to 4.")
    if family.startswith(ROAD):
        from wm_sim.scenarios.from_file import named_scenario

        return named_scenario(family, seed, options)
    return FAMILIES[family].build(generator(family, seed), options).build(family, seed)


__all__ = [
    "FAMILIES",
    "REPORTING_SEEDS",
    "ROAD",
    "SEED_MAX",
    "Family",
    "Options",
    "Scenario",
    "build_scenario",
    "discover",
    "generator",
    "is_reporting_seed",
]
