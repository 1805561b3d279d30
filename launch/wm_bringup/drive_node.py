"""drive_node: waits for the stack, engages, watches the drive, leaves the report and ends."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry, Path
from sensor_msgs.msg import Image, LaserScan
from std_srvs.srv import SetBool

from wm_bringup.record import DriveRecord, TruthRow
from wm_bringup.report import summarise, table, write_json
from wm_msgs.msg import Belief, ControlCommand, DriveEvent, Plan, SafetyState, Truth, VehicleStatus
from wm_planner.safety.reasons import Source, describe
from wm_ros.convert import image_array, odom_pose, path_xy, scan_array, to_ns
from wm_ros.node import StackNode
from wm_ros.roll_call import RollCall
from wm_ros.run import run
from wm_ros.topics import (
    BELIEF,
    CAMERA,
    CONTROL,
    DIAGNOSTICS,
    EVENTS,
    ODOM,
    PLAN,
    PLAN_PATH,
    ROUTE,
    SAFETY,
    SCAN,
    STATUS,
    TRUTH,
    Topic,
)

OUTCOMES = {
    DriveEvent.COLLISION: "collision",
    DriveEvent.OFF_ROAD: "off_road",
    DriveEvent.ROUTE_DONE: "route_done",
    DriveEvent.TIMEOUT: "timeout",
}
SOURCES = {source.value: source.name.lower() for source in Source}
QUEUE = 100  # messages a topic
LOOK_S = 0.1  # how often the node looks where the drive stands
STANDING_MPS = 0.1
ANSWER_S = 2.0  # until a request is made again
SETTLE_S = 1.0  # at most so long for the last messages after the end


class DriveNode(StackNode):
    """One drive from the self-check to the report. Reads truth to judge; tells the drive chain nothing of it."""

    def __init__(self) -> None:
        super().__init__("drive_node")
        declare = self.declare
        self.out = FilePath(declare("out", ".", "Folder for the report."))
        self.engage = declare("engage", True, "Engage once every node is ready.")
        self.mode = declare("mode", "realtime", "As sim_node's, for the report.", choices=("realtime", "lockstep"))
        self.scenario = declare("scenario", "", "As sim_node's, for the report.")
        self.seed = declare("seed", 0, "As sim_node's, for the report.", range=(0, 2**32 - 1))
        self.bag = declare("bag", "", "Bag folder, for the report.")
        self.wait_for = list(declare("wait_for", ["sim_node"], "Nodes that have to be active before engaging."))
        self.start_timeout_s = declare(
            "start_timeout_s", 90.0, "Give up when nothing drives by then, s.", range=(1.0, 3600.0)
        )
        self.stall_timeout_s = declare(
            "stall_timeout_s", 30.0, "Give up when no frame came for so long, s.", range=(1.0, 3600.0)
        )
        self.film = declare("film", True, "Write picture.png and drive.mp4.")

    def configure(self) -> None:
        self.record = DriveRecord(self.scenario, self.seed, self.mode)
        self.roll = RollCall()
        self.gate_state: int | None = None  # as last said, None: not since a node was started again
        self.stands = False
        self.restarts = 0  # of nodes, when the driver last engaged
        self.refusal = ""
        self.engaged = self.written = False
        self.request: tuple[bool, Any] | None = None  # engage or let go, and the answer to come
        self.asked_s = 0.0
        self.started_s = self.frame_s = time.monotonic()
        self.ended_s: float | None = None
        self.subscribe(ROUTE, self.on_route)
        for topic, callback in (
            (SCAN, self.on_scan),
            (ODOM, self.on_odom),
            (STATUS, self.on_status),
            (TRUTH, self.on_truth),
            (EVENTS, self.on_event),
            (BELIEF, self.on_belief),
            (PLAN, self.on_plan),
            (PLAN_PATH, self.on_plan_path),
            (SAFETY, self.on_safety),
            (DIAGNOSTICS, self.on_diagnostics),
        ):
            self.subscribe(patient(topic), callback)
        # With the middleware's own time of publication, which does not depend on how busy this process is.
        for topic, timed in ((CAMERA, self.on_camera), (CONTROL, self.on_control)):
            self.create_subscription(topic.type, topic.name, timed, patient(topic).reader_qos)
        self.engage_client = self.create_client(SetBool, "safety/engage")

    def activate(self) -> None:
        self.look_timer = self.steady_timer(LOOK_S, self.look)

    def deactivate(self) -> None:
        self.destroy_timer(self.look_timer)

    def cleanup(self) -> None:
        """Stopped in the middle: the table is still worth having, the film would take too long."""
        if not self.written and self.record.driven():
            self.write_report()

    # What happens on the topics.

    def on_route(self, msg: Path) -> None:
        self.record.route = path_xy(msg)

    def on_camera(self, msg: Image, info: dict) -> None:
        moment = self.record.at(to_ns(msg.header.stamp))
        moment.camera = image_array(msg)
        moment.camera_sent_ns = moment.camera_sent_ns or info["source_timestamp"]
        self.frame_s = time.monotonic()

    def on_scan(self, msg: LaserScan) -> None:
        self.record.at(to_ns(msg.header.stamp)).scan = scan_array(msg)

    def on_odom(self, msg: Odometry) -> None:
        self.record.at(to_ns(msg.header.stamp)).pose = odom_pose(msg)[:3]

    def on_status(self, msg: VehicleStatus) -> None:
        moment = self.record.at(to_ns(msg.header.stamp))
        moment.speed, moment.speed_limit = msg.speed, msg.speed_limit
        self.stands = msg.speed < STANDING_MPS

    def on_truth(self, msg: Truth) -> None:
        row = TruthRow(msg.step, msg.lateral_error, msg.gap_ahead, msg.closing_speed, msg.progress, msg.route_length)
        self.record.at(to_ns(msg.header.stamp)).truth = row
        self.record.scenario, self.record.seed = msg.scenario, msg.episode

    def on_event(self, msg: DriveEvent) -> None:
        if self.record.outcome is None and msg.type in OUTCOMES:
            self.record.outcome, self.record.outcome_detail = OUTCOMES[msg.type], msg.detail
            self.record.outcome_ns = to_ns(msg.source_stamp)
            self.ended_s = time.monotonic()

    def on_belief(self, msg: Belief) -> None:
        self.record.model_id = msg.model_id

    def on_plan(self, msg: Plan) -> None:
        self.record.at(to_ns(msg.source_stamp)).plan_ms = msg.solve_ms

    def on_plan_path(self, msg: Path) -> None:
        self.record.at(to_ns(msg.header.stamp)).plan = path_xy(msg)

    def on_control(self, msg: ControlCommand, info: dict) -> None:
        if self.engaged and self.record.outcome is None:
            self.record.commands += 1
            self.record.sources[SOURCES.get(msg.source, str(msg.source))] += 1
            self.record.limited += msg.limited
        if msg.source != ControlCommand.SOURCE_PLAN:
            return
        moment = self.record.at(to_ns(msg.source_stamp))
        if moment.control_sent_ns is None:
            moment.control_sent_ns = info["source_timestamp"]
            moment.steering_angle, moment.acceleration = msg.steering_angle, msg.acceleration

    def on_safety(self, msg: SafetyState) -> None:
        self.gate_state = msg.state
        self.engaged |= not self.engage and msg.state == SafetyState.ACTIVE  # somebody else did
        if self.engaged and self.record.outcome is None:
            self.record.reasons.update(describe(msg.reasons))

    def on_diagnostics(self, msg: DiagnosticArray) -> None:
        known = self.roll.restarts.total()
        for status in msg.status:
            values = {item.key: item.value for item in status.values}
            self.roll.hear(status.name, 0, status.message, values, time.monotonic())
            if status.name == "sim_node":
                self.record.missed_ticks = int(values.get("missed_ticks", 0))
                self.record.ticks = int(values.get("ticks", 0))
        if self.roll.restarts.total() > known:
            self.gate_state = None

    # Where the drive stands.

    def not_ready(self) -> list[str]:
        """Nodes that a drive has to wait for, each with its state."""
        absent = self.roll.absent(self.wait_for, time.monotonic())
        waiting = {name: self.roll.reports[name].values.get("waits_for") for name in self.wait_for if not absent}
        return absent or [f"{name} waits for {what}" for name, what in waiting.items() if what]

    def look(self) -> None:
        now = time.monotonic()
        if self.ended_s is not None:
            last = self.record.moments.get(self.record.outcome_ns or 0)
            if (last is not None and last.truth is not None) or now - self.ended_s > SETTLE_S:
                self.conclude()
        elif self.engaged:
            if now - self.frame_s > self.stall_timeout_s:
                self.give_up(f"no frame for {self.stall_timeout_s:.0f} s: the drive stands still. See the logs.")
            elif self.roll.restarts.total() > self.restarts:
                self.drive_on()
        elif now - self.started_s > self.start_timeout_s:
            silent = self.not_ready()
            why = ", ".join(silent) or self.refusal or "nobody engaged"
            self.give_up(f"the drive did not begin within {self.start_timeout_s:.0f} s ({why}). See the logs.")
        elif not self.not_ready() and self.record.route is not None and self.record.moments:
            self.try_to_engage()

    def try_to_engage(self) -> None:
        if self.asked(engage=True):
            self.engaged, self.restarts = True, self.roll.restarts.total()
            self.record.startup_s = time.monotonic() - self.started_s
            print(f"engaged after {self.record.startup_s:.1f} s", flush=True)

    def drive_on(self) -> None:
        """A node was started again. Where that stopped the car, let it stand, release the gate and engage anew."""
        if self.gate_state is None or self.not_ready():
            return
        if self.gate_state == SafetyState.EMERGENCY:
            self.asked(engage=False)  # lets go once the car stands
        elif self.gate_state == SafetyState.ACTIVE:
            self.restarts = self.roll.restarts.total()
            print("drives on after a new start", flush=True)
        elif self.stands or self.mode == "lockstep":  # in lockstep the world itself waits for the driver
            self.asked(engage=True)

    def asked(self, engage: bool) -> bool:
        """Ask the gate, again and again; True once it has agreed. An answer that a dead gate owes is not waited for."""
        now_s = time.monotonic()
        if not self.engage:
            return False
        if self.request is not None and self.request[1].done():
            (wish, answer), self.request = self.request, None
            if wish == engage and answer.result().success:
                return True
            self.refusal = f"engage refused: {answer.result().message}"
        if (self.request is None or now_s - self.asked_s > ANSWER_S) and self.engage_client.service_is_ready():
            self.request, self.asked_s = (engage, self.engage_client.call_async(SetBool.Request(data=engage))), now_s
        return False

    def conclude(self) -> None:
        """Stand the car still and write everything down."""
        self.look_timer.cancel()
        if self.engage_client.service_is_ready():
            self.engage_client.call_async(SetBool.Request(data=False))
        self.write_report()
        if self.film:
            from wm_bringup.film import write_film, write_picture

            write_picture(self.record, self.out / "picture.png")
            write_film(self.record, self.out / "drive.mp4")
        self.finish(0)

    def write_report(self) -> None:
        self.written = True
        self.record.restarts.update(self.roll.restarts)
        lost = {label.removeprefix("in "): flow.missed for label, flow in self.health.flows.items() if flow.missed}
        self.record.lost.update(lost)
        summary = summarise(self.record, self.bag)
        write_json(summary, self.out / "report.json")
        (self.out / "report.txt").write_text(table(summary))

    def give_up(self, sentence: str) -> None:
        self.look_timer.cancel()
        self.report_error(sentence)
        self.finish(1)


def patient(topic: Topic) -> Topic:
    """The topic with a longer queue: who only watches may lag behind, and must not miss anything."""
    return replace(topic, spec=replace(topic.spec, qos=replace(topic.spec.qos, depth=QUEUE)))


def main(args: list[str] | None = None) -> None:
    run(DriveNode, args)


if __name__ == "__main__":
    main()
