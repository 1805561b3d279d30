"""Road users and lights in the picture. A box is the outline of its faces in one colour, then what differs is added:
sides in other light, windows, lamps. So nothing behind shows through where faces meet.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import lean_kernel
from wm_sim.observation import CAMERA_X_M, CAMERA_Z_M
from wm_sim.scene import (
    BODY,
    CX,
    CY,
    CYAW,
    LENGTH,
    SIGNAL_X,
    SIGNAL_Y,
    SIGNAL_YAW,
    WIDTH,
    A,
)
from wm_sim.sensors import appearance as look_at
from wm_sim.sensors.ground import HALF_TAN, NEAREST_M
from wm_sim.sensors.order import order_bodies
from wm_sim.sensors.raster import SPARE, Scratch, add_polygon, project
from wm_sim.sensors.shapes import (
    BOX_BLUE,
    BOX_GREEN,
    BOX_RED,
    CABIN,
    CAR_BODY,
    STRIPED,
    STYLE,
    VAN,
    WHEEL,
    X0,
    X1,
    Y0,
    Y1,
    Z0,
    Z1,
    boxes_of,
    boxes_of_signal,
)
from wm_sim.sensors.signals import draw_lamps
from wm_sim.sensors.sweep import sweep_label, sweep_mix

BRAKING_MPS2 = -0.4
SHADOW = 0.6
STRIPE_M = 0.5
DETAIL_PX = 0.3  # stripes, sills and unlit lamps narrower than this are left out
SHADED_PX = 1.2  # a body whose metre is smaller has the same light on all sides
REAR, FRONT, RIGHT, LEFT, TOP = range(5)
LABEL_SHARE, SIGNAL_SHARE = 0.35, 0.1  # a pixel belongs to a body, or to a light, which glares, from this share on
LABEL_VEHICLE, LABEL_SIGNAL = 6, 10  # semantic.Label; persons, cyclists, barriers follow vehicles as in scene.BODY


@lean_kernel
def add_face(
    scratch: Scratch, frame: tuple[float, float, float, float], face: int, rounded: bool,
    x0: float, x1: float, y0: float, y1: float, z0: float, z1: float,
) -> tuple[int, int]:  # fmt: skip
    """Cover of one face of a box, or of a part of it; `frame` is the body's place from the ego and its direction."""
    points, view = scratch.points, scratch.lens
    fx, fy, cos, sin = frame
    count = 8 if rounded else 4
    for i in range(count):
        # a from left to right and b upwards, as seen from outside.
        if rounded:
            a = 0.5 - 0.5 * math.cos(0.25 * math.pi * (i + 0.5))
            b = 0.5 + 0.5 * math.sin(0.25 * math.pi * (i + 0.5))
        else:
            a = 0.0 if i < 2 else 1.0
            b = 1.0 if 0 < i < 3 else 0.0
        px, py, pz = x0, y0, z0 + b * (z1 - z0)
        if face == REAR:
            py = y1 + a * (y0 - y1)
        elif face == FRONT:
            px, py = x1, y0 + a * (y1 - y0)
        elif face == RIGHT:
            px = x0 + a * (x1 - x0)
        elif face == LEFT:
            px, py = x1 + a * (x0 - x1), y1
        else:
            px, py, pz = x0 + b * (x1 - x0), y1 + a * (y0 - y1), z1
        dx, dy = fx + cos * px - sin * py, fy + sin * px + cos * py
        for k in range(3):
            points[i, k] = view[k, 0] * dx + view[k, 1] * dy + view[k, 2] * pz + view[k, 3]
    kept = project(points, scratch.polygon, count, NEAREST_M)
    return add_polygon(scratch.cover, scratch.touched, scratch.polygon, kept, 1.0)


@lean_kernel
def light_on(face: int, sun: float) -> float:
    """Brightness of a face; `sun` is the sun's direction seen from the body."""
    if face == TOP:
        return 1.05
    normal = math.pi if face == REAR else 0.0 if face == FRONT else -0.5 * math.pi if face == RIGHT else 0.5 * math.pi
    return 0.62 + 0.3 * max(0.0, math.cos(normal - sun))


