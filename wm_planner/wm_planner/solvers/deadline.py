"""A deadline that is kept by looking ahead: no work starts that would not end in time."""

import math
import time
from collections.abc import Callable


class Deadline:
    """Asked before each piece of work after the first; learns from the pieces how long one takes."""

    def __init__(self, seconds: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """`seconds` from now on `clock`; None: never."""
        self._clock = clock
        self._last = clock()
        self._end = math.inf if seconds is None else self._last + seconds
        self._longest = 0.0

    @property
    def unlimited(self) -> bool:
        return math.isinf(self._end)

    def start(self) -> None:
        """The first piece of work begins."""
        self._last = self._clock()

    def allows(self, pieces: int = 1) -> bool:
        """Whether so many more pieces, each as long as the longest so far, end in time."""
        now = self._clock()
        self._longest = max(self._longest, now - self._last)
        self._last = now
        return now + pieces * self._longest <= self._end
