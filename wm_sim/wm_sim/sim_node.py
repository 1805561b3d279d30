"""sim_node: a simulator behind the stack's topics, with `/clock`, `sim/reset` and the vehicle interface.

Which one is the parameter `sim`; all that is said of simulators here is said by the contract.
"""

from __future__ import annotations

import time

from rclpy.duration import Duration
from rosgraph_msgs.msg import Clock
from std_msgs.msg import String

from wm_msgs.msg import ControlCommand, DriveEvent, VehicleStatus
from wm_msgs.srv import Reset
from wm_ros.convert import camera_info_msg, image_msg, odom_msg, path_msg, scan_msg, to_ns, to_stamp, truth_msg
from wm_ros.node import StackNode
from wm_ros.run import run
from wm_ros.topics import CAMERA, CAMERA_INFO, CLOCK, CONTROL, EVENTS, ODOM, ROUTE, SCAN, SIMULATOR, STATUS, TRUTH
from wm_sim.action import to_physical
from wm_sim.contract import BUILTIN, SimulatorConfig, find_simulator, make_simulator, parse_settings
from wm_sim.errors import SimError
from wm_sim.frame import Frame
from wm_sim.observation import SCAN_MAX_M
from wm_sim.scenarios import ROAD
from wm_sim.session import TICK_NS, Session, Stage
from wm_sim.vehicle_interface import Command

# At the end, for what was sent last: what got lost is asked for again at the next heartbeat, after 3 s at most.
ACKED_S = 4.0
HALT_PACE_S = 0.01  # between the last frames: in one burst they overflow the socket buffers of those who listen
EVENT_TYPES = {
    "collision": DriveEvent.COLLISION,
    "off_road": DriveEvent.OFF_ROAD,
    "route_done": DriveEvent.ROUTE_DONE,
    "timeout": DriveEvent.TIMEOUT,
    "reset": DriveEvent.RESET,
    "red_light": DriveEvent.RED_LIGHT,
}


