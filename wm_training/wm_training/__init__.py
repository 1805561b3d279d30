"""From bags to a trained model: collecting, reading, training, evaluating."""

from wm_training.errors import TrainingError

__all__ = ["TrainingError"]
