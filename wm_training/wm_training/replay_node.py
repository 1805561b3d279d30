"""replay_node: a recorded drive's sensors into a running chain, frame by frame; its plans beside the recorded ones."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from wm_msgs.msg import Observation, Plan
from wm_ros.convert import ndarray, to_ns, to_stamp
from wm_ros.node import StackNode
from wm_ros.run import run
from wm_ros.topics import CAMERA, CLOCK, OBSERVATION, ODOM, PLAN, ROUTE, SCAN, STATUS
from wm_training.bags.reader import open_bag
from wm_training.errors import TrainingError
from wm_training.replay import TOLERANCE, Drive, Planned, compare

AGAIN_S = 1.0  # a frame without an answer is sent again: whoever joined late gets it then
LOOK_S = 0.1


class ReplayNode(StackNode):
    """Sends a frame, waits for its plan, sends the next. What a frame and a difference are stands in `replay`."""

    def __init__(self) -> None:
        super().__init__("replay_node")
        declare = self.declare
        self.bag = declare("bag", "", "Bag of the drive.")
        self.tolerance = declare("tolerance", TOLERANCE, "Difference that is no failure, rad, m/s².", range=(0.0, 1e3))
        self.compares = declare("compare", True, "Report how the plans differ from the recorded ones.")
        self.json = declare("json", "", "File for the comparison as JSON; empty: none.")
        self.frames = declare("frames", 0, "Replay so many frames; 0: all.", range=(0, 10**9))
        self.patience_s = declare("patience_s", 60.0, "Give up on a frame after so long, s.", range=(1.0, 3600.0))

    def configure(self) -> None:
        if not self.bag:
            raise TrainingError("replay_node: no bag to replay; start it with bag:=BAG.")
        path = Path(self.bag).expanduser()
        with open_bag(path) as reader:
            self.drive = Drive(reader, path)
        self.left = (self.drive.anchored or self.drive.frames)[: self.frames or None]
        if self.compares and not self.drive.plans:
            raise TrainingError(f"{path}: no plan in it to compare with; replay it without --compare.")
        if self.compares and not self.drive.anchored:
            self.get_logger().warn(f"{path} begins in the middle of an episode: its first plans cannot be the same.")
        stamps = {frame.stamp_ns for frame in self.left}
        self.recorded = {stamp: plan for stamp, plan in self.drive.plans.items() if stamp in stamps}
        self.plans: dict[int, Planned] = {}
        self.model_id, self.at, self.total = "", 0, len(self.left)
        sensors = (ROUTE, STATUS, ODOM, SCAN, CAMERA)
        self.outputs = {topic.name: self.create_publisher(topic.type, topic.name, topic.qos) for topic in sensors}
        self.clock = self.create_publisher(CLOCK.type, CLOCK.name, CLOCK.qos)
        self.subscribe(OBSERVATION, self.on_observation)
        self.subscribe(PLAN, self.on_plan)

    def activate(self) -> None:
        self.first_s = self.sent_s = time.monotonic()
        self.steady_timer(LOOK_S, self.look)

    def ready(self) -> bool:
        """Whether somebody hears every sensor, and somebody plans."""
        heard = all(output.get_subscription_count() for output in self.outputs.values())
        return heard and self.count_publishers(self.resolve_topic_name(PLAN.name)) > 0

    def look(self) -> None:
        now = time.monotonic()
        if now - self.first_s > self.patience_s:
            where = f"frame {self.at} of {self.total}" if self.ready() else "the first frame: the chain is not there"
            self.report_error(f"{self.bag}: no plan within {self.patience_s:.0f} s for {where}. See the logs.")
            self.finish(1)
        elif self.ready() and (now - self.sent_s > AGAIN_S or not self.plans):
            self.send()

    def send(self) -> None:
        frame = self.left[self.at]
        self.sent_s = time.monotonic()
        self.clock.publish(CLOCK.type(clock=to_stamp(frame.stamp_ns)))
        for topic, cdr in frame.messages:
            self.outputs[topic].publish(cdr)

    def on_observation(self, msg: Observation) -> None:
        self.model_id = msg.model_id

    def on_plan(self, msg: Plan) -> None:
        stamp = to_ns(msg.source_stamp)
        if self.at >= self.total or stamp != self.left[self.at].stamp_ns:
            return
        steering, acceleration = (np.array(ndarray(part)) for part in (msg.steering_angle, msg.acceleration))
        self.plans[stamp] = Planned(steering, acceleration, msg.samples)
        self.at += 1
        self.first_s = time.monotonic()
        if self.at < self.total:
            self.send()
        else:
            self.conclude()

    def conclude(self) -> None:
        if not self.compares:
            print(f"{len(self.plans)} plans for {self.bag}", flush=True)
            self.finish(0)
            return
        models = (self.drive.model_id, self.model_id)
        comparison = compare(self.recorded, self.plans, self.tolerance, models)
        print(comparison, flush=True)
        if self.json:
            Path(self.json).write_text(comparison.json())
        self.finish(0 if comparison.within else 1)


def main(args: list[str] | None = None) -> None:
    run(ReplayNode, args)


if __name__ == "__main__":
    main()
