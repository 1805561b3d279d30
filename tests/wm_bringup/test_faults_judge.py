"""What counts as a reaction, and what as met."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wm_bringup.faults.judge import Run, judge, meets
from wm_bringup.faults.watch import Motion, Order, Place, Record
from wm_planner.safety.limits import Limits
from wm_planner.safety.reasons import Reason, Source
from wm_sim.vehicle_interface import FULL_BRAKE

MS = 1_000_000
DRIVING, WATCHDOG = 1, 2
COLLISION, FAULT = 1, 6


def order(ms: int, source: Source = Source.PLAN, acceleration: float = 0.5, steering: float = 0.0) -> Order:
    return Order(ms * MS, source, steering, acceleration, 0)


def motion(ms: int, speed: float = 8.0, commanded: float = 0.5, mode: int = DRIVING) -> Motion:
    return Motion(ms * MS, speed, commanded, mode)


def judged(record: Record, must_stop: bool = True, speed: float = 1.0) -> Run:
    """A fault from 1 s to 3 s."""
    return judge("a_fault", record, 1000 * MS, 3000 * MS, must_stop, Limits(), speed)


def test_the_first_braking_of_the_gate_is_the_reaction() -> None:
    orders = [order(990, Source.SOFT_STOP, -1.0), order(1020), order(1180, Source.SOFT_STOP, 0.0)]
    orders += [order(1200, Source.SOFT_STOP, -0.1), order(1500, Source.EMERGENCY, -6.0)]
    run = judged(Record(orders=orders))
    assert (run.reaction_ms, run.reacted) == (200.0, "soft_stop")
    assert not run.throttle
    assert meets(run, 250.0)
    assert not meets(run, 190.0)


def test_braking_for_the_scan_answers_what_only_the_scan_shows() -> None:
    record = Record(orders=[order(1020), order(1300, Source.SCAN_BRAKE, -3.0), order(2900)])
    assert judged(record).reaction_ms is None
    seen = judge("a_fault", record, 1000 * MS, 3000 * MS, False, Limits(), is_seen=True)
    assert (seen.reaction_ms, seen.reacted, seen.throttle) == (300.0, "scan_brake", False)


def test_where_the_car_hears_no_gate_only_the_car_is_judged() -> None:
    orders = [order(1100 + 20 * n) for n in range(50)]
    record = Record(orders=orders, motions=[motion(1200, commanded=-6.0), motion(1900, commanded=-6.0)])
    deaf = judge("a_fault", record, 1000 * MS, 3000 * MS, True, Limits(), is_behind_gate=True)
    assert (deaf.reacted, deaf.throttle) == ("vehicle", False)
    assert judged(record).throttle


def test_in_slow_motion_times_are_simulated_ones() -> None:
    assert judged(Record(orders=[order(1800, Source.EMERGENCY, -6.0)]), speed=0.25).reaction_ms == 200.0


def test_the_vehicle_that_brakes_by_itself_reacts() -> None:
    told = Record(events=[(1540 * MS, FAULT, "no command")], motions=[motion(1600, mode=WATCHDOG, commanded=-6.0)])
    seen = Record(orders=[order(1010)], motions=[motion(1100), motion(1600, commanded=float(FULL_BRAKE[1] * 6.0))])
    assert (judged(told).reaction_ms, judged(told).reacted) == (540.0, "vehicle")
    assert (judged(seen).reaction_ms, judged(seen).reacted) == (600.0, "vehicle")


def test_a_vehicle_that_obeys_full_braking_is_no_reaction_of_its_own() -> None:
    planned = Record(orders=[order(1050, acceleration=-6.0)], motions=[motion(1100, commanded=-6.0)])
    assert judged(planned).reaction_ms is None


def test_a_refused_plan_counts_where_nothing_braked() -> None:
    held = Record(orders=[order(1100, Source.HOLD), order(1200)])
    assert (judged(held).reaction_ms, judged(held).reacted) == (100.0, "hold")


def test_throttle_after_the_reaction_is_not_met() -> None:
    orders = [order(1200, Source.EMERGENCY, -6.0), order(1300, acceleration=1.0)]
    assert judged(Record(orders=orders)).throttle
    assert not judged(Record(orders=orders), must_stop=False).throttle  # the fault let the stack drive again
    orders[1] = order(1300, Source.SOFT_STOP, 0.5)
    assert judged(Record(orders=orders), must_stop=False).throttle
    wheels = Record(orders=orders[:1], motions=[motion(1600, commanded=2.0)])
    assert judged(wheels).throttle
    assert not meets(judged(wheels), None)


@pytest.mark.parametrize("wrong", [{"acceleration": float("nan")}, {"acceleration": 3.2}, {"steering": -0.7}])
def test_a_command_beyond_the_limits_is_not_met(wrong) -> None:
    run = judged(Record(orders=[order(1100, **wrong)]), must_stop=False)
    assert run.wrong_output
    assert not meets(run, None)


def test_stop_distance_counts_from_the_injection_to_the_stand() -> None:
    record = Record(
        motions=[motion(900), motion(1100, 4.0), motion(2000, 0.05), motion(2100, 0.0)],
        places=[Place(900 * MS, 40.0, 60.0), Place(1100 * MS, 41.5, 60.0), Place(2000 * MS, 47.0, 60.0)],
        states=[(1500 * MS, 3, int(Reason.PLAN_LOST))],
    )
    run = judged(record)
    assert run.stop_m == 7.0
    assert run.speed_mps == 8.0
    assert run.reasons == "plan missing"
    assert judged(Record(motions=[motion(1100)], places=[Place(900 * MS, 1.0, 60.0)])).stop_m is None


def test_only_what_happens_after_the_injection_is_held_against_the_fault() -> None:
    assert not judged(Record(events=[(900 * MS, COLLISION, "")])).collision
    crashed = judged(Record(events=[(1900 * MS, COLLISION, "")]), must_stop=False)
    assert crashed.collision
    assert not meets(crashed, None)


def test_a_node_that_a_message_brought_down_is_not_met() -> None:
    fine = judged(Record(orders=[order(1100)]), must_stop=False)
    assert meets(fine, None)
    assert not meets(replace(fine, died=("perception_node",)), None)
    assert not meets(replace(fine, bag="not readable"), None)
