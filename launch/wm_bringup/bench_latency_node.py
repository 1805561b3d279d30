"""bench_latency_node: engages, notes when the messages of each frame were published, ends after so many seconds."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from std_srvs.srv import SetBool

from wm_bringup.drive_node import OUTCOMES, patient
from wm_msgs.msg import ControlCommand, DriveEvent, Truth
from wm_perception.durable import write_text
from wm_ros.convert import to_ns
from wm_ros.node import StackNode
from wm_ros.run import run
from wm_ros.topics import BELIEF, CAMERA, CONTROL, DIAGNOSTICS, EVENTS, OBSERVATION, PLAN, TRUTH

LOOK_S = 0.1
SETTLE_S = 1.0  # for what is still on its way at the end
CHAIN = (CAMERA, OBSERVATION, BELIEF, PLAN, CONTROL)
NAMES = ("camera", "observation", "belief", "plan", "control_cmd")
COMPUTE = {"observation": "encode_ms", "belief": "step_ms", "plan": "solve_ms"}


class BenchLatencyNode(StackNode):
    """Watches only. Frames that end an episode and those before the first step of one are left out."""

    def __init__(self) -> None:
        super().__init__("bench_latency_node")
        self.out = Path(self.declare("out", "frames.json", "File for the times."))
        self.seconds = self.declare("seconds", 300.0, "How long to watch, s of wall time.", range=(1.0, 86_400.0))
        self.start_timeout_s = self.declare(
            "start_timeout_s", 90.0, "Give up when nothing drives by then, s.", range=(1.0, 3600.0)
        )

    def configure(self) -> None:
        self.frames: dict[int, dict[str, Any]] = {}
        self.driven: set[int] = set()  # stamps of frames after the first step of an episode
        self.last: set[int] = set()  # stamps of frames that ended one
        self.ticks = self.missed_ticks = 0
        self.began_s: float | None = None
        self.request: Any = None
        self.refusal = "no plan was heard"
        self.started_s = time.monotonic()
        # With the middleware's own time of publication, which does not depend on how busy this process is.
        for topic, name in zip(CHAIN, NAMES, strict=True):
            self.create_subscription(topic.type, topic.name, partial(self.on_message, name), patient(topic).reader_qos)
        for topic, callback in ((TRUTH, self.on_truth), (EVENTS, self.on_event), (DIAGNOSTICS, self.on_diagnostics)):
            self.subscribe(patient(topic), callback)
        self.engage_client = self.create_client(SetBool, "safety/engage")

    def activate(self) -> None:
        self.look_timer = self.steady_timer(LOOK_S, self.look)

    def deactivate(self) -> None:
        self.destroy_timer(self.look_timer)

    def on_message(self, name: str, msg: Any, info: dict) -> None:
        if name == "control_cmd" and msg.source != ControlCommand.SOURCE_PLAN:
            return
        stamp_ns = to_ns(msg.header.stamp if name == "camera" else msg.source_stamp)
        frame = self.frames.setdefault(stamp_ns, dict.fromkeys(NAMES) | {"compute": {}})
        if frame[name] is None:
            frame[name] = info["source_timestamp"]
            if name in COMPUTE:
                frame["compute"][name] = getattr(msg, COMPUTE[name])

    def on_truth(self, msg: Truth) -> None:
        if self.began_s is not None and msg.step > 0:
            self.driven.add(to_ns(msg.header.stamp))

    def on_event(self, msg: DriveEvent) -> None:
        if msg.type in OUTCOMES:
            self.last.add(to_ns(msg.source_stamp))

    def on_diagnostics(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            if status.name == "sim_node":
                values = {item.key: item.value for item in status.values}
                self.ticks, self.missed_ticks = int(values.get("ticks", 0)), int(values.get("missed_ticks", 0))

    def look(self) -> None:
        now = time.monotonic()
        if self.began_s is not None:
            if now - self.began_s > self.seconds + SETTLE_S:
                self.conclude()
        elif now - self.started_s > self.start_timeout_s:
            self.look_timer.cancel()
            self.report_error(f"the drive did not begin within {self.start_timeout_s:.0f} s: {self.refusal}.")
            self.finish(1)
        elif self.request is None:
            if self.engage_client.service_is_ready():
                self.request = self.engage_client.call_async(SetBool.Request(data=True))
        elif self.request.done():
            answer, self.request = self.request.result(), None
            self.refusal = f"engage refused: {answer.message}"
            if answer.success:
                self.began_s = now
                print(f"engaged, {self.seconds:.0f} s to go", flush=True)

    def conclude(self) -> None:
        """Write down the frames of the drives, in order, and end."""
        self.look_timer.cancel()
        stamps = sorted(stamp for stamp in self.frames if stamp in self.driven and stamp not in self.last)
        newest = max((stamp for stamp in stamps if self.frames[stamp]["control_cmd"] is not None), default=0)
        frames = []
        for stamp in (it for it in stamps if it <= newest):  # later ones were still on their way
            frame = self.frames[stamp]
            compute = [frame["compute"].get(name) for name in COMPUTE]
            frames.append({name: frame[name] for name in NAMES} | {"compute_ms": compute})
        seen = {"frames": frames, "episodes": len(self.last) + 1, "ticks": self.ticks}
        write_text(self.out, json.dumps(seen | {"missed_ticks": self.missed_ticks}))
        self.finish(0)


def main(args: list[str] | None = None) -> None:
    run(BenchLatencyNode, args)


if __name__ == "__main__":
    main()
