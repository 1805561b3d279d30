"""Settings that say what they are: one line a field holds default, range and meaning for Python, ROS and the docs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from wm_planner.errors import PlannerError

_KEY = "setting"


@dataclass(frozen=True)
class Setting:
    """A field of a configuration, as a parameter of a node."""

    name: str  # with the group before a dot: "objective.miss_rate"
    default: Any
    description: str  # one sentence, with the unit
    range: tuple[float, float] | None  # both ends included
    choices: tuple[str, ...] | None

    def objection(self, value: Any) -> str | None:
        """Why a value is refused; None: it is fine. NaN never is."""
        if self.choices is not None:
            return None if value in self.choices else f"{value!r} is unknown; choose {', '.join(self.choices)}"
        if isinstance(self.default, bool):
            return None if isinstance(value, bool) else f"{value!r} does not fit; choose true or false"
        assert self.range is not None
        low, high = self.range
        wanted = f"at least {low:g}" if math.isinf(high) else f"{low:g} to {high:g}"
        whole = isinstance(self.default, int)
        number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        if number and low <= value <= high:
            return None
        return f"{value!r} does not fit; choose {'a whole number, ' if whole else ''}{wanted}"


def setting(
    default: Any, description: str, low: float = 0.0, high: float = math.inf, choices: Sequence[str] | None = None
) -> Any:
    """A field of a frozen configuration that explains itself; numbers lie from `low` to `high`."""
    kind = type(default)
    span = None if choices is not None or kind is bool else (kind(low), high if math.isinf(high) else kind(high))
    told = Setting("", default, description, span, None if choices is None else tuple(choices))
    return field(default=default, metadata={_KEY: told})


def settings_of(config: type[Any], group: str = "") -> tuple[Setting, ...]:
    """The settings among the fields of a configuration, under their names as parameters."""
    told = [(item.name, item.metadata[_KEY]) for item in fields(config) if _KEY in item.metadata]
    return tuple(
        Setting(f"{group}.{name}" if group else name, it.default, it.description, it.range, it.choices)
        for name, it in told
    )


def check_settings(config: Any, owner: str) -> None:
    """Refuse a configuration with a value that does not fit, in one sentence that names owner and field."""
    for item in settings_of(type(config)):
        objection = item.objection(getattr(config, item.name))
        if objection is not None:
            raise PlannerError(f"{owner} {item.name}: {objection}.")
