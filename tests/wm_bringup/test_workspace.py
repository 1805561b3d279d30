"""Set-up says what is missing before it installs anything; every folder is a proper ament package."""

import configparser
import dataclasses
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"
PYTHON_PACKAGES = {
    "wm_ros": "wm_ros", "wm_sim": "wm_sim", "wm_perception": "wm_perception", "wm_dynamics": "wm_dynamics",
    "wm_planner": "wm_planner", "wm_training": "wm_training", "wm_bringup": "launch",
}  # fmt: skip
NODES = {
    "wm_sim": {"sim_node"},
    "wm_perception": {"perception_node"},
    "wm_dynamics": {"dynamics_node"},
    "wm_planner": {"planner_node", "safety_gate_node"},
    "wm_training": {"player_node", "recorder_node", "replay_node"},
    "wm_bringup": {"drive_node", "supervisor_node", "wm"},
}


@pytest.fixture
def scripts(monkeypatch):
    """scripts/machine.py and scripts/workspace.py as modules."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    loaded = []
    for name in ("machine", "workspace"):
        spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        loaded.append(module)
    return loaded


@pytest.fixture
def machine(scripts):
    return scripts[0]


@pytest.fixture
def workspace(scripts):
    return scripts[1]


@pytest.fixture
def good(machine):
    return machine.Machine(
        system="Linux", processor="x86_64", python=(3, 11), venv_module=True, python_headers=True,
        c_compiler="/usr/bin/cc", cxx_compiler="/usr/bin/c++", free_gib=50.0, ros_distro=None, rclpy=False,
    )  # fmt: skip


def test_a_fitting_machine_has_no_problem(machine, good) -> None:
    for minor in (10, 11, 12, 13):
        assert machine.problems(dataclasses.replace(good, python=(3, minor))) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"system": "Darwin", "processor": "arm64"}, ["Linux x86-64", "Darwin arm64", "container"]),
        ({"processor": "aarch64"}, ["Linux x86-64", "aarch64"]),
        ({"python": (3, 9)}, ["3.9", "3.10 to 3.13", "PYTHON="]),
        ({"python": (3, 14)}, ["3.14", "3.10 to 3.13", "PYTHON="]),
        ({"venv_module": False}, ["virtual environments", "python3.11-venv"]),
        ({"python_headers": False}, ["Python.h", "python3.11-dev"]),
        ({"cxx_compiler": None}, ["C++ compiler", "build-essential"]),
        ({"c_compiler": None}, ["C compiler", "build-essential"]),
        ({"free_gib": 0.5}, ["0.5 GiB", "make room"]),
        ({"ros_distro": "jazzy"}, ["ROS 2 jazzy", "rclpy", "PYTHON"]),
    ],
)
def test_each_thing_that_is_missing_is_one_sentence_with_its_remedy(machine, good, change: dict, words: list) -> None:
    [sentence] = machine.problems(dataclasses.replace(good, **change))
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert all(word in sentence for word in words)


@pytest.fixture
def bare_copy(tmp_path):
    """The set-up scripts alone, in a workspace where nothing is set up."""
    shutil.copytree(SCRIPTS, tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("requirements.txt", "requirements-ros.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def set_up(folder: Path, path: str, **environment: str) -> subprocess.CompletedProcess:
    env = {"PATH": path, "HOME": str(folder), **environment}
    return subprocess.run(
        ["/bin/sh", str(folder / "scripts/setup.sh")], env=env, capture_output=True, text=True, check=False
    )


def tools(folder: Path, *names: str) -> str:
    """A PATH with these tools and nothing else."""
    box = folder / "tools"
    box.mkdir()
    for name in names:
        (box / name).symlink_to(shutil.which(name))
    return str(box)


def base_python() -> str:
    return os.path.realpath(sys.executable)


def test_without_a_compiler_set_up_says_so_and_installs_nothing(bare_copy) -> None:
    done = set_up(bare_copy, tools(bare_copy, "dirname"), PYTHON=base_python())
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "C++ compiler" in done.stderr
    assert not (bare_copy / ".venv").exists()


def test_without_python_set_up_says_so(bare_copy) -> None:
    done = set_up(bare_copy, tools(bare_copy, "dirname"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "Python 3.10 to 3.13" in done.stderr


def test_with_a_python_that_does_not_fit_set_up_says_so_and_installs_nothing(bare_copy) -> None:
    starter = bare_copy / "old_python.py"
    starter.write_text(
        "import runpy, sys\n"
        "sys.version_info = (3, 9, 2, 'final', 0)\n"
        f"sys.path.insert(0, {str(bare_copy / 'scripts')!r})\n"
        f"runpy.run_path({str(bare_copy / 'scripts/workspace.py')!r}, run_name='__main__')\n"
    )
    done = subprocess.run([base_python(), str(starter)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Python is 3.9, but 3.10 to 3.13 is needed" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (bare_copy / ".venv").exists()


def test_the_workspace_that_runs_these_tests_is_set_up_and_needs_nothing(workspace) -> None:
    installed = workspace.install_key(workspace.ros_installation())
    assert workspace.stamped(workspace.INSTALL_STAMP, installed), "requirements have changed since: make setup"
    built = workspace.stamped(workspace.BUILD_STAMP, workspace.build_key(installed))
    assert built, "a package has changed since in what is built rather than linked: make setup"


def test_python_sources_are_linked_so_that_changes_need_no_build() -> None:
    for package, folder in PYTHON_PACKAGES.items():
        spec = importlib.util.find_spec(package)
        assert Path(spec.origin).resolve() == ROOT / folder / package / "__init__.py"


def test_an_earlier_sourced_workspace_does_not_count_as_a_ros_installation(machine, monkeypatch) -> None:
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{machine.ROOT}/install/wm_msgs:{machine.ROOT}/.venv")
    assert machine.ros_installation() is None
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    assert machine.ros_installation() == "jazzy"


def test_a_ros_installation_brings_its_own_rclpy(workspace) -> None:
    assert [path.name for path in workspace.requirement_files("jazzy")] == ["requirements.txt"]
    assert [path.name for path in workspace.requirement_files(None)] == ["requirements.txt", "requirements-ros.txt"]


def test_export_paths_of_any_wheel_builder_become_those_of_this_machine(workspace) -> None:
    text = (
        'INCLUDES "/opt/python/cp312-cp312/include/python3.12;'
        '/opt/python/cp312-cp312/lib/python3.12/site-packages/numpy/_core/include;${_IMPORT_PREFIX}/include"'
    )
    repaired = workspace.repair_paths(text, "/usr/include/python3.12", "/v/numpy/include")
    assert repaired == 'INCLUDES "/usr/include/python3.12;/v/numpy/include;${_IMPORT_PREFIX}/include"'
    assert workspace.repair_paths(repaired, "/usr/include/python3.12", "/v/numpy/include") == repaired


def test_every_requirement_is_pinned_exactly_and_torch_comes_first() -> None:
    lines = []
    for name in ("requirements.txt", "requirements-ros.txt"):
        lines += [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "torch==2.13.0"
    for line in lines:
        assert re.fullmatch(r"[\w.-]+==[\w.]+(; python_version (<|>=) \"3\.11\")?", line), line
    [setuptools] = [line for line in lines if line.startswith("setuptools==")]
    assert int(setuptools.split("==")[1].split(".")[0]) < 80


@pytest.mark.parametrize("package", ["wm_msgs", *PYTHON_PACKAGES])
def test_package_manifests_are_format_3_and_name_what_exists(package: str) -> None:
    folder = ROOT / PYTHON_PACKAGES.get(package, package)
    manifest = ElementTree.parse(folder / "package.xml").getroot()
    assert manifest.get("format") == "3"
    assert manifest.findtext("name") == package
    assert manifest.findtext("license") == "Apache-2.0"
    build_type = manifest.findtext("export/build_type")
    assert build_type == ("ament_cmake" if package == "wm_msgs" else "ament_python")
    named = {entry.text for entry in manifest if entry.tag.endswith("depend")}
    assert {name for name in named if name.startswith("wm_")} <= {"wm_msgs", *PYTHON_PACKAGES}


@pytest.mark.parametrize("package", PYTHON_PACKAGES)
def test_python_packages_have_marker_script_folder_and_node_entry_points(package: str) -> None:
    folder = ROOT / PYTHON_PACKAGES[package]
    assert (folder / "resource" / package).is_file()
    setup = configparser.ConfigParser()
    setup.read(folder / "setup.cfg")
    assert setup["develop"]["script_dir"] == setup["install"]["install_scripts"] == f"$base/lib/{package}"
    scripts = setup.get("options.entry_points", "console_scripts", fallback="").strip().splitlines()
    assert {script.partition(" = ")[0] for script in scripts} == NODES.get(package, set())
    for script in scripts:
        module = script.partition(" = ")[2].partition(":")[0]
        assert (folder / Path(*module.split("."))).with_suffix(".py").is_file(), script


def test_packages_name_every_stack_package_that_they_import() -> None:
    for package, folder in PYTHON_PACKAGES.items():
        imported: set[str] = set()
        for source in (ROOT / folder / package).rglob("*.py"):
            imported |= set(re.findall(r"^\s*(?:from|import) (wm_\w+)", source.read_text(), re.MULTILINE))
        manifest = ElementTree.parse(ROOT / folder / "package.xml").getroot()
        named = {entry.text for entry in manifest if entry.tag.endswith("depend")}
        assert imported - {package} <= named, package


@pytest.mark.parametrize("package", [name for name in NODES])
def test_executables_lie_where_ros2_run_looks_for_them(package: str) -> None:
    folder = ROOT / "install" / package
    for name in NODES[package]:
        assert os.access(folder / "lib" / package / name, os.X_OK)
    assert (folder / "share/ament_index/resource_index/packages" / package).exists()


def test_sourcing_install_alone_puts_wm_on_the_path() -> None:
    command = f". {ROOT}/install/setup.bash && command -v wm"
    env = {"PATH": "/usr/bin:/bin", "HOME": "/"}
    shown = subprocess.run(["bash", "-c", command], env=env, capture_output=True, text=True, check=False)
    assert shown.stdout.strip() == str(ROOT / "install/wm_bringup/bin/wm")
    assert shown.stderr == ""
