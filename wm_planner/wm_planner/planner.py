"""From a belief to a plan: bounds for the speed, the objective, the solver, and full braking when nothing holds."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from wm_dynamics.protocols import Engine
from wm_planner.bends import most_acceleration
from wm_planner.braking_tail import BrakingConfig, stop_risk
from wm_planner.errors import PlannerError
from wm_planner.objective import Objective, ObjectiveConfig, RiskLimits, risk_limits
from wm_planner.plan_result import Candidates, PlanResult, full_braking, plan_found
from wm_planner.pull_away import may_pull_away, steering_to_start
from wm_planner.safety.limits import Limits, effective_wheelbase, steering_range, steering_rate_bound
from wm_planner.settings import check_settings, setting
from wm_planner.solvers import (
    Bounds,
    Problem,
    Scored,
    Screen,
    SolverConfig,
    Verify,
    make_solver,
    solver_config,
)
from wm_planner.solvers.deadline import Deadline
from wm_planner.stop_in_sight import PathAhead
from wm_sim.action import BRAKE_MAX_MPS2, STEER_MAX_RAD
from wm_sim.observation import STATE_NAMES, STEP_S

Array = NDArray[np.float32]

SPEED, YAW_RATE, PREVIOUS, ROUTE = (
    STATE_NAMES.index(name) for name in ("speed_mps", "yaw_rate_radps", "previous_steer", "route_10_x")
)


@dataclass(frozen=True)
class PlannerConfig:
    """How the planner searches and what it wants."""

    solver: str = "icem"
    search: SolverConfig | None = None  # that solver's settings; None: its own defaults
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    limits: Limits = field(default_factory=Limits)  # the gate's, so that it seldom has to clip
    throttle_rise: float = setting(
        0.5, "Rise of throttle from step to step at most, of 3 m/s²; braking may come at once.", 0.01, 2.0
    )
    bend_share: float = setting(
        0.83, "Share of the lateral limit that bends ahead may take; 10 leaves them to the model.", 0.1, 10.0
    )
    bend_braking_mps2: float = setting(
        1.0, "Braking, m/s², that a bend ahead has to ask for before the car slows down for it.", 0.1, 6.0
    )
    pull_away_turn: float = setting(
        0.8, "Steering, of its range, that a standing car turns aside at most to get clear; 0: none.", 0.0, 2.0
    )
    screening_margin: float = setting(
        0.5,
        "Return that a candidate may promise beyond the best so far before it is left out unimagined; inf: none is.",
    )
    stop_in_sight: bool = setting(
        True, "Accept only plans that can stop before what the scan shows, by the gate's measure."
    )
    braking: BrakingConfig | None = None  # accept only plans out of which a stop is safe; None: do not ask

    def __post_init__(self) -> None:
        check_settings(self, "planner")


class Planner:
    """Plans inside a world model. Same seed and inputs since `reset`, same plans, while no deadline is set."""

    def __init__(
        self,
        engine: Engine,
        config: PlannerConfig | None = None,
        seed: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.engine = engine
        self._seed = seed
        self._clock = clock
        self._next: PlannerConfig | None = None
        self.config = config or PlannerConfig()
        self._search = self._search_of(self.config)
        self.reset()

    @property
    def limits(self) -> RiskLimits:
        """The limits on risk that hold from the next plan on."""
        return risk_limits((self._next or self.config).objective, self.engine.config)

    def reset(self) -> None:
        """Forget earlier plans and scans; the random numbers start again from the seed."""
        self._solver = make_solver(self.config.solver, self._search, np.random.default_rng(self._seed))
        self._path_ahead = PathAhead(self.config.limits)

    def reconfigure(self, config: PlannerConfig) -> None:
        """Plan by other settings from the next plan on; one that is being made stays as it was begun.

        The last plan is remembered unless the search itself changes. Raises PlannerError, and changes nothing, where
        the settings do not fit the model.
        """
        self._search_of(config)
        self._next = config

    def _search_of(self, config: PlannerConfig) -> SolverConfig:
        search, model = config.search or solver_config(config.solver), self.engine.config
        if search.horizon != model.horizon or search.chunk % model.chunk:
            raise PlannerError(
                f"solver horizon {search.horizon}, chunk {search.chunk}: the model imagines "
                f"{model.horizon} steps of {model.chunk} candidates; set both to the model's."
            )
        return search

    def _take_over(self) -> None:
        """Adopt the settings that wait."""
        if self._next is None:
            return
        before, self.config, self._next = (self.config.solver, self._search), self._next, None
        self._search = self._search_of(self.config)
        if (self.config.solver, self._search) != before:
            self.reset()

    def plan_from(
        self,
        belief: Array,
        state: Array,
        deadline_s: float | None = None,
        *,
        scan: Array | None = None,
        scan_ns: int | None = None,
        show: bool = False,
    ) -> PlanResult:
        """Plan from a belief [L] and what was observed, state vector [15] and scan [72] m: for node and agent."""
        state = np.asarray(state, np.float32)
        return self.plan(
            belief,
            float(state[SPEED]),
            state[PREVIOUS : PREVIOUS + 2],
            deadline_s,
            yaw_rate_radps=float(state[YAW_RATE]),
            route_ahead=state[ROUTE:].reshape(-1, 2),
            scan=scan,
            scan_ns=scan_ns,
            show=show,
        )

    def plan(
        self,
        belief: Array,
        speed_mps: float,
        previous_action: Array,
        deadline_s: float | None = None,
        *,
        yaw_rate_radps: float | None = None,
        route_ahead: Array | None = None,
        scan: Array | None = None,
        scan_ns: int | None = None,
        show: bool = False,
    ) -> PlanResult:
        """Plan from `belief` [L] at `speed_mps` with `previous_action` [2] in force, within `deadline_s` from now.

        `yaw_rate_radps` tells how this car answers its steering; without it the nominal car is assumed. `route_ahead`
        [4, 2], the observation's, holds the bends to slow down for; `scan` [72] m shows what a standing car has to
        steer clear of, and with `stop_in_sight` what every plan has to stop before; `scan_ns` is its stamp, None for a
        step after the last one. `show`: keep the last iteration's candidates. Never raises for values that are not
        finite: the answer is then full braking with the steering held.
        """
        began = self._clock()
        self._take_over()
        before = np.clip(np.nan_to_num(np.asarray(previous_action, np.float32)), -1.0, 1.0)
        belief = np.asarray(belief, np.float32)
        if not (np.isfinite(belief).all() and math.isfinite(speed_mps) and np.isfinite(previous_action).all()):
            return self._fallback(before, speed_mps, began, samples=0)
        turning_radps = self._yaw_rate(speed_mps, yaw_rate_radps, before)
        bounds, lateral_per_rad = self._bounds(speed_mps, turning_radps, before, route_ahead)
        proposals = self._proposals(belief)
        bounds = self._clear(bounds, proposals, speed_mps, scan)
        policy, in_sight = next(iter(proposals), None), None
        if self.config.stop_in_sight and scan is not None:
            in_sight = self._path_ahead.asks(scan, speed_mps, turning_radps, before, route_ahead, scan_ns)
        if in_sight is not None and policy is not None:
            in_sight = in_sight.at_least_along(policy)
        objective = Objective(
            self.engine, self.config.objective, belief, before, lateral_per_rad, STEP_S, policy, in_sight
        )
        deadline = Deadline(None if deadline_s is None else deadline_s - (self._clock() - began), self._clock)
        shown: list[Candidates] = []
        watch = partial(_keep, shown) if show else None
        verify = self._verify(objective, bounds)
        solution = self._solver.solve(
            Problem(objective, bounds, proposals, deadline, verify, watch, self._screen(objective))
        )
        if not solution.finite:
            return self._fallback(before, speed_mps, began, solution.samples)
        return plan_found(solution, speed_mps, self._clock() - began, deadline_s, next(iter(shown), None))

    def _verify(self, objective: Objective, bounds: Bounds) -> Verify | None:
        if self.config.braking is None:
            return None
        return partial(stop_risk, score=objective, bounds=bounds, config=self.config.braking, chunk=self._search.chunk)

    def _screen(self, objective: Objective) -> Screen | None:
        margin = self.config.screening_margin
        return None if math.isinf(margin) else Screen(objective.certain_cost, margin)

    def _proposals(self, belief: Array) -> Array:
        proposals = np.asarray(self.engine.propose(belief), np.float32)
        finite = np.isfinite(proposals).all(axis=(1, 2))
        return proposals if finite.all() else proposals[finite]

    def _yaw_rate(self, speed_mps: float, yaw_rate_radps: float | None, before: Array) -> float:
        """What was measured; where nothing was, what the nominal car does."""
        if yaw_rate_radps is not None and math.isfinite(yaw_rate_radps):
            return yaw_rate_radps
        speed = max(speed_mps, 0.0)
        return speed / effective_wheelbase(speed, self.config.limits) * math.tan(float(before[0]) * STEER_MAX_RAD)

    def _bounds(
        self, speed_mps: float, yaw_rate_radps: float, before: Array, route_ahead: Array | None
    ) -> tuple[Bounds, float]:
        """What the gate and the bends ahead allow, in action units, and m/s² of lateral acceleration a rad."""
        limits, steering = self.config.limits, float(before[0]) * STEER_MAX_RAD
        speed = max(speed_mps, 0.0)
        lateral_per_rad = speed * speed / effective_wheelbase(speed, limits)
        low, high = steering_range(speed, yaw_rate_radps, steering, limits)
        slew = steering_rate_bound(speed, steering, limits) * STEP_S / STEER_MAX_RAD
        bounds = Bounds(
            low=np.array([low / STEER_MAX_RAD, -1.0], np.float32),
            high=np.array([high / STEER_MAX_RAD, self._most_accel(speed, route_ahead)], np.float32),
            fall=np.array([slew, 2.0], np.float32),
            rise=np.array([slew, max(self.config.throttle_rise, float(-before[1]))], np.float32),
            before=before,
        )
        return bounds, lateral_per_rad

    def _clear(self, bounds: Bounds, proposals: Array, speed_mps: float, scan: Array | None) -> Bounds:
        """The bounds, where a car that stands and wants to go has to turn its wheels first: those of a free arc."""
        most_turn = self.config.pull_away_turn
        if scan is None or not len(proposals) or most_turn == 0.0 or not may_pull_away(speed_mps):
            return bounds
        steering, accel = np.clip(proposals[0, 0], -1.0, 1.0)
        if accel <= 0.0:
            return bounds
        within = steering_to_start(scan, float(steering), most_turn, speed_mps, self.config.limits)
        if within is None:
            return bounds
        low, high = np.clip(within, bounds.low[0], bounds.high[0])
        return replace(
            bounds,
            low=np.array([low, bounds.low[1]], np.float32),
            high=np.array([high, bounds.high[1]], np.float32),
        )

    def _most_accel(self, speed_mps: float, route_ahead: Array | None) -> float:
        """The action's second number at most: below 0 where a bend ahead asks for braking."""
        if route_ahead is None or not np.isfinite(route_ahead).all():
            return 1.0
        lateral = self.config.bend_share * self.config.limits.lateral_acceleration_max_mps2
        most = most_acceleration(speed_mps, route_ahead, lateral, self.config.bend_braking_mps2)
        return 1.0 if most > 0.0 else max(most / BRAKE_MAX_MPS2, -1.0)

    def _fallback(self, before: Array, speed_mps: float, began: float, samples: int) -> PlanResult:
        """Full braking; what the search remembers is forgotten."""
        self._solver.reset()
        return full_braking(before, self._search.horizon, speed_mps, self._clock() - began, samples)


def _keep(shown: list[Candidates], actions: Array, scored: Scored) -> None:
    shown.append(Candidates(actions, scored.value, scored.risk))
