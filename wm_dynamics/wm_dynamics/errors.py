"""The error of this package, shared with wm_perception because both read the same model folder."""

from wm_perception.errors import ModelError

__all__ = ["ModelError"]
