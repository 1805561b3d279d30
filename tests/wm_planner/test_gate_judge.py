"""Plans, sensors, surprise and time at the very edges of what the gate accepts."""

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wm_planner.safety import Clock, GateState, Inputs, Limits, PlanInput, Reason, Source, State
from wm_planner.safety.judge import judge_plan, judge_sensors, notice_time, older, watch_surprise

LIMITS, NOW = Limits(surprise_max_nats=5.0), Clock(10**10, 0)
CLEAR = np.full(72, 60.0, np.float32)


def plan(seq=2, stamp_ns=NOW.ros_ns, dt_s=0.1, steps=12, **changed) -> PlanInput:
    zeros = np.zeros(steps, np.float32)
    return replace(PlanInput(seq, stamp_ns, dt_s, zeros, zeros), **changed)


def judged(new: PlanInput, held: PlanInput | None = None, since: int | None = None) -> tuple[GateState, Reason]:
    return judge_plan(NOW, Inputs(True, new), LIMITS, GateState(plan=held, refused_since_ns=since))


def test_the_numbers_of_states_sources_and_reasons_are_those_of_the_messages():
    def constants(message: str, prefix: str) -> dict[str, int]:
        text = (Path(__file__).parents[2] / f"wm_msgs/msg/{message}.msg").read_text()
        return {name: int(value) for name, value in re.findall(rf"^uint\d+ {prefix}(\w+)=(\d+)", text, re.MULTILINE)}

    reasons = {str(reason.name): int(reason) for reason in Reason if reason}
    assert constants("SafetyState", "REASON_") == reasons
    states = constants("SafetyState", "")
    assert {str(state.name): int(state) for state in State} == {k: v for k, v in states.items() if "REASON" not in k}
    assert constants("ControlCommand", "SOURCE_") == {str(source.name): int(source) for source in Source}


def test_an_age_equal_to_a_limit_is_not_above_it():
    assert not older(300_000_000, 0.3)
    assert older(300_000_001, 0.3)


@pytest.mark.parametrize(
    "odd",
    [
        {"steps": 1001},
        {"steps": 0},
        {"dt_s": 0.0099},
        {"dt_s": 1.01},
        {"dt_s": math.nan},
        {"steering_angle": np.zeros(12, np.int64)},
        {"acceleration": np.zeros(12, np.int64)},
        {"steering_angle": np.zeros((12, 1), np.float32), "acceleration": np.zeros((12, 1), np.float32)},
        {"steering_angle": np.float32(0.0), "acceleration": np.float32(0.0)},
        {"steering_angle": np.zeros(11, np.float32)},
        {"steering_angle": np.array([0.0] * 11 + [np.nan], np.float32)},
        {"acceleration": np.array([0.0] * 11 + [-np.inf], np.float32)},
    ],
)
def test_a_plan_that_is_not_well_formed_is_refused(odd):
    memory, reason = judged(plan(**odd))
    assert reason is Reason.PLAN_INVALID
    assert memory.plan is None and memory.refused_since_ns == NOW.ros_ns


@pytest.mark.parametrize("usual", [{"steps": 1000}, {"steps": 1}, {"dt_s": 0.01}, {"dt_s": 1.0}])
def test_a_plan_at_the_edge_of_what_is_well_formed_is_accepted(usual):
    new = plan(**usual)
    memory, reason = judged(new, since=5)
    assert reason is Reason.NONE and memory.plan is new and memory.refused_since_ns is None


def test_a_stamp_may_run_ahead_by_a_tenth_of_a_second():
    assert judged(plan(stamp_ns=NOW.ros_ns + 100_000_000))[1] is Reason.NONE
    assert judged(plan(stamp_ns=NOW.ros_ns + 100_000_001))[1] is Reason.PLAN_FUTURE


