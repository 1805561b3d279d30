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


AGAIN = """
import os, sys
from pathlib import Path
from wm_bringup.processes import ProcessGroup
from wm_bringup.supervision import RespawnPolicy
group = ProcessGroup(Path(sys.argv[1]))
policy = RespawnPolicy(tries=int(sys.argv[2]), window_s=600.0, delay_s=0.05)
group.add("frail", [sys.executable, "-u", "-c", sys.argv[3], sys.argv[1]], dict(os.environ), policy)
group.add("steady", [sys.executable, "-u", "-c", sys.argv[4], sys.argv[1]], dict(os.environ))
group.run()
print("first", group.first, "restarts", group.restarts, "codes", group.codes, "deaths", group.deaths("frail"))
"""
DIES_TWICE = """
import os, sys, time
from pathlib import Path
starts = Path(sys.argv[1], "starts")
starts.write_text((starts.read_text() if starts.exists() else "") + "x")
if len(starts.read_text()) <= 2:
    os.kill(os.getpid(), 9)
Path(sys.argv[1], "alive").touch()
time.sleep(60)
"""
ENDS_ONCE_THE_OTHER_LIVES = """
import sys, time
from pathlib import Path
while not Path(sys.argv[1], "alive").exists():
    time.sleep(0.05)
"""


def start_again(folder: Path, tries: int, frail: str, steady: str) -> str:
    command = [sys.executable, "-u", "-c", AGAIN, str(folder), str(tries), frail, steady]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=dict(os.environ), check=False)
    return done.stdout + done.stderr


def test_who_dies_is_started_again_and_the_others_go_on(tmp_path: Path) -> None:
    output = start_again(tmp_path, 3, DIES_TWICE, ENDS_ONCE_THE_OTHER_LIVES)
    assert "first steady restarts {'frail': 2}" in output
    assert "frail ended (killed by SIGKILL); it is started again in 0.1 s" in output
    assert "it is started again in 0.1 s" in (tmp_path / "frail.log").read_text()


def test_who_dies_too_often_ends_all(tmp_path: Path) -> None:
    output = start_again(tmp_path, 2, "import sys; sys.exit(4)", SLEEP)
    assert "first frail restarts {'frail': 2} codes {'frail': 4, 'steady': -15} deaths 3" in output


def test_who_says_that_its_settings_are_wrong_is_not_started_again(tmp_path: Path) -> None:
    output = start_again(tmp_path, 2, "import sys; sys.exit(78)", SLEEP)
    assert "first frail restarts {} codes {'frail': 78" in output


LAST = """
import os, sys
from pathlib import Path
from wm_bringup.processes import ProcessGroup
group = ProcessGroup(Path(sys.argv[1]))
group.add("recorder", [sys.executable, "-u", "-c", sys.argv[2], "recorder"], dict(os.environ), ends_last=True)
group.add("slow", [sys.executable, "-u", "-c", sys.argv[2], "slow"], dict(os.environ))
group.add("ends", [sys.executable, "-u", "-c", "import time; time.sleep(2.0)"], dict(os.environ))
group.run()
print("killed", group.killed)
"""
SAYS_WHEN_IT_LEAVES = """
import signal, sys, time
def leave(number, frame):
    time.sleep(1.0 if sys.argv[1] == "slow" else 0.0)
    print("left", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
time.sleep(60)
"""


def test_who_ends_last_is_asked_when_the_others_are_gone(tmp_path: Path) -> None:
    command = [sys.executable, "-u", "-c", LAST, str(tmp_path), SAYS_WHEN_IT_LEAVES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=dict(os.environ), check=False)
    lines = [line for line in done.stdout.splitlines() if "left" in line]
    assert [line.split()[1] for line in lines] == ["slow", "recorder"]
    assert "killed []" in done.stdout
