"""`wm top`: a running stack as it is now, in the terminal."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wm_bringup.domain import chosen_domain, is_free
from wm_bringup.errors import BringupError
from wm_bringup.middleware import middleware_defaults

REFRESH_S = 0.5
MEASURE_S = 2.0  # --once: of ROS time, so that there is something to take rates over
MEASURE_WALL_S = 4.0, 15.0  # --once: at least and at most so long


@dataclass(frozen=True)
class TopConfig:
    """Watch a running stack: rates, nodes, latencies, gate, troubles. Ctrl-C ends it."""

    once: bool = False
    """Print one frame and exit."""
    domain_id: int | None = None
    """ROS domain of the stack; that of the environment, or 0, when not named."""
    namespace: str = ""
    """Namespace of the stack's nodes."""
    wait_s: float = 5.0
    """Give up when nothing is heard for so long at the start, s."""


def top(config: TopConfig) -> int:
    """Show the stack until Ctrl-C; BringupError where none runs."""
    domain = chosen_domain(config.domain_id)
    os.environ.update(middleware_defaults(os.environ))  # the same as the stack's
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    watch: Watch | None = None
    try:
        watch = Watch(domain, config.namespace)
        _await_first(watch, config, domain)
        if config.once:
            _measure(watch)
            _console().print(watch.frame())
        else:
            _show(watch)
    except KeyboardInterrupt:
        pass  # the usual way to leave
    finally:
        if watch is not None:
            watch.close()
    return 0


def _await_first(watch: Watch, config: TopConfig, domain: int) -> None:
    limit_s = time.monotonic() + config.wait_s
    while not watch.monitor.heard:
        if time.monotonic() > limit_s:
            held = "one holds it, so it may just be starting" if not is_free(domain) else "start one with wm drive"
            raise BringupError(
                f"no stack is heard on ROS domain {domain} within {config.wait_s:g} s: {held}, or name another domain "
                "with --domain-id."
            )
        watch.spin(0.1)


def _measure(watch: Watch) -> None:
    began_s, first_s = time.monotonic(), watch.monitor.clock.ros_s
    least_s, most_s = MEASURE_WALL_S
    while (passed_s := time.monotonic() - began_s) < most_s:
        if passed_s >= least_s and watch.monitor.clock.ros_s - first_s >= MEASURE_S:
            return
        watch.spin(0.2)


def _show(watch: Watch) -> None:
    from rich.live import Live

    with Live(watch.frame(), screen=True, auto_refresh=False) as live:
        while True:
            watch.spin(REFRESH_S)
            live.update(watch.frame(), refresh=True)


def _console() -> Any:
    """Wide where nobody looks at a terminal, so that logs keep whole lines."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=160)


class Watch:
    """A node that listens to everything and changes nothing."""

    def __init__(self, domain: int, namespace: str = "") -> None:
        import rclpy
        from rcl_interfaces.msg import Log
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.qos import DurabilityPolicy, QoSProfile

        from wm_bringup.monitor import TopicMonitor
        from wm_bringup.top_state import Seen

        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        self._node = rclpy.create_node(
            "wm_top",
            namespace=f"/{namespace.strip('/')}" if namespace else None,
            context=self._context,
            enable_rosout=False,
            start_parameter_services=False,
        )
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._title = f"ROS domain {domain}"
        self.seen = Seen()
        self._takers = takers(self.seen)
        self.monitor = TopicMonitor(self._node, lockstep=False, hook=self._on_message)
        kept = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._node.create_subscription(Log, "/rosout", self._on_log, kept)

    def spin(self, seconds: float) -> None:
        """Listen for so long."""
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left_s)

    def frame(self) -> Any:
        """What there is to see now."""
        from wm_bringup import top_view

        self.monitor.follow(self.seen.mode == "lockstep")
        expected = {name: liveness.expected for name, liveness in self.monitor.topics.items()}
        return top_view.frame(self.seen, self.monitor.verdicts(), expected, self._title, time.monotonic())

    def close(self) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        self._context.try_shutdown()

    def _on_message(self, topic: Any, cdr: bytes, steady_s: float) -> None:
        taker = self._takers.get(topic.name)
        if taker is not None:
            from rclpy.serialization import deserialize_message

            taker(deserialize_message(cdr, topic.type), steady_s)

    def _on_log(self, msg: Any) -> None:
        if msg.level >= 30:  # rcl_interfaces/Log.WARN
            self.seen.troubles.add(time.monotonic(), 2 if msg.level >= 40 else 1, msg.name, msg.msg)


def takers(seen: Any) -> dict[str, Callable[[Any, float], None]]:
    """What is kept of a message, by topic."""
    from wm_ros.convert import to_ns
    from wm_ros.topics import BELIEF, CAMERA, CONTROL, DIAGNOSTICS, OBSERVATION, PLAN, SAFETY, STATUS

    def on_camera(msg: Any, now_s: float) -> None:
        seen.hops.saw(CAMERA.name, to_ns(msg.header.stamp), now_s)

    def on_observation(msg: Any, now_s: float) -> None:
        seen.hops.saw(OBSERVATION.name, to_ns(msg.source_stamp), now_s)

    def on_belief(msg: Any, now_s: float) -> None:
        seen.hops.saw(BELIEF.name, to_ns(msg.source_stamp), now_s)
        seen.surprise_nats, seen.model_id = msg.surprise, msg.model_id

    def on_plan(msg: Any, now_s: float) -> None:
        seen.hops.saw(PLAN.name, to_ns(msg.source_stamp), now_s)
        seen.solve_ms.add(msg.solve_ms)
        seen.samples, seen.plan_status = msg.samples, msg.status

    def on_control(msg: Any, now_s: float) -> None:
        if msg.source == msg.SOURCE_PLAN:
            seen.hops.saw(CONTROL.name, to_ns(msg.source_stamp), now_s)
        seen.source, seen.limited = msg.source, msg.limited

    def on_safety(msg: Any, now_s: float) -> None:
        seen.gate_state, seen.gate_reasons, seen.command_age_s = msg.state, msg.reasons, msg.command_age

    def on_status(msg: Any, now_s: float) -> None:
        seen.speed_mps, seen.speed_limit_mps = msg.speed, msg.speed_limit

    def on_diagnostics(msg: Any, now_s: float) -> None:
        for status in msg.status:
            level = int.from_bytes(status.level, "little")
            seen.hear_status(status.name, level, status.message, ((v.key, v.value) for v in status.values), now_s)

    return {
        CAMERA.name: on_camera,
        OBSERVATION.name: on_observation,
        BELIEF.name: on_belief,
        PLAN.name: on_plan,
        CONTROL.name: on_control,
        SAFETY.name: on_safety,
        STATUS.name: on_status,
        DIAGNOSTICS.name: on_diagnostics,
    }
