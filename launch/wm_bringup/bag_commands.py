"""`wm info` and `wm record`: bags from the command line."""

from __future__ import annotations

import json
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
    mapping: Path | None = None
    """A mapping file: try it on the bag and say what would train."""


@dataclass(frozen=True)
class RecordConfig:
    """Where to record."""

    out: Annotated[Path, tyro.conf.Positional]
    """The new bag's folder; it must not exist."""
    topics: str = ""
    """Topics to record, separated by commas; those that the topic table marks as recorded when not named."""
    compress: bool = False
    """Compress by zstd."""
    split_mb: float = 0.0
    """Begin a new file once one is this big, MB; 0: never."""
    split_s: float = 0.0
    """Begin a new file after so long, s of ROS time; 0: never."""
    min_free_mb: float = 200.0
    """End the bag, whole, before the disk has less room than this, MB."""


def info(config: InfoConfig) -> str | int:
    """Topics, counts, rates and drops of every bag, as text; with a mapping what it finds, status 1 where it fails."""
    if config.mapping is not None:
        return _try_mapping(config.bag, config.mapping)
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


def _try_mapping(path: Path, mapping_file: Path) -> int:
    from wm_training.mapping.dry_run import dry_run, format_dry_run
    from wm_training.mapping.spec import read_mapping
    from wm_training.sequences import find_sources, is_ours

    mapping, fits = read_mapping(mapping_file), True
    for number, bag in enumerate(find_sources(path, mapped=True)):
        if number:
            print()
        if is_ours(bag):
            print(f"{bag}: of this stack, read without the mapping.")
            continue
        run = dry_run(bag, mapping)
        fits &= run.fits
        print(format_dry_run(run, mapping))
    return 0 if fits else 1


def record(config: RecordConfig) -> None:
    """Record the running stack until Ctrl-C."""
    out = config.out.expanduser().resolve()
    if out.exists():
        raise BringupError(f"output folder {out} exists already. Name another, or remove it.")
    from wm_training.recorder_node import main

    given = {
        "out": str(out),
        "topics": config.topics,
        "compress": config.compress,
        "split_mb": config.split_mb,
        "split_s": config.split_s,
        "min_free_mb": config.min_free_mb,
        "when_full": "end",
    }
    main(["--ros-args", *(word for name, value in given.items() for word in ("-p", f"{name}:={json.dumps(value)}"))])
