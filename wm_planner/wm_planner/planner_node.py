"""planner_node: `belief` becomes `plan`."""

from __future__ import annotations

import numpy as np

from wm_dynamics.engines import ENGINES, load_engine
from wm_dynamics.errors import ModelError
from wm_msgs.msg import Belief, Observation, Plan
from wm_msgs.srv import LoadModel
from wm_planner.braking_tail import BrakingConfig
from wm_planner.errors import PlannerError
from wm_planner.path import plan_path
from wm_planner.planner import Planner, PlannerConfig, PlanResult
from wm_planner.solvers import SOLVERS, solver_config
from wm_ros.convert import floats, ndarray, path_msg, to_ns
from wm_ros.errors import MessageError
from wm_ros.joiner import StampJoiner
from wm_ros.node import StackNode
from wm_ros.run import run
from wm_ros.topics import BELIEF, OBSERVATION, PLAN, PLAN_PATH
from wm_sim.observation import STATE_SIZE, STEP_S

SEARCHES = {"full": (256, 128, 64), "half": (128, 64, 64)}  # candidates of each iteration


class PlannerNode(StackNode):
    """One search a belief."""

    def __init__(self) -> None:
        super().__init__("planner_node")
        self.model = self.declare("model", "models/default", "Folder of the model that imagines.")
        self.engine_name = self.declare("engine", "onnxruntime", "What runs the model.", choices=tuple(ENGINES))
        self.threads = self.declare("threads", 1, "CPU threads of the search.", range=(1, 64))
        self.seed = self.declare("seed", 0, "Seed of the search.", range=(0, 2**31 - 1))
        self.solver = self.declare(
            "solver", "icem", "How action sequences are searched; policy does not search.", choices=tuple(SOLVERS)
        )
        self.search_size = self.declare(
            "search",
            "half",
            "Candidates an iteration: full is 256, 128, 64; half is 128, 64, 64 and answers within the half step.",
            choices=tuple(SEARCHES),
        )
        self.braking_tail = self.declare(
            "braking_tail", False, "Accept only plans out of which the model sees a safe stop; one chunk of work more."
        )
        self.deadline_s = self.declare("deadline_s", 0.07, "Wall time for one search, s; 0: none.", range=(0.0, 1.0))

    def configure(self) -> None:
        self.load(self.model)
        self.joiner = StampJoiner("belief", "observation")
        self.plan, self.path = self.advertise(PLAN), self.advertise(PLAN_PATH)
        self.subscribe(OBSERVATION, self.on_observation)
        self.subscribe(BELIEF, self.on_belief)
        self.create_service(LoadModel, "planner/load_model", self.on_load_model)

    def load(self, model: str) -> None:
        engine = load_engine(model, self.engine_name, self.threads)
        config = PlannerConfig(
            solver=self.solver,
            search=solver_config(self.solver, SEARCHES[self.search_size]),
            braking=BrakingConfig() if self.braking_tail else None,
        )
        self.planner = Planner(engine, config, self.seed)
        self.engine = engine
        self.answer: Plan | None = None

    def on_observation(self, msg: Observation) -> None:
        if len(msg.state) != STATE_SIZE or not np.isfinite(ndarray(msg.state)).all():
            raise MessageError(f"state of {len(msg.state)} numbers; {STATE_SIZE} finite ones are needed.")
        self.publish(self.joiner.add("observation", to_ns(msg.source_stamp), msg))

    def on_belief(self, msg: Belief) -> None:
        size = self.engine.config.belief_size
        if len(msg.latent) != size or not np.isfinite(ndarray(msg.latent)).all():
            raise MessageError(f"belief of {len(msg.latent)} numbers; {size} finite ones are needed.")
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
        self.answer = self.search(belief, ndarray(joined["observation"].state))
        self.plan.publish(self.answer)
        if self.path.get_subscription_count():
            points = plan_path(self.answer.steering_angle, self.answer.speed, self.answer.dt)
            self.path.publish(path_msg(points, belief.source_stamp, "base_link"))

    def search(self, belief: Belief, state: np.ndarray) -> Plan:
        if belief.is_reset:
            self.planner.reset()
        with self.measure("plan"):
            result: PlanResult = self.planner.plan_from(ndarray(belief.latent), state, self.deadline_s or None)
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

    def on_load_model(self, request: LoadModel.Request, response: LoadModel.Response) -> LoadModel.Response:
        """Exchange the model; dynamics_node asks for this as part of its own service."""
        try:
            self.load(request.path)
            response.success = True
        except (ModelError, PlannerError) as error:
            response.message = str(error)
        response.model_id = self.engine.config.model_id
        return response


def main(args: list[str] | None = None) -> None:
    run(PlannerNode, args)


if __name__ == "__main__":
    main()
