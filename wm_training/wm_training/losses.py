"""How the world model learns: one function for the whole loss, in the order in which a drive is understood.

Filtering (Hafner et al. 2023, eq. 4-5), reconstruction, readouts, then open-loop imagination over the planner's
horizon: the very unrolling that `wm_dynamics.graphs.ScoreGraph` scores with, so that the planner asks the model only
for what it was trained on. Shapes: B windows of T frames, S imagined starts, H steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from wm_dynamics.heads import LABEL_NAMES, LABEL_SCALE, Readout
from wm_dynamics.rssm import categorical_kl, straight_through_sample
from wm_dynamics.world_model import WorldModel
from wm_perception.normalise import MEASURED_FEATURES, camera_to_unit, scan_to_unit, state_from_unit, state_to_unit
from wm_sim.observation import STATE_NAMES
from wm_training.batches import Batch
from wm_training.nearness import FAR, FAR_LABELS, bent


@dataclass(frozen=True)
class LossConfig:
    """Weights of the terms; each term is a mean over valid frames."""

    camera: float = 0.1  # per-pixel squared errors are summed
    sensors: float = 2.0
    labels: float = 5.6  # times LABEL_WEIGHT, the mean of all labels: 0.8 each
    reward: float = 4.0
    flags: float = 1.0  # continue, collision, off-road
    value: float = 1.0
    policy: float = 0.5
    kl_dyn: float = 0.5
    kl_rep: float = 0.1
    free_nats: float = 1.0  # of the posterior; the priors are held to every nat
    imagined: float = 1.0  # the readout terms again, open loop
    overshoot: float = 0.5  # KL from imagined priors to later posteriors (Hafner et al. 2019, eq. 7)
    embedding_dropout: float = 0.1  # as the encoder was trained with; for the same reason
    return_lambda: float = 0.95
    advantage_scale: float = 0.5  # temperature of the policy's regression weights
    first_start: int = 3  # frames the filter has seen before imagination starts
    start_stride: int = 2


# Of LABEL_NAMES: staying in the lane hangs on the first two; the last two are seldom anything but "none".
LABEL_WEIGHT = (4.0, 4.0, 1.0, 1.5, 1.5, 4.0, 4.0)
# Errors below this share of LABEL_SCALE count by their square, larger ones as they are: it is the small ones of the
# place in the lane and of the closing speed that driving smoothly hangs on.
LABEL_SMALL = (0.25, 0.25, 1.0, 0.5, 0.25, 0.5, 0.5)
FINE_SPEED, FINE_SPEED_MPS = 0.2, 0.5  # the speed counts once more, with so much, in units of its own
_SPEED = STATE_NAMES.index("speed_mps")
ADVICE_STD = 0.1  # action units: spread of the policy at which its term weighs as it says


def world_model_loss(model: WorldModel, batch: Batch, config: LossConfig) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss to minimise, and its terms by name for the log."""
    # [B, T, L], [B, T, G, C], [K, B, T, G, C]
    beliefs, posteriors, priors = filter_sequence(model, batch, config.embedding_dropout)
    valid = batch.valid
    terms: dict[str, Tensor] = {}

    mean_prior = priors.mean(dim=0)
    dyn = torch.stack([categorical_kl(posteriors.detach(), head) for head in priors]).mean(dim=0)
    rep = categorical_kl(posteriors, mean_prior.detach())
    # What an expert's action gives away about the road is no part of the dynamics: see `free_of_teaching`.
    caused = valid[:, 1:] * (1.0 - batch.taught[:, :-1])
    terms["kl_dyn"] = config.kl_dyn * _mean(dyn[:, 1:], caused)
    terms["kl_rep"] = config.kl_rep * _mean(rep[:, 1:].clamp(min=config.free_nats), caused)

    terms["camera"] = config.camera * _camera_error(model, beliefs, batch)
    terms["sensors"] = config.sensors * _sensor_error(model, beliefs, batch)

    read = model.heads(beliefs)
    returns = lambda_returns(batch, read.value.detach(), model.config.gamma, config.return_lambda)  # [B, T]
    terms |= _readout_terms(read, batch, returns, config, valid, prefix="")

    terms["policy"] = config.policy * _policy_error(model, batch, beliefs, returns - read.value.detach(), config)

    imagined, targets, imagined_valid, spread_kl = _imagine(model, batch, beliefs, posteriors, returns, config)
    future, future_returns = targets
    scaled = _readout_terms(model.heads(imagined), future, future_returns, config, imagined_valid, prefix="imagined_")
    scaled["imagined_sensors"] = config.sensors * _sensor_error(model, imagined, future)
    terms |= {name: config.imagined * value for name, value in scaled.items()}
    terms["overshoot"] = config.overshoot * spread_kl
    return torch.stack(list(terms.values())).sum(), terms


