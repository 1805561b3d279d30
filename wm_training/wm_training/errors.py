"""What can go wrong between a bag and a trained model."""


class TrainingError(RuntimeError):
    """Names what was found and what to do about it, in one sentence."""
