"""Set-up of the workspace: check the machine, make .venv, install what is pinned, repair paths, `colcon build`.

Every step leaves a stamp of what it was made from; a later run compares stamps and starts within a second. Python
sources are linked into the workspace, so they are no part of any stamp. Standard library only.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from machine import ROOT, Machine, foreign, problems, ros_installation

VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
INSTALL_STAMP = VENV / ".installed"
BUILD_STAMP = ROOT / "install" / ".built"
RECIPE = 1  # counts up when the steps below change
PACKAGES = (
    "wm_msgs", "wm_ros", "wm_sim", "wm_perception", "wm_dynamics", "wm_planner", "wm_training", "launch",
)  # fmt: skip
TOOL_PINS = {"cmake": "cmake==3.31.6", "ninja": "ninja==1.11.1.4"}  # only where the machine has none
SEARCH_PATHS = ("AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH", "COLCON_PREFIX_PATH", "PYTHONPATH", "LD_LIBRARY_PATH")


class SetupError(RuntimeError):
    """One sentence: what is wrong and what to do."""


def digest(paths: list[Path], *facts: object) -> str:
    """Hash of files by name and content, and of facts."""
    total = hashlib.sha256(repr(facts).encode())
    for path in sorted(paths):
        total.update(str(path.relative_to(ROOT)).encode() + b"\0")
        total.update(path.read_bytes() + b"\0")
    return total.hexdigest()


def requirement_files(ros_distro: str | None) -> list[Path]:
    """What pip reads: the wheels of ROS 2 only where no installation is sourced."""
    names = ["requirements.txt"] if ros_distro else ["requirements.txt", "requirements-ros.txt"]
    return [ROOT / name for name in names]


def install_key(ros_distro: str | None) -> str:
    """Stamp of the virtual environment: pins, ROS, place."""
    return digest(requirement_files(ros_distro), RECIPE, place(ros_distro))


def place(ros_distro: str | None) -> str:
    """What CMake's caches hold on to: this folder, ROS."""
    return f"{ROOT} {ros_distro}"


def build_key(installed: str) -> str:
    """Stamp of the colcon workspace: everything that is not linked but made."""
    files: list[Path] = []
    for package in PACKAGES:
        folder = ROOT / package
        files += [folder / name for name in ("package.xml", "setup.py", "setup.cfg", "CMakeLists.txt")]
        files += [*folder.glob("msg/*.msg"), *folder.glob("srv/*.srv")]
    linked = sorted(str(path) for pattern in ("*.launch.py", "*/*.yaml") for path in (ROOT / "launch").glob(pattern))
    return digest([path for path in files if path.exists()], installed, linked)


def stamped(stamp: Path, key: str) -> bool:
    """Whether a step was done from the same things."""
    return stamp.exists() and stamp.read_text() == key


def call(command: list[str], complaint: str, env: dict[str, str] | None = None) -> None:
    """Run a command; SetupError with `complaint` when it fails."""
    if subprocess.run(command, cwd=ROOT, env=env, check=False).returncode:
        raise SetupError(complaint)


