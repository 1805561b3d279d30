"""The exception of this package."""


class WmRosError(RuntimeError):
    """What is wrong with a topic, a parameter or a message, and what to do about it."""


class MessageError(WmRosError):
    """A message that cannot be used. It counts as not received, and the node goes on."""
