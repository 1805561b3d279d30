"""What every solver's settings must satisfy; each mistake is one sentence with the remedy."""

import math
from collections.abc import Sequence

from wm_planner.errors import PlannerError


def check_range(solver: str, name: str, value: float, low: float, high: float) -> None:
    """A number from low to high; an infinite one only where `high` is."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (number and low <= value <= high):
        wanted = f"at least {low:g}" if math.isinf(high) else f"{low:g} to {high:g}"
        raise PlannerError(f"{solver} solver {name}: {value!r} does not fit; choose {wanted}.")


def check_budget(solver: str, horizon: int, candidates: Sequence[int], chunk: int) -> None:
    """Steps, candidates an iteration, candidates scored at once."""
    check_range(solver, "horizon", horizon, 1, math.inf)
    check_range(solver, "chunk", chunk, 1, math.inf)
    if not candidates or any(count <= 0 or count % chunk for count in candidates):
        raise PlannerError(f"{solver} solver candidates {candidates}: make each a multiple of the chunk, {chunk}.")


def check_knots(solver: str, knots: int, horizon: int) -> None:
    """Knots that the horizon has room for."""
    if not 2 <= knots <= horizon:
        raise PlannerError(f"{solver} solver knots {knots}: choose 2 to the horizon, {horizon}.")


def check_elites(solver: str, elites: int, candidates: Sequence[int]) -> None:
    """No more elites than the smallest iteration has candidates."""
    most = min(candidates)
    if not 2 <= elites <= most:
        raise PlannerError(f"{solver} solver elites {elites}: choose 2 to the fewest candidates, {most}.")


def check_levels(solver: str, levels: Sequence[float]) -> None:
    """Constant accelerations in action units, full braking among them."""
    if -1.0 not in levels:
        raise PlannerError(f"{solver} solver levels {levels}: full braking (-1) has to be among them; add it.")
    for level in levels:
        check_range(solver, "levels", level, -1.0, 1.0)