@lean_kernel
def add_detail(
    scratch: Scratch, frame: tuple[float, float, float, float], face: int, base: tuple[float, float, float],
    colour: tuple[float, float, float], clear: float,
    x0: float, x1: float, y0: float, y1: float, z0: float, z1: float,
) -> None:  # fmt: skip
    """Turn a part of a face from its base colour into another."""
    first, last = add_face(scratch, frame, face, False, x0, x1, y0, y1, z0, z1)
    sweep_mix(
        scratch.colours, scratch.cover, scratch.touched, first, last, 0.0,
        (colour[0] - base[0]) * clear, (colour[1] - base[1]) * clear, (colour[2] - base[2]) * clear,
    )  # fmt: skip


@lean_kernel
def add_outline(
    scratch: Scratch, frame: tuple[float, float, float, float], at: NDArray[np.float64],
    along: int, across: int, above: int,
) -> tuple[int, int]:
    """Cover of the faces of a box that are seen (-1: not)."""
    first, last = scratch.touched.shape[0], 0
    for face in (along, across, above):
        if face >= 0:
            rounded = at[STYLE] == WHEEL and (face in (RIGHT, LEFT))
            a, b = add_face(scratch, frame, face, rounded, at[X0], at[X1], at[Y0], at[Y1], at[Z0], at[Z1])
            first, last = min(first, a), max(last, b)
    return first, last


@lean_kernel
def faces_seen(at: NDArray[np.float64], ox: float, oy: float) -> tuple[int, int, int]:
    """Faces of a box seen from (ox, oy, CAMERA_Z_M) of its frame: rear or front, right or left, top; else -1."""
    along = REAR if ox < at[X0] else FRONT if ox > at[X1] else -1
    across = RIGHT if oy < at[Y0] else LEFT if oy > at[Y1] else -1
    return along, across, TOP if at[Z1] < CAMERA_Z_M else -1


@lean_kernel
def label_box(
    scratch: Scratch, labels: NDArray[np.uint8], frame: tuple[float, float, float, float],
    at: NDArray[np.float64], ox: float, oy: float, label: int,
) -> None:  # fmt: skip
    """Write a class where a box is seen."""
    along, across, above = faces_seen(at, ox, oy)
    first, last = add_outline(scratch, frame, at, along, across, above)
    share = SIGNAL_SHARE if label == LABEL_SIGNAL else LABEL_SHARE
    sweep_label(labels, scratch.cover, scratch.touched, first, last, label, share)


@lean_kernel
def draw_box(
    scratch: Scratch, frame: tuple[float, float, float, float], at: NDArray[np.float64], ox: float, oy: float,
    sun: float, clear: float, hide: float, size_px: float, braking: bool,
) -> None:  # fmt: skip
    """One box seen from (ox, oy, CAMERA_Z_M) of its frame; size_px is how large a metre appears."""
    x0, x1, y0, y1, z0, z1 = at[X0], at[X1], at[Y0], at[Y1], at[Z0], at[Z1]
    style = int(at[STYLE])
    along, across, above = faces_seen(at, ox, oy)
    main = along if along >= 0 else across if across >= 0 else above
    first, last = add_outline(scratch, frame, at, along, across, above)
    if first >= last:
        return
    light = light_on(main, sun)
    red, green, blue = at[BOX_RED], at[BOX_GREEN], at[BOX_BLUE]
    scale = light * clear
    sweep_mix(
        scratch.colours, scratch.cover, scratch.touched, first, last, hide, red * scale, green * scale, blue * scale
    )
    for face in (along, across, above):
        if face < 0:
            continue
        own = light_on(face, sun)
        if size_px <= SHADED_PX:
            own = light
        base = (red * own, green * own, blue * own)
        if face != main and style != WHEEL and size_px > SHADED_PX:
            main_base = (red * light, green * light, blue * light)
            add_detail(scratch, frame, face, main_base, base, clear, x0, x1, y0, y1, z0, z1)
        if face == TOP:
            continue
        if style == CABIN:
            glass = (34.0 * own, 42.0 * own, 52.0 * own)
            add_detail(scratch, frame, face, base, glass, clear, x0, x1, y0, y1, z0, z1 - 0.1)
        elif style == STRIPED:
            draw_stripes(scratch, frame, face, base, own, clear, size_px, at)
        elif style in (CAR_BODY, VAN):
            if 0.2 * size_px > DETAIL_PX:
                sill = (38.0 * own, 38.0 * own, 40.0 * own)
                add_detail(scratch, frame, face, base, sill, clear, x0, x1, y0, y1, z0, z0 + 0.2)
            if style == VAN and face == FRONT:
                add_detail(
                    scratch, frame, face, base, (34.0, 42.0, 52.0), clear, x0, x1, y0, y1, 0.55 * z1, z1
                )
            if face <= FRONT and ((braking and face == REAR) or 0.28 * size_px > DETAIL_PX):
                lamp = (150.0, 22.0, 20.0)
                if face == FRONT:
                    lamp = (216.0, 214.0, 198.0)
                elif braking:
                    lamp = (255.0, 48.0, 32.0)
                add_detail(scratch, frame, face, base, lamp, clear, x0, x1, y0, 0.52 * y0, 0.58, 0.86)
                add_detail(scratch, frame, face, base, lamp, clear, x0, x1, 0.52 * y1, y1, 0.58, 0.86)


