"""safety_gate_node: the last word before the vehicle. A process of its own, without torch, ONNX Runtime or numba.

realtime  decides at 50 Hz on a steady timer, and at once when a plan arrives
lockstep  decides once a frame, when plan, belief, scan, odometry and status of it are there
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry, Path
from sensor_msgs.msg import LaserScan
from std_srvs.srv import SetBool

from wm_msgs.msg import Belief, ControlCommand, Plan, SafetyState, VehicleStatus
from wm_planner.car_limits import car_limits, parse_limits, told
from wm_planner.engage_check import CHAIN, Surroundings, may_engage, refusal, stamps_of
from wm_planner.safety.decide import Clock, Decision, GateState, Inputs, PlanInput, decide
from wm_planner.safety.reasons import Source, State
from wm_planner.safety.route import route_from
from wm_ros.convert import ndarray, odom_pose, path_xy, scan_measured, to_ns, to_stamp
from wm_ros.joiner import StampJoiner
from wm_ros.node import StackNode, publishers
from wm_ros.roll_call import RollCall
from wm_ros.run import run
from wm_ros.topics import BELIEF, CONTROL, DIAGNOSTICS, ODOM, PLAN, ROUTE, SAFETY, SCAN, STATUS


class SafetyGateNode(StackNode):
    """Hands everything heard to `decide`, and its answer to the vehicle."""

    def __init__(self) -> None:
        super().__init__("safety_gate_node")
        self.mode = self.declare("mode", "realtime", "As sim_node's.", choices=("realtime", "lockstep"))
        self.rate_hz = self.declare("rate_hz", 50.0, "Decisions a second (realtime), Hz.", range=(5.0, 200.0))
        self.limits_file = self.declare("limits_file", "", "YAML file of limits; empty: params/limits.yaml as shipped.")
        self.declared = self.declare(
            "limits", "", "Limits of the car that drives over those shipped, as wheelbase_m=3.2,half_width_m=1.2."
        )
        self.surprise_max_nats = self.declare(
            "surprise_max_nats",
            0.0,
            "Surprise beyond which the model is lost, nats; 0: do not watch.",
            range=(0.0, 1e6),
        )
        self.declare_priority(20)

    def configure(self) -> None:
        self.limits = car_limits(parse_limits(self.declared), self.limits_file)
        if self.surprise_max_nats > 0.0:
            self.limits = replace(self.limits, surprise_max_nats=self.surprise_max_nats)
        self.health.facts["limits"] = told(self.limits)
        self.inputs = Inputs(engaged=False)
        self.memory = GateState()
        self.shown: tuple[State, int] | None = None
        self.decision: Decision | None = None
        self.moment: tuple[int, dict] | None = None  # lockstep: the newest complete frame
        self.answer: ControlCommand | None = None  # lockstep: to the newest frame
        self.roll = RollCall()
        self.joiner = StampJoiner("plan", "belief", "scan", "odom", "status")
        self.control, self.state = self.advertise(CONTROL), self.advertise(SAFETY)
        self.subscribe(ROUTE, self.on_route)  # first: a route goes before the frames that arrive together with it
        for topic, name in ((STATUS, "status"), (SCAN, "scan"), (ODOM, "odom"), (BELIEF, "belief"), (PLAN, "plan")):
            self.subscribe(topic, partial(self.on_message, name))
        self.subscribe(DIAGNOSTICS, self.on_diagnostics)
        self.create_service(SetBool, "safety/engage", self.on_engage)

    def activate(self) -> None:
        self.timers_ = [self.steady_timer(0.5, self.show_state)]
        if self.mode == "realtime":
            self.timers_.append(self.steady_timer(1.0 / self.rate_hz, self.on_tick))

    def deactivate(self) -> None:
        for timer in self.timers_:
            self.destroy_timer(timer)

    # Hearing.

    def on_route(self, msg: Path) -> None:
        self.inputs = replace(self.inputs, route=route_from(path_xy(msg)))

    def on_diagnostics(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            values = {item.key: item.value for item in status.values}
            self.roll.hear(status.name, 0, status.message, values, time.monotonic())

    def on_message(self, name: str, msg: Plan | Belief | LaserScan | Odometry | VehicleStatus) -> None:
        if self.mode == "realtime":
            self.hear(name, msg)
            if name == "plan":
                self.on_tick()
            return
        stamp_ns = to_ns(msg.header.stamp if name in ("scan", "odom", "status") else msg.source_stamp)
        moment = self.joiner.add(name, stamp_ns, msg)
        if moment is not None:
            self.on_moment(stamp_ns, moment)

    def hear(self, name: str, msg: Plan | Belief | LaserScan | Odometry | VehicleStatus) -> None:
        """Put a message into `inputs`. A vehicle that is ready has not moved: what was before counts no more."""
        if name == "plan":
            steering, acceleration = ndarray(msg.steering_angle), ndarray(msg.acceleration)
            plan = PlanInput(msg.seq, to_ns(msg.source_stamp), msg.dt, steering, acceleration)
            self.inputs = replace(self.inputs, plan=plan)
        elif name == "belief":
            self.inputs = replace(self.inputs, surprise_nats=msg.surprise)
        elif name == "scan":
            self.inputs = replace(self.inputs, scan=scan_measured(msg), scan_stamp_ns=to_ns(msg.header.stamp))
        elif name == "odom":
            pose = odom_pose(msg)[:3]
            self.inputs = replace(self.inputs, pose=pose, odom_stamp_ns=to_ns(msg.header.stamp))
        else:
            if msg.mode == VehicleStatus.MODE_READY:
                self.memory = GateState()
            self.inputs = replace(
                self.inputs,
                speed_mps=msg.speed,
                yaw_rate_radps=msg.yaw_rate,
                steering_angle_rad=msg.steering_angle,
                speed_limit_mps=msg.speed_limit,
                status_stamp_ns=to_ns(msg.header.stamp),
            )

    # Deciding.

    def clock(self) -> Clock:
        """Now; in lockstep the frame's own time on both clocks, so that a slow computer decides like a fast one."""
        if self.mode == "lockstep":
            now_ns = self.inputs.status_stamp_ns or 0
            return Clock(now_ns, now_ns)
        return Clock(self.get_clock().now().nanoseconds, time.monotonic_ns())

    def on_tick(self) -> None:
        with self.measure("decide"):
            decision = decide(self.clock(), self.inputs, self.limits, self.memory)
        self.memory = decision.gate_state
        plan = self.memory.plan
        source_ns = plan.source_stamp_ns if plan is not None else self.inputs.status_stamp_ns or 0
        self.control.publish(self.command_msg(decision, source_ns))
        self.show(decision)

    def on_moment(self, stamp_ns: int, moment: dict) -> None:
        """Lockstep: decide on a complete frame once; a frame that was sent again gets the answer that it had."""
        if self.answer is not None and to_ns(self.answer.source_stamp) == stamp_ns:
            self.control.publish(self.answer)
            return
        self.moment = (stamp_ns, moment)
        for name in ("status", "scan", "odom", "belief", "plan"):
            self.hear(name, moment[name])
        decision = decide(self.clock(), self.inputs, self.limits, self.memory)
        if self.inputs.engaged:
            self.memory = decision.gate_state
            self.answer = self.command_msg(decision, stamp_ns)
            self.control.publish(self.answer)
        self.show(decision)

    def command_msg(self, decision: Decision, source_ns: int) -> ControlCommand:
        command = decision.command
        msg = ControlCommand()
        msg.header.stamp = self.get_clock().now().to_msg()
        msg.header.frame_id, msg.seq = "base_link", self.next_seq(CONTROL)
        msg.source_stamp = to_stamp(source_ns)
        msg.steering_angle, msg.steering_rate = command.steering_angle_rad, command.steering_rate_radps
        msg.acceleration, msg.speed = command.acceleration_mps2, command.speed_mps
        # Who is not engaged stops, whatever is in the path: the vehicle waits for an engaged gate to begin.
        source = Source.STOPPED if decision.state is State.STOPPED else command.source
        msg.source, msg.limited = int(source), command.limited
        return msg

    # Engaging and showing.

    def on_engage(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        """Engage if the next decision would be to drive, else say why not; disengaging always works."""
        if not request.data:
            self.inputs = replace(self.inputs, engaged=False)
            self.answer = None
            response.success, response.message = True, "disengaged"
            return response
        wish = replace(self.inputs, engaged=True)
        now, around = self.clock(), self.surroundings()
        decision = decide(now, wish, self.limits, self.memory)
        if not may_engage(decision, around):
            response.message = refusal(decision, self.memory.state is State.EMERGENCY, now, around)
            return response
        self.inputs = wish
        response.success, response.message = True, "engaged"
        if self.mode == "lockstep" and self.moment is not None:
            self.on_moment(*self.moment)
        return response

    def surroundings(self) -> Surroundings:
        known = [name for name in CHAIN if name in self.roll.reports]  # others may have other names
        senders = {topic.name: publishers(self, topic.name) for topic in (PLAN, CONTROL)}
        rivals = {topic: names for topic, names in senders.items() if len(names) > 1}
        return Surroundings(stamps_of(self.inputs), self.roll.absent(known, time.monotonic()), rivals)

    def show(self, decision: Decision) -> None:
        """Publish the state when it or its reasons changed."""
        if decision.fault:
            self.get_logger().error(f"fault inside the gate: {decision.fault}", throttle_duration_sec=1.0)
        self.decision = decision
        now = (decision.state, decision.reasons)
        if now != self.shown:
            self.shown = now
            self.show_state()

    def show_state(self) -> None:
        if self.decision is None:
            return
        msg = SafetyState(state=int(self.decision.state), reasons=self.decision.reasons)
        msg.header.stamp = self.get_clock().now().to_msg()
        msg.header.frame_id, msg.seq = "base_link", self.next_seq(SAFETY)
        plan = self.decision.gate_state.plan
        msg.source_stamp = to_stamp(plan.source_stamp_ns if plan is not None else 0)
        msg.command_age, msg.clock_age = self.decision.command_age_s, self.decision.clock_age_s
        self.state.publish(msg)


def main(args: list[str] | None = None) -> None:
    run(SafetyGateNode, args)


if __name__ == "__main__":
    main()