def test_plans_have_to_come_in_order():
    held = plan(seq=7, stamp_ns=NOW.ros_ns - 100_000_000)
    assert judged(plan(seq=8), held)[1] is Reason.NONE
    assert judged(plan(seq=7), held)[1] is Reason.PLAN_SEQUENCE
    assert judged(plan(seq=6), held)[1] is Reason.PLAN_SEQUENCE
    assert judged(plan(seq=8, stamp_ns=held.source_stamp_ns), held)[1] is Reason.PLAN_SEQUENCE
    assert judged(plan(seq=8, stamp_ns=held.source_stamp_ns - 1), held)[1] is Reason.PLAN_SEQUENCE
    assert judged(plan(seq=8, stamp_ns=held.source_stamp_ns + 1), held)[1] is Reason.NONE
    run_out = replace(held, source_stamp_ns=NOW.ros_ns - 200_000_001)
    assert judged(plan(seq=6), run_out)[1] is Reason.NONE
    assert judged(plan(seq=7), run_out)[1] is Reason.PLAN_SEQUENCE
    assert judged(plan(seq=6), replace(held, source_stamp_ns=NOW.ros_ns - 200_000_000))[1] is Reason.PLAN_SEQUENCE


def test_a_refusal_is_remembered_from_the_first_on_and_a_repetition_is_none():
    held = plan(seq=7, stamp_ns=NOW.ros_ns - 100_000_000)
    assert judged(plan(seq=6), held, since=5)[0].refused_since_ns == 5
    memory, reason = judged(replace(held), held, since=5)
    assert reason is Reason.NONE and memory.plan is held and memory.refused_since_ns == 5
    assert judged(held, held, since=5)[0].refused_since_ns == 5


def sensed(memory: GateState | None = None, **changed) -> tuple[Reason, GateState]:
    now = NOW.ros_ns
    usual = Inputs(True, None, 10.0, 0.1, 0.0, now, now, CLEAR, now)
    return judge_sensors(NOW, replace(usual, **changed), LIMITS, memory or GateState())


def test_fresh_sensors_are_remembered():
    stale, memory = sensed(pose=(1.0, 2.0, 3.0))
    assert stale is Reason.NONE
    assert (memory.speed_mps, memory.yaw_rate_radps, memory.pose) == (10.0, 0.1, (1.0, 2.0, 3.0))
    assert memory.status_ns == memory.odom_ns == memory.scan_ns == NOW.ros_ns
    assert memory.sightings is not None and not memory.sightings.hits.any()


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("status_stamp_ns", Reason.ODOM_STALE),
        ("odom_stamp_ns", Reason.ODOM_STALE),
        ("scan_stamp_ns", Reason.SCAN_STALE),
    ],
)
def test_a_sensor_is_fresh_for_three_tenths_of_a_second_on_either_side(name, reason, sign):
    assert sensed(**{name: NOW.ros_ns + sign * 300_000_000})[0] is Reason.NONE
    assert sensed(**{name: NOW.ros_ns + sign * 300_000_001})[0] is reason
    assert sensed(**{name: None})[0] is reason


def test_everything_that_is_stale_is_said():
    assert not older(10**15, 10**6) and older(10**15 + 1, 10**6)
    assert sensed(scan_stamp_ns=None, odom_stamp_ns=None)[0] == Reason.SCAN_STALE | Reason.ODOM_STALE


@pytest.mark.parametrize("name", ["speed_mps", "yaw_rate_radps", "steering_angle_rad"])
def test_a_status_with_a_number_that_is_none_has_not_come(name):
    before = GateState(speed_mps=7.0, yaw_rate_radps=0.3, status_ns=5)
    stale, memory = sensed(before, **{name: math.nan})
    assert stale is Reason.ODOM_STALE
    assert (memory.speed_mps, memory.yaw_rate_radps, memory.status_ns) == (7.0, 0.3, 5)


def test_a_speed_limit_is_one_only_if_it_is_a_number_above_nothing():
    assert sensed(speed_limit_mps=8.0)[1].speed_limit_mps == 8.0
    before = GateState(speed_limit_mps=8.0)
    for nothing in (None, 0.0, -1.0, math.nan, math.inf, -math.inf):
        assert sensed(before, speed_limit_mps=nothing)[1].speed_limit_mps is None
    assert sensed(before, speed_mps=math.nan, speed_limit_mps=3.0)[1].speed_limit_mps == 8.0


