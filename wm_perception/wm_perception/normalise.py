"""Physical units to network units and back."""

from __future__ import annotations

import torch
from torch import Tensor

from wm_perception.scan_memory import LOOK_BACK_S
from wm_sim.observation import SCAN_MAX_M, SCAN_SIZE, STATE_NAMES, STATE_SIZE

# What one network unit is, in the order of wm_sim.observation.STATE_NAMES:
# speed m/s, acceleration m/s2, yaw rate rad/s, steering rad, previous action (2), limit m/s, route points x, y in m.
STATE_SCALE = (10.0, 2.0, 0.15, 0.05, 0.1, 0.5, 10.0, 10.0, 3.0, 20.0, 10.0, 40.0, 20.0, 80.0, 40.0)
ACTION_FEATURES = 6
NEAR_M = 8.0  # range at which the near channel of the scan has fallen to 1/e
APPROACH_MPS, APPROACH_MAX_MPS = 5.0, 25.0  # one network unit; what is faster is another thing in the same sector
SPEED_STEP_MPS, SPEED_STEPS = 1.5, 15  # knots of the speed's own channels
_SPEED = STATE_NAMES.index("speed_mps")
_AHEAD = slice(SCAN_SIZE // 2 - 7, SCAN_SIZE // 2 + 7)  # sectors within 35 degrees of straight ahead
MEASURED_OF_STATE = 2 * STATE_SIZE + SPEED_STEPS  # the first of the measured numbers; the scan's follow
MEASURED_FEATURES = MEASURED_OF_STATE + 3 * (_AHEAD.stop - _AHEAD.start)


def camera_to_unit(camera: Tensor) -> Tensor:
    """uint8, or float of the same range, [B, H, W, 3] -> float [B, 3, H, W] in [-0.5, 0.5]."""
    return camera.permute(0, 3, 1, 2).float() / 255.0 - 0.5


def camera_from_unit(image: Tensor) -> Tensor:
    """float [B, 3, H, W] in [-0.5, 0.5] -> uint8 [B, H, W, 3]."""
    return ((image + 0.5) * 255.0).clamp(0.0, 255.0).round().to(torch.uint8).permute(0, 2, 3, 1)


def scan_to_unit(scan: Tensor) -> Tensor:
    """Ranges in m -> closeness in [0, 1], 0 where nothing is seen."""
    return 1.0 - scan / SCAN_MAX_M


def scan_channels(scans: Tensor) -> Tensor:
    """Newest and earlier scan [B, 2, 72] m -> [B, 3, 72]: closeness, one that resolves the last metres, approach."""
    newest, earlier = scans[:, 0], scans[:, 1]
    near = torch.exp(-newest / NEAR_M)
    return torch.stack((scan_to_unit(newest), near, approach(newest, earlier) / APPROACH_MPS), dim=1)


def approach(newest: Tensor, earlier: Tensor) -> Tensor:
    """How fast what each sector sees comes nearer, m/s [B, 72]; 0 where it sees nothing, or did not half a second ago.

    What is seen now was in the same sector or in a neighbour: where the range was most alike.
    """
    right = torch.cat((earlier[:, -1:], earlier[:, :-1]), dim=-1)
    left = torch.cat((earlier[:, 1:], earlier[:, :1]), dim=-1)
    before = earlier
    for beside in (right, left):
        before = torch.where((beside - newest).abs() < (before - newest).abs(), beside, before)
    speed = (before - newest) / LOOK_BACK_S
    known = (newest < SCAN_MAX_M) & (before < SCAN_MAX_M) & (speed.abs() < APPROACH_MAX_MPS)
    return torch.where(known, speed, torch.zeros_like(speed))


def measured_features(channels: Tensor, state: Tensor) -> Tensor:
    """What needs no recognising: the state, its speed by a channel for every 1.5 m/s, and the scan ahead, [B, M].

    channels: of `scan_channels`, [B, 3, 72].
    """
    knots = SPEED_STEP_MPS * torch.arange(SPEED_STEPS, dtype=state.dtype, device=state.device)
    speed = (1.0 - (state[:, _SPEED : _SPEED + 1] - knots).abs() / SPEED_STEP_MPS).clamp(min=0.0)
    return torch.cat((state_features(state), speed, channels[:, :, _AHEAD].flatten(1)), dim=-1)


def state_to_unit(state: Tensor) -> Tensor:
    return state / state.new_tensor(STATE_SCALE)


def state_from_unit(unit: Tensor) -> Tensor:
    return unit * unit.new_tensor(STATE_SCALE)


def state_features(state: Tensor) -> Tensor:
    """[B, 15] SI -> [B, 30]: network units, and a second channel that resolves small values."""
    unit = state_to_unit(state)
    return torch.cat((unit, torch.tanh(4.0 * unit)), dim=-1)


def action_features(action: Tensor) -> Tensor:
    """[B, 2] -> [B, 6]. A hundredth of full steering turns a fast car and a tenth a slow one, so steering comes in
    three resolutions, and acceleration with its kink at zero, where braking takes over from driving."""
    steer, accel = action[..., :1], action[..., 1:]
    fine = (steer, torch.tanh(steer / 0.1), torch.tanh(steer / 0.02))
    return torch.cat((*fine, accel, accel.clamp(min=0.0), torch.tanh(accel / 0.2)), dim=-1)
