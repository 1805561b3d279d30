"""The middleware's settings: the stack's own where the user has none, in Python and in shell alike."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wm_bringup.middleware import CHOICES, PROFILES, RANGE, middleware_defaults, profiles_file

ENV_SH = Path(__file__).parents[2] / "scripts/env.sh"
LISTENING = """
import time, rclpy
from pathlib import Path
rclpy.init()
node = rclpy.create_node("listening")
limit, threads = time.monotonic() + 20.0, []
while time.monotonic() < limit and not any(name.startswith("dds.udp") for name in threads):
    time.sleep(0.5)  # a thread names itself once it runs
    threads = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
print(sum(name.startswith("dds.udp") for name in threads), sum(name.startswith("dds.shm") for name in threads))
node.destroy_node()
rclpy.shutdown()
"""


def bare(**chosen: str) -> dict[str, str]:
    """This environment without settings of the middleware, save those named."""
    return {name: value for name, value in os.environ.items() if name not in (*CHOICES, "RMW_IMPLEMENTATION")} | chosen


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"},
        {RANGE: "SUBNET"},
        {PROFILES: "/mine.xml"},
        {"FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA"},
        {"ROS_STATIC_PEERS": "10.0.0.2"},
    ],
)
def test_shell_and_processes_agree_and_what_the_user_set_wins(chosen: dict[str, str]) -> None:
    wanted = chosen | middleware_defaults(chosen)
    assert (wanted.get(PROFILES) == str(profiles_file())) == (not chosen)
    names = " ".join(("RMW_IMPLEMENTATION", *CHOICES))
    script = f'. "{ENV_SH}" >/dev/null && for name in {names}; do echo "$name=${{!name}}"; done'
    done = subprocess.run(["bash", "-c", script], env=bare(**chosen), capture_output=True, text=True, check=True)
    heard = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert {name: value for name, value in heard.items() if value} == wanted


@pytest.mark.ros
def test_a_stack_node_uses_udp_and_no_shared_memory_that_a_killed_peer_could_leave_locked() -> None:
    env = bare() | middleware_defaults(bare())
    command = [sys.executable, "-c", LISTENING]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=60)
    udp, shm = map(int, done.stdout.split())
    assert udp > 0
    assert shm == 0
