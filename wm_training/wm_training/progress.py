"""How far training is: a bar on a terminal, a line a minute anywhere else."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

LINE_EVERY_S = 60.0


class TrainingProgress:
    """Use as a context; silent unless `shown`, which is for the first process alone."""

    def __init__(self, task: str, first: int, total: int, shown: bool, console: Console | None = None) -> None:
        self._console = console or Console()
        self._task, self._first, self._total = task, first, total
        self._began = self._said = time.monotonic()
        self._lines = shown and not self._console.is_terminal
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        self._bar = Progress(*columns, console=self._console, disable=not shown or self._lines)
        self._id = self._bar.add_task(task, total=total, completed=first, note="")
        self._note, self._told = "", first

    def __enter__(self) -> TrainingProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def update(self, done: int, note: str | None = None) -> None:
        """`done` steps of the whole run are behind us; `note` is shown from now on."""
        self._note = self._note if note is None else note
        self._bar.update(self._id, completed=done, note=self._note)
        now = time.monotonic()
        last = done == self._total and self._told < done
        if self._lines and (now - self._said >= LINE_EVERY_S or last):
            self._said, self._told = now, done
            left = (now - self._began) / max(1, done - self._first) * (self._total - done)
            line = f"{self._task}: step {done}/{self._total}, {_clock(left)} left, {self._note}"
            print(line.rstrip(", "), file=self._console.file, flush=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
