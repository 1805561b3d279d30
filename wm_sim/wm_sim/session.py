"""Episodes on one clock that never goes back: who may move the world, and when.

READY    a new episode's world stands, traffic included, until a command of an engaged gate answers one of its frames:
         a planned one, or braking for something that is in the path from the start
DRIVING  the world moves: with the wall (`tick`) or with each command (`answer`)
DONE     the episode ended; the world stands until `reset`, and its last frame tells of a car that stands
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from enum import Enum

from wm_sim.contract import Simulator
from wm_sim.frame import Frame
from wm_sim.vehicle_interface import Command, VehicleInterface

TICK_NS = 50_000_000
STANDING_MPS = 0.05
HALT_TICKS = 400  # 20 s: more than any speed takes to brake from
FIRST_NS = 1_000_000_000  # 0 means "no time yet" to ROS, so the clock starts at 1 s


class Stage(Enum):
    """Where an episode stands."""

    READY = 0
    DRIVING = 1
    DONE = 2


class Session:
    """A simulator with a clock and a vehicle interface, episode after episode."""

    def __init__(self, world: Simulator, watchdog_s: float = 0.5) -> None:
        self.world = world
        self.clock_ns = FIRST_NS - 2 * TICK_NS
        self.stage = Stage.DONE
        self.frame: Frame | None = None
        self.frame_ns = 0  # stamp of self.frame
        self.watchdog = False
        self._watchdog_s = watchdog_s
        self._start()

    def _start(self) -> None:
        self._interface = VehicleInterface(self._watchdog_s)
        self._released = False
        self._half = False  # between two frames
        self._executed_ns = 0  # frame answered by the command being executed
        self._newest: Command | None = None

    def reset(self, scenario: str, seed: int) -> Frame:
        """Begin an episode; its first frame is one model step later than anything published before."""
        frame = self.world.reset(scenario, seed)
        self._start()
        self.clock_ns += TICK_NS if self.clock_ns % (2 * TICK_NS) else 2 * TICK_NS
        self.first_ns = self.clock_ns
        self.stage = Stage.READY
        self.watchdog = False
        return self._show(frame)

    @property
    def standing(self) -> bool:
        """The frame shown last is an episode's first: whoever filters starts afresh here."""
        return self.frame is not None and self.frame.truth.step == 0

    def accept(self, command: Command) -> None:
        """A command arrived (realtime); it takes effect with the next tick."""
        if self.frame is None or command.frame_ns < self.first_ns:
            return  # meant for an earlier episode
        self._newest = command
        self._interface.accept(command, self.clock_ns * 1e-9)
        self._released |= _begins(command)

    def tick(self) -> Frame | None:
        """One physics step of realtime; a frame is due at every second one."""
        self.clock_ns += TICK_NS
        self._half = not self._half
        if self.stage is not Stage.DRIVING:
            if self._half:
                return None
            if self.stage is Stage.READY and self._released:
                self.stage = Stage.DRIVING  # from this frame on the world moves
            return self._show(_standing(self._last()) if self.stage is Stage.DONE else self._last())
        self.world.tick()
        frame = None if self._half else self._show(self.world.sense())
        self._execute()
        return frame

    def answer(self, command: Command) -> Frame | None:
        """A command arrived (lockstep); the next frame if it answers the last one, else None."""
        may = self.stage is Stage.DRIVING or (self.stage is Stage.READY and _begins(command))
        if not may or command.frame_ns != self.frame_ns:
            return None
        self.stage = Stage.DRIVING
        self._interface.accept(command, self.clock_ns * 1e-9)
        action, _ = self._interface.action(self.clock_ns * 1e-9)
        self.clock_ns += 2 * TICK_NS
        return self._show(self.world.step(action))

    def halt(self) -> Iterator[Frame]:
        """Brake fully until the car stands, whatever is commanded; the frames on the way."""
        for _ in range(HALT_TICKS):
            if self.stage is not Stage.DRIVING or self._last().speed_mps <= STANDING_MPS:
                return
            self._newest = Command(math.nan, math.nan, self.frame_ns, from_plan=False)  # counts as full braking
            self._interface.accept(self._newest, self.clock_ns * 1e-9)
            frame = self.tick()
            if frame is not None:
                yield frame

    def _execute(self) -> None:
        """Hand the newest command to the wheels.

        A command that answers the last frame belongs half a model step after it, as in lockstep. On a frame's own tick
        only what must not wait passes: a late answer, and anything that is not a plan.
        """
        action, self.watchdog = self._interface.action(self.clock_ns * 1e-9)
        newest = self._newest
        if newest is None:
            return
        late = newest.frame_ns > self._executed_ns
        if self._half or late or self.watchdog or not newest.from_plan:
            self.world.command(action)
            self._executed_ns = newest.frame_ns

    def _show(self, frame: Frame) -> Frame:
        self.frame, self.frame_ns = frame, self.clock_ns
        if frame.terminated or frame.truncated:
            self.stage = Stage.DONE
        return frame

    def _last(self) -> Frame:
        assert self.frame is not None, "reset first"
        return self.frame


def _standing(frame: Frame) -> Frame:
    """The last frame of an episode as it is shown until the next: nothing moves, and nothing happens again."""
    return replace(frame, speed_mps=0.0, acceleration_mps2=0.0, yaw_rate_radps=0.0, events=[])


def _begins(command: Command) -> bool:
    """Whether an episode may begin with it: a gate that is not engaged stops, and says so."""
    return command.from_plan or command.scan_brake