def install(machine: Machine, key: str) -> None:
    """Make .venv and install the pinned requirements."""
    if not stamped(INSTALL_STAMP, key):
        INSTALL_STAMP.unlink(missing_ok=True)
    base = getattr(sys, "_base_executable", sys.executable)
    if not environment_fits(machine):
        print(f"Making the virtual environment {VENV} with Python {platform.python_version()}.", flush=True)
        site = ["--system-site-packages"] if machine.ros_distro else []
        call([base, "-m", "venv", "--clear", *site, str(VENV)], f"{VENV} could not be made; remove it and run again.")
    requirements = [word for path in requirement_files(machine.ros_distro) for word in ("-r", str(path))]
    print("Installing the pinned requirements; the first time this takes some minutes.", flush=True)
    pip = [str(VENV_PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    call(
        [*pip, *requirements, *missing_tools()],
        "pip could not install the requirements (its words are above); check network and pip settings, then run again.",
    )
    if machine.ros_distro is None:
        repair_exports()
        write_chained_setup()
    INSTALL_STAMP.write_text(key)


def environment_fits(machine: Machine) -> bool:
    """Whether .venv runs, here and not where a copy came from, with the same Python and the same idea of ROS."""
    if not VENV_PYTHON.exists():
        return False
    program = "import sys; print(sys.version_info[0], sys.version_info[1], sys.prefix)"
    answer = subprocess.run([str(VENV_PYTHON), "-c", program], capture_output=True, text=True, check=False)
    settings = (VENV / "pyvenv.cfg").read_text()
    shares_site = "include-system-site-packages = true" in settings
    same_python = answer.stdout.split() == [*map(str, machine.python), str(VENV)]
    return same_python and shares_site == (machine.ros_distro is not None)


def missing_tools() -> list[str]:
    """Pins of the build tools that the machine lacks. With CMake, make is enough; else ninja."""
    missing = [] if shutil.which("cmake") else ["cmake"]
    if not shutil.which("make") and not shutil.which("ninja"):
        missing.append("ninja")
    return [TOOL_PINS[name] for name in missing]


def repair_exports() -> None:
    """Point the CMake exports of the wheels to this Python and numpy; they name those of where they were built."""
    program = "import numpy, sysconfig; print(sysconfig.get_paths()['include']); print(numpy.get_include())"
    asked = subprocess.run([str(VENV_PYTHON), "-c", program], capture_output=True, text=True, check=True)
    python_include, numpy_include = asked.stdout.split("\n")[:2]
    for path in VENV.glob("share/*/cmake/*.cmake"):
        text = path.read_text()
        repaired = repair_paths(text, python_include, numpy_include)
        if repaired != text:
            path.write_text(repaired)


def repair_paths(text: str, python_include: str, numpy_include: str) -> str:
    """One export file with this machine's include folders."""
    text = re.sub(r'/opt/python/[^;"\s]*?/site-packages/numpy/_?core/include', lambda _: numpy_include, text)
    return re.sub(r'/opt/python/[^;"\s/]*/include/python3\.\d+t?', lambda _: python_include, text)


def write_chained_setup() -> None:
    """Let `. install/setup.bash` alone put .venv on the PATH: colcon chains the prefix that it built against."""
    lines = [
        "# Chained by install/setup.*: the Python that the workspace was built with.",
        f'case ":$PATH:" in *":{VENV}/bin:"*) ;; *) PATH="{VENV}/bin:$PATH"; export PATH ;; esac',
    ]
    for shell in ("sh", "bash", "zsh"):
        (VENV / f"local_setup.{shell}").write_text("\n".join(lines) + "\n")


def build(machine: Machine, key: str) -> None:
    """colcon build, with sources linked."""
    made_in = ROOT / "build" / ".place"
    here = f"{place(machine.ros_distro)} {machine.python}"
    if not stamped(made_in, here):  # another Python, ROS or folder: CMake's caches would mislead
        for name in ("build", "install"):
            shutil.rmtree(ROOT / name, ignore_errors=True)
    BUILD_STAMP.unlink(missing_ok=True)
    env = {**os.environ, **{name: foreign(os.environ.get(name, "")) for name in SEARCH_PATHS}}
    env["PATH"] = f"{VENV}/bin:{env['PATH']}"
    if machine.ros_distro is None:
        env["AMENT_PREFIX_PATH"] = env["CMAKE_PREFIX_PATH"] = str(VENV)
    env = {name: value for name, value in env.items() if value or name not in SEARCH_PATHS}
    generator = [] if shutil.which("make") else ["-GNinja"]
    print("Building the workspace.", flush=True)
    call(
        [
            str(VENV_PYTHON), "-m", "colcon", "build", "--symlink-install", "--base-paths", *PACKAGES,
            "--cmake-args", "-DBUILD_TESTING=OFF", "-DCMAKE_BUILD_TYPE=Release",
            f"-DPython3_EXECUTABLE={VENV_PYTHON}", *generator,
        ],
        "colcon build failed (its words are above, the whole log is in log/latest_build); repair that, or begin anew "
        "with `make clean`.",
        env,
    )  # fmt: skip
    made_in.write_text(here)
    BUILD_STAMP.write_text(key)


def set_up() -> None:
    """Every step that is not done yet."""
    installed = install_key(ros_installation())
    built = build_key(installed)
    if stamped(INSTALL_STAMP, installed) and stamped(BUILD_STAMP, built) and VENV_PYTHON.exists():
        return
    start = time.monotonic()
    machine = Machine.here()
    found = problems(machine)
    if found:
        raise SetupError("\n".join(found))
    if not stamped(INSTALL_STAMP, installed) or not VENV_PYTHON.exists():
        install(machine, installed)
    build(machine, built)
    print(f"The workspace is ready ({time.monotonic() - start:.0f} s).", flush=True)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Sets the workspace up; a second run starts within a second.")
    parser.add_argument("--check", action="store_true", help="only say what stands in the way")
    options = parser.parse_args()
    try:
        if options.check:
            found = problems(Machine.here())
            if found:
                raise SetupError("\n".join(found))
        else:
            with Path(__file__).open() as lock:  # two at once: the second waits, and then finds the work done
                fcntl.flock(lock, fcntl.LOCK_EX)
                set_up()
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; run again to go on.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
