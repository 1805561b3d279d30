"""Near distances lie far apart on the scale that the labels are compared on, and "none" is where it ends."""

from __future__ import annotations

import torch

from wm_dynamics.heads import LABEL_NAMES, LABEL_SCALE
from wm_training.losses import _label_error
from wm_training.nearness import FAR, FAR_LABELS, bent

GAP = LABEL_NAMES.index("gap_ahead")
NONE = torch.tensor(tuple(FAR.values()))


def told_wrong(name: str, truth: float, told: float) -> float:
    """Error of one label told as `told`, all others being right."""
    index, labels = LABEL_NAMES.index(name), torch.zeros(1, len(LABEL_NAMES))
    labels[0, index] = truth
    read = labels / torch.tensor(LABEL_SCALE)
    read[0, index] = told / LABEL_SCALE[index]
    error = _label_error(read, labels)
    assert error.count_nonzero() <= 1
    return float(error[0, index])


def test_here_is_0_and_none_is_1_and_the_scale_rises_in_between() -> None:
    shares = torch.linspace(0.0, 1.0, 50)[:, None] * NONE
    scale = bent(shares)
    torch.testing.assert_close(scale[[0, -1]], torch.tensor([[0.0] * 3, [1.0] * 3]))
    assert (scale.diff(dim=0) > 0.0).all()
    torch.testing.assert_close(bent(-shares), -scale)


def test_a_metre_before_the_bumper_counts_ten_times_one_at_50_m() -> None:
    assert told_wrong("gap_ahead", 3.0, 4.0) > 10.0 * told_wrong("gap_ahead", 50.0, 51.0) > 0.0


def test_something_told_to_be_nowhere_counts_most_of_all() -> None:
    assert told_wrong("gap_ahead", 5.0, 60.0) > 3.0 * told_wrong("gap_ahead", 5.0, 10.0)


def test_the_other_labels_are_compared_on_their_own_scale() -> None:
    for name in set(LABEL_NAMES) - set(FAR):
        scale = LABEL_SCALE[LABEL_NAMES.index(name)]
        assert told_wrong(name, 0.0, 2.0 * scale) == told_wrong(name, 10.0 * scale, 12.0 * scale) > 1.0


def test_a_read_out_of_nothing_still_learns() -> None:
    read = torch.zeros(1, len(LABEL_NAMES), requires_grad=True)
    labels = torch.zeros(1, len(LABEL_NAMES))
    labels[0, FAR_LABELS] = NONE
    _label_error(read, labels).sum().backward()
    assert read.grad is not None and (read.grad[0, FAR_LABELS] < 0.0).all()
