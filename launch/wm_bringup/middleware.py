"""The middleware's settings where the user has made none: Fast DDS, inside this machine, by UDP alone.

Fast DDS would also use shared memory. There a process that is killed while it writes holds locks and ports that the
living wait for: with senders at full rate, one of them killed every second, readers heard nothing for up to 8 s, and
1.4 s over UDP, which is as fast for messages of the stack's size. It also leaves half a megabyte in /dev/shm each time.
ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST puts shared memory in whatever FASTDDS_BUILTIN_TRANSPORTS says, so the profile
limits the range itself. scripts/env.sh says the same in shell.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from wm_bringup.errors import BringupError

FAST_DDS = "rmw_fastrtps_cpp"
RANGE, PROFILES = "ROS_AUTOMATIC_DISCOVERY_RANGE", "FASTRTPS_DEFAULT_PROFILES_FILE"
# Who sets one of these has a transport or a range of discovery in mind.
CHOICES = (
    RANGE,
    PROFILES,
    "FASTDDS_BUILTIN_TRANSPORTS",
    "ROS_LOCALHOST_ONLY",
    "ROS_STATIC_PEERS",
    "ROS_DISCOVERY_SERVER",
)


def profiles_file() -> Path:
    """params/loopback.xml of the workspace or of the installed package."""
    for root in Path(__file__).resolve().parents:
        for candidate in (root / "params/loopback.xml", root / "share/wm_bringup/params/loopback.xml"):
            if candidate.is_file():
                return candidate
    raise BringupError("params/loopback.xml is not installed with wm_bringup. Build the workspace again: make setup.")


def middleware_defaults(env: Mapping[str, str]) -> dict[str, str]:
    """What to add to an environment; nothing that it holds already."""
    rmw = env.get("RMW_IMPLEMENTATION") or FAST_DDS
    if rmw == FAST_DDS and not any(env.get(name) for name in CHOICES):
        wanted = {RANGE: "SYSTEM_DEFAULT", PROFILES: str(profiles_file())}
    else:
        wanted = {RANGE: "LOCALHOST"}
    return {name: value for name, value in {"RMW_IMPLEMENTATION": rmw, **wanted}.items() if not env.get(name)}
