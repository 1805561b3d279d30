"""What can go wrong between a bag and a trained model."""


class TrainingError(RuntimeError):
    """Names what was found and what to do about it, in one sentence."""


class StoppedError(TrainingError):
    """Ctrl-C: says what was going on and how to go on."""
