"""`wm bench gate`: how long one decision of the safety gate takes; with `--node`, how evenly its node ticks.

Measured, nothing is asserted.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from wm_planner.safety import Clock, GateState, Inputs, PlanInput, decide, route_from, shipped_limits

if TYPE_CHECKING:
    from wm_bringup.bench import GateBench

WANTED_P99_MS = 1.0
STEP_NS, TICK_NS = 100_000_000, 20_000_000
ROUTE_POINTS = 1000  # 2 km, a point every 2 m

Next = Callable[[int, Inputs], tuple[int, Inputs]]


def bench_gate(config: GateBench) -> int:
    """Measure, print a line a case, write the JSON."""
    from wm_bringup.bench import machine, write_result

    rows = [{"name": name, **_measure(following, config)} for name, following in CASES.items()]
    for row in rows:
        print(
            f"{row['name']:<34} p50 {row['p50_us']:7.1f} µs   p99 {row['p99_us']:7.1f} µs   "
            f"worst {row['max_us']:8.1f} µs   of {row['decisions']:,}   wanted p99 ≤ {WANTED_P99_MS:g} ms"
        )
    result: dict[str, Any] = {
        "bench": "gate", "machine": machine(), "wanted_p99_ms": WANTED_P99_MS, "decisions": rows
    }  # fmt: skip
    if config.node:
        from wm_bringup.bench_gate_node import line, measure_node

        result["node"] = measure_node(config.node_seconds, config.domain_id)
        for row in result["node"]:
            print(line(row))
    write_result(config.json, result)
    return 0


def _tick(k: int, inputs: Inputs) -> tuple[int, Inputs]:
    """The gate's timer fires between two frames."""
    return TICK_NS, inputs if k % 5 else _hear(inputs, k)


def _frame(k: int, inputs: Inputs) -> tuple[int, Inputs]:
    """A new plan, scan, status and odometry have come."""
    return STEP_NS, _hear(inputs, k)


CASES: dict[str, Next] = {"timer at 50 Hz, frames at 10 Hz": _tick, "every decision on a new frame": _frame}


def _hear(inputs: Inputs, k: int) -> Inputs:
    """Everything new. Its time stamp is put in by the loop."""
    gap_m = 12.0 + 3.0 * np.sin(0.05 * k)
    scan = np.full(72, 60.0, np.float32)
    scan[34:38] = gap_m
    scan[10:20] = 8.0
    steering = np.full(12, 0.02 * np.sin(0.03 * k), np.float32)
    plan, pose = PlanInput(k, -1, 0.1, steering, np.full(12, 0.3, np.float32)), (50.0 + 0.2 * k % 1800.0, 0.4, 0.01)
    return replace(inputs, plan=plan, scan=scan, pose=pose)


def _measure(following: Next, config: GateBench) -> dict[str, Any]:
    """Microseconds of a decision: median, 99th percentile and worst over `repeats` rounds of `seconds`."""
    limits, memory = shipped_limits(), GateState()
    route = route_from(np.stack([np.arange(ROUTE_POINTS) * 2.0, np.zeros(ROUTE_POINTS)], axis=1))
    inputs = _hear(Inputs(True, speed_mps=10.0, yaw_rate_radps=0.01, route=route), 0)
    now, k, spent = 10**9, 0, []
    end = time.perf_counter() + config.seconds * config.repeats
    gc.collect()
    while k < 200 or time.perf_counter() < end:
        k += 1
        elapsed, heard = following(k, inputs)
        now += elapsed
        if heard is not inputs and heard.plan is not None:
            plan = replace(heard.plan, source_stamp_ns=now)
            inputs = replace(heard, plan=plan, status_stamp_ns=now, odom_stamp_ns=now, scan_stamp_ns=now)
        clock = Clock(now, now)
        start = time.perf_counter_ns()
        decision = decide(clock, inputs, limits, memory)
        spent.append(time.perf_counter_ns() - start)
        memory = decision.gate_state
    figures = np.array(spent[100:]) / 1e3
    return {
        "decisions": len(figures),
        "p50_us": round(float(np.percentile(figures, 50)), 1),
        "p99_us": round(float(np.percentile(figures, 99)), 1),
        "max_us": round(float(figures.max()), 1),
        "state": memory.state.name.lower(),
    }
