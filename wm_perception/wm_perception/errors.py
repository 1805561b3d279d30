"""The error that everything about model files raises."""


class ModelError(RuntimeError):
    """A model folder cannot be used; the message names what does not fit and the remedy."""
