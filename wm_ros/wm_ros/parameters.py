"""Parameters that describe themselves and refuse bad values with a sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor


def _plain(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"


@dataclass(frozen=True)
class Rule:
    """What values a parameter takes."""

    name: str
    description: str  # one sentence, with the unit
    kind: type  # of the default
    range: tuple[float, float] | None = None  # both ends included
    choices: Sequence[Any] | None = None

    def objection(self, value: Any) -> str | None:
        """Why a value is refused, in one sentence; None: it is fine."""
        wanted = self._wanted(value)
        if wanted is None:
            return None
        return f"parameter {self.name} is {value!r}, but must be {wanted} ({self.description.rstrip('.')})"

    def _wanted(self, value: Any) -> str | None:
        """What would have been right; None: the value is."""
        kind = type(value)
        if kind is not self.kind:  # bool is no int here
            return f"of type {self.kind.__name__}"
        if self.kind is float and math.isnan(value):
            return "a number"
        if self.choices is not None and value not in self.choices:
            return "one of " + ", ".join(str(choice) for choice in self.choices)
        if self.range is not None:
            low, high = self.range
            return None if low <= value <= high else f"from {_plain(low)} to {_plain(high)}"
        return None

    def descriptor(self, read_only: bool) -> ParameterDescriptor:
        """For `ros2 param describe` and tools. `choices` has no field of its own there."""
        descriptor = ParameterDescriptor(name=self.name, description=self.description, read_only=read_only)
        if self.choices is not None:
            descriptor.additional_constraints = "one of " + ", ".join(str(choice) for choice in self.choices)
        if self.range is not None:
            low, high = self.range
            if self.kind is float:
                descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
            else:
                descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
        return descriptor

    def cast(self, value: Any) -> Any:
        """A whole number written for a float parameter is meant as that float (`speed:=1`)."""
        return float(value) if self.kind is float and type(value) is int else value
