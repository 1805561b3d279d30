"""Batches drawn while the previous one is trained on."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from wm_training.batches import Batch, BatchSource


class Feed:
    """Draws the next step's windows in a thread. They depend on the step alone, so stopping loses nothing."""

    def __init__(self, source: BatchSource, count: int, pictures: int, last_step: int) -> None:
        self._source, self._count, self._pictures, self._last_step = source, count, pictures, last_step
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="feed")
        self._next: tuple[int, Future[Batch]] | None = None
        self.waited_s = 0.0

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def take(self, step: int) -> Batch:
        """The windows of a step; the time spent waiting for them adds to `waited_s`."""
        began = time.monotonic()
        ready = self._next[1] if self._next is not None and self._next[0] == step else self._draw(step)
        batch = ready.result()
        self._next = (step + 1, self._draw(step + 1)) if step + 1 < self._last_step else None
        self.waited_s += time.monotonic() - began
        return batch

    def _draw(self, step: int) -> Future[Batch]:
        return self._pool.submit(self._source.draw, step, self._count, self._pictures)