def test_no_speed_is_believed_below_standing_or_above_a_hundred():
    assert sensed(speed_mps=-3.0)[1].speed_mps == 0.0
    assert sensed(speed_mps=100.0)[1].speed_mps == 100.0


def test_a_scan_is_readable_with_eight_sectors_and_less_than_half_of_them_unknown():
    half = np.array([np.nan] * 36 + [60.0] * 36, np.float32)
    assert sensed(scan=half)[0] is Reason.SCAN_STALE
    assert sensed(scan=half[1:])[0] is Reason.NONE
    assert sensed(scan=CLEAR[:8])[0] is Reason.NONE
    assert sensed(scan=CLEAR[:7])[0] is Reason.SCAN_STALE
    assert sensed(scan=None)[0] is Reason.SCAN_STALE
    assert sensed(scan=CLEAR.reshape(8, 9))[0] is Reason.SCAN_STALE
    assert sensed(scan=np.full(72, np.inf, np.float32))[0] is Reason.NONE


def test_a_scan_that_is_blind_ahead_is_not_readable_whatever_it_sees_behind():
    blind = CLEAR.copy()
    blind[20:36] = np.nan  # 16 of the 32 sectors in view
    assert sensed(scan=blind)[0] is Reason.SCAN_STALE
    blind[20] = 60.0
    assert sensed(scan=blind)[0] is Reason.NONE


def test_a_scan_that_was_overtaken_or_comes_again_changes_nothing():
    _, memory = sensed()
    near = np.full(72, 5.0, np.float32)
    for late_ns in (0, 50_000_000):
        _, after = sensed(memory, scan=near, scan_stamp_ns=NOW.ros_ns - late_ns)
        assert after.sightings is memory.sightings and after.scan_ns == memory.scan_ns
    _, after = sensed(memory, scan=near, scan_stamp_ns=NOW.ros_ns + 1)
    assert after.sightings is not memory.sightings and after.scan_ns == NOW.ros_ns + 1


def test_a_scan_that_repeats_itself_to_the_last_bit_while_the_car_moves_has_not_come():
    near = np.full(72, 60.0, np.float32)
    near[36] = 20.0
    _, memory = sensed(scan=near)

    def later(seconds=0.1, scan=near, **changed):
        now = NOW.ros_ns + round(seconds * 1e9)
        inputs = Inputs(True, None, changed.pop("speed", 10.0), 0.0, 0.0, now, now, scan.copy(), now)
        return judge_sensors(Clock(now, now), inputs, LIMITS, memory)

    assert later()[1].scan_ns == NOW.ros_ns and not later()[0]
    assert later(0.31)[0] == Reason.SCAN_STALE and later(0.31)[1].sightings is None
    assert later(speed=0.9)[1].scan_ns > NOW.ros_ns
    assert later(speed=1.0)[1].scan_ns == NOW.ros_ns
    assert later(scan=np.nextafter(near, np.float32(0.0)))[1].scan_ns > NOW.ros_ns
    assert later(scan=near[:71])[1].scan_ns > NOW.ros_ns
    _, memory = sensed()  # nothing in range: all scans are alike
    assert later(scan=CLEAR)[1].scan_ns > NOW.ros_ns


def test_sightings_are_forgotten_with_the_scan_it_came_from():
    _, memory = sensed()
    later = Clock(NOW.ros_ns + 300_000_001, 0)
    stale, after = judge_sensors(later, Inputs(True, scan=CLEAR, scan_stamp_ns=NOW.ros_ns), LIMITS, memory)
    assert stale & Reason.SCAN_STALE and after.sightings is None


def surprises(*nats: float | None, limits: Limits = LIMITS) -> list[Reason]:
    memory, said = GateState(), []
    for seq, surprise in enumerate(nats):
        memory = replace(memory, plan=plan(seq))
        memory, reason = watch_surprise(Inputs(True, surprise_nats=surprise), limits, memory)
        said.append(reason)
    return said


