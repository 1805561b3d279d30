"""The exception of this package."""


class SimError(RuntimeError):
    """A world cannot be built or driven as asked; the message names the thing and the remedy."""
