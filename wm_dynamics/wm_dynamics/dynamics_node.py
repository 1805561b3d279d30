"""dynamics_node: `observation` after `observation` becomes `belief`."""

from __future__ import annotations

import time

import numpy as np
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from sensor_msgs.msg import Image

from wm_dynamics.engines import ENGINES, load_engine
from wm_dynamics.errors import ModelError
from wm_msgs.msg import Belief, Observation, VehicleStatus
from wm_msgs.srv import LoadModel
from wm_ros.convert import believed, floats, image_msg, ndarray, to_ns
from wm_ros.errors import MessageError
from wm_ros.joiner import StampJoiner
from wm_ros.node import StackNode
from wm_ros.run import run
from wm_ros.topics import BELIEF, DREAM, OBSERVATION, STATUS
from wm_sim.observation import STATE_SIZE


class DynamicsNode(StackNode):
    """Filters the belief. An episode's first frame, seen by the vehicle being ready, starts from the initial belief."""

    def __init__(self) -> None:
        super().__init__("dynamics_node")
        self.model = self.declare("model", "models/default", "Folder of the model that filters.")
        self.engine_name = self.declare("engine", "onnxruntime", "What runs the model.", choices=tuple(ENGINES))
        self.threads = self.declare("threads", 1, "CPU threads of the engine.", range=(1, 64))
        self.declare_priority(18)
        self.dream_hz = self.declare("dream_hz", 0.0, "Rate of dream/image, Hz; 0 publishes none.", range=(0.0, 5.0))

    def configure(self) -> None:
        self.engine = load_engine(self.model, self.engine_name, self.threads)
        self.joiner = StampJoiner("observation", "status")
        self.latent: np.ndarray | None = None
        self.answer: Belief | None = None
        self.moving = False
        self.dream_due = 0.0
        self.belief = self.advertise(BELIEF)
        self.dream = self.advertise(DREAM) if self.dream_hz > 0 else None
        self.subscribe(STATUS, self.on_status)
        self.subscribe(OBSERVATION, self.on_observation)
        self.create_service(LoadModel, "dynamics/load_model", self.on_load_model)
        apart = MutuallyExclusiveCallbackGroup()  # answers arrive while our own service waits for them
        self.others = [
            self.create_client(LoadModel, f"{room}/load_model", callback_group=apart)
            for room in ("perception", "planner")
        ]

    def on_status(self, msg: VehicleStatus) -> None:
        self.moving = msg.mode != VehicleStatus.MODE_READY and msg.speed > 0.1
        self.publish(self.joiner.add("status", to_ns(msg.source_stamp), msg))

    def on_observation(self, msg: Observation) -> None:
        embedding, state = ndarray(msg.embedding), ndarray(msg.state)
        size = self.engine.config.embedding_size
        if len(embedding) != size or len(state) != STATE_SIZE:
            found = f"embedding of {len(embedding)}, state of {len(state)}"
            raise MessageError(f"{found}; {size} and {STATE_SIZE} are needed.")
        if not (believed(embedding) and believed(state)):
            raise MessageError("embedding or state is not finite, or beyond anything that a model says.")
        self.publish(self.joiner.add("observation", to_ns(msg.source_stamp), msg))

    def publish(self, joined: dict | None) -> None:
        """Filter and publish; a moment that was sent again gets the answer that it had."""
        if joined is None:
            return
        observation: Observation = joined["observation"]
        if self.answer is None or self.answer.source_stamp != observation.source_stamp:
            if observation.model_id != self.engine.config.model_id:
                self.report_error(
                    f"perception runs model {observation.model_id}, dynamics {self.engine.config.model_id}: "
                    "start both with the same model."
                )
                return
            self.answer = self.filter(observation, joined["status"].mode == VehicleStatus.MODE_READY)
        self.belief.publish(self.answer)
        self.show_dream()

    def filter(self, observation: Observation, ready: bool) -> Belief:
        started = time.perf_counter()
        is_reset = ready or self.latent is None
        before = self.engine.initial_belief() if self.latent is None or is_reset else self.latent
        state = np.frombuffer(observation.state, np.float32)
        with self.measure("observe"):
            embedding = np.frombuffer(observation.embedding, np.float32)
            self.latent, surprise = self.engine.observe(before, state[4:6], embedding)
        if not np.isfinite(self.latent).all():
            self.latent = None  # what is no number stays none: filtering begins anew
            raise MessageError("the model makes no finite belief of this observation.")
        msg = Belief()
        msg.header.stamp = self.get_clock().now().to_msg()
        msg.header.frame_id = "base_link"
        msg.seq = self.next_seq()
        msg.source_stamp = observation.source_stamp
        msg.latent = floats(self.latent)
        msg.surprise = surprise
        msg.is_reset = is_reset
        msg.model_id = self.engine.config.model_id
        msg.step_ms = 1e3 * (time.perf_counter() - started)
        return msg

    def show_dream(self) -> None:
        now = time.monotonic()
        if self.dream is None or self.latent is None or self.answer is None:
            return
        if now < self.dream_due or not self.dream.get_subscription_count():
            return
        self.dream_due = now + 1.0 / self.dream_hz
        camera, _ = self.engine.decode(self.latent)
        image: Image = image_msg(camera, self.answer.source_stamp, "camera_optical")
        self.dream.publish(image)

    async def on_load_model(self, request: LoadModel.Request, response: LoadModel.Response) -> LoadModel.Response:
        """Exchange the model of perception, planner and this node while the car stands; the belief starts afresh."""
        response.model_id = self.engine.config.model_id
        if self.moving:
            response.message = "the car is moving: stop it (safety/engage false), then load the model."
            return response
        try:
            engine = load_engine(request.path, self.engine_name, self.threads)
        except ModelError as error:
            response.message = str(error)
            return response
        for client in self.others:
            if not client.service_is_ready():
                response.message = f"{client.srv_name} does not answer: start the whole stack, then load the model."
                return response
        for client in self.others:
            answer = await client.call_async(request)
            if not answer.success:
                response.message = f"{client.srv_name}: {answer.message}"
                return response
        self.engine, self.latent, self.answer = engine, None, None
        response.success, response.model_id = True, engine.config.model_id
        response.message = f"model {response.model_id} drives from now on."
        return response


def main(args: list[str] | None = None) -> None:
    run(DynamicsNode, args)


if __name__ == "__main__":
    main()