def test_surprise_is_counted_plan_by_plan_and_a_calm_one_ends_it():
    surprised, calm = Reason.SURPRISE, Reason.NONE
    assert surprises(*[5.01] * 6, 5.0, 6.0) == [calm] * 4 + [surprised] * 2 + [calm] * 2
    assert surprises(*[math.nan] * 5)[-1] is surprised
    assert surprises(*[math.inf] * 5)[-1] is surprised
    assert surprises(*[9.0] * 5, None)[-1] is calm
    assert set(surprises(*[9.0] * 12, limits=Limits())) == {calm}
    assert surprises(*[1.0] * 3, *[9.0] * 4, 1.0, *[9.0] * 5)[-6:] == [calm] * 5 + [surprised]
    counted = watch_surprise(Inputs(True, surprise_nats=9.0), LIMITS, GateState(plan=plan(3)))[0]
    assert counted.surprised == 1 and counted.surprise_plan_seq == 3
    memory = GateState(plan=plan(3), surprised=4, surprise_plan_seq=3)
    assert watch_surprise(Inputs(True, surprise_nats=9.0), LIMITS, memory) == (memory, calm)
    assert watch_surprise(Inputs(True, surprise_nats=9.0), LIMITS, GateState())[1] is calm


def test_the_watch_may_be_as_narrow_as_wanted():
    assert surprises(*[0.6] * 5, limits=Limits(surprise_max_nats=0.5))[-1] is Reason.SURPRISE


def test_time_is_noticed_on_both_clocks():
    fresh = notice_time(Clock(50, 7), GateState())
    assert fresh[0] == 0.0 and fresh[1].advanced_steady_ns == 7
    memory = GateState(ros_ns=50, advanced_steady_ns=7)
    assert notice_time(Clock(50, 9), memory) == (0.0, memory)
    elapsed, after = notice_time(Clock(50 + 10**9, 9), memory)
    assert elapsed == pytest.approx(1.0) and after.advanced_steady_ns == 9


def test_time_that_jumps_back_forgets_all_but_the_command_the_speed_and_an_emergency(gate):
    gate.step(steering=0.02, pose=(0.0, 0.0, 0.0))
    known = gate.memory
    elapsed, after = notice_time(Clock(known.ros_ns - 1, 99), known)
    assert elapsed == 0.0
    assert after.state is State.STOPPED and after.command is known.command and after.speed_mps == 10.0
    assert after.advanced_steady_ns == 99
    forgotten = (after.plan, after.sightings, after.status_ns, after.odom_ns, after.scan_ns, after.pose, after.ros_ns)
    assert forgotten == (None,) * 7
    latched = notice_time(Clock(known.ros_ns - 1, 99), replace(known, state=State.EMERGENCY))[1]
    assert latched.state is State.EMERGENCY


def test_after_a_jump_back_what_was_heard_before_it_does_not_count(gate):
    gate.step(acceleration=1.0)
    gate.now_ns -= 5 * 10**9
    decision = gate.decide()
    assert decision.state is State.STOPPED and decision.command.source is Source.STOPPED
    stale = Reason.SCAN_STALE | Reason.ODOM_STALE | Reason.PLAN_LOST | Reason.PLAN_FUTURE
    assert decision.reasons & stale == stale
    assert math.isinf(decision.command_age_s)


@pytest.mark.parametrize(
    ("name", "most"), [("speed_mps", 100.0), ("yaw_rate_radps", 20.0), ("steering_angle_rad", math.pi / 2)]
)
def test_a_status_that_no_car_could_have_has_not_come(gate, name, most):
    assert gate.step(**{name: most}).reasons & Reason.ODOM_STALE == 0
    for value in (math.nextafter(most, math.inf), -1e30):
        for _ in range(4):
            decision = gate.step(**{name: value})
        assert decision.reasons & Reason.ODOM_STALE and decision.state is State.EMERGENCY


@pytest.mark.parametrize(("steering", "acceleration"), [(1.6, 0.0), (-1e30, 0.0), (0.0, 50.1), (0.0, -1e30)])
def test_a_plan_that_no_car_could_be_meant_by_is_refused(gate, steering, acceleration):
    assert gate.step(steering=math.pi / 2 - 1e-6, acceleration=-50.0).reasons & Reason.PLAN_INVALID == 0
    decision = gate.step(steering=steering, acceleration=acceleration)
    assert decision.reasons & Reason.PLAN_INVALID and abs(decision.command.steering_angle_rad) < 0.6
