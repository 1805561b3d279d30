"""What the sensors of a world give: kernels that draw one world's pictures and scan, faults of the camera included."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.arrays import AGENTS, EDGES, RIBBONS, SIGNALS, TICKS, WorldArrays
from wm_sim.kernel import hash_unit, lean_kernel
from wm_sim.observation import PHYSICS_STEP_S
from wm_sim.scene import (
    FAULT_DELAY_STEPS,
    FAULT_DROP_SHARE,
    FAULT_FREEZE_EVERY_S,
    FAULT_FREEZE_S,
    NOISE_ON,
    SEED,
)
from wm_sim.sensors.bev import draw_bev
from wm_sim.sensors.camera import Scratch, draw_camera
from wm_sim.sensors.lidar import RANGE_NOISE_M, cast_scan
from wm_sim.sensors.semantic import draw_labels
from wm_sim.vehicle import YAW, X, Y

_NOISE_MASK = 0x7FFFFFFFFFFF
_DROPPED = 77  # keeps the draws of dropped pictures apart from other noise


@lean_kernel
def picture_arrives(setup: NDArray[np.float64], ticks: int) -> bool:
    """Whether the camera delivers at a tick: not while it is frozen, and not what is dropped on the way."""
    if ticks == 0:
        return True
    time_s = ticks * PHYSICS_STEP_S
    every = setup[FAULT_FREEZE_EVERY_S]
    if every > 0.0 and time_s >= every and time_s - every * math.floor(time_s / every) < setup[FAULT_FREEZE_S]:
        return False
    return setup[FAULT_DROP_SHARE] <= 0.0 or hash_unit(int(setup[SEED]), ticks, _DROPPED) >= setup[FAULT_DROP_SHARE]


@lean_kernel
def noise_seed(setup: NDArray[np.float64], ticks: int) -> int:
    """What the sensors' noise at a tick is drawn from."""
    return (int(setup[SEED]) * 100_003 + ticks) & _NOISE_MASK


@lean_kernel
def take_picture(w: WorldArrays, n: int, image: NDArray[np.uint8], scratch: Scratch) -> None:
    """Draw what the camera of world n sees now, at the size of `image` [H, W, 3] and scratch."""
    ego, counts, ticks = w.ego[n], w.counts[n], w.clock[n, TICKS]
    draw_camera(
        image, scratch, w.ribbons[n, : counts[RIBBONS]], w.edges[n, : counts[EDGES]], w.signals[n, : counts[SIGNALS]],
        w.agents[n, : counts[AGENTS]], w.look[n], ego[X], ego[Y], ego[YAW], ticks * PHYSICS_STEP_S,
        noise_seed(w.setup[n], ticks),
    )  # fmt: skip


@lean_kernel
def use_camera(w: WorldArrays, n: int, scratch: Scratch) -> None:
    """Bring the camera of world n up to date, as late and as gappy as its faults make it."""
    setup, ticks = w.setup[n], w.clock[n, TICKS]
    late = int(setup[FAULT_DELAY_STEPS])
    arrives = picture_arrives(setup, ticks)
    if late > 0:
        frame = ticks // 2
        take_picture(w, n, w.late[n, frame % (late + 1)], scratch)
        if arrives:
            seen, shown = w.late[n, max(frame - late, 0) % (late + 1)].reshape(-1), w.camera[n].reshape(-1)
            for i in range(len(seen)):
                shown[i] = seen[i]
    elif arrives:
        take_picture(w, n, w.camera[n], scratch)


@lean_kernel
def use_lidar(w: WorldArrays, n: int) -> None:
    """Fill the scan of world n."""
    ego, setup = w.ego[n], w.setup[n]
    noise = RANGE_NOISE_M if setup[NOISE_ON] > 0.0 else 0.0
    agents = w.agents[n, : w.counts[n, AGENTS]]
    cast_scan(w.scan[n], agents, ego[X], ego[Y], ego[YAW], noise, noise_seed(setup, w.clock[n, TICKS]))


@lean_kernel
def use_labels(w: WorldArrays, labels: NDArray[np.uint8], scratch: Scratch, begin: int, end: int) -> None:
    """Fill labels [N, H, W] of worlds begin..end - 1 with what their cameras would see now, had they no faults."""
    for n in range(begin, end):
        ego, counts = w.ego[n], w.counts[n]
        draw_labels(
            labels[n], scratch, w.ribbons[n, : counts[RIBBONS]], w.edges[n, : counts[EDGES]],
            w.signals[n, : counts[SIGNALS]], w.agents[n, : counts[AGENTS]], w.look[n], ego[X], ego[Y], ego[YAW],
        )  # fmt: skip


@lean_kernel
def use_bev(
    w: WorldArrays, images: NDArray[np.uint8], looks: NDArray[np.float64], scratch: Scratch, begin: int, end: int
) -> None:
    """Fill images [N, 64, 64, 3] of worlds begin..end - 1; looks [N, APPEARANCE_SIZE] of bev_look."""
    for n in range(begin, end):
        ego, counts = w.ego[n], w.counts[n]
        draw_bev(
            images[n], scratch, w.ribbons[n, : counts[RIBBONS]], w.edges[n, : counts[EDGES]],
            w.signals[n, : counts[SIGNALS]], w.agents[n, : counts[AGENTS]], looks[n], ego[X], ego[Y], ego[YAW],
            w.clock[n, TICKS] * PHYSICS_STEP_S,
        )  # fmt: skip
