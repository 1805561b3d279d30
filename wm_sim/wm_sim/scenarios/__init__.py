"""Scenario families. A family is one file here and one line in FAMILIES."""

from wm_sim.errors import SimError
from wm_sim.scenarios import lane_follow, stop_go
from wm_sim.scenarios.scenario import Family, Options, Scenario, generator

FAMILIES: dict[str, Family] = {family.name: family for family in (lane_follow.FAMILY, stop_go.FAMILY)}

SEED_MAX = 2**32 - 1


def build_scenario(family: str, seed: int, options: Options) -> Scenario:
    """The episode that (family, seed) stands for."""
    if family not in FAMILIES:
        raise SimError(f"scenario {family!r}: unknown. Known are {', '.join(FAMILIES)}.")
    if not 0 <= seed <= SEED_MAX:
        raise SimError(f"seed {seed}: expected 0 to {SEED_MAX}.")
    if options.route_length_m is not None and not 20.0 <= options.route_length_m <= 20_000.0:
        raise SimError(f"route length {options.route_length_m} m: expected 20 to 20000.")
    if options.time_limit_s is not None and not options.time_limit_s > 0.0:
        raise SimError(f"time limit {options.time_limit_s} s: expected more than 0.")
    return FAMILIES[family].build(generator(family, seed), options)


__all__ = ["FAMILIES", "SEED_MAX", "Family", "Options", "Scenario", "build_scenario"]
