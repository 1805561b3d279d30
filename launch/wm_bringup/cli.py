"""The `wm` command: one subcommand a task, each typed by the frozen dataclass of its own module.

Only the module of the chosen subcommand is imported, so that `wm --help` answers at once and `wm info` needs neither
PyTorch nor a running ROS graph.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

EXIT_ERROR = 1
EXIT_INTERRUPTED = 130


@dataclass(frozen=True)
class Command:
    """A subcommand: where its configuration and its function live, and what it does in one line."""

    module: str
    config: str
    function: str
    help: str


COMMANDS = {
    "drive": Command("wm_bringup.drive", "DriveConfig", "drive", "Start the whole stack, drive, write a report."),
    "collect": Command("wm_training.collect", "CollectConfig", "collect", "Record training bags in the simulator."),
    "record": Command("wm_bringup.bag_commands", "RecordConfig", "record", "Record a running stack into a bag."),
    "replay": Command("wm_bringup.replay", "ReplayConfig", "replay", "Play a bag, or its sensors through the stack."),
    "info": Command("wm_bringup.bag_commands", "InfoConfig", "info", "List the topics, counts, rates, drops of a bag."),
    "train": Command("wm_training.train", "TrainConfig", "train", "Train a world model on bags."),
    "improve": Command("wm_training.improve", "ImproveConfig", "run", "Rounds of driving, training and comparing."),
    "eval": Command("wm_training.evaluate", "EvalConfig", "run", "Drive many scenarios in process and score them."),
    "faults": Command("wm_bringup.faults.command", "FaultsConfig", "faults", "Put faults into the running graph."),
    "bench": Command("wm_bringup.bench", "BenchConfig", "bench", "Measure what this machine makes of the stack."),
    "export": Command("wm_training.export", "ExportConfig", "export", "Turn a checkpoint into a model folder."),
    "measure": Command("wm_training.measure_command", "MeasureConfig", "run", "Measure a model on unseen drives."),
    "ablate": Command("wm_training.ablation", "AblateConfig", "run", "Train variants of the model; compare them."),
    "top": Command("wm_bringup.top", "TopConfig", "top", "Watch a running stack: rates, nodes, gate, troubles."),
    "doctor": Command("wm_bringup.doctor", "DoctorConfig", "doctor", "Check the installation; say what to do."),
}


def usage() -> str:
    """What `wm --help` prints."""
    lines = ["usage: wm COMMAND [options]", "", "commands:"]
    lines += [f"  {name:<9}{command.help}" for name, command in COMMANDS.items()]
    return "\n".join([*lines, "", "`wm COMMAND --help` lists a command's options."])


def main(args: Sequence[str] | None = None) -> int:
    """Run one subcommand; the exit status: 0 done, 1 failed with a sentence, 2 bad usage, 130 interrupted."""
    words = list(sys.argv[1:] if args is None else args)
    if args is None:
        signal.signal(signal.SIGTERM, _end_as_ctrl_c_does)  # workers are stopped, nothing is left half written
    try:
        if not words or words[0] in ("-h", "--help"):
            print(usage(), flush=True)
            return 0 if words else 2
        if words[0] not in COMMANDS:
            return _fail(f"unknown command {words[0]!r}: wm knows {', '.join(COMMANDS)}.")
        return run(words[0], words[1:])
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our output left, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ModuleNotFoundError as error:
        return _fail(f"wm {words[0]} needs the Python module {error.name}, which is not installed: run `make setup`.")
    except RuntimeError as error:
        if not _is_ours(error):
            raise
        return _fail(str(error))


def _end_as_ctrl_c_does(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def run(name: str, args: Sequence[str]) -> int:
    """Parse the options of one subcommand and call its function.

    The function may return an exit status; anything else that it returns is what there is to say.
    """
    command = COMMANDS[name]
    module = importlib.import_module(command.module)
    import tyro

    config: Any = tyro.cli(getattr(module, command.config), prog=f"wm {name}", description=command.help, args=args)
    function: Callable[[Any], Any] = getattr(module, command.function)
    answer = function(config)
    if isinstance(answer, int) and not isinstance(answer, bool):
        return answer
    if answer is not None:
        print(answer)
    return 0


def _is_ours(error: RuntimeError) -> bool:
    """Whether it is one of the stack's own errors: a sentence for the user rather than a bug."""
    return type(error).__module__.startswith("wm_")


def _fail(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return EXIT_ERROR


if __name__ == "__main__":
    sys.exit(main())
