"""What the planner wants: the world model's return, minus doubt, discomfort and departure from the policy, inside the
allowed risk."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_dynamics.protocols import Engine
from wm_perception.model_folder import ModelConfig
from wm_planner.settings import check_settings, setting
from wm_planner.solvers.protocol import Scored
from wm_planner.stop_in_sight import BrakingAsked
from wm_sim.action import ACCEL_MAX_MPS2, BRAKE_MAX_MPS2, STEER_MAX_RAD

Array = NDArray[np.float32]

RETURN, COLLISION, OFF_ROAD, DISAGREEMENT = range(4)  # columns of Scored.detail

CONSTRAINTS = ("fixed", "conformal", "off")
_MOST = 1e5  # return; a weight beyond it drowns everything else


@dataclass(frozen=True)
class ObjectiveConfig:
    """Weights in units of return (a good step earns about 1), limits as probabilities within the horizon."""

    constraints: str = setting(
        "fixed", "What limits the risk of a plan: the two limits below, the model's conformal ones, or nothing.",
        choices=CONSTRAINTS,
    )  # fmt: skip
    collision_max: float = setting(0.7, "Collision probability above which a plan is infeasible (fixed).", 1e-6, 1.0)
    off_road_max: float = setting(0.5, "Off-road probability above which a plan is infeasible (fixed).", 1e-6, 1.0)
    miss_rate: float = setting(0.1, "Share of bad plans that may pass for safe (conformal).", 0.001, 0.5)
    collision_weight: float = setting(3.0, "Penalty on collision probability, return a unit.", 0.0, _MOST)
    off_road_weight: float = setting(3.0, "Penalty on off-road probability, return a unit.", 0.0, _MOST)
    disagreement_weight: float = setting(
        0.2, "Penalty on the prior heads' disagreement, return a unit of its validation p95.", 0.0, _MOST
    )
    lateral_jerk_weight: float = setting(0.1, "Penalty, return at a mean square lateral jerk of (5 m/s³)².", 0.0, _MOST)
    steering_rate_weight: float = setting(
        0.1, "Penalty, return at a mean square steering rate of (0.8 rad/s)².", 0.0, _MOST
    )
    jerk_weight: float = setting(0.05, "Penalty, return at a mean square longitudinal jerk of (10 m/s³)².", 0.0, _MOST)
    policy_weight: float = setting(
        40.0, "Penalty, return at a mean square departure from the policy's proposal of (2 m/s²)².", 0.0, _MOST
    )

    def __post_init__(self) -> None:
        check_settings(self, "objective")


@dataclass(frozen=True)
class RiskLimits:
    """Probabilities within the horizon above which a plan is infeasible."""

    collision: float  # infinite: no limit
    off_road: float
    lacking: str = ""  # one sentence where the model lacks the conformal limits that were asked for


def risk_limits(config: ObjectiveConfig, model: ModelConfig) -> RiskLimits:
    """The limits that hold with this model.

    Conformal ones come from held-out drives (`wm measure`): of truly bad plans at most a share `miss_rate` has a risk
    below the limit. A limit for a smaller share keeps that promise too; where there is none, the fixed limit holds.
    """
    if config.constraints == "off":
        return RiskLimits(math.inf, math.inf)
    limits, lacking = {"collision": config.collision_max, "off_road": config.off_road_max}, []
    if config.constraints == "fixed":
        return RiskLimits(limits["collision"], limits["off_road"])
    for name, fixed in limits.items():
        measured = model.risk_thresholds.get(name, {})
        kept = [rate for rate in measured if rate <= config.miss_rate and measured[rate] > 0.0]
        if kept:
            limits[name] = measured[max(kept)]
        else:
            lacking.append(f"{name} {fixed:g}")
    sentence = (
        f"model {model.model_id}: no conformal limit at a miss rate of {config.miss_rate:g}, so that the fixed limit "
        f"holds ({', '.join(lacking)}). Measure the model with wm measure, or set objective.constraints to fixed."
    )
    return RiskLimits(limits["collision"], limits["off_road"], sentence if lacking else "")


_LATERAL_JERK, _STEERING_RATE, _JERK = 5.0, 0.8, 10.0  # m/s³, rad/s, m/s³: scales of the comfort terms
_DEPARTURE, _DEPARTURE_RAD = 2.0, 0.1  # m/s² across and along, and rad of steering where the car is slow


class Objective:
    """Scores action sequences from one belief. A solver calls it; it calls the engine."""

    def __init__(
        self,
        engine: Engine,
        config: ObjectiveConfig,
        belief: Array,  # [L]
        before: Array,  # [2] action in force
        lateral_per_rad: float,  # m/s² of lateral acceleration a radian of steering at the present speed
        step_s: float,
        policy: Array | None = None,  # [H, 2] what the policy would do
        in_sight: BrakingAsked | None = None,  # what the scan asks for, where plans have to stop before it
    ) -> None:
        self._engine, self._config, self._belief, self._in_sight = engine, config, belief, in_sight
        limits = risk_limits(config, engine.config)
        self._collision_scale = np.float32(1.0 / limits.collision)
        self._off_road_scale = np.float32(1.0 / limits.off_road)
        self._before = np.array([before[0] * STEER_MAX_RAD, _acceleration(before[1])], np.float32)
        self._policy = None if policy is None or config.policy_weight == 0.0 else _physical(policy)  # [2, H]
        self._disagreement_scale = np.float32(1.0 / max(engine.config.disagreement_p95, 1e-9))
        lateral = config.lateral_jerk_weight * (lateral_per_rad / _LATERAL_JERK) ** 2
        turning = config.steering_rate_weight / _STEERING_RATE**2
        self._steer_cost = np.float32((lateral + turning) / step_s**2)  # a rad² a step
        self._accel_cost = np.float32(config.jerk_weight / (_JERK * step_s) ** 2)  # a (m/s²)² a step
        across = max(lateral_per_rad / _DEPARTURE, 1.0 / _DEPARTURE_RAD)
        self._departure_cost = config.policy_weight * np.array([across**2, _DEPARTURE**-2], np.float32)

    def __call__(self, actions: Array) -> Scored:
        """Value, risk and detail of sequences [N, H, 2]."""
        config = self._config
        outcome = self._engine.score(self._belief, actions)
        physical = _physical(actions)
        doubt = outcome.disagreement * self._disagreement_scale
        value = (
            outcome.ret
            - np.float32(config.disagreement_weight) * doubt
            - np.float32(config.collision_weight) * outcome.collision
            - np.float32(config.off_road_weight) * outcome.off_road
            - self._certain_cost(physical)
        )
        risk = np.maximum(outcome.collision * self._collision_scale, outcome.off_road * self._off_road_scale)
        if self._in_sight is not None:
            risk = np.maximum(risk, self._in_sight.risk(physical))
        detail = np.stack([outcome.ret, outcome.collision, outcome.off_road, doubt], axis=1)
        return Scored(value, risk, detail)

    def certain_cost(self, actions: Array) -> Array:
        """What sequences [N, H, 2] lose of their value whatever the model says of them [N], never below 0.

        Infinite where what is in sight already makes them infeasible.
        """
        physical = _physical(actions)
        cost = self._certain_cost(physical)
        if self._in_sight is not None and self._in_sight.binding:
            cost[self._in_sight.risk(physical) > 1.0] = np.inf
        return cost

    def _certain_cost(self, physical: Array) -> Array:
        """Discomfort and departure from the policy [N]; physical [2, N, H]."""
        cost = self._discomfort(physical)
        return cost if self._policy is None else cost + self._departure(physical, self._policy)

    def _discomfort(self, physical: Array) -> Array:
        """Mean squared change from step to step, the first from the action in force [N]. physical [2, N, H]."""
        change = np.empty_like(physical)
        np.subtract(physical[..., 1:], physical[..., :-1], out=change[..., 1:])
        np.subtract(physical[..., 0], self._before[:, None], out=change[..., 0])
        mean_square = np.einsum("anh,anh->an", change, change) / np.float32(physical.shape[2])
        return self._steer_cost * mean_square[0] + self._accel_cost * mean_square[1]

    def _departure(self, physical: Array, policy: Array) -> Array:
        """What it costs to do otherwise than the policy [N]; physical [2, N, H], policy [2, H].

        Where data is thin a search finds the model's errors; near the policy there was data (Argenson and Dulac-Arnold
        2021, MBOP, plan around a cloned policy for the same reason).
        """
        off = physical - policy[:, None]
        mean_square = np.einsum("anh,anh->an", off, off) / np.float32(physical.shape[2])
        cost: Array = self._departure_cost @ mean_square
        return cost


def _physical(actions: Array) -> Array:
    """Steering angles (rad) and accelerations (m/s²) of actions [..., H, 2]: [2, ..., H]."""
    physical = np.empty((2, *actions.shape[:-1]), np.float32)
    np.multiply(actions[..., 0], np.float32(STEER_MAX_RAD), out=physical[0])
    physical[1] = _acceleration(actions[..., 1])
    return physical


def _acceleration(accel: Array) -> Array:
    """m/s² of the action's second number."""
    return np.where(accel > 0, accel * np.float32(ACCEL_MAX_MPS2), accel * np.float32(BRAKE_MAX_MPS2))
