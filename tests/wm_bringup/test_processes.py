"""Processes that start together and end together."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wm_bringup.processes import describe_end

PROGRAM = """
import os, sys
from pathlib import Path
from wm_bringup.processes import ProcessGroup
group = ProcessGroup(Path(sys.argv[1]))
for name, code in zip(sys.argv[2::2], sys.argv[3::2]):
    group.add(name, [sys.executable, "-u", "-c", code], dict(os.environ))
group.run()
print("first", group.first, "codes", group.codes, "killed", group.killed)
"""
SLEEP = "import time; print('up'); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(60)"


def start(folder: Path, *named: str) -> subprocess.Popen:
    command = [sys.executable, "-u", "-c", PROGRAM, str(folder), *named]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=dict(os.environ))


def test_the_first_to_end_ends_all_and_is_named(tmp_path: Path) -> None:
    output, _ = start(tmp_path, "worker", SLEEP, "breaks", "import sys; print('no oil'); sys.exit(3)").communicate(
        timeout=60
    )
    assert "first breaks" in output
    assert "'breaks': 3" in output
    assert "'worker': -15" in output


def test_every_line_stands_in_the_log_of_its_process_and_on_the_screen_with_its_name(tmp_path: Path) -> None:
    output, _ = start(tmp_path, "talker", "print('one'); print('two')").communicate(timeout=60)
    assert (tmp_path / "talker.log").read_text() == "one\ntwo\n"
    assert "talker | one" in output.replace("  ", " ")


def test_who_does_not_stop_is_killed_and_named(tmp_path: Path) -> None:
    output, _ = start(tmp_path, "stubborn", STUBBORN, "ends", "import time; time.sleep(1.5)").communicate(timeout=60)
    assert "killed ['stubborn']" in output
    assert "'stubborn': -9" in output


@pytest.mark.parametrize(("code", "words"), [(3, "exit code 3"), (-9, "killed by SIGKILL")])
def test_an_exit_code_in_words(code: int, words: str) -> None:
    assert describe_end(code) == words
