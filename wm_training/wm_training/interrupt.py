"""Ctrl-C that lets a step finish, since half an optimiser step cannot be resumed from, and says how to go on."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from wm_training.errors import StoppedError

REPEAT_S = 1.0  # torchrun passes on the very signal that the terminal has sent already: that is no second request


def how_to_go_on(out: Path) -> str:
    """What to do after a training in folder `out` was stopped."""
    return f"Go on with --resume --out {out} and the same options."


@contextmanager
def asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Whether SIGINT or SIGTERM has arrived; another one, more than a second later, ends the process as usual."""
    asked_at: float | None = None

    def remember(number: int, frame: FrameType | None) -> None:
        nonlocal asked_at
        if asked_at is None:
            asked_at = time.monotonic()
        elif time.monotonic() - asked_at > REPEAT_S:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    with _handled_by(remember):
        yield lambda: asked_at is not None


@contextmanager
def stopping_says(sentence: Callable[[], str]) -> Iterator[None]:
    """SIGINT or SIGTERM within becomes a StoppedError with this sentence."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        with _handled_by(interrupt):
            yield
    except KeyboardInterrupt:
        raise StoppedError(sentence()) from None


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers; it is also the one that gets signals
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
