"""`python -m carla_stand_in --port N --map NAME=FILE.xodr`: serves until it is killed."""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path

from carla_stand_in.server import Server
from carla_stand_in.world import Faults, StandInWorld


def main() -> None:
    parser = argparse.ArgumentParser(prog="carla_stand_in", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--version", default="0.9.16")
    parser.add_argument("--map", action="append", required=True, help="NAME=FILE.xodr; the first one is loaded")
    parser.add_argument("--spawn", default="[]", help="JSON: spawn poses [x, y, z, pitch, yaw, roll] of all maps")
    parser.add_argument("--mute", default="")
    parser.add_argument("--late", default="")
    parser.add_argument("--no-vehicles", action="store_true")
    options = parser.parse_args()
    spawns = json.loads(options.spawn)
    named = (entry.split("=", 1) for entry in options.map)
    maps = {name: (Path(file).read_text(), spawns) for name, file in named}
    world = StandInWorld(maps, options.port, Faults(options.mute, options.late, options.no_vehicles))
    asyncio.run(Server(world, options.version).run())


if __name__ == "__main__":
    main()
