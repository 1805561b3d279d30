"""A node for the tests: answers each plan with a belief of the same stamp; what it does wrong is a parameter."""

import ctypes
import gc

import wm_ros.run
from wm_msgs.msg import Belief, Plan
from wm_ros.errors import WmRosError
from wm_ros.node import StackNode
from wm_ros.topics import BELIEF, PLAN

FAULTS = ("none", "configure", "callback", "bug", "leave")


class Pinger(StackNode):
    def __init__(self) -> None:
        super().__init__("pinger")
        self.gain = self.declare("gain", 2.0, "Gain of the answer.", range=(0.0, 10.0))
        self.fault = self.declare("fault", "none", "Fault.", choices=FAULTS)
        self.declare_priority(5)

    def configure(self) -> None:
        if self.fault == "configure":
            raise WmRosError("model nowhere: no such folder. Name a model folder.")
        self.answers = self.advertise(BELIEF)
        self.subscribe(PLAN, self.on_plan)

    def activate(self) -> None:
        print("active", flush=True)

    def cleanup(self) -> None:
        print("cleaned up", flush=True)

    def destroy_node(self) -> None:
        if self.fault == "leave":
            ctypes.PyDLL(None).pause()  # keeps the interpreter's lock, as a hang in C does
        super().destroy_node()

    def on_plan(self, plan: Plan) -> None:
        if self.fault == "callback":
            raise WmRosError("plan unreadable. Send another.")
        if self.fault == "bug":
            raise ZeroDivisionError("a bug")
        with self.measure("answer"):
            answer = Belief(seq=self.next_seq(BELIEF), source_stamp=plan.source_stamp, surprise=self.gain * plan.dt)
            self.answers.publish(answer)
        if plan.status == Plan.STATUS_TIMEOUT:
            print(f"{gc.get_freeze_count()} of {gc.get_freeze_count() + len(gc.get_objects())} put aside", flush=True)
            self.finish(3)


if __name__ == "__main__":
    wm_ros.run.LEAVE_S = 1.0
    wm_ros.run.run(Pinger)
