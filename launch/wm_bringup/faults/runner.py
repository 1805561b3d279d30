"""Goes through faults: bring the car to speed, put one in, watch, take it away, see whether the stack drives again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

from wm_bringup.errors import BringupError
from wm_bringup.faults.fault import Fault, Kill
from wm_bringup.faults.inflict import inflicted, recorder_running
from wm_bringup.faults.judge import NOT, STANDING_MPS, UNREADABLE, Run, judge
from wm_bringup.faults.stack import START_S, Stack
from wm_bringup.faults.watch import Record
from wm_msgs.msg import DriveEvent
from wm_planner.safety.limits import shipped_limits
from wm_planner.safety.reasons import Source

SPEED_MPS = 5.0  # at least so fast when the fault comes
ENGAGED_S = 3.0  # and so long on its way
GAP_MAX_M = 45.0  # to the car ahead, where the scenario has one
APPROACH_S = 40.0  # to get there
TRIES = 5  # worlds, until one offers that
WATCH_MIN_S = 1.5
STOOD_S = 0.3  # a car that stands so long has stopped
AGAIN_S = 45.0  # for a restarted node to be ready, on a slow machine
CALM_NS = 400_000_000  # of nothing but plans: the car drives
ENDINGS = (DriveEvent.COLLISION, DriveEvent.OFF_ROAD, DriveEvent.ROUTE_DONE, DriveEvent.TIMEOUT)


def run_fault(stack: Stack, fault: Fault, seed: int, folder: Path) -> Run:
    """One fault in one drive. `folder`: where its bag may lie. BringupError when no drive can be had."""
    recorder = recorder_running(stack, fault, folder) if fault.needs_recorder else nullcontext()
    with recorder as bag:
        _approach(stack, fault, seed)
        with inflicted(stack, fault, seed) as began:
            asked_ns = time.time_ns()
            _watch(stack, fault, asked_ns)
            began_ns = began()
            ended_ns = time.time_ns()
        must_stop = fault.limit_ms is not None and not fault.is_seen
        run = judge(
            fault.name,
            stack.watcher.so_far(),
            began_ns or asked_ns,
            ended_ns,
            must_stop,
            shipped_limits(),
            stack.speed,
            is_seen=fault.is_seen,
            is_behind_gate=fault.is_behind_gate,
        )
        killed = {fault.action.node} if isinstance(fault.action, Kill) else set()
        died = tuple(sorted(stack.dead() - killed))
        recovered = _recover(stack, fault, seed, ended_ns)
        left = _bag_left(stack, bag) if bag is not None else ""
    return replace(run, died=died, recovered=recovered, bag=left)


def _approach(stack: Stack, fault: Fault, seed: int) -> None:
    """Drive until the fault may come; another world where one does not offer that."""
    for attempt in range(TRIES):
        _begin(stack, fault.scenario, seed + 1000 * attempt)
        since_ns = time.time_ns()
        ready = partial(_at_speed, stack, fault.scenario, since_ns)
        stack.wait_driving(lambda ready=ready: ready() or _ended(stack.watcher.so_far()), APPROACH_S)  # type: ignore[misc]
        if ready():
            return
    raise BringupError(f"{fault.scenario}: the car did not get to {SPEED_MPS:.0f} m/s in {TRIES} worlds. See the logs.")


def _begin(stack: Stack, scenario: str, seed: int) -> None:
    """A new episode, engaged."""
    stack.start_dead()
    stack.engage(False)
    limit = time.monotonic() + START_S
    while True:
        try:
            stack.reset(scenario, seed)
            break
        except BringupError:
            if time.monotonic() > limit or stack.dead():
                raise
    stack.watcher.fresh()
    why = _engage_when_ready(stack, START_S)
    if why:
        raise BringupError(f"the gate refuses to engage: {why}. See the logs in {stack.folder / 'log'}.")


def _engage_when_ready(stack: Stack, patience_s: float) -> str:
    """Empty once engaged, else the last refusal."""
    limit = time.monotonic() + patience_s
    while why := stack.engage():
        if time.monotonic() > limit or stack.dead():
            break
        time.sleep(0.1)
    return why


def _at_speed(stack: Stack, scenario: str, since_ns: int) -> bool:
    record = stack.watcher.so_far()
    if not record.motions or not record.places or record.motions[-1].speed_mps < SPEED_MPS:
        return False
    near = scenario == "lane_follow" or record.places[-1].gap_ahead_m <= GAP_MAX_M
    return near and stack.driven_s(since_ns) > ENGAGED_S and _drives(record)


def _drives(record: Record) -> bool:
    """Whether the newest commands are all the planner's."""
    now_ns = time.time_ns()
    recent = [order.source for order in record.orders if now_ns - order.time_ns < CALM_NS]
    return len(recent) >= 5 and all(source == Source.PLAN for source in recent)


