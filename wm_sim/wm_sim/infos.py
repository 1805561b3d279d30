"""What environments tell beside the observation: labels, true pose, events; for one world and for many.

Never for drivers that are scored.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_sim.arrays import TRUTH_NAMES
from wm_sim.events import events_of
from wm_sim.judge import RESET
from wm_sim.vehicle import YAW
from wm_sim.worlds import Worlds

_FLAGS = frozenset(("collided", "off_road", "route_done"))
_COUNTS = frozenset(("step", "red_lights"))
_KINDS: tuple[Any, ...] = tuple(bool if n in _FLAGS else int if n in _COUNTS else None for n in TRUTH_NAMES)
_TURNED = [(name, kind) for name, kind in zip(TRUTH_NAMES, _KINDS, strict=True) if kind is not None]
_POSE = slice(0, YAW + 1)  # x, y (m), yaw (rad)


def single_info(worlds: Worlds) -> dict[str, Any]:
    """Of the only world."""
    scenario = worlds.scenarios[0]
    assert scenario is not None
    truth: dict[str, Any] = dict(zip(TRUTH_NAMES, worlds.truth[0].tolist(), strict=True))
    for name, kind in _TURNED:
        truth[name] = kind(truth[name])
    truth["scenario"], truth["episode"] = scenario.family, scenario.seed
    info: dict[str, Any] = {"truth": truth, "pose": worlds.arrays.ego[0, _POSE].copy()}
    if worlds.events[0] & ~RESET:
        info["events"] = _happened(worlds, 0)
    return info


def _happened(worlds: Worlds, n: int) -> list[dict[str, Any]]:
    """Type, intensity and detail of what has just happened in world n."""
    return [
        {"type": event.type, "intensity": event.intensity, "detail": event.detail}
        for event in events_of(worlds, n, leave_out=RESET)
    ]


class BatchInfos:
    """The same of many worlds, laid out as Gymnasium does: an array a key, a mask beside it under `_key`."""

    def __init__(self, worlds: Worlds) -> None:
        self._worlds = worlds
        self._family = np.full(len(worlds), None, dtype=object)
        self._episode = np.zeros(len(worlds), dtype=np.int64)
        self._everyone = np.ones(len(worlds), dtype=np.bool_)
        self._everyone.flags.writeable = False
        self._masks = self._masks_of(self._everyone)

    @staticmethod
    def _masks_of(mask: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
        return {f"_{name}": mask for name in (*TRUTH_NAMES, "scenario", "episode")}

    def loaded(self, n: int, family: str, seed: int) -> None:
        """World n drives another episode."""
        self._family[n], self._episode[n] = family, seed

    def of(self, mask: NDArray[np.bool_] | None = None) -> dict[str, Any]:
        """Infos of all worlds, or of those where `mask` [N] is True; the others' entries are zero or None."""
        worlds = self._worlds
        columns = np.ascontiguousarray(worlds.truth.T)  # a copy
        pose = worlds.arrays.ego[:, _POSE].copy()
        family, episode = self._family.copy(), self._episode.copy()
        masks = self._masks
        if mask is None:
            mask = self._everyone
        else:
            columns[:, ~mask] = 0.0
            pose[~mask], family[~mask], episode[~mask] = 0.0, None, 0
            masks = self._masks_of(mask)
        truth: dict[str, Any] = dict(zip(TRUTH_NAMES, columns, strict=True))
        for name, kind in _TURNED:
            truth[name] = truth[name].astype(kind)
        truth |= {"scenario": family, "episode": episode, **masks}
        info: dict[str, Any] = {"truth": truth, "_truth": mask, "pose": pose, "_pose": mask}
        happened = (worlds.events & ~RESET != 0) & mask
        if happened.any():
            events = np.full(len(worlds), None, dtype=object)
            for n in np.flatnonzero(happened):
                events[n] = _happened(worlds, int(n))
            info |= {"events": events, "_events": happened}
        return info