class SimNode(StackNode):
    """Publishes frames, takes commands. All driving rules are in `Session` and the simulator."""

    def __init__(self) -> None:
        super().__init__("sim_node")
        declare = self.declare
        self.sim = declare("sim", BUILTIN, "Simulator, by the name that its package registers.")
        self.declaration = find_simulator(self.sim).declaration
        self.settings = declare("sim_settings", "", "The simulator's own settings, as host=10.0.0.2,port=2000.")
        scenario = declare("scenario", "", "Scenario of the simulator; empty: its usual one.")
        road = declare(
            "road", "", "Map file to drive on instead: FILE[,logged|reactive|none][,LANE_WIDTH_M]; empty: none."
        )
        self.scenario = f"{ROAD}{road}" if road else scenario or self.declaration.usual_scenario
        self.declaration.check_scenario(self.scenario)
        self.seed = declare("seed", 0, "Seed of the first episode.", range=(0, 2**32 - 1))
        self.mode = declare(
            "mode", "realtime", "What moves the world: the wall, or each command.", choices=("realtime", "lockstep")
        )
        self.speed = declare("speed", 1.0, "Simulated seconds per wall second (realtime).", range=(0.05, 20.0))
        self.length = declare(
            "route_length_m", 0.0, "Length of the route, m; 0: the family's own.", range=(0.0, 5000.0)
        )
        self.noise = declare("noise", True, "Draw light, colours, wear and vehicle parameters anew each episode.")
        self.watchdog_s = declare(
            "watchdog_s", 0.5, "Full braking after so long without a command, s.", range=(0.1, 5.0)
        )
        self.repeat_s = declare(
            "repeat_s", 1.0, "Lockstep: send the frame again after so long unanswered, s (wall).", range=(0.1, 60.0)
        )
        self.declare_priority(16)
        self.when_done = declare(
            "when_done",
            "wait",
            "After an episode: wait for sim/reset, or take the next seed.",
            choices=("wait", "again"),
        )

    def configure(self) -> None:
        config = SimulatorConfig(self.noise, self.length or None, parse_settings(self.settings))
        self.simulator = make_simulator(self.sim, config)
        try:
            self.simulator.prepare()  # what takes long in the middle of a drive would stop the clock
        except BaseException:
            self.simulator.close()  # nobody cleans up after a node that was never configured
            raise
        self.session = Session(self.simulator, self.watchdog_s)
        self.shown: Frame | None = None  # newest frame whose events were published
        self.missed = self.ticks = 0
        self.clock = self.advertise(CLOCK)
        self.route, self.about = self.advertise(ROUTE), self.advertise(SIMULATOR)
        self.camera, self.camera_info = self.advertise(CAMERA), self.advertise(CAMERA_INFO)
        self.scan, self.odom, self.status = self.advertise(SCAN), self.advertise(ODOM), self.advertise(STATUS)
        self.truth, self.events = self.advertise(TRUTH), self.advertise(EVENTS)
        self.subscribe(CONTROL, self.on_control)
        self.create_service(Reset, "sim/reset", self.on_reset)

    def activate(self) -> None:
        self.about.publish(String(data=self.declaration.told()))
        self.begin(self.scenario, self.seed)
        if self.mode == "realtime":
            self.period_s = TICK_NS * 1e-9 / self.speed
            self.due_s = time.monotonic() + self.period_s
            self.timer = self.steady_timer(self.period_s, self.on_tick)
        else:
            self.timer = self.steady_timer(self.repeat_s / 4, self.on_patience)

    def deactivate(self) -> None:
        self.destroy_timer(self.timer)
        for frame in self.session.halt():  # the vehicle does not leave while it rolls
            self.clock.publish(Clock(clock=to_stamp(self.session.clock_ns)))
            self.publish(frame)
            time.sleep(HALT_PACE_S)
        self.status.wait_for_all_acked(Duration(seconds=ACKED_S))  # how it ended has to be known

    def cleanup(self) -> None:
        self.simulator.close()

    def on_tick(self) -> None:
        """One physics step each period of the wall; a period that passed without one is counted, not made up for."""
        late = time.monotonic() - self.due_s
        behind = int(late / self.period_s) if late > 0 else 0
        self.due_s += (behind + 1) * self.period_s
        if self.session.stage is Stage.DRIVING:
            self.ticks += 1
            self.missed += behind
        self.health.facts |= {"ticks": str(self.ticks), "missed_ticks": str(self.missed)}
        with self.measure("tick"):
            watched, frame = self.session.watchdog, self.session.tick()
        self.clock.publish(Clock(clock=to_stamp(self.session.clock_ns)))
        if self.session.watchdog and not watched:
            self.tell(DriveEvent.FAULT, 0.0, "no command, or those of two senders: the vehicle brakes by itself")
        if frame is not None:
            self.publish(frame)
            self.go_on()

    def on_patience(self) -> None:
        """Lockstep: whoever joined late gets the frame that nobody answered."""
        frame, waited_s = self.session.frame, time.monotonic() - self.sent_s
        if frame is not None and self.session.stage is not Stage.DONE and waited_s > self.repeat_s:
            self.publish(frame)

    def on_control(self, msg: ControlCommand) -> None:
        planned = msg.source == ControlCommand.SOURCE_PLAN
        braking = msg.source == ControlCommand.SOURCE_SCAN_BRAKE
        command = Command(msg.steering_angle, msg.acceleration, to_ns(msg.source_stamp), planned, braking, msg.seq)
        if self.mode == "realtime":
            self.session.accept(command)
            return
        with self.measure("step"):
            frame = self.session.answer(command)
        if frame is not None:
            self.publish(frame)
            self.go_on()

    def go_on(self) -> None:
        if self.session.stage is Stage.DONE and self.when_done == "again":
            self.seed += 1
            self.begin(self.scenario, self.seed)

    def on_reset(self, request: Reset.Request, response: Reset.Response) -> Reset.Response:
        try:
            scenario = request.scenario or self.scenario
            self.declaration.check_scenario(scenario)
            self.begin(scenario, request.seed)
            self.scenario, self.seed = scenario, request.seed
            response.success, response.message = True, f"{self.scenario} seed {self.seed} waits for the first command"
        except SimError as error:
            response.message = str(error)
        return response

    def begin(self, scenario: str, seed: int) -> None:
        frame = self.session.reset(scenario, seed)
        self.route.publish(path_msg(self.simulator.route, to_stamp(self.session.frame_ns)))
        self.publish(frame)

    def publish(self, frame: Frame) -> None:
        """Everything about one frame, all with its stamp; events only the first time."""
        stamp = to_stamp(self.session.frame_ns)
        if self.mode == "lockstep":
            self.clock.publish(Clock(clock=stamp))
        self.status.publish(self.status_msg(frame, stamp))
        self.odom.publish(odom_msg(*frame.pose, frame.speed_mps, frame.yaw_rate_radps, stamp))
        self.scan.publish(scan_msg(frame.scan, stamp, "lidar", SCAN_MAX_M))
        height, width, _ = frame.camera.shape
        hfov_rad = self.declaration.camera_hfov_rad
        self.camera_info.publish(camera_info_msg(width, height, hfov_rad, stamp, "camera_optical"))
        self.camera.publish(image_msg(frame.camera, stamp, "camera_optical"))
        self.truth.publish(truth_msg(frame.truth, stamp, stamp, self.next_seq(TRUTH)))
        if frame is not self.shown:
            for event in frame.events:
                self.tell(EVENT_TYPES[event.type], float(event.intensity), event.detail)
        self.shown, self.sent_s = frame, time.monotonic()

    def tell(self, kind: int, intensity: float, detail: str) -> None:
        """An event, stamped with the newest frame."""
        msg = DriveEvent(type=kind, intensity=intensity, detail=detail)
        msg.header.stamp = msg.source_stamp = to_stamp(self.session.frame_ns)
        msg.header.frame_id, msg.seq = "base_link", self.next_seq(EVENTS)
        self.events.publish(msg)

    def status_msg(self, frame: Frame, stamp: object) -> VehicleStatus:
        msg = VehicleStatus()
        msg.header.stamp = msg.source_stamp = stamp
        msg.header.frame_id, msg.seq = "base_link", self.next_seq(STATUS)
        msg.speed, msg.acceleration = float(frame.speed_mps), float(frame.acceleration_mps2)
        msg.yaw_rate, msg.steering_angle = float(frame.yaw_rate_radps), float(frame.steering_angle_rad)
        msg.speed_limit = float(frame.speed_limit_mps)
        steering, acceleration = to_physical(frame.commanded)
        msg.commanded_steering_angle, msg.commanded_acceleration = float(steering), float(acceleration)
        if self.session.standing:
            msg.mode = VehicleStatus.MODE_READY
        else:
            msg.mode = VehicleStatus.MODE_WATCHDOG if self.session.watchdog else VehicleStatus.MODE_DRIVING
        return msg


def main(args: list[str] | None = None) -> None:
    run(SimNode, args)


if __name__ == "__main__":
    main()
