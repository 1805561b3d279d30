"""What the encoder learns first: to read single frames.

Windows of a drive show nearly the same picture thirty times; as many frames from all over the bags teach the camera far
more for the same work. So the encoder begins with frames drawn one by one, and with what is known of each: its labels,
the danger it is in, and what an expert would do there. What it sees is varied (`augmentation.py`) and what it says
dropped in part, because all that is learned later rests on its embeddings of scenes it has seen, and drives on those of
scenes it has not. What moves can not be told from one frame; that is left to the memory behind the encoder. The
read-outs of this phase are thrown away after it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wm_dynamics.heads import LABEL_NAMES, LABEL_SCALE
from wm_dynamics.world_model import WorldModel, WorldModelConfig
from wm_perception.decoder import CameraDecoder, SensorDecoder
from wm_perception.normalise import camera_to_unit, scan_to_unit, state_to_unit
from wm_sim.observation import STATE_NAMES
from wm_training.augmentation import AugmentationConfig, augment
from wm_training.batches import Batch
from wm_training.losses import LABEL_SMALL, drop_recognised, huber
from wm_training.nearness import FAR, FAR_LABELS, bent

SPEED = STATE_NAMES.index("speed_mps")
HIDDEN = 256
STEER_SCALE, PEDAL_SCALE = 0.1, 0.5  # action units that count as one
_STEADY = [index for index, name in enumerate(LABEL_NAMES) if name not in FAR]
KNOTS = 16  # of the distances and times that mostly are "none"
TURNING_MPS = 5.0  # at this speed an error of the steering counts twice, at three times the speed ten times


@dataclass(frozen=True)
class FrameConfig:
    """Weights of the terms; each is a mean over frames."""

    camera: float = 0.01  # per-pixel squared errors are summed
    sensors: float = 0.3
    labels: float = 9.0  # those that always have a value
    near: float = 2.0  # distances and times that mostly are "none"
    advice: float = 4.0
    flags: float = 1.0  # collision and off-road
    reconstructed: float = 0.125  # share of the frames whose camera picture is
    dropout: float = 0.1  # of the embedding, before the read-outs
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)


class FrameTeacher(nn.Module):
    """Read-outs of an embedding [B, E]: labels, advised action, two risks; and decoders back to the sensors.

    Distances and times that mostly are "none" are read as logits over KNOTS values.
    """

    def __init__(self, config: WorldModelConfig) -> None:
        super().__init__()
        embedding = config.rssm.embedding
        self.sizes = [len(_STEADY), len(FAR) * KNOTS, 2, 2]
        self.readout = nn.Sequential(nn.Linear(embedding, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, sum(self.sizes)))
        self.camera_decoder = CameraDecoder(embedding)
        self.sensor_decoder = SensorDecoder(embedding)


def frame_loss(
    model: WorldModel, teacher: FrameTeacher, batch: Batch, config: FrameConfig
) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss of the encoder on windows of one frame, and its terms by name."""
    scan, state = batch.scan[:, 0], batch.state[:, 0]
    seen = augment(batch, config.augmentation)
    embedding = drop_recognised(model.encoder(seen.camera[:, 0], seen.scans[:, 0], seen.state[:, 0]), config.dropout)
    labels, near, action, risks = teacher.readout(embedding).split(teacher.sizes, dim=-1)
    sensors = teacher.sensor_decoder(embedding)
    some = max(1, round(config.reconstructed * len(scan)))
    picture = teacher.camera_decoder(embedding[:some])
    terms = {
        "camera": config.camera * (picture - camera_to_unit(batch.camera[:some, 0])).square().sum(dim=(1, 2, 3)).mean(),
        "sensors": config.sensors * _sensor_error(sensors, scan, state, batch),
        "labels": config.labels * _label_error(labels, batch),
        "near": config.near * near_error(near.unflatten(-1, (len(FAR), KNOTS)), batch),
        "advice": config.advice * advice_error(action, batch.advice[:, 0], state[:, SPEED]),
        "flags": config.flags * _risk_error(risks, batch),
    }
    return torch.stack(list(terms.values())).sum(), terms


def advice_error(action: Tensor, advice: Tensor, speed_mps: Tensor) -> Tensor:
    """Mean error of actions [..., 2] against advice [..., 2] where there is some; steering counts more at speed."""
    asked = torch.isfinite(advice).all(dim=-1)
    faster = 1.0 + (speed_mps / TURNING_MPS).square()
    scale = torch.stack((faster / STEER_SCALE, torch.full_like(faster, 1.0 / PEDAL_SCALE)), dim=-1)
    off = (action - torch.nan_to_num(advice)) * scale
    error = F.smooth_l1_loss(off, torch.zeros_like(off), reduction="none").sum(dim=-1)
    return (error * asked).sum() / asked.sum().clamp(min=1)


def _label_error(labels: Tensor, batch: Batch) -> Tensor:
    """Mean error of read-outs [B, 4] of the labels that always have a value."""
    truth = (batch.labels[:, 0] / batch.labels.new_tensor(LABEL_SCALE))[:, _STEADY]
    error = huber(labels - truth, truth.new_tensor(LABEL_SMALL)[_STEADY])
    return (error * batch.knows_each(LABEL_NAMES)[:, 0, _STEADY]).mean()


def near_error(logits: Tensor, batch: Batch) -> Tensor:
    """Mean cross-entropy of logits [B, 3, KNOTS] of the distances and times in FAR, against two-hot targets.

    Most of the time nothing is near, and one read-out number that errs least would be that nothing ever is; where it is
    not sure it would tell the mean of here and nowhere. Chances of several values (Hafner et al. 2023, eq. 8-10) say
    either. The knots lie the closer the nearer (`nearness.py`).
    """
    at = bent(batch.labels[:, 0, FAR_LABELS]).clamp(0.0, 1.0) * (KNOTS - 1)
    knots = torch.arange(KNOTS, device=at.device)
    target = (1.0 - (at[..., None] - knots).abs()).clamp(min=0.0)
    error = -(target * logits.float().log_softmax(-1)).sum(-1)
    return (error * batch.knows_each(LABEL_NAMES)[:, 0, FAR_LABELS]).sum(-1).mean()


def _sensor_error(sensors: tuple[Tensor, Tensor], scan: Tensor, state: Tensor, batch: Batch) -> Tensor:
    scan_error = (sensors[0] - scan_to_unit(scan)).square().sum(-1) * batch.knows("scan")[:, 0]
    state_error = (sensors[1] - state_to_unit(state)).square() * batch.knows_each(STATE_NAMES)[:, 0]
    return (scan_error + state_error.sum(-1)).mean()


def _risk_error(risks: Tensor, batch: Batch) -> Tensor:
    truth = torch.stack((batch.collision_risk[:, 0], batch.off_road_risk[:, 0]), dim=-1)
    known = torch.stack((batch.knows("collided")[:, 0], batch.knows("off_road")[:, 0]), dim=-1)
    return (F.binary_cross_entropy_with_logits(risks, truth, reduction="none") * known).sum(-1).mean()
