"""`wm info` and `wm record`: bags from the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from wm_bringup.errors import BringupError


@dataclass(frozen=True)
class InfoConfig:
    """Which bag to look into."""

    bag: Annotated[Path, tyro.conf.Positional]
    """A bag, or a folder of bags."""
    repair: bool = False
    """Make a bag of what a killed recorder left (BAG.partial), or of a bag that was cut."""


@dataclass(frozen=True)
class RecordConfig:
    """Where to record."""

    out: Annotated[Path, tyro.conf.Positional]
    """The new bag's folder; it must not exist."""


def info(config: InfoConfig) -> str:
    """Topics, counts, rates and drops of every bag, as text."""
    from wm_training.bags.info import bag_info, format_info

    if config.repair:
        from wm_training.bags.repair import repair

        done = repair(config.bag)
        bag = config.bag if done is None else done.bag
        told = f"{bag}: whole, nothing to repair." if done is None else str(done)
        return f"{told}\n\n{format_info(bag_info(bag))}"
    inside = sorted(path.parent for path in config.bag.glob("*/metadata.yaml"))
    alone = not inside or (config.bag / "metadata.yaml").is_file()
    return "\n\n".join(format_info(bag_info(path)) for path in ([config.bag] if alone else inside))


def record(config: RecordConfig) -> None:
    """Record the running stack until Ctrl-C."""
    out = config.out.expanduser().resolve()
    if out.exists():
        raise BringupError(f"output folder {out} exists already. Name another, or remove it.")
    from wm_training.recorder_node import main

    main(["--ros-args", "--param", f'out:="{out}"'])
