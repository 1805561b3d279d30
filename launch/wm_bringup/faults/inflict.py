"""Brings a fault about in the running graph, and takes it away again."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.serialization import deserialize_message, serialize_message
from rosgraph_msgs.msg import Clock as ClockMsg
from sensor_msgs.msg import LaserScan

from wm_bringup.faults import stream
from wm_bringup.faults.clock import wrong_time
from wm_bringup.faults.fault import (
    Action,
    Appear,
    CpuHogs,
    DiskFull,
    Fault,
    Field,
    Kill,
    SecondPublisher,
    Stop,
    Stream,
    WrongClock,
    WrongLength,
)
from wm_bringup.faults.fields import set_length, set_value
from wm_bringup.faults.ghost import Ghost
from wm_bringup.faults.stack import Stack
from wm_bringup.faults.table import topic_named
from wm_bringup.hogs import hogs
from wm_msgs.msg import ControlCommand
from wm_planner.safety.limits import shipped_limits
from wm_ros.convert import floats, scan_array, to_ns, to_stamp
from wm_ros.topics import CLOCK, CONTROL, SCAN, Topic

DISK_MB = 64
BLOCK = 1 << 12
Began = Callable[[], int | None]  # wall ns at which the fault took effect; None: not yet


@contextmanager
def inflicted(stack: Stack, fault: Fault, seed: int) -> Iterator[Began]:
    """The fault while the block runs; killed nodes stay dead (`Stack.start_dead`). `seed` of what is random."""
    action = fault.action
    if isinstance(action, Kill):
        stack.signal(action.node, signal.SIGKILL)
        yield _now()
    elif isinstance(action, Stop):
        stack.signal(action.node, signal.SIGSTOP)
        try:
            yield _now()
        finally:
            stack.signal(action.node, signal.SIGCONT)
    elif isinstance(action, DiskFull):
        with _full_disk(stack):
            yield _now()
    elif isinstance(action, CpuHogs):
        with hogs(action.per_core * (os.cpu_count() or 1)):
            yield _now()
    elif isinstance(action, SecondPublisher):
        with _second_publisher(stack, action.rate_hz):
            yield _now()
    else:
        name = _topic_of(action)
        motions = stack.watcher.so_far().motions
        stack.interposer.disturb(
            name, disturbance_of(action, seed, stack.speed, motions[-1].speed_mps if motions else 0.0)
        )
        try:
            yield lambda: stack.interposer.began_ns(name)
        finally:
            stack.interposer.disturb(name, None)


def _topic_of(action: Stream | Field | WrongLength | Appear | WrongClock) -> str:
    """Name of the topic that a message fault is put into."""
    if isinstance(action, Appear):
        return SCAN.name
    return CLOCK.name if isinstance(action, WrongClock) else action.topic.name


def disturbance_of(action: Action, seed: int, speed: float, car_mps: float = 0.0) -> stream.Disturbance:
    """What a message fault does to the serialised messages of its topic.

    `speed`: simulated s a wall s; `car_mps`: how fast the car is as the fault begins.
    """
    if isinstance(action, Stream):
        read, write = _codec(topic_named(action.topic.name))
        return stream.disturbance(action.kind, read, write, seed, stream.DELAY_S / speed)
    if isinstance(action, Field):
        field = action
        return _changed(topic_named(field.topic.name), lambda message: set_value(message, field.path, field.value))
    if isinstance(action, WrongLength):
        length = action
        return _changed(topic_named(length.topic.name), lambda message: set_length(message, length.path, length.length))
    if isinstance(action, Appear):
        limits = shipped_limits()
        ghost = Ghost(action.ahead_s * car_mps, car_mps, limits.front_bumper_m - limits.lidar_x_m)
        return _changed(SCAN, lambda message: _haunt(message, ghost))
    assert isinstance(action, WrongClock)
    kind = action.kind

    def wrong(message: ClockMsg, before: ClockMsg) -> ClockMsg:
        return ClockMsg(clock=to_stamp(wrong_time(kind, to_ns(message.clock), to_ns(before.clock))))

    return stream.Rewrite(*_codec(CLOCK), wrong)


def _haunt(message: LaserScan, ghost: Ghost) -> None:
    ranges = scan_array(message)
    angles = message.angle_min + message.angle_increment * np.arange(len(ranges))
    message.ranges = floats(ghost.into(ranges, angles, to_ns(message.header.stamp)))


def _changed(topic: Topic, spoil: Callable[[Any], None]) -> stream.Disturbance:
    def change(message: Any, before: Any) -> Any:
        spoil(message)
        return message

    return stream.Rewrite(*_codec(topic), change)


def _codec(topic: Topic) -> tuple[Callable[[bytes], Any], Callable[[Any], bytes]]:
    return (lambda content: deserialize_message(content, topic.type)), serialize_message


def _now() -> Began:
    moment_ns = time.time_ns()
    return lambda: moment_ns


@contextmanager
def _second_publisher(stack: Stack, rate_hz: float) -> Iterator[None]:
    """Full throttle straight on, in the name of a plan, beside the gate's commands."""
    node = stack.watcher
    publisher = node.create_publisher(CONTROL.type, CONTROL.name, CONTROL.qos)
    count = 0

    def send() -> None:
        nonlocal count
        orders = stack.watcher.so_far().orders
        message = ControlCommand(seq=count, acceleration=3.0, speed=25.0, source=ControlCommand.SOURCE_PLAN)
        message.source_stamp = to_stamp(orders[-1].frame_ns if orders else 0)
        count += 1
        publisher.publish(message)

    timer = node.create_timer(1.0 / rate_hz, send, clock=Clock(clock_type=ClockType.STEADY_TIME))
    try:
        yield
    finally:
        node.destroy_timer(timer)
        node.destroy_publisher(publisher)


@contextmanager
def recorder_running(stack: Stack, fault: Fault, folder: Path) -> Iterator[Path]:
    """A recorder beside the drive, on a small disk of its own where the fault fills it; yields the bag's folder."""
    if isinstance(fault.action, DiskFull):
        with _small_disk(folder) as disk:
            stack.start_recorder(disk / "bag", min_free_mb=0.0)
            try:
                yield disk / "bag"
            finally:
                stack.end_node("recorder_node")
        return
    stack.start_recorder(folder / "bag", min_free_mb=200.0)
    try:
        yield folder / "bag"
    finally:
        stack.end_node("recorder_node")


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    """A file system of DISK_MB where this user may mount one; else the plain folder (see `_full_disk`)."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ["-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs"]
    mounted = subprocess.run(["mount", *options, str(folder)], capture_output=True, check=False).returncode == 0
    try:
        yield folder
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], capture_output=True, check=False)


@contextmanager
def _full_disk(stack: Stack) -> Iterator[None]:
    """Fill the recorder's disk to the last byte; where it has none of its own, let its process write no longer files.

    The second way meets the recorder with EFBIG in place of ENOSPC.
    """
    folder = stack.recorder_folder
    if os.path.ismount(folder):
        ballast = folder / "ballast"
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(BLOCK)):
                pass
        try:
            yield
        finally:
            ballast.unlink()
        return
    pid = stack.pid("recorder_node")
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        yield
    finally:
        if stack.runs("recorder_node"):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
