"""perception_node: camera, scan, odometry, status and route become `observation`."""

from __future__ import annotations

import time

from nav_msgs.msg import Odometry, Path
from sensor_msgs.msg import Image, LaserScan

from wm_msgs.msg import Observation, VehicleStatus
from wm_msgs.srv import LoadModel
from wm_perception.encoder_session import EncoderSession
from wm_perception.errors import ModelError
from wm_perception.frames import Frames, Moment, Status
from wm_ros.convert import check_status, floats, image_array, odom_pose, path_xy, scan_array, to_ns, to_stamp
from wm_ros.errors import MessageError
from wm_ros.node import StackNode
from wm_ros.run import run
from wm_ros.topics import CAMERA, OBSERVATION, ODOM, ROUTE, SCAN, STATUS
from wm_sim.observation import CAMERA_SHAPE, SCAN_SIZE


class PerceptionNode(StackNode):
    """Joins what the sensors say about one moment, encodes it, publishes the embedding with the state."""

    def __init__(self) -> None:
        super().__init__("perception_node")
        self.model = self.declare("model", "models/default", "Folder of the model whose encoder runs.")
        self.threads = self.declare("threads", 1, "CPU threads of the encoder.", range=(1, 64))
        self.declare_priority(17)

    def configure(self) -> None:
        self.encoder = EncoderSession(self.model, self.threads)
        self.frames = Frames()
        self.answer: Observation | None = None
        self.stuck = False
        self.observation = self.advertise(OBSERVATION)
        self.subscribe(ROUTE, self.on_route)  # first: a route goes before the frames that arrive together with it
        self.subscribe(CAMERA, self.on_camera)
        self.subscribe(SCAN, self.on_scan)
        self.subscribe(ODOM, self.on_odom)
        self.subscribe(STATUS, self.on_status)
        self.create_service(LoadModel, "perception/load_model", self.on_load_model)

    def on_route(self, msg: Path) -> None:
        self.publish(self.frames.route(to_ns(msg.header.stamp), path_xy(msg)))

    def on_camera(self, msg: Image) -> None:
        image = image_array(msg)
        if image.shape != CAMERA_SHAPE:
            raise MessageError(f"camera {image.shape}, the model is made for {CAMERA_SHAPE}.")
        self.publish(self.frames.add("camera", to_ns(msg.header.stamp), image))

    def on_scan(self, msg: LaserScan) -> None:
        scan = scan_array(msg)
        if scan.shape != (SCAN_SIZE,):
            raise MessageError(f"scan of {len(scan)} ranges, the model is made for {SCAN_SIZE}.")
        self.publish(self.frames.add("scan", to_ns(msg.header.stamp), scan))

    def on_odom(self, msg: Odometry) -> None:
        self.publish(self.frames.add("odom", to_ns(msg.header.stamp), odom_pose(msg)[:3]))

    def on_status(self, msg: VehicleStatus) -> None:
        check_status(msg)
        status = Status(
            msg.speed,
            msg.acceleration,
            msg.yaw_rate,
            msg.steering_angle,
            msg.speed_limit,
            msg.commanded_steering_angle,
            msg.commanded_acceleration,
            msg.mode == VehicleStatus.MODE_READY,
        )
        self.publish(self.frames.add("status", to_ns(msg.header.stamp), status))

    def publish(self, moment: Moment | None) -> None:
        """Encode and publish; a moment that was sent again gets the answer that it had."""
        if self.frames.camera_stuck and not self.stuck:
            self.report_error("the camera shows one picture again and again while the car moves: no observation of it.")
        self.stuck = self.frames.camera_stuck
        if moment is None:
            return
        if self.answer is None or to_ns(self.answer.source_stamp) != moment.stamp_ns:
            self.answer = self.encode(moment)
        self.observation.publish(self.answer)

    def encode(self, moment: Moment) -> Observation:
        started = time.perf_counter()
        with self.measure("encode"):
            embedding = self.encoder.encode(moment.camera, moment.scans, moment.state)
        msg = Observation()
        msg.header.stamp = self.get_clock().now().to_msg()
        msg.header.frame_id = "base_link"
        msg.seq = self.next_seq()
        msg.source_stamp = to_stamp(moment.stamp_ns)
        msg.embedding = floats(embedding)
        msg.state = floats(moment.state)
        msg.model_id = self.encoder.config.model_id
        msg.encode_ms = 1e3 * (time.perf_counter() - started)
        return msg

    def on_load_model(self, request: LoadModel.Request, response: LoadModel.Response) -> LoadModel.Response:
        """Exchange the encoder; dynamics_node asks for this as part of its own service."""
        try:
            self.encoder = EncoderSession(request.path, self.threads)
            self.answer, response.success = None, True
        except ModelError as error:
            response.message = str(error)
        response.model_id = self.encoder.config.model_id
        return response


def main(args: list[str] | None = None) -> None:
    run(PerceptionNode, args)


if __name__ == "__main__":
    main()
