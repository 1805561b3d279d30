"""What docs/security.md promises: nothing is unpickled, nothing listens on other interfaces, keys are asked for."""

from __future__ import annotations

import ast
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from wm_bringup.drive import check_model, check_security, environment
from wm_bringup.errors import BringupError
from wm_bringup.security import FILES, enclave_arguments, middleware_objection, secured
from wm_perception.errors import ModelError
from wm_perception.model_folder import read_model_config

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("wm_msgs", "wm_ros", "wm_sim", "wm_perception", "wm_dynamics", "wm_planner", "wm_training", "launch")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MODULES_THAT_RUN_WHAT_THEY_READ = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "jsonpickle"}
CALLS_THAT_DO = {
    *("torch.load", "joblib.load", "pd.read_pickle", "pandas.read_pickle", "eval", "exec", "os.system", "os.popen"),
    *("yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load"),
}


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a name or an attribute, "" of anything else."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def offences(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            names = []
        yield from (f"imports {name}" for name in names if name.partition(".")[0] in MODULES_THAT_RUN_WHAT_THEY_READ)
        if not isinstance(node, ast.Call):
            continue
        called = dotted(node.func)
        given = {word.arg: word.value for word in node.keywords}
        if called in CALLS_THAT_DO:
            yield f"calls {called}"
        pickled = given.get("allow_pickle")
        if called in ("np.load", "numpy.load") and not (isinstance(pickled, ast.Constant) and pickled.value is False):
            yield f"calls {called} without allow_pickle=False"
        if isinstance(shell := given.get("shell"), ast.Constant) and shell.value is True:
            yield f"calls {called} through a shell"


def test_no_source_unpickles_or_runs_what_it_reads() -> None:
    assert len(SOURCES) > 100
    found = {
        str(path.relative_to(ROOT)): told
        for path in SOURCES
        if (told := list(offences(ast.parse(path.read_text(encoding="utf-8")))))
    }
    assert not found


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import load",
        "torch.load('weights.pt')",
        "np.load('x.npy')",
        "np.load('x.npy', allow_pickle=True)",
        "yaml.load(text)",
        "subprocess.run('ls', shell=True)",
        "eval(text)",
    ],
)
def test_the_search_finds_what_it_is_meant_to_find(line: str) -> None:
    assert len(list(offences(ast.parse(line)))) == 1


def test_a_bit_turned_in_any_file_of_the_shipped_model_is_refused_by_name(tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(ROOT / "models/default", model)
    listed = read_model_config(model).files
    loaded = {path.name for path in model.iterdir()} - {"config.yaml", "metrics.json"}  # these two are not executed
    assert loaded == set(listed)
    assert check_model(model) == model
    for name in listed:
        whole = (model / name).read_bytes()
        middle = len(whole) // 2
        (model / name).write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
        with pytest.raises(ModelError, match=f"{name} is not the file that was exported"):
            check_model(model)
        (model / name).write_bytes(whole)


# Who may hear and speak.


def listening(pid: int) -> set[tuple[str, str, int]]:
    """Protocol, address and port of every internet socket of a process that takes what others send."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(link)
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = set()
    for protocol in ("udp", "udp6", "tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{protocol}").read_text().splitlines()[1:]:
            columns = line.split()
            address, state, inode = columns[1], columns[3], columns[9]
            if inode in inodes and (protocol.startswith("udp") or state == "0A"):
                found.add((protocol, *readable(address)))
    return found


def readable(address: str) -> tuple[str, int]:
    """Address and port of a line of /proc/net, where each 32-bit word stands in the machine's own byte order."""
    host, port = address.split(":")
    raw = b"".join(struct.pack("=I", int(host[i : i + 8], 16)) for i in range(0, len(host), 8))
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw), int(port, 16)


def test_addresses_are_read_as_the_kernel_writes_them() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        assert ("tcp", "127.0.0.1", server.getsockname()[1]) in listening(os.getpid())


@pytest.mark.ros
@pytest.mark.parametrize("module", ["wm_planner.safety_gate_node", "wm_sim.sim_node"])
def test_a_node_listens_on_the_loopback_interface_alone(module: str) -> None:
    command = [sys.executable, "-m", module, "--ros-args", *enclave_arguments(module.rpartition(".")[2])]
    node = subprocess.Popen(command, env=environment(int(os.environ["ROS_DOMAIN_ID"])))
    try:
        limit = time.monotonic() + 120.0
        while not (heard := listening(node.pid)):
            assert node.poll() is None and time.monotonic() < limit, "the node opens no socket"
            time.sleep(0.2)
        time.sleep(1.0)  # publishers and subscriptions come one by one
        heard |= listening(node.pid)
    finally:
        for process in (*psutil.Process(node.pid).children(recursive=True), node):
            process.send_signal(signal.SIGKILL)
        node.wait()
    assert {address for _, address, _ in heard} == {"127.0.0.1"}


# The switch.


@pytest.fixture
def with_security(tmp_path: Path) -> dict[str, str]:
    """The environment of a middleware that was built with security."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/librmw_fastrtps_shared_cpp.so").write_bytes(b"\x7fELF all of it")
    return {"AMENT_PREFIX_PATH": str(tmp_path), "RMW_IMPLEMENTATION": "rmw_fastrtps_cpp"}


@pytest.fixture
def keystore(tmp_path: Path) -> Path:
    for node in ("sim_node", "safety_gate_node"):
        folder = tmp_path / "keys/enclaves/wm" / node
        folder.mkdir(parents=True)
        for name in FILES:
            (folder / name).write_text("")
    return tmp_path / "keys"


def test_with_a_keystore_every_node_has_to_show_its_keys(with_security, keystore: Path) -> None:
    assert secured(keystore, ["sim_node", "safety_gate_node"], with_security) == {
        "ROS_SECURITY_ENABLE": "true",
        "ROS_SECURITY_STRATEGY": "Enforce",
        "ROS_SECURITY_KEYSTORE": str(keystore),
    }
    assert enclave_arguments("sim_node") == ["--enclave", "/wm/sim_node"]


def test_a_keystore_without_a_nodes_keys_is_refused_with_the_remedy(with_security, keystore: Path) -> None:
    (keystore / "enclaves/wm/sim_node/key.pem").unlink()
    with pytest.raises(BringupError, match=r"lacks key.pem. Make it: ros2 security create_enclave .* /wm/sim_node"):
        secured(keystore, ["sim_node"], with_security)
    with pytest.raises(BringupError, match="no enclaves there"):
        secured(keystore / "nowhere", ["sim_node"], with_security)


def test_a_middleware_built_without_security_is_named_before_anything_starts(with_security, keystore: Path) -> None:
    library = Path(with_security["AMENT_PREFIX_PATH"]) / "lib/librmw_fastrtps_shared_cpp.so"
    library.write_bytes(b"\x7fELF This Fast DDS version doesn't have the security libraries\nPlease")
    with pytest.raises(BringupError, match="was built without it"):
        secured(keystore, ["sim_node"], with_security)
    elsewhere = {"LD_LIBRARY_PATH": str(library.parent), "AMENT_PREFIX_PATH": ""}
    assert middleware_objection(elsewhere) is not None
    assert middleware_objection(with_security | {"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}) is None
    assert middleware_objection({"AMENT_PREFIX_PATH": "/nowhere"}) is None


def test_a_drive_without_the_switch_changes_nothing() -> None:
    assert check_security(None) == {}
