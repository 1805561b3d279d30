"""The one exception of this package."""


class PlannerError(RuntimeError):
    """A planner or gate setting cannot be used; the message names the thing and the remedy."""
