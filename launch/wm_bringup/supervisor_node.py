"""supervisor_node: brings the other nodes up in order, again after a new start, and says on /diagnostics how all do.

It starts no process: `wm drive` and launch do that. It keeps nothing that is lost with it: started again, it goes on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState

from wm_bringup.monitor import TopicMonitor
from wm_bringup.supervision import ACTIVE, INACTIVE, UNCONFIGURED, due_transitions
from wm_ros.exit_codes import EXIT_CONFIG
from wm_ros.liveness import Level, Verdict
from wm_ros.node import StackNode
from wm_ros.roll_call import PID, RollCall
from wm_ros.run import run
from wm_ros.topics import DIAGNOSTICS

LOOK_S = 0.1
LOST_S = 2.0  # a node that is still where it was so long after a request did not get it
TRANSITIONS = {
    "configure": (Transition.TRANSITION_CONFIGURE, UNCONFIGURED, INACTIVE),
    "activate": (Transition.TRANSITION_ACTIVATE, INACTIVE, ACTIVE),
}


@dataclass
class Request:
    """A transition that a node was asked for."""

    transition: str
    answer: Any
    asked_s: float  # steady clock
    pid: str  # of the process that was asked


class SupervisorNode(StackNode):
    """Asks for lifecycle transitions by the order of the topology, and hands the monitor's verdicts out."""

    def __init__(self) -> None:
        super().__init__("supervisor_node")
        self.nodes = list(self.declare("nodes", [""], "Nodes to bring up, in the order in which they become active."))
        self.mode = self.declare("mode", "realtime", "As sim_node's.", choices=("realtime", "lockstep"))

    def configure(self) -> None:
        self.nodes = [name for name in self.nodes if name]
        self.roll = RollCall()
        self.requests: dict[str, Request] = {}
        self.monitor = TopicMonitor(self, self.mode == "lockstep")
        self.subscribe(DIAGNOSTICS, self.on_diagnostics)
        self.clients_ = {name: self.create_client(ChangeState, f"{name}/change_state") for name in self.nodes}
        self.health.facts["mode"] = self.mode
        self.steady_timer(LOOK_S, self.look)

    # Bringing up.

    def on_diagnostics(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            values = {item.key: item.value for item in status.values}
            level = int.from_bytes(status.level, "little")
            self.roll.hear(status.name, level, status.message, values, time.monotonic())

    def look(self) -> None:
        """Hear what became of requests, then ask for what is due."""
        now_s = time.monotonic()
        for name, request in list(self.requests.items()):
            if self.is_over(name, request, now_s):
                del self.requests[name]
        states = {name: self.roll.state(name, now_s) for name in self.nodes}
        for name, transition in due_transitions(self.nodes, states).items():
            if name not in self.requests and self.clients_[name].service_is_ready():
                number = TRANSITIONS[transition][0]
                answer = self.clients_[name].call_async(ChangeState.Request(transition=Transition(id=number)))
                self.requests[name] = Request(transition, answer, now_s, self.roll.reports[name].values[PID])

    def is_over(self, name: str, request: Request, now_s: float) -> bool:
        """Whether nothing more comes of a request. A node that fails ends the run: it would fail again."""
        report = self.roll.reports[name]
        _, before, _ = TRANSITIONS[request.transition]
        if report.values[PID] != request.pid or report.values["state"] not in (before, request.transition + "ing"):
            return True
        if request.answer.done() and not request.answer.result().success:
            why = report.values.get("last_error") or "its log says why"
            self.report_error(f"{name} did not {request.transition}: {why}")
            self.finish(EXIT_CONFIG)
            return True
        return report.heard_s > request.asked_s + LOST_S

    # Saying how all do.

    def more_diagnostics(self) -> list[DiagnosticStatus]:
        if not self.active:
            return []
        now_s = time.monotonic()
        nodes = [self.node_status(name, now_s) for name in self.nodes]
        return nodes + [self.topic_status(name, verdict) for name, verdict in self.monitor.verdicts().items()]

    def node_status(self, name: str, now_s: float) -> DiagnosticStatus:
        state = self.roll.state(name, now_s)
        known = name in self.roll.reports
        level = Level.OK if state == ACTIVE else Level.ERROR if known else Level.STALE
        starts = self.roll.restarts[name]
        words = f"{state}, started again {starts} times" if starts else state
        return status(f"supervisor_node: {name}", level, words, {"restarts": str(starts)})

    def topic_status(self, name: str, verdict: Verdict) -> DiagnosticStatus:
        values = {"rate_hz": verdict.rate_hz, "age_s": verdict.age_s}
        known = {key: f"{value:.2f}" for key, value in values.items() if value is not None}
        return status(f"supervisor_node: {name}", verdict.level, verdict.words, known)


def status(name: str, level: Level, words: str, values: dict[str, str]) -> DiagnosticStatus:
    pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
    return DiagnosticStatus(name=name, level=bytes([level]), message=words, values=pairs)


def main(args: list[str] | None = None) -> None:
    run(SupervisorNode, args)


if __name__ == "__main__":
    main()
