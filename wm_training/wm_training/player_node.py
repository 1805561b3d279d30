"""player_node: a bag, as serialised bytes, onto the topics that it was recorded from; with /clock."""

from __future__ import annotations

import importlib
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rclpy.duration import Duration
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_srvs.srv import SetBool, Trigger

from wm_ros.convert import to_stamp
from wm_ros.node import StackNode
from wm_ros.run import run
from wm_ros.topics import CLOCK
from wm_training.bags.reader import open_bag
from wm_training.errors import TrainingError
from wm_training.player import Channel, Message, Player, PlayerConfig, Tape, parse_remaps, parse_topics

TICK_S = 0.005
CLOCK_S = 0.02  # of the wall, between two values of /clock where no message moves it
SPACE, RIGHT = b" ", b"\x1b[C"


class Keys:
    """Key strokes of a terminal without waiting for them; nothing where there is none."""

    def __init__(self) -> None:
        self._terminal = sys.stdin.fileno() if sys.stdin and sys.stdin.isatty() else None
        self._before: list[Any] | None = None
        if self._terminal is not None and os.tcgetpgrp(self._terminal) == os.getpgrp():
            self._before = termios.tcgetattr(self._terminal)
            tty.setcbreak(self._terminal)

    def pressed(self) -> bytes:
        if self._terminal is None or self._before is None or not select.select([self._terminal], [], [], 0)[0]:
            return b""
        return os.read(self._terminal, 16)

    def close(self) -> None:
        """Give the terminal back as it was."""
        if self._terminal is not None and self._before is not None:
            termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._before)
            self._before = None


class PlayerNode(StackNode):
    """Publishes what `player` hands out."""

    def __init__(self) -> None:
        super().__init__("player_node", parameter_overrides=[Parameter("use_sim_time", value=False)])
        declare = self.declare
        self.bag = declare("bag", "", "Bag to replay.")
        self.rate = declare("rate", 1.0, "Bag seconds a wall second.", range=(0.01, 100.0))
        self.start_s = declare("start_s", 0.0, "Where in the bag to start, s from its beginning.", range=(0.0, 1e9))
        self.delay_s = declare("delay_s", 1.0, "Wait so long before playing, for subscribers, s.", range=(0.0, 600.0))
        self.loop = declare("loop", False, "At the end, begin again.")
        self.paused = declare("paused", False, "Begin paused.")
        self.topics = declare("topics", "", "Topics to play, separated by commas; empty: all.")
        self.remap = declare("remap", "", "Other names to publish on: OLD:=NEW, separated by commas.")
        self.keys: Keys | None = None

    def configure(self) -> None:
        if not self.bag:
            raise TrainingError("player_node: no bag to play; start it with bag:=BAG.")
        path = Path(self.bag).expanduser()
        self.opened = open_bag(path)
        reader = self.opened.__enter__()
        config = PlayerConfig(parse_topics(self.topics), parse_remaps(self.remap), self.start_s)
        self.tape = Tape(reader, path, config)
        self.clock = self.create_publisher(CLOCK.type, CLOCK.name, CLOCK.qos)
        self.outputs = {
            name: self.create_publisher(message_class(channel.type), name, profile(channel))
            for name, channel in self.tape.channels.items()
        }
        self.create_service(SetBool, "~/pause", self.on_pause)
        self.create_service(Trigger, "~/step", self.on_step)
        self.player: Player | None = None

    def activate(self) -> None:
        self.keys = Keys()
        self.begin_s = time.monotonic() + self.delay_s
        self.clock_due_s = 0.0
        self.timer = self.steady_timer(TICK_S, self.on_tick)

    def deactivate(self) -> None:
        self.destroy_timer(self.timer)
        if self.keys is not None:
            self.keys.close()

    def cleanup(self) -> None:
        self.opened.__exit__(None, None, None)

    def on_tick(self) -> None:
        try:
            self.tick()
        except TrainingError as error:  # the bag turns out to be spoilt while it plays
            self.report_error(str(error))
            self.finish(1)

    def tick(self) -> None:
        now = time.monotonic()
        if self.player is None:
            if now < self.begin_s:
                return
            self.begin()
        assert self.player is not None and self.keys is not None
        pressed = self.keys.pressed()
        if SPACE in pressed:
            self.player.pace.pause(not self.player.pace.paused)
        self.publish(self.player.step() if RIGHT in pressed else self.player.due())
        if now >= self.clock_due_s:
            self.tell_time(self.player.clock_ns)
        if self.player.done and not self.player.pace.paused:
            self.end()

    def begin(self) -> None:
        self.player = Player(self.tape, self.rate, time.monotonic)
        self.player.pace.paused = self.paused
        self.tell_time(self.tape.start_ns)
        self.publish(self.tape.kept())

    def end(self) -> None:
        assert self.player is not None
        if self.loop:
            self.player.rewind()
            self.publish(self.tape.kept())
            return
        self.timer.cancel()
        print(f"played {self.player.played} messages of {self.bag}", flush=True)
        for output in self.outputs.values():
            output.wait_for_all_acked(Duration(seconds=1.0))
        self.finish(0)

    def publish(self, messages: Iterable[Message]) -> None:
        """Each message after the clock says its time."""
        told = -1
        for message in messages:
            if message.stamp_ns > told:
                told = message.stamp_ns
                self.tell_time(max(told, self.tape.start_ns))
            self.outputs[message.topic].publish(message.cdr)

    def tell_time(self, stamp_ns: int) -> None:
        self.clock.publish(CLOCK.type(clock=to_stamp(stamp_ns)))
        self.clock_due_s = time.monotonic() + CLOCK_S

    def on_pause(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if self.player is None:
            response.message = "playing has not begun yet."
            return response
        self.player.pace.pause(request.data)
        response.success, response.message = True, "paused" if request.data else "playing"
        return response

    def on_step(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self.player is None or self.player.done:
            response.message = "nothing to step to: playing has not begun yet, or has come to the end."
            return response
        messages = self.player.step()
        self.publish(messages)
        response.success = True
        response.message = f"{len(messages)} messages at {self.player.clock_ns * 1e-9:.3f} s"
        return response


def message_class(name: str) -> Any:
    """The class of a message type, "package/msg/Name"."""
    package, _, kind = name.split("/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), kind)
    except (ImportError, AttributeError):
        raise TrainingError(f"{name}: not built here; leave its topics out by --topics, or build {package}.") from None


def profile(channel: Channel) -> QoSProfile:
    """The QoS offered while recording, its promises about time aside: a paused player could not keep them."""
    qos = channel.qos
    if qos is None:
        return QoSProfile(depth=10)
    best_effort = qos.reliability.name == "BEST_EFFORT"
    return QoSProfile(
        depth=max(qos.depth, 1),
        reliability=ReliabilityPolicy.BEST_EFFORT if best_effort else ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if channel.latched else DurabilityPolicy.VOLATILE,
    )


def main(args: list[str] | None = None) -> None:
    run(PlayerNode, args)


if __name__ == "__main__":
    main()