@lean_kernel
def draw_stripes(
    scratch: Scratch, frame: tuple[float, float, float, float], face: int, base: tuple[float, float, float], own: float,
    clear: float, size_px: float, at: NDArray[np.float64],
) -> None:  # fmt: skip
    """White stripes, every other STRIPE_M of the face; none where they would be too narrow to see."""
    if STRIPE_M * size_px < DETAIL_PX:
        return
    white = (236.0 * own, 236.0 * own, 232.0 * own)
    low, high = (at[Y0], at[Y1]) if face <= FRONT else (at[X0], at[X1])
    from_m = low + STRIPE_M
    while from_m < high:
        to_m = min(from_m + STRIPE_M, high)
        if face <= FRONT:
            add_detail(scratch, frame, face, base, white, clear, at[X0], at[X1], from_m, to_m, at[Z0], at[Z1])
        else:
            add_detail(scratch, frame, face, base, white, clear, from_m, to_m, at[Y0], at[Y1], at[Z0], at[Z1])
        from_m += 2.0 * STRIPE_M


@lean_kernel
def draw_bodies(
    scratch: Scratch, labels: NDArray[np.uint8], agents: NDArray[np.float64], signals: NDArray[np.float64],
    look: NDArray[np.float64], x: float, y: float, yaw: float, time_s: float,
) -> None:  # fmt: skip
    """Agents and signals over the band, farthest first; as classes instead of colours if `labels` [R, W] has rows."""
    focal = 0.5 * (scratch.cover.shape[1] - SPARE) / HALF_TAN
    cx, cy = x + CAMERA_X_M * math.cos(yaw), y + CAMERA_X_M * math.sin(yaw)
    for i in range(order_bodies(scratch, agents, signals, x, y, yaw)):
        k, distance = scratch.order[i], scratch.away[i]
        if k >= 0:
            bx, by, body_yaw, count = agents[k, CX], agents[k, CY], agents[k, CYAW], boxes_of(scratch.boxes, agents[k])
        else:
            signal = signals[-1 - k]
            bx, by, body_yaw = signal[SIGNAL_X], signal[SIGNAL_Y], signal[SIGNAL_YAW]
            count = boxes_of_signal(scratch.boxes, signal)
        cos, sin = math.cos(body_yaw), math.sin(body_yaw)
        frame = (bx - x, by - y, cos, sin)
        ox, oy = cos * (cx - bx) + sin * (cy - by), cos * (cy - by) - sin * (cx - bx)
        if len(labels) > 0:
            label = LABEL_SIGNAL if k < 0 else LABEL_VEHICLE + int(agents[k, BODY])
            for n in range(count):
                label_box(scratch, labels, frame, scratch.boxes[n], ox, oy, label)
            continue
        hide = math.exp(-distance / look[look_at.HAZE])
        clear = look[look_at.GAIN] * hide
        braking = False
        if k >= 0:
            half_length, half_width = 0.5 * agents[k, LENGTH] + 0.1, 0.5 * agents[k, WIDTH] + 0.15
            first, last = add_face(
                scratch, frame, TOP, False, -half_length, half_length, -half_width, half_width, 0.0, 0.0
            )
            sweep_mix(scratch.colours, scratch.cover, scratch.touched, first, last, SHADOW, 0.0, 0.0, 0.0)
            braking = agents[k, A] < BRAKING_MPS2
        sun, size_px = look[look_at.SUN_YAW] - body_yaw, focal / max(distance, 1.0)
        for n in range(count):
            draw_box(scratch, frame, scratch.boxes[n], ox, oy, sun, clear, hide, size_px, braking)
        if k < 0 and ox < 0.0:
            draw_lamps(scratch, signals[-1 - k], bx - x, by - y, focal, hide, look[look_at.GAIN], time_s)
