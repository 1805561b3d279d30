"""Open-loop prediction over 1.5 s against baselines that know the true state: what does the model know of motion?

Baselines start from the true state of the last frame, the model from what it has seen; `model_from_truth` adds the
change that the model imagines to that true state, which leaves errors of motion and takes away those of sight.
The actions are the recorded ones. `interventions` counts the steps to which no action led that a driver took who sees
more than the sensors (see `free_of_teaching`); those are what a planner asks about. `all` counts every step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from wm_dynamics.heads import LABEL_NAMES, LABEL_SCALE, Readout
from wm_dynamics.world_model import WorldModel
from wm_perception.normalise import state_from_unit
from wm_sim.observation import SCAN_MAX_M, STATE_NAMES, STEP_S
from wm_training.bag_frames import LATER_COLUMNS
from wm_training.batches import HARDEST_BRAKING_MPS2, RISK_STEPS, Batch
from wm_training.calibration import Forecast, auroc, brier
from wm_training.losses import free_of_teaching

STEPS = 15
JUDGED_STEP = 10  # the one that the target is about
TARGET_RATIO = 0.5  # of the constant-velocity error
TARGETS = ("speed", "lateral_error")
STATES = ("speed_mps", "yaw_rate_radps")
SPEED, YAW_RATE = (STATE_NAMES.index(name) for name in STATES)
QUANTITIES = ("speed", "yaw_rate", *LABEL_NAMES)  # m/s, rad/s, then in units of theirs; of older models the first ones
GUESSERS = ("model", "model_from_truth", "constant_velocity", "constant_velocity_in_lane", "copy_last")
RISKS = ("collision", "off_road")


def open_loop_errors(model: WorldModel, batch: Batch, states: Tensor, belief: Tensor, last: int) -> dict[str, Any]:
    """Of windows whose frame `last` was the last one seen: errors, risks and masks, by name.

    states [B, K, L]: imagined beliefs; belief [B, L]: the last filtered one. Arrays `error/GUESSER` are [B, K, Q], Q as
    many as the model reads off and NaN where the truth is not known; the risks and their truths are [B, K].
    """
    steps = states.shape[1]
    future = slice(last + 1, last + 1 + steps)
    labels = batch.labels[..., : model.config.labels]
    truth = _quantities(batch.state[:, future], labels[:, future])
    now = _quantities(batch.state[:, last], labels[:, last])
    read, seen = model.heads(states), model.heads(belief)
    predicted, believed = _predicted(model, states, read), _predicted(model, belief, seen)
    guesses = {
        "model": predicted,
        "model_from_truth": predicted + (now - believed)[:, None],
        "constant_velocity": constant_velocity(now, steps, bend=False),
        "constant_velocity_in_lane": constant_velocity(now, steps, bend=True),
        "copy_last": now[:, None].expand(-1, steps, -1),
    }
    known = batch.knows_each(STATES)[:, future], batch.knows_each(LABEL_NAMES)[:, future]
    told = torch.cat(known, dim=-1)[..., : predicted.shape[-1]] > 0
    out = {f"error/{name}": _errors(guess, truth, told) for name, guess in guesses.items()}
    valid = batch.valid[:, future]
    out["mask/all"] = valid.numpy() > 0
    out["mask/interventions"] = (valid * free_of_teaching(batch.taught, steps)[:, last]).numpy() > 0
    for name in RISKS:
        out[f"{name}/truth"] = getattr(batch, f"{name}_risk")[:, future].numpy() > 0.5
        out[f"{name}/model"] = getattr(read, f"{name}_logit").sigmoid().numpy()
        held = getattr(seen, f"{name}_logit").sigmoid()[:, None].expand(-1, steps)
        out[f"{name}/copy_last"] = held.numpy()
    out["collision/constant_velocity"] = crash_at_constant_velocity(guesses["constant_velocity"]).numpy()
    return out


def _errors(guess: Tensor, truth: Tensor, told: Tensor) -> np.ndarray:
    return torch.where(told, (guess - truth).abs(), torch.nan).numpy()


def constant_velocity(now: Tensor, steps: int, bend: bool) -> Tensor:
    """QUANTITIES [B, K, Q] if speed, yaw rate and the speed of the one ahead stay as they are `now` [B, Q].

    A red light stays red, who crosses keeps coming. The lane is taken as straight, or with `bend` as curved as it is
    now.
    """
    speed, yaw_rate, lateral, heading, curvature, gap, closing, *hazards = now.unbind(dim=-1)
    rates = speed, torch.ones_like(speed)  # of red_light_gap in m/s, of crossing_time in s/s
    turning = yaw_rate - speed * curvature if bend else yaw_rate
    out = []
    for step in range(1, steps + 1):
        lateral = lateral + STEP_S * speed * torch.sin(heading + 0.5 * STEP_S * turning)
        heading = heading + STEP_S * turning
        ahead = torch.where(gap < SCAN_MAX_M, (gap - STEP_S * step * closing).clamp(0.0, SCAN_MAX_M), gap)
        nearer = [
            torch.where(hazard < most, (hazard - STEP_S * step * rate).clamp(0.0, most), hazard)
            for hazard, most, rate in zip(hazards, LATER_COLUMNS.values(), rates, strict=False)
        ]
        out.append(torch.stack((speed, yaw_rate, lateral, heading, curvature, ahead, closing, *nearer), dim=-1))
    return torch.stack(out, dim=1)


def crash_at_constant_velocity(guess: Tensor) -> Tensor:
    """Collision risk [B, K] of the constant-velocity guess [B, K, Q], by the rule that labels it: 1 where the gap is
    used up within RISK_STEPS or hardest braking would not do; below that the share of hardest braking that it takes."""
    gap, closing = guess[..., QUANTITIES.index("gap_ahead")], guess[..., QUANTITIES.index("closing_speed")]
    closing = closing.clamp(min=0.0)
    needed = closing.square() / (2.0 * gap.clamp(min=0.1)) / HARDEST_BRAKING_MPS2
    used_up = closing * RISK_STEPS * STEP_S >= gap
    return torch.where(used_up, torch.ones_like(gap), needed.clamp(max=1.0))


def open_loop_figures(parts: dict[str, np.ndarray], mask_name: str) -> dict[str, Any]:
    """Mean absolute errors by quantity, guesser and step, risks by step, and whether the target is met.

    mask_name: `interventions` or `all`, the steps that count.
    """
    mask = parts[f"mask/{mask_name}"]
    errors: dict[str, dict[str, list[float | None]]] = {}
    for index, quantity in enumerate(QUANTITIES[: parts["error/model"].shape[-1]]):
        by_guesser = {name: _mean_by_step(parts[f"error/{name}"][..., index], mask) for name in GUESSERS}
        errors[quantity] = by_guesser
    out: dict[str, Any] = {"windows": int(mask[:, 0].sum()), "mae": errors, "target": _target(errors)}
    out["windows_at_the_judged_step"] = int(mask[:, min(JUDGED_STEP, mask.shape[1]) - 1].sum())
    for risk in RISKS:
        guessers = [name for name in GUESSERS if f"{risk}/{name}" in parts]
        out[risk] = {name: _risk_by_step(parts[f"{risk}/{name}"], parts[f"{risk}/truth"], mask) for name in guessers}
    return out


def _target(errors: dict[str, dict[str, list[float | None]]]) -> dict[str, Any]:
    """Error at the judged step over that of constant velocity; `met` None where nothing could be measured."""
    out: dict[str, Any] = {"step": JUDGED_STEP, "at_most": TARGET_RATIO}
    for quantity in TARGETS:
        at = {name: errors[quantity][name][JUDGED_STEP - 1] for name in GUESSERS}
        ratio, from_truth = (_ratio(at[name], at["constant_velocity"]) for name in ("model", "model_from_truth"))
        met = None if ratio is None else ratio <= TARGET_RATIO
        out[quantity] = {"ratio": ratio, "from_truth": from_truth, "met": met}
    return out


def _ratio(ours: float | None, theirs: float | None) -> float | None:
    return None if ours is None or not theirs else round(ours / theirs, 3)


def _mean_by_step(error: np.ndarray, mask: np.ndarray) -> list[float | None]:
    """error and mask [B, K]."""
    mask = mask & np.isfinite(error)
    steps = range(error.shape[1])
    return [round(float(error[mask[:, k], k].mean()), 4) if mask[:, k].any() else None for k in steps]


def _risk_by_step(probability: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> dict[str, list[float | None]]:
    """AUROC and Brier score of every step; arrays [B, K]."""
    forecasts = [Forecast(probability[mask[:, k], k], truth[mask[:, k], k]) for k in range(mask.shape[1])]
    areas = [auroc(f.happened, f.probability) if len(f) else None for f in forecasts]
    return {"auroc": [_rounded(a) for a in areas], "brier": [_rounded(brier(f)) for f in forecasts]}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _predicted(model: WorldModel, beliefs: Tensor, read: Readout) -> Tensor:
    """QUANTITIES [..., Q] that beliefs [..., L] stand for."""
    _, state = model.sensor_decoder(beliefs)
    scale = read.labels.new_tensor(LABEL_SCALE[: read.labels.shape[-1]])
    return _quantities(state_from_unit(state), read.labels * scale)


def _quantities(state: Tensor, labels: Tensor) -> Tensor:
    """QUANTITIES [..., Q] of state [..., 15] and labels [..., 7 or fewer] in their units."""
    return torch.cat((state[..., [SPEED, YAW_RATE]], labels), dim=-1)
