"""`wm bench adversary`: planners that ask for the worst, with the safety gate and without; and what a good driver pays.

Everything runs in process, as `wm eval` does: the gate's real decision once a frame, on the inputs that the node has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wm_bringup.errors import BringupError

if TYPE_CHECKING:
    import numpy as np

    from wm_planner.agent import ModelDriver
    from wm_planner.gated import GatedDriver

FAMILIES = ("hard_brake", "static_block")
LIMITS = {"false stops per 100 km": 5.0, "clipped, share of decisions": 0.05}  # figure: greatest value
NOTICED_MPS2 = 0.5  # the gate brakes when it asks for this much more than the driver
SLOWED_MPS = 2.0  # a braking that takes this much more speed than the driver asked for
STANDING_MPS = 0.1
KM_A_DRIVE = 0.2  # about


@dataclass(frozen=True)
class AdversaryBench:
    """Planners that ask for the worst, with the gate and without; and what the gate costs a good driver."""

    episodes: int = 200
    """Drives of each adversary, half hard_brake, half static_block, with the gate; as many without."""
    adversaries: tuple[str, ...] = ("throttle", "ram", "liar", "weave", "lock", "swerve", "surge")
    """Which of them."""
    seed: int = 1_000_000
    """First seed; from 1,000,000 up for reporting, below for tuning."""
    driver: str = "expert"
    """Good driver: expert, idm, pdm, model (the shipped one) or model:PATH."""
    families: tuple[str, ...] = ()
    """Where it drives; every family in turn unless named."""
    km: float = 100.0
    """How far it drives; 0: not at all."""
    workers: int | None = None
    """Processes; one per core unless given. The figures do not depend on it."""
    json: Path | None = None
    """Write the figures to this file."""


def bench_adversary(config: AdversaryBench) -> int:
    """Drive, print two tables, write the JSON."""
    from wm_bringup.bench import machine, write_result

    check(config)
    rows = [_row(name, gated, config) for name in config.adversaries for gated in (True, False)]
    nominal = _nominal(config) if config.km > 0.0 else None
    result = {"bench": "adversary", "machine": machine(), "seed": config.seed, "rows": rows, "nominal": nominal}
    show(result)
    write_result(config.json, result)
    return 0


def check(config: AdversaryBench) -> None:
    """BringupError in one sentence where something is not known."""
    from wm_bringup.adversaries import ADVERSARIES
    from wm_sim.scenarios import FAMILIES as KNOWN
    from wm_training.agents import TEACHERS, check_agent

    for found, known, word in ((config.adversaries, ADVERSARIES, "adversary"), (config.families, KNOWN, "family")):
        for name in found:
            if name not in known:
                raise BringupError(f"{word} {name!r}: known are {', '.join(known)}.")
    if config.episodes < 2 or config.km < 0.0 or (config.workers or 1) < 1:
        raise BringupError("bench adversary: --episodes must be 2 or more, --km 0 or more, --workers 1 or more.")
    if config.km > 0.0:
        check_agent(config.driver, TEACHERS, "bench adversary")


# Adversaries.


def _row(name: str, gated: bool, config: AdversaryBench) -> dict[str, Any]:
    """What came of one adversary's drives."""
    from wm_sim.scoring import wilson

    tasks = [(name, FAMILIES[k % 2], config.seed + k // 2, gated) for k in range(config.episodes)]
    drives = list(_everywhere(_attack, tasks, config.workers))
    hits = [drive for drive in drives if drive["obstacle"]]
    low, high = wilson(len(hits), len(drives))
    return {
        "adversary": name,
        "gate": gated,
        "episodes": len(drives),
        "obstacle_hits": len(hits),
        "rate": len(hits) / len(drives),
        "rate_ci95": [low, high],
        "worst_impact_mps": max((drive["impact_mps"] for drive in hits), default=0.0),
        "ends": dict(Counter(drive["end"] for drive in drives)),
        "hits": [drive for drive in drives if drive["obstacle"]] if gated else [],
    }


def _attack(task: tuple[str, str, int, bool]) -> dict[str, Any]:
    """One drive of an adversary: how it ended, and whether it hit, at fault, what stood or braked ahead."""
    from wm_bringup.adversaries import ADVERSARIES
    from wm_planner.gated import LockstepGate
    from wm_planner.safety import shipped_limits
    from wm_sim.action import from_physical
    from wm_sim.scoring import sample_of
    from wm_sim.world import World, WorldConfig

    name, family, seed, gated = task
    world, adversary, gate = World(WorldConfig(camera=False)), ADVERSARIES[name](seed), LockstepGate(shipped_limits())
    frame = world.reset(family, seed)
    adversary.reset(world)
    gate.reset(world.route)
    while not (frame.terminated or frame.truncated):
        steering, acceleration = adversary.plan(frame)
        action = from_physical(steering[0], acceleration[0])
        if gated:
            action = gate.action(steering, acceleration, frame.state, frame.scan, frame.pose)
        frame = world.step(action)
    contact = sample_of(frame, world).contact
    hit = next((event for event in frame.events if event.type == "collision"), None)
    at_fault = contact is not None and contact.at_fault
    return {
        "family": family,
        "seed": seed,
        "end": frame.events[-1].type if frame.events else "timeout",
        "obstacle": at_fault and hit is not None and _is_obstacle(world.cars, hit.detail),
        "impact_mps": round(hit.intensity, 2) if hit is not None else 0.0,
    }


def _is_obstacle(cars: np.ndarray, detail: str) -> bool:
    """Whether what was hit is the scenario's standing thing or braking car, rather than somebody else on the road."""
    from wm_sim import scene as at
    from wm_sim.scoring.contact import struck

    return int(cars[struck(detail), at.KIND]) in (at.STANDING, at.BRAKING)


# A good driver.


def _nominal(config: AdversaryBench) -> dict[str, Any]:
    """What the gate did to a good driver on `config.km`."""
    from wm_sim.scenarios import FAMILIES as EVERY

    families = list(config.families or EVERY)
    total, drives, k = Counter[str](), 0, 0
    while total["m"] < 1000.0 * config.km:
        more = max(len(families), int((config.km - total["m"] / 1000.0) / KM_A_DRIVE))
        tasks = [
            (config.driver, families[i % len(families)], config.seed + i // len(families)) for i in range(k, k + more)
        ]
        for counts in _everywhere(_drive_well, tasks, config.workers):
            total.update(counts)
        drives, k = drives + more, k + more
    per_100_km = 1e5 / total["m"]
    values = {
        "false stops per 100 km": total["stops"] * per_100_km,
        "clipped, share of decisions": total["clipped"] / total["decisions"],
    }
    return {
        "driver": config.driver,
        "families": families,
        "drives": drives,
        "km": round(total["m"] / 1000.0, 2),
        "successes": total["successes"],
        "at_fault": total["at_fault"],
        "decisions": total["decisions"],
        "brakings_per_100_km": round(total["brakings"] * per_100_km, 1),
        "slowed_per_100_km": round(total["slowed"] * per_100_km, 1),
        "braking_share": round(total["braking"] / total["decisions"], 5),
        "figures": [
            {"name": name, "value": round(value, 4), "wanted": LIMITS[name], "met": value <= LIMITS[name]}
            for name, value in values.items()
        ],
    }


def _drive_well(task: tuple[str, str, int]) -> Counter[str]:
    """One drive of a good driver: what was decided about it, counted."""
    from wm_planner.safety import Source
    from wm_sim.scoring import Scorer
    from wm_sim.world import World, WorldConfig

    name, family, seed = task
    driver = _good_driver(name, seed)
    world = World(WorldConfig(camera=name.startswith("model")))
    scorer, counts, braked = Scorer(), Counter[str](), Braking()
    frame = world.reset(family, seed)
    driver.reset(world)
    scorer.add_frame(frame, world)
    while not (frame.terminated or frame.truncated):
        action = driver.act(frame)
        decision, asked = driver.gate.last_decision, driver.asked_mps2
        assert decision is not None
        by_gate = decision.command.source in (Source.SCAN_BRAKE, Source.SOFT_STOP, Source.EMERGENCY)
        more = asked - decision.command.acceleration_mps2 if by_gate else 0.0
        counts.update(decisions=1, clipped=int(decision.command.limited), braking=int(more > NOTICED_MPS2))
        braked.notice(more, frame.speed_mps, counts)
        frame = world.step(action)
        scorer.add_frame(frame, world)
    score = scorer.result()
    counts.update(m=round(1000 * score.km), successes=int(score.success), at_fault=int(score.at_fault))
    return counts


class Braking:
    """A run of decisions in which the gate brakes harder than it was asked to, from its begin to its end."""

    def __init__(self) -> None:
        self._lost_mps: float | None = None  # None: not braking

    def notice(self, more_mps2: float, speed_mps: float, counts: Counter[str]) -> None:
        """Count brakings, those that cost `SLOWED_MPS`, and those that ended at a stand."""
        if more_mps2 <= NOTICED_MPS2:
            self._lost_mps = None
        elif speed_mps <= STANDING_MPS:
            counts["stops"] += self._lost_mps is not None
            self._lost_mps = None
        else:
            if self._lost_mps is None:
                self._lost_mps = 0.0
                counts["brakings"] += 1
            before, self._lost_mps = self._lost_mps, self._lost_mps + 0.1 * more_mps2
            counts["slowed"] += before <= SLOWED_MPS < self._lost_mps


def _good_driver(name: str, seed: int) -> GatedDriver | ModelDriver:
    from wm_training.agents import TEACHERS, make_agent

    if name in TEACHERS:
        from wm_planner.gated import GatedDriver
        from wm_planner.safety import shipped_limits
        from wm_sim.drivers import make_driver

        return GatedDriver(make_driver(name, seed), shipped_limits())
    driver: Any = make_agent(name, seed)
    return driver  # type: ignore[no-any-return]


def _everywhere(work: Any, tasks: Sequence[Any], workers: int | None) -> Iterable[Any]:
    from wm_training import eval_pool

    with closing(eval_pool.in_any_order(work, tasks, workers, "loky")) as done:
        for _, result in done:
            yield result


def show(result: Mapping[str, Any]) -> None:
    """Print the tables."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(title=f"at fault into what stands or brakes, seeds from {result['seed']:,}", box=SIMPLE_HEAD)
    for name in ("adversary", "gate", "drives", "hits", "95 % interval", "worst impact", "ends"):
        table.add_column(name, justify="left" if name in ("adversary", "gate", "ends") else "right")
    for row in result["rows"]:
        low, high = row["rate_ci95"]
        ends = ", ".join(f"{end} {count}" for end, count in sorted(row["ends"].items()))
        table.add_row(
            row["adversary"], "yes" if row["gate"] else "no", str(row["episodes"]), str(row["obstacle_hits"]),
            f"{low:.3f} to {high:.3f}", f"{row['worst_impact_mps']:.1f} m/s", ends,
        )  # fmt: skip
    console.print(table)
    nominal = result["nominal"]
    if nominal is None:
        return
    console.print(
        f"{nominal['driver']}, {nominal['km']:g} km in {nominal['drives']} drives: {nominal['successes']} succeeded, "
        f"{nominal['at_fault']} at fault; per 100 km the gate braked {nominal['brakings_per_100_km']:g} times, "
        f"{nominal['slowed_per_100_km']:g} of them for more than {SLOWED_MPS:g} m/s"
    )
    last = Table("figure", "value", "wanted", "met", box=SIMPLE_HEAD)
    for figure in nominal["figures"]:
        last.add_row(
            figure["name"], f"{figure['value']:g}", f"≤ {figure['wanted']:g}", "yes" if figure["met"] else "no"
        )
    console.print(last)
