"""planner_node: `belief` becomes `plan`."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import LaserScan
from visualization_msgs.msg import MarkerArray

from wm_dynamics.engines import ENGINES, load_engine
from wm_dynamics.errors import ModelError
from wm_msgs.msg import Belief, Observation, Plan
from wm_msgs.srv import LoadModel
from wm_planner.car_limits import car_limits, parse_limits, told
from wm_planner.errors import PlannerError
from wm_planner.path import plan_path
from wm_planner.plan_result import PlanResult, Status
from wm_planner.planner import SPEED, Planner, PlannerConfig
from wm_planner.planner_settings import SETTINGS, planner_config
from wm_planner.rollouts import Rollouts, rollouts
from wm_ros.convert import believed, floats, ndarray, path_msg, scan_array, to_ns
from wm_ros.errors import MessageError
from wm_ros.joiner import StampJoiner
from wm_ros.markers import ALARM, VIRIDIS, Lines, gradient, lines_msg
from wm_ros.node import StackNode
from wm_ros.run import run
from wm_ros.topics import BELIEF, OBSERVATION, PLAN, PLAN_MARKERS, PLAN_PATH, SCAN
from wm_sim.observation import SCAN_SIZE, STATE_SIZE, STEP_S

SCANS_KEPT = 8  # until the beliefs that they led to arrive


class PlannerNode(StackNode):
    """One search a belief."""

    def __init__(self) -> None:
        super().__init__("planner_node")
        self.model = self.declare("model", "models/default", "Folder of the model that imagines.")
        self.engine_name = self.declare("engine", "onnxruntime", "What runs the model.", choices=tuple(ENGINES))
        self.threads = self.declare("threads", 1, "CPU threads of the search.", range=(1, 64))
        self.declare_priority(15)
        self.seed = self.declare("seed", 0, "Seed of the search.", range=(0, 2**31 - 1))
        self.declared = self.declare("limits", "", "As safety_gate_node's, so that plans stay within them.")
        self.declare("deadline_s", 0.07, "Wall time for one search, s; 0: none.", range=(0.0, 1.0), read_only=False)
        self.declare(
            "markers_hz",
            0.0,
            "Rate of plan/markers, Hz; 0 publishes none. Costs nothing while nobody subscribes.",
            range=(0.0, 5.0),
            read_only=False,
        )
        for item in SETTINGS:
            self.declare(
                item.name, item.default, item.description, range=item.range, choices=item.choices, read_only=False
            )

    def configure(self) -> None:
        self.car = car_limits(parse_limits(self.declared))
        self.load(self.model)
        self.joiner = StampJoiner("belief", "observation")
        self.plan, self.path, self.markers = (self.advertise(it) for it in (PLAN, PLAN_PATH, PLAN_MARKERS))
        self.markers_due = 0.0
        self.counts = dict.fromkeys(("plans", "late", *Status.__members__), 0)
        self.scans: deque[tuple[int, np.ndarray]] = deque(maxlen=SCANS_KEPT)  # stamp in ns, ranges [72] m
        self.subscribe(SCAN, self.on_scan)  # first: a scan goes before the belief that arrives together with it
        self.subscribe(OBSERVATION, self.on_observation)
        self.subscribe(BELIEF, self.on_belief)
        self.create_service(LoadModel, "planner/load_model", self.on_load_model)

    def load(self, model: str) -> None:
        config = self.config()  # first: it refuses at once
        engine = load_engine(model, self.engine_name, self.threads)
        self.planner = Planner(engine, config, self.seed)
        self.engine = engine
        self.answer: Plan | None = None
        self.tell_limits()

    def config(self) -> PlannerConfig:
        """The planner's settings as the parameters say them."""
        return replace(planner_config(self.live), limits=self.car)

    def check_change(self, values: dict[str, Any]) -> None:
        planner_config(values)

    def take_change(self) -> None:
        if hasattr(self, "planner"):
            self.planner.reconfigure(self.config())
            self.tell_limits()

    def tell_limits(self) -> None:
        """Log and show which limits on risk hold."""
        limits = self.planner.limits
        self.health.facts |= {"collision_max": f"{limits.collision:.4g}", "off_road_max": f"{limits.off_road:.4g}"}
        self.health.facts["limits"] = told(self.car)
        if limits.lacking:
            self.get_logger().warning(limits.lacking)

    def on_scan(self, msg: LaserScan) -> None:
        scan = scan_array(msg)
        if scan.shape != (SCAN_SIZE,):
            raise MessageError(f"scan of {len(scan)} ranges; {SCAN_SIZE} are needed.")
        self.scans.append((to_ns(msg.header.stamp), scan))

    def on_observation(self, msg: Observation) -> None:
        if len(msg.state) != STATE_SIZE or not believed(ndarray(msg.state)):
            raise MessageError(f"state of {len(msg.state)} numbers; {STATE_SIZE} sensible ones are needed.")
        self.publish(self.joiner.add("observation", to_ns(msg.source_stamp), msg))

    def on_belief(self, msg: Belief) -> None:
        size = self.engine.config.belief_size
        if len(msg.latent) != size or not believed(ndarray(msg.latent)):
            raise MessageError(f"belief of {len(msg.latent)} numbers; {size} sensible ones are needed.")
        self.publish(self.joiner.add("belief", to_ns(msg.source_stamp), msg))

    def publish(self, joined: dict | None) -> None:
        """Search and publish; a moment that was sent again gets the answer that it had."""
        if joined is None:
            return
        belief: Belief = joined["belief"]
        if self.answer is not None and self.answer.source_stamp == belief.source_stamp:
            self.plan.publish(self.answer)
            return
        if belief.model_id != self.engine.config.model_id:
            self.report_error(
                f"dynamics runs model {belief.model_id}, planner {self.engine.config.model_id}: "
                "start both with the same model."
            )
            return
        self.search(belief, ndarray(joined["observation"].state))

    def search(self, belief: Belief, state: np.ndarray) -> None:
        if belief.is_reset:
            self.planner.reset()
        deadline_s, show = self.live["deadline_s"] or None, self.markers_wanted()
        with self.measure("plan"):
            stamp_ns = to_ns(belief.source_stamp)
            scan = self.scan_at(stamp_ns)
            result = self.planner.plan_from(
                ndarray(belief.latent), state, deadline_s, scan=scan, scan_ns=stamp_ns, show=show
            )
        self.answer = self.message(result, belief)
        self.plan.publish(self.answer)
        self.count(result, deadline_s)
        if self.path.get_subscription_count():
            points = plan_path(result.steering_angle, result.speed, STEP_S, self.car.wheelbase_m)
            self.path.publish(path_msg(points, belief.source_stamp, "base_link"))
        if show:
            looked_at = rollouts(result, float(state[SPEED]), self.car.wheelbase_m)
            self.markers.publish(markers_msg(looked_at, belief.source_stamp))

    def scan_at(self, stamp_ns: int) -> np.ndarray | None:
        """The scan [72] of that moment, where one was heard: plans steer clear of what it shows, or stop before it."""
        return next((scan for stamp, scan in reversed(self.scans) if stamp == stamp_ns), None)

    def message(self, result: PlanResult, belief: Belief) -> Plan:
        msg = Plan()
        msg.header.stamp = self.get_clock().now().to_msg()
        msg.header.frame_id, msg.seq = "base_link", self.next_seq(PLAN)
        msg.source_stamp = belief.source_stamp
        msg.dt = STEP_S
        msg.steering_angle = floats(result.steering_angle)
        msg.acceleration = floats(result.acceleration)
        msg.speed = floats(result.speed)
        msg.expected_return, msg.disagreement = float(result.expected_return), float(result.disagreement)
        msg.collision_prob, msg.off_road_prob = float(result.collision_prob), float(result.off_road_prob)
        msg.solve_ms, msg.samples, msg.status = float(result.solve_ms), int(result.samples), int(result.status)
        return msg

    def count(self, result: PlanResult, deadline_s: float | None) -> None:
        """Plans so far, those past their deadline and those of each status, for /diagnostics."""
        self.counts["plans"] += 1
        self.counts["late"] += deadline_s is not None and result.solve_ms > 1e3 * deadline_s
        self.counts[result.status.name] += 1
        self.health.facts |= {f"plans.{name.lower()}": str(number) for name, number in self.counts.items()}

    def markers_wanted(self) -> bool:
        """Whether somebody looks and the last picture is old enough."""
        now, rate_hz = time.monotonic(), self.live["markers_hz"]
        if rate_hz == 0.0 or now < self.markers_due or not self.markers.get_subscription_count():
            return False
        self.markers_due = now + 1.0 / rate_hz
        return True

    def on_load_model(self, request: LoadModel.Request, response: LoadModel.Response) -> LoadModel.Response:
        """Exchange the model; dynamics_node asks for this as part of its own service."""
        try:
            self.load(request.path)
            response.success = True
        except (ModelError, PlannerError) as error:
            response.message = str(error)
        response.model_id = self.engine.config.model_id
        return response


def markers_msg(shown: Rollouts, stamp: Time) -> MarkerArray:
    """The plan in green; the last candidates by return, and above them by risk."""
    green = np.array([[0.1, 0.8, 0.2]])
    groups = (
        Lines("return", shown.paths, gradient(shown.goodness, VIRIDIS)),
        Lines("risk", shown.paths, gradient(shown.risk, ALARM), height_m=0.3),
        Lines("plan", shown.chosen[None], green, width_m=0.15, height_m=0.5, opacity=1.0),
    )
    return lines_msg(groups, stamp, "base_link")


def main(args: list[str] | None = None) -> None:
    run(PlannerNode, args)


if __name__ == "__main__":
    main()
