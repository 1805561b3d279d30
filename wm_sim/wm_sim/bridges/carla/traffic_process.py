"""The process that holds CARLA's traffic manager and gives the ticks while there is traffic.

The traffic manager runs in threads of the client library, and a server that dies under it ends its whole process in
C++. So it gets a process of its own, driven by lines of JSON: whoever drives it notices the end of the pipe. When its
own input ends, it takes its vehicles away and goes.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import sys
from typing import Any


def main() -> None:
    """Serve until the input ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # who started this process ends it by closing the pipe
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # the client library writes to stdout
    traffic: Traffic | None = None
    code = 0
    try:
        for line in sys.stdin:
            request = json.loads(line)
            if request["do"] == "start":
                traffic = traffic or Traffic(request)
                traffic.populate(request)
                answers.write(json.dumps({"vehicles": traffic.ids}) + "\n")
            elif traffic is not None:
                answers.write(json.dumps({"frame": traffic.tick()}) + "\n")
    except (RuntimeError, OSError) as error:
        answers.write(json.dumps({"error": str(error)}) + "\n")
        code = 1
    if traffic is not None:
        traffic.close()
    answers.flush()
    os._exit(code)  # past the client library's threads


class Traffic:
    """Vehicles under a traffic manager with a seed."""

    def __init__(self, request: dict[str, Any]) -> None:
        import carla

        self._carla = carla
        self.ids: list[int] = []
        port = request["tm_port"]
        with socket.socket() as probe:  # a manager of somebody else would answer there in our name
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError:
                raise RuntimeError(f"port {port} for the traffic manager is taken; set tm_port") from None
        self.client = carla.Client(request["host"], request["port"])
        self.client.set_timeout(request["timeout_s"])
        self.world = self.client.get_world()
        self.manager = self.client.get_trafficmanager(port)
        self.manager.set_synchronous_mode(True)

    def populate(self, request: dict[str, Any]) -> None:
        """The vehicles of an episode, in place of those of the last one."""
        self.client.set_timeout(request["timeout_s"])
        self._clear()
        self.manager.set_random_device_seed(request["seed"] % 2**31)
        self._spawn(request)
        self.client.set_timeout(request["tick_timeout_s"])

    def _clear(self) -> None:
        destroy = self._carla.command.DestroyActor
        self.client.apply_batch_sync([destroy(number) for number in self.ids], False)
        self.ids = []

    def _spawn(self, request: dict[str, Any]) -> None:
        command, rng = self._carla.command, random.Random(request["seed"])
        places = list(self.world.get_map().get_spawn_points())
        places = [place for number, place in enumerate(places) if number != request["taken"]]
        rng.shuffle(places)
        library = self.world.get_blueprint_library().filter("vehicle.*")
        cars = sorted(b.id for b in library if b.has_attribute("number_of_wheels") and int(b.get_attribute(
            "number_of_wheels")) == 4)  # fmt: skip
        batch = []
        for place in places[: request["number"]]:
            blueprint = library.find(rng.choice(cars))
            blueprint.set_attribute("role_name", "autopilot")
            batch.append(command.SpawnActor(blueprint, place))
        answers = self.client.apply_batch_sync(batch, False)
        self.ids = [answer.actor_id for answer in answers if not answer.error]
        if answers and not self.ids:
            raise RuntimeError(f"none of {len(answers)} vehicles found a place: {answers[0].error}")
        self.world.tick()  # before that the new actors are not known here
        for vehicle in self.world.get_actors(self.ids):
            vehicle.set_autopilot(True, request["tm_port"])

    def tick(self) -> int:
        return int(self.world.tick())

    def close(self) -> None:
        """Take the vehicles and the manager away."""
        try:
            self.manager.set_synchronous_mode(False)
            self._clear()
            self.manager.shut_down()
        except RuntimeError:
            pass  # the server is gone, and with it what was on it


if __name__ == "__main__":
    main()
