"""The `wm` command: what it says, what it returns, and what it leaves unimported."""

import dataclasses
import importlib
import signal
import subprocess
import sys
import types

import pytest

from wm_bringup import cli
from wm_sim.errors import SimError


@dataclasses.dataclass(frozen=True)
class EchoConfig:
    words: int = 3


@pytest.fixture
def subcommand(monkeypatch: pytest.MonkeyPatch):
    """Registers a function as the subcommand `echo`."""

    def register(function) -> None:
        module = types.ModuleType("echo_module")
        module.EchoConfig, module.echo = EchoConfig, function
        monkeypatch.setitem(sys.modules, "echo_module", module)
        monkeypatch.setitem(cli.COMMANDS, "echo", cli.Command("echo_module", "EchoConfig", "echo", "Echo."))

    return register


def test_help_names_every_command_and_imports_none_of_them() -> None:
    code = (
        "import sys; from wm_bringup.cli import main; status = main(['--help']);"
        "heavy = {'numpy', 'torch', 'tyro', 'rclpy', 'numba'} & set(sys.modules);"
        "print('imported', sorted(heavy)); sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "imported []" in done.stdout
    for name in cli.COMMANDS:
        assert f"  {name}" in done.stdout


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_command_has_a_frozen_configuration_and_a_function(name: str) -> None:
    command = cli.COMMANDS[name]
    module = importlib.import_module(command.module)
    config = getattr(module, command.config)
    assert dataclasses.is_dataclass(config) and config.__dataclass_params__.frozen
    assert callable(getattr(module, command.function))


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main([name, "--help"])
    assert left.value.code == 0
    assert f"wm {name}" in capsys.readouterr().out


def test_an_unknown_command_is_one_sentence_and_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fly"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "unknown command 'fly'" in error and "drive" in error


def test_options_reach_the_function_typed(subcommand) -> None:
    seen: list[EchoConfig] = []
    subcommand(seen.append)
    assert cli.main(["echo", "--words", "7"]) == 0
    assert seen == [EchoConfig(words=7)]


def test_a_function_may_choose_the_exit_status(subcommand) -> None:
    subcommand(lambda config: 3)
    assert cli.main(["echo"]) == 3


def test_what_a_function_returns_is_printed(subcommand, capsys: pytest.CaptureFixture[str]) -> None:
    subcommand(lambda config: "runs/train/model")
    assert cli.main(["echo"]) == 0
    assert capsys.readouterr().out == "runs/train/model\n"


def test_an_error_of_ours_is_printed_once_without_a_traceback(subcommand, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(config: EchoConfig) -> None:
        raise SimError("no scenario family 'lane': choose lane_follow or stop_go.")

    subcommand(fail)
    assert cli.main(["echo"]) == 1
    assert capsys.readouterr().err == "no scenario family 'lane': choose lane_follow or stop_go.\n"


def test_an_error_that_is_not_ours_keeps_its_traceback(subcommand) -> None:
    def fail(config: EchoConfig) -> None:
        raise RuntimeError("a bug")

    subcommand(fail)
    with pytest.raises(RuntimeError, match="a bug"):
        cli.main(["echo"])


def test_an_interrupt_ends_with_130(subcommand, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(config: EchoConfig) -> None:
        raise KeyboardInterrupt

    subcommand(interrupt)
    assert cli.main(["echo"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_missing_module_names_the_remedy(subcommand, capsys: pytest.CaptureFixture[str]) -> None:
    def needs(config: EchoConfig) -> None:
        importlib.import_module("no_such_module_here")

    subcommand(needs)
    assert cli.main(["echo"]) == 1
    assert "no_such_module_here" in (error := capsys.readouterr().err) and "make setup" in error


def test_sigterm_ends_a_command_as_ctrl_c_does(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("sys.argv", ["wm", "eval"])
    monkeypatch.setattr(cli, "run", lambda name, args: signal.raise_signal(signal.SIGTERM))
    try:
        assert cli.main() == cli.EXIT_INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)
