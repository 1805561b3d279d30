"""Real-time scheduling of a process whose period must hold on a busy machine, where the system permits it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

ORDINARY = "ordinary"


def permits_realtime() -> bool:
    """Whether this user may have SCHED_FIFO; tried in a thread that ends at once."""
    permitted = []

    def attempt() -> None:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))  # 0: the calling thread
            permitted.append(True)
        except OSError:
            pass

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    return bool(permitted)


def prefer_realtime(priority: int) -> str:
    """Put every thread of this process, and those to come, under SCHED_FIFO; in words, what is in force afterwards.

    priority: 1 to 99; 0 changes nothing. Permitted to root, and to users with `rtprio` in /etc/security/limits.conf.
    """
    if priority == 0:
        return ORDINARY
    try:
        for thread in Path("/proc/self/task").iterdir():
            os.sched_setscheduler(int(thread.name), os.SCHED_FIFO, os.sched_param(priority))
    except ProcessLookupError:  # a thread that ended meanwhile
        return prefer_realtime(priority)
    except PermissionError:
        return f"{ORDINARY}: SCHED_FIFO is not permitted to this user"
    except OSError as error:
        return f"{ORDINARY}: {error.strerror}"
    return f"SCHED_FIFO {priority}"
