"""Limits of the car that drives: those shipped, under what its simulator declares, under a file of the user.

Gate, planner and in-process agent get theirs here. The nodes get what is declared as text, in one parameter.
"""

from collections.abc import Mapping
from dataclasses import asdict

from wm_planner.errors import PlannerError
from wm_planner.safety.limits import Limits, limits_from, load_limits, shipped_limits

AS_SHIPPED = "as shipped"


def car_limits(declared: Mapping[str, float], file: str = "") -> Limits:
    """Limits with those `declared` over the shipped ones; what a `file` names comes over both.

    Raises PlannerError for a name, type or value that is none, and for a file that cannot be read.
    """
    limits = limits_from(asdict(shipped_limits()) | dict(declared), "limits of the car")
    return load_limits(file, under=declared) if file else limits


def parse_limits(text: str) -> dict[str, float]:
    """`wheelbase_m=3.24,half_width_m=1.2` as a mapping; empty for an empty text. PlannerError in one sentence."""
    found: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = part.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            raise PlannerError(f"limits {part!r}: expected name=number, some separated by commas.") from None
    return found


def limits_text(declared: Mapping[str, float]) -> str:
    """What `parse_limits` reads."""
    return ",".join(f"{name}={value!r}" for name, value in declared.items())


def told(limits: Limits) -> str:
    """What differs from the shipped limits, as text."""
    shipped = asdict(shipped_limits())
    return limits_text({name: value for name, value in asdict(limits).items() if value != shipped[name]}) or AS_SHIPPED
