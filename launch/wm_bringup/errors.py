"""The exception of this package."""


class BringupError(RuntimeError):
    """The stack cannot start or went down; the message names the thing and the remedy."""
