"""The node base: lifecycle with autostart, topics from the table, parameters that explain themselves, diagnostics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher

from wm_ros.diagnostics import Health
from wm_ros.errors import MessageError, WmRosError
from wm_ros.parameters import Rule
from wm_ros.qos_events import NOT_OF_PUBLISHER, NOT_OF_SUBSCRIPTION, QosEvents
from wm_ros.topics import DIAGNOSTICS, Topic

DIAGNOSTICS_PERIOD_S = 1.0
WAITING_PERIOD_S = 0.2  # while not active: whoever brings the node up waits for its word


def publishers(node: Node, topic: str) -> list[str]:
    """Full names of the nodes that publish a topic; one that was killed and came back counts once."""
    found = node.get_publishers_info_by_topic(node.resolve_topic_name(topic))
    return sorted({f"{info.node_namespace.rstrip('/')}/{info.node_name}" for info in found})


class StackNode(LifecycleNode):
    """A lifecycle node of the stack.

    A subclass declares parameters in `__init__` or `configure`, and overrides the hooks `configure`, `activate`,
    `deactivate` and `cleanup`. A hook that fails raises: the transition then fails, and under `autostart` the process
    ends with that sentence.
    """

    def __init__(self, name: str, **options: Any) -> None:
        self._qos_events = QosEvents()  # first: rclpy's node makes publishers of its own
        super().__init__(name, **options)
        self.active = False
        self.health = Health(name)
        self.exit_code = 0
        self.drains = False  # whether it takes what has arrived before it ends
        self.on_finish: Callable[[], None] | None = None  # set by `run`
        self.schedule: Callable[[int], str] | None = None  # set by `run`, whose process is this node's own
        self.realtime_priority = 0
        self.live: dict[str, Any] = {}  # parameters that may change while the node works, with their values
        self._rules: dict[str, Rule] = {}
        self._seqs: dict[str, int] = {}
        self._failure: BaseException | None = None
        self.add_on_set_parameters_callback(self._judge)
        self.add_post_set_parameters_callback(self._take_over)
        if "use_sim_time" not in self._parameter_overrides:
            self.set_parameters([Parameter("use_sim_time", value=True)])
        self.autostart: bool = self.declare("autostart", True, "Configure and activate at start.")
        self._diagnostics = self.create_publisher(DIAGNOSTICS.type, DIAGNOSTICS.name, DIAGNOSTICS.qos)
        self._diagnostics_due_s = 0.0
        self.steady_timer(WAITING_PERIOD_S, self._on_diagnostics_timer)

    # Hooks for subclasses.

    def configure(self) -> None:
        """Make publishers and subscriptions, load what is needed."""

    def activate(self) -> None:
        """Begin to work."""

    def deactivate(self) -> None:
        """Stop working."""

    def cleanup(self) -> None:
        """Let go of everything: files, threads."""

    def more_diagnostics(self) -> list[DiagnosticStatus]:
        """What the node has to say beside its own health, once a second."""
        return []

    def check_change(self, values: dict[str, Any]) -> None:
        """Refuse values of the live parameters that do not fit together by raising one of the stack's own errors.

        values: all of them, as they would be. Nothing has changed yet, and nothing may change here.
        """

    def take_change(self) -> None:
        """Live parameters have changed; `self.live` holds them all. Runs between callbacks, never inside one."""

    # What subclasses use.

    def declare(
        self,
        name: str,
        default: Any,
        description: str,
        range: tuple[float, float] | None = None,
        choices: Sequence[Any] | None = None,
        read_only: bool = True,
    ) -> Any:
        """Declare a parameter and return its value; WmRosError when what was given does not fit.

        Without `read_only` it may change while the node works: see `live`, `check_change` and `take_change`.
        """
        rule = Rule(name, description, type(default), range, choices)
        given = self._parameter_overrides.get(name)
        if given is not None:
            value = rule.cast(given.value)
            objection = rule.objection(value)
            if objection is not None:
                raise WmRosError(f"{self.get_name()}: {objection}.")
            self._parameter_overrides[name] = Parameter(name, value=value)
        self._rules[name] = rule
        value = self.declare_parameter(name, default, rule.descriptor(read_only)).value
        if not read_only:
            self.live[name] = value
        return value

    def declare_priority(self, default: int) -> None:
        """Declare `realtime_priority`, for a node whose answers are waited for; it holds once the node is active."""
        meaning = "SCHED_FIFO priority from the first activation on; 0, or not permitted: ordinary scheduling."
        self.realtime_priority = self.declare("realtime_priority", default, meaning, range=(0, 99))

    def advertise(self, topic: Topic) -> LifecyclePublisher:
        """A publisher that is silent while the node is inactive."""
        flow = self.health.flow(f"out {topic.name}", topic.rate_hz)
        publisher = self.create_lifecycle_publisher(
            topic.type, topic.name, topic.qos, event_callbacks=NOT_OF_PUBLISHER
        )
        self._qos_events.watch_publisher(publisher)
        send = publisher.publish

        def publish(message: Any) -> None:
            if publisher.is_activated:
                flow.saw()
                send(message)

        publisher.publish = publish
        return publisher

    def subscribe(self, topic: Topic, callback: Callable[[Any], None], raw: bool = False) -> Any:
        """Subscribe; messages that come while the node is inactive are dropped, save those of latched topics.

        A callback that raises MessageError refuses the message. raw: the callback gets serialised bytes.
        """
        flow = self.health.flow(f"in {topic.name}", topic.rate_hz)
        counts = topic.spec.has_seq and not raw
        latched = topic.spec.qos.latched

        def received(message: Any) -> None:
            flow.saw(message.seq if counts else None)
            if self.active or latched:
                try:
                    callback(message)
                except MessageError as error:
                    self.report_error(f"{topic.name}: message refused: {error}")

        return self.create_subscription(topic.type, topic.name, received, topic.reader_qos, raw=raw)

    def create_publisher(self, *args: Any, **options: Any) -> Publisher:
        """As rclpy's; who listens in a way that does not fit is noticed within a second."""
        publisher = super().create_publisher(*args, **options, event_callbacks=NOT_OF_PUBLISHER)
        self._qos_events.watch_publisher(publisher)
        return publisher

    def create_subscription(self, *args: Any, **options: Any) -> Any:
        """As rclpy's; who publishes in a way that does not fit is noticed within a second."""
        subscription = super().create_subscription(*args, **options, event_callbacks=NOT_OF_SUBSCRIPTION)
        self._qos_events.watch_subscription(subscription)
        return subscription

    def steady_timer(self, period_s: float, callback: Callable[[], None]) -> Any:
        """A timer that goes on when ROS time stands still."""
        return self.create_timer(period_s, callback, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def next_seq(self, topic: Topic | None = None) -> int:
        """The next `seq` for a message of `topic`: 0, 1, 2 … A node with one stamped topic may leave it out."""
        key = "" if topic is None else topic.name
        seq = self._seqs.get(key, 0)
        self._seqs[key] = (seq + 1) & 0xFFFFFFFF
        return seq

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Time the block; /diagnostics shows its p50 and maximum of the last second."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.health.took(name, 1e3 * (time.perf_counter() - start))

    def report_error(self, sentence: str) -> None:
        """Log what went wrong and show it in /diagnostics."""
        self.get_logger().error(sentence)
        self.health.error(sentence)

    def finish(self, code: int = 0) -> None:
        """Ask the process to end after the running callback, with this exit code."""
        self.exit_code = code
        if self.on_finish is not None:
            self.on_finish()

    # Start and end of the process; `wm_ros.run` calls these.

    def start(self) -> None:
        """Under `autostart`, configure and activate; raises what a hook raised."""
        if self.autostart:
            for trigger in (self.trigger_configure, self.trigger_activate):
                if trigger() != TransitionCallbackReturn.SUCCESS:
                    raise self._failure or WmRosError(f"{self.get_name()}: did not start.")

    def stop(self) -> None:
        """Deactivate and clean up, wherever the node stands."""
        state = self._state_machine.current_state[1]
        if state == "active":
            self.trigger_deactivate()
            state = self._state_machine.current_state[1]
        if state == "inactive":
            self.trigger_cleanup()

    def destroy_node(self) -> None:
        """Take the node off the middleware now.

        rclpy's lifecycle node keeps its state machine, and that the node, until the garbage collector comes by: the
        participant then lives on beside the next one of the same process, and Fast DDS deadlocks when it ends one of
        several that deliver to each other inside a process.
        """
        self._qos_events.destroy()
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()

    # Lifecycle.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        result = self._guard(self.configure)
        return super().on_configure(state) if result == TransitionCallbackReturn.SUCCESS else result

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        super().on_activate(state)  # opens the publishers first: `activate` may publish
        self.active = True
        result = self._guard(self.activate)
        if result != TransitionCallbackReturn.SUCCESS:
            self.active = False
            super().on_deactivate(state)
        elif self.schedule is not None:
            self.health.facts["scheduling"] = self.schedule(self.realtime_priority)
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._guard(self.deactivate)
        self.active = False
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._guard(self.cleanup)
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        if state.label == "active":
            self.on_deactivate(state)
        if state.label in ("active", "inactive"):
            self._guard(self.cleanup)
        return super().on_shutdown(state)

    def _guard(self, hook: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            hook()
        except Exception as failure:
            self._failure = failure
            self.health.error(str(failure))
            if not self.autostart:
                self.get_logger().error(str(failure))
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS

    def _judge(self, parameters: list[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            rule = self._rules.get(parameter.name)
            objection = rule.objection(parameter.value) if rule is not None else None
            if objection is not None:
                return SetParametersResult(successful=False, reason=f"{self.get_name()}: {objection}.")
        changed = self._changed(parameters)
        if changed:
            try:
                self.check_change(self.live | changed)
            except RuntimeError as error:
                return SetParametersResult(successful=False, reason=f"{self.get_name()}: {error}")
        return SetParametersResult(successful=True)

    def _take_over(self, parameters: list[Parameter]) -> None:
        changed = self._changed(parameters)
        if changed:
            self.live |= changed
            self.take_change()

    def _changed(self, parameters: list[Parameter]) -> dict[str, Any]:
        """Live parameters among those that are set; none while one is being declared."""
        return {parameter.name: parameter.value for parameter in parameters if parameter.name in self.live}

    def _on_diagnostics_timer(self) -> None:
        now_s = time.monotonic()
        if now_s >= self._diagnostics_due_s or not self.active:
            self._diagnostics_due_s = now_s + DIAGNOSTICS_PERIOD_S - WAITING_PERIOD_S / 2
            self._publish_diagnostics()
            self._qos_events.check(self.context)

    def _publish_diagnostics(self) -> None:
        message = self.health.report(self._state_machine.current_state[1])
        message.status += self.more_diagnostics()
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)
