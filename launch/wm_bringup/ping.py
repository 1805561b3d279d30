"""Does a message of ours get from one process to another? Asked by `wm doctor`."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from wm_bringup.errors import BringupError

PING, PONG = "wm_doctor/ping", "wm_doctor/pong"
ROUNDS = 20


def round_trip_ms(environment: dict[str, str], timeout_s: float = 15.0) -> float:
    """Median round trip of a small wm_msgs message to another process and back, ms."""
    child = subprocess.Popen(
        [sys.executable, "-m", __name__], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        return _measure(child, timeout_s)
    finally:
        child.kill()  # it holds nothing, and leaving the middleware in good order can take seconds
        child.wait()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _measure(child: subprocess.Popen[str], timeout_s: float) -> float:
    import rclpy

    from wm_msgs.msg import DriveEvent

    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("wm_doctor", context=context)
    executor = rclpy.executors.SingleThreadedExecutor(context=context)
    executor.add_node(node)
    heard: list[int] = []
    times: list[float] = []
    publisher = node.create_publisher(DriveEvent, PING, 10)
    node.create_subscription(DriveEvent, PONG, lambda msg: heard.append(msg.seq), 10)
    try:
        end = time.monotonic() + timeout_s
        while len(times) < ROUNDS and time.monotonic() < end:
            if child.poll() is not None:
                words = child.stderr.read() if child.stderr else ""
                raise BringupError(f"the other process ended: {words.strip()[-200:]}")
            number, sent = len(times), time.perf_counter()
            publisher.publish(DriveEvent(seq=number, detail="ping"))
            patience = time.monotonic() + 0.5
            while number not in heard and time.monotonic() < patience:
                executor.spin_once(timeout_sec=0.05)
            if number in heard:
                times.append(1e3 * (time.perf_counter() - sent))
    finally:
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()
    if not times:
        raise BringupError(f"no message came back from another process within {timeout_s:.0f} s")
    return sorted(times)[len(times) // 2]


def main() -> None:
    """The other process: sends everything back."""
    import rclpy
    from rclpy.executors import ExternalShutdownException

    from wm_msgs.msg import DriveEvent

    rclpy.init()
    node = rclpy.create_node("wm_doctor_peer")
    publisher = node.create_publisher(DriveEvent, PONG, 10)
    node.create_subscription(DriveEvent, PING, publisher.publish, 10)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