def filter_sequence(model: WorldModel, batch: Batch, dropout: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """Beliefs [B, T, L], posteriors [B, T, G, C] and priors of every head [K, B, T, G, C] along the windows.

    Half of the windows carry samples forward (Dreamer), half the posterior's expectation, which is what the exported
    filter does; beliefs returned hold the expectation.
    """
    rssm = model.rssm
    frames, steps = batch.scan.shape[:2]
    embedding = batch.embedding
    if not embedding.shape[1]:
        embedding = model.encoder(batch.camera.flatten(0, 1), batch.scans.flatten(0, 1), batch.state.flatten(0, 1))
        embedding = embedding.unflatten(0, (frames, steps))
    embedding = drop_recognised(embedding, dropout)
    previous_action = batch.state[..., 4:6]
    carries_sample = (torch.rand(frames, 1) < 0.5).to(embedding.device)
    carried = rssm.initial(frames, embedding.device)
    deters, posteriors, beliefs = [], [], []
    for step in range(steps):
        deter = rssm.advance(carried, previous_action[:, step])
        posterior = rssm.posterior(deter, embedding[:, step])
        expected = posterior.flatten(-2)
        stoch = torch.where(carries_sample, straight_through_sample(posterior).flatten(-2), expected)
        carried = torch.cat((deter, stoch), dim=-1)
        deters.append(deter)
        posteriors.append(posterior)
        beliefs.append(torch.cat((deter, expected), dim=-1))
    return torch.stack(beliefs, 1), torch.stack(posteriors, 1), rssm.prior(torch.stack(deters, 1))


def drop_recognised(embedding: Tensor, share: float) -> Tensor:
    """Embeddings [..., E] without a share of what the encoder recognised; what was measured stays."""
    recognised, measured = embedding[..., :-MEASURED_FEATURES], embedding[..., -MEASURED_FEATURES:]
    return torch.cat((F.dropout(recognised, share), measured), dim=-1)


def lambda_returns(batch: Batch, value: Tensor, gamma: float, lam: float) -> Tensor:
    """TD(lambda) returns [B, T] of what the recorded driver went on to earn (Hafner et al. 2023, eq. 10).

    Arriving in a collision or off the road ends the return; any other end of the data is bootstrapped.
    """
    out = value.clone()
    valid = batch.valid * batch.knows("reward")
    for step in range(value.shape[1] - 2, -1, -1):
        after = (1.0 - lam) * value[:, step + 1] + lam * out[:, step + 1]
        earned = batch.reward[:, step + 1] + gamma * batch.alive[:, step + 1] * after
        out[:, step] = torch.where(valid[:, step + 1] > 0, earned, value[:, step])
    # After the crash itself there is nothing left to earn.
    return out * batch.alive


def _policy_error(model: WorldModel, batch: Batch, beliefs: Tensor, advantage: Tensor, config: LossConfig) -> Tensor:
    """How unlikely the policy finds what the expert advised, and where none was asked, what turned out well. []

    Where an expert was asked, its answer is the target whoever drove (Ross et al. 2011, DAgger), and the belief learns
    to carry what the answer hangs on. Elsewhere advantage-weighted regression (Peng et al. 2019, eq. 6) imitates what
    turned out better than usual; where no reward was recorded either, every action alike.
    """
    asked = torch.isfinite(batch.advice).all(dim=-1)  # [B, T]
    target = torch.where(asked[..., None], batch.advice, batch.action)
    mean, std = model.policy(torch.where(asked[..., None], beliefs, beliefs.detach()))
    # Of a Laplace distribution the likeliest centre is the median: where the expert either waits or goes, a Gaussian's
    # mean would creep. Its gradient is divided by the scale; times the standard deviation it counts every action alike
    # (Seitzer et al. 2022, beta-NLL), so that the belief is not torn about where the policy is sure.
    log_prob = torch.distributions.Laplace(mean, std / math.sqrt(2.0)).log_prob(target)
    log_prob = (log_prob * std.detach() / ADVICE_STD).sum(-1)
    regression = ((advantage * batch.knows("reward")) / config.advantage_scale).clamp(-3.0, 1.5).exp()
    weight = torch.where(asked, 1.0, regression)
    return -_mean((weight * log_prob)[:, :-1], batch.valid[:, 1:])


def _imagine(
    model: WorldModel, batch: Batch, beliefs: Tensor, posteriors: Tensor, returns: Tensor, config: LossConfig
) -> tuple[Tensor, tuple[Batch, Tensor], Tensor, Tensor]:
    """Beliefs imagined from several frames of each window, with what really happened at those times.

    Returns beliefs [S*B, H, L], (batch and returns at the imagined times), validity [S*B, H], overshooting KL [].
    """
    horizon = model.config.horizon
    free = free_of_teaching(batch.taught, horizon)  # [B, T, H]
    starts = list(range(config.first_start, batch.scan.shape[1] - horizon, config.start_stride))
    belief = torch.cat([beliefs[:, start] for start in starts])
    action = torch.cat([batch.action[:, start : start + horizon] for start in starts])
    states, priors = [], []
    for step in range(horizon):
        deter = model.rssm.advance(belief, action[:, step])
        heads = model.rssm.prior(deter)
        belief = torch.cat((deter, heads.mean(dim=0).flatten(-2)), dim=-1)
        states.append(belief)
        priors.append(heads)
    windows = [slice(start + 1, start + 1 + horizon) for start in starts]
    future = batch.select_times(windows)
    future = replace(future, valid=future.valid * torch.cat([free[:, start] for start in starts]))
    target = torch.cat([posteriors[:, window] for window in windows]).detach()  # [S*B, H, G, C]
    kl = torch.stack([categorical_kl(target, head) for head in torch.stack(priors, dim=2)]).mean(dim=0)
    return (
        torch.stack(states, 1),
        (future, torch.cat([returns[:, window] for window in windows])),
        future.valid,
        _mean(kl, future.valid),
    )


def free_of_teaching(taught: Tensor, horizon: int) -> Tensor:
    """[B, T, H]: 1 where none of the actions from frame t up to the one that leads to step k was taught. taught [B, T].

    An expert that steers left because it sees the lane go left teaches a model that steering left moves the lane.
    Imagination therefore learns from actions that were drawn blindly, or by drivers that see no more than the model
    (Ortega et al. 2021, "Shaking the foundations", section 3: actions are interventions, not evidence).
    """
    padded = torch.cat((taught, torch.ones_like(taught[:, :horizon])), dim=1)
    steps = torch.stack([padded[:, k : k + taught.shape[1]] for k in range(horizon)], dim=-1)
    return (1.0 - steps).cumprod(dim=-1)


def _readout_terms(
    read: Readout, batch: Batch, returns: Tensor, config: LossConfig, valid: Tensor, prefix: str
) -> dict[str, Tensor]:
    weight = batch.labels.new_tensor(LABEL_WEIGHT) * batch.knows_each(LABEL_NAMES)
    label_error = weight * _label_error(read.labels, batch.labels)
    flags = (
        _flag_error(read.continue_logit, batch.alive) * batch.knows("collided", "off_road")
        + _flag_error(read.collision_logit, batch.collision_risk) * batch.knows("collided")
        + _flag_error(read.off_road_logit, batch.off_road_risk) * batch.knows("off_road")
    )
    rewarded = valid * batch.knows("reward")
    reward_error = F.smooth_l1_loss(read.reward, batch.reward, reduction="none")
    return {
        f"{prefix}labels": config.labels * _mean(label_error.mean(-1), valid),
        f"{prefix}reward": config.reward * _mean(reward_error, rewarded),
        f"{prefix}flags": config.flags * _mean(flags, valid),
        f"{prefix}value": config.value * _mean(F.smooth_l1_loss(read.value, returns, reduction="none"), rewarded),
    }


def _label_error(read: Tensor, labels: Tensor) -> Tensor:
    """Error of read-outs [..., 7] in units of LABEL_SCALE against labels [..., 7], each as LABEL_SMALL says.

    Distances and times that mostly are "none" are compared where near ones lie far apart: on their own scale, all that
    counted was whether something is there, and a car followed at 4 m was told to be at 8.
    """
    scale = labels.new_tensor(LABEL_SCALE)
    error = read - labels / scale
    far = labels.new_tensor(tuple(FAR.values())) / scale[FAR_LABELS]
    off = bent(read[..., FAR_LABELS] * scale[FAR_LABELS]) - bent(labels[..., FAR_LABELS])
    error[..., FAR_LABELS] = off * far
    return huber(error, labels.new_tensor(LABEL_SMALL))


def huber(error: Tensor, small: Tensor) -> Tensor:
    """Errors [..., L]: by their square up to `small` [L], by themselves beyond, without a kink between."""
    return small * F.smooth_l1_loss(error / small, torch.zeros_like(error), reduction="none")


def _flag_error(logit: Tensor, target: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logit, target, reduction="none")


def _camera_error(model: WorldModel, beliefs: Tensor, batch: Batch) -> Tensor:
    """Summed squared pixel error of the batch's pictures: a few a window, because decoding all is half the work."""
    times = batch.picture_times
    chosen = beliefs.gather(1, times[..., None].expand(-1, -1, beliefs.shape[-1]))  # [B, K, L]
    image = model.camera_decoder(chosen.flatten(0, 1))
    error = (image - camera_to_unit(batch.pictures.flatten(0, 1))).square().sum(dim=(1, 2, 3))
    return _mean(error, batch.valid.gather(1, times).flatten())


def _sensor_error(model: WorldModel, beliefs: Tensor, batch: Batch) -> Tensor:
    """Summed squared error of what was recorded of scan and state, in network units, and of the speed finer still."""
    scan, state = model.sensor_decoder(beliefs)
    scan_error = (scan - scan_to_unit(batch.scan)).square().sum(-1) * batch.knows("scan")
    state_error = (state - state_to_unit(batch.state)).square() * batch.knows_each(STATE_NAMES)
    off = (state_from_unit(state) - batch.state)[..., _SPEED] / FINE_SPEED_MPS
    fine = F.smooth_l1_loss(off, torch.zeros_like(off), reduction="none") * batch.knows("speed_mps")
    return _mean(scan_error + state_error.sum(-1) + FINE_SPEED * fine, batch.valid)


def _mean(values: Tensor, valid: Tensor) -> Tensor:
    return (values * valid).sum() / valid.sum().clamp(min=1.0)
