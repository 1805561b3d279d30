"""What set-up needs to know about the machine, and what stands in the way. Standard library only."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST, NEWEST = (3, 10), (3, 13)
FREE_GIB = 4.0


@dataclass(frozen=True)
class Machine:
    """What set-up needs to know about the machine."""

    system: str
    processor: str
    python: tuple[int, int]
    venv_module: bool
    python_headers: bool
    c_compiler: str | None
    cxx_compiler: str | None
    free_gib: float  # asked only before the first build
    ros_distro: str | None  # of a sourced ROS installation
    rclpy: bool  # importable by this Python; asked only under a ROS installation

    @staticmethod
    def here() -> Machine:
        """Look at this machine."""
        headers = Path(sysconfig.get_paths()["include"]) / "Python.h"
        return Machine(
            system=platform.system(),
            processor=platform.machine(),
            python=sys.version_info[:2],
            venv_module=find_spec("venv") is not None and find_spec("ensurepip") is not None,
            python_headers=headers.exists(),
            c_compiler=first_tool(os.environ.get("CC"), "cc", "gcc", "clang"),
            cxx_compiler=first_tool(os.environ.get("CXX"), "c++", "g++", "clang++"),
            free_gib=float("inf") if (ROOT / "install").exists() else shutil.disk_usage(ROOT).free / 2**30,
            ros_distro=ros_installation(),
            rclpy=ros_installation() is not None and find_spec("rclpy") is not None,
        )


def first_tool(*names: str | None) -> str | None:
    """Path of the first tool that exists; a name may carry arguments, as CXX="ccache g++" does."""
    return next((path for name in names if name and (path := shutil.which(name.split()[0]))), None)


def ros_installation() -> str | None:
    """Name of the ROS distribution sourced in this shell; this workspace's own environment does not count."""
    if os.environ.get("ROS_DISTRO"):
        return os.environ["ROS_DISTRO"]
    prefixes = foreign(os.environ.get("AMENT_PREFIX_PATH", "")).split(":")
    return "unnamed" if any(prefix and (Path(prefix) / "share" / "rclpy").is_dir() for prefix in prefixes) else None


def foreign(search_path: str) -> str:
    """A search path without what lies in this workspace, where an earlier `. install/setup.bash` put it."""
    entries = [entry for entry in search_path.split(":") if entry]
    return ":".join(entry for entry in entries if ROOT not in (Path(entry), *Path(entry).parents))


def problems(machine: Machine) -> list[str]:
    """What stands in the way, a sentence each, with the remedy."""
    found = []
    if machine.system != "Linux" or machine.processor not in ("x86_64", "AMD64"):
        found.append(
            f"This stack runs on Linux x86-64 and this is {machine.system} {machine.processor}; "
            "use a Linux machine, a container or WSL 2."
        )
    version = ".".join(map(str, machine.python))
    if not OLDEST <= machine.python <= NEWEST:
        found.append(f"Python is {version}, but 3.10 to 3.13 is needed; install one and set PYTHON=/path/to/python3.")
    if not machine.venv_module:
        found.append(
            f"Python {version} cannot make virtual environments; install its venv module "
            f"(Debian, Ubuntu: apt install python{version}-venv)."
        )
    if not machine.python_headers:
        found.append(
            f"The headers of Python {version} are missing (Python.h); install them "
            f"(Debian, Ubuntu: apt install python{version}-dev; Fedora: dnf install python3-devel)."
        )
    if machine.cxx_compiler is None or machine.c_compiler is None:
        missing = "C++" if machine.cxx_compiler is None else "C"
        found.append(
            f"A {missing} compiler was not found; install one (Debian, Ubuntu: apt install build-essential; "
            "Fedora: dnf install gcc-c++) or name it in CC and CXX."
        )
    if machine.free_gib < FREE_GIB:
        found.append(f"{machine.free_gib:.1f} GiB are free in {ROOT}, but {FREE_GIB:g} GiB are needed; make room.")
    if machine.ros_distro is not None and not machine.rclpy:
        found.append(
            f"ROS 2 {machine.ros_distro} is sourced, but Python {version} cannot import its rclpy; set PYTHON to the "
            "Python that ROS was built for (/usr/bin/python3), or use a shell without ROS."
        )
    return found
