"""Real-time scheduling is taken where it is permitted, for all threads, and said in words where it is not."""

import os
import subprocess
import sys

import pytest

from wm_ros import scheduling
from wm_ros.scheduling import permits_realtime

LOOK = """
import os, sys, threading
from pathlib import Path
from wm_ros.scheduling import prefer_realtime
done = threading.Event()
threading.Thread(target=done.wait).start()
print(prefer_realtime(int(sys.argv[1])))
threading.Thread(target=done.wait).start()
policies = [os.sched_getscheduler(int(it.name)) for it in Path("/proc/self/task").iterdir()]
done.set()
print(len(policies), *sorted({"FIFO" if policy == os.SCHED_FIFO else "OTHER" for policy in policies}))
"""


def look(priority: int) -> list[str]:
    """In a process of its own: this one stays as it is."""
    run = [sys.executable, "-c", LOOK, str(priority)]
    return subprocess.run(run, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()


def test_every_thread_is_scheduled_as_the_words_say():
    said, threads = look(20)
    assert threads == ("3 FIFO" if said == "SCHED_FIFO 20" else "3 OTHER")
    assert said == "SCHED_FIFO 20" or said.startswith("ordinary: ")


def test_whether_it_is_permitted_is_known_without_taking_it():
    assert permits_realtime() == (look(20)[0] == "SCHED_FIFO 20")
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_what_is_not_permitted_is_known_too(monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    assert not permits_realtime()


def test_priority_0_changes_nothing():
    assert look(0) == ["ordinary", "3 OTHER"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(), "ordinary: SCHED_FIFO is not permitted to this user"),
        (OSError(22, "Invalid argument"), "ordinary: Invalid argument"),
    ],
)
def test_what_the_system_refuses_is_said_and_the_process_goes_on(monkeypatch, error, words):
    def refuse(*_):
        raise error

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    assert scheduling.prefer_realtime(20) == words


def test_a_thread_that_ends_meanwhile_is_no_trouble(monkeypatch):
    calls = []

    def once(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise ProcessLookupError

    monkeypatch.setattr(os, "sched_setscheduler", once)
    assert scheduling.prefer_realtime(20) == "SCHED_FIFO 20"
