"""A busy machine, for what has to hold on one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hogs(count: int) -> Iterator[None]:
    """Processes that want a core each, at ordinary priority, while the block runs. Ctrl-C leaves them to the block."""
    busy = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True) for _ in range(count)
    ]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
        for process in busy:
            process.wait()