def _ended(record: Record) -> bool:
    return any(kind in ENDINGS for _, kind, _ in record.events)


def _stood(record: Record, since_ns: int) -> bool:
    """Whether the car has come to a stand since then, and some frames have shown it."""
    stands = [m.time_ns for m in record.motions if m.time_ns > since_ns and m.speed_mps < STANDING_MPS]
    return bool(stands) and record.motions[-1].time_ns - stands[0] > STOOD_S * 1e9


def _watch(stack: Stack, fault: Fault, since_ns: int) -> None:
    """Let the fault work until the car stands, the episode is over, or its time is up."""

    def over() -> bool:
        if stack.driven_s(since_ns) < WATCH_MIN_S:
            return False
        record = stack.watcher.so_far()
        return _ended(record) or (_stood(record, since_ns) and not fault.needs_recorder)

    stack.wait_driving(over, fault.lasts_s)


def _recover(stack: Stack, fault: Fault, seed: int, since_ns: int) -> str:
    """How the stack came to drive again once the fault was gone."""
    restarted = bool(stack.dead())
    stack.start_dead()
    lost_world = _ended(stack.watcher.so_far()) or not _frames_since(stack, since_ns)
    if not restarted and not lost_world and stack.wait_driving(lambda: _under_way(stack), 1.5):
        return "by itself"
    if not lost_world and _again(stack):
        return "engaged"
    for attempt in range(2):
        try:
            _begin(stack, fault.scenario, seed + attempt)
        except BringupError:
            continue
        if stack.wait_driving(lambda: _under_way(stack), 8.0):
            return "after reset"
    stack.end_nodes()
    return NOT


def _frames_since(stack: Stack, since_ns: int) -> bool:
    """Whether the simulator lives: frames come after the fault."""
    return stack.wait_driving(lambda: [m for m in stack.watcher.so_far().motions if m.time_ns > since_ns], 1.0)


def _under_way(stack: Stack) -> bool:
    record = stack.watcher.so_far()
    return _drives(record) and bool(record.motions) and record.motions[-1].speed_mps > 1.0 and not _ended(record)


def _again(stack: Stack) -> bool:
    """Disengage, let the car stand, engage, drive."""
    stack.engage(False)
    stack.wait_driving(lambda: stack.watcher.so_far().motions[-1].speed_mps < STANDING_MPS, 8.0)
    if _engage_when_ready(stack, AGAIN_S):
        return False
    return stack.wait_driving(lambda: _under_way(stack), 8.0)


def _bag_left(stack: Stack, bag: Path) -> str:
    """How much of the drive can be read from the bag, its recorder ended."""
    from wm_training.bags.repair import repair
    from wm_training.errors import TrainingError
    from wm_training.sequences import load_sequences

    stack.end_node("recorder_node")
    try:
        if not bag.exists():
            repair(bag)  # what a recorder leaves that was killed
        return f"{len(load_sequences([bag]).camera)} frames"
    except TrainingError:
        return UNREADABLE


def run_all(stack: Stack, faults: list[tuple[Fault, int]], seed: int, folder: Path) -> Iterator[tuple[Fault, Run]]:
    """Every fault with the number of its repetition, one after the other, as they are done."""
    for fault, repetition in faults:
        yield fault, run_fault(stack, fault, seed + repetition, folder / "bags" / f"{fault.name}-{repetition}")
