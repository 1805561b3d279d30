"""Cars in the camera picture: two boxes each (body and cabin), hit by exact rays inside their outline."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import kernel
from wm_sim.observation import CAMERA_HFOV_RAD, CAMERA_X_M, CAMERA_Z_M
from wm_sim.traffic import ACTIVE, BLUE, CX, CY, CYAW, GREEN, HEIGHT, LENGTH, RED, WIDTH, A

NEAR_M = 0.4
VISIBLE_M = 150.0
VAN_HEIGHT_M = 2.0  # from here up a car is one box
BRAKING_MPS2 = -0.4
_HALF_TAN = math.tan(CAMERA_HFOV_RAD / 2)


@kernel
def hit_box(
    ox: float, oy: float, oz: float, dx: float, dy: float, dz: float,
    x0: float, x1: float, y0: float, y1: float, z0: float, z1: float,
) -> tuple[float, int]:  # fmt: skip
    """Distance along the ray to an axis-aligned box and the face hit (0 rear, 1 front, 2 right, 3 left, 4 top); inf."""
    near, far, face = -math.inf, math.inf, -1
    for axis in range(3):
        if axis == 0:
            o, d, low, high = ox, dx, x0, x1
        elif axis == 1:
            o, d, low, high = oy, dy, y0, y1
        else:
            o, d, low, high = oz, dz, z0, z1
        if abs(d) < 1e-12:
            if o < low or o > high:
                return math.inf, -1
            continue
        first, second = (low - o) / d, (high - o) / d
        from_low = first < second
        enter, leave = min(first, second), max(first, second)
        if enter > near:
            near = enter
            face = 2 * axis if from_low else 2 * axis + 1
            if axis == 2:
                face = 4
        far = min(far, leave)
    if near > far or far < 0.0 or near < 0.0:
        return math.inf, -1
    return near, face


@kernel
def shade(
    rgb: NDArray[np.float64], car: NDArray[np.float64], face: int, cabin: bool, y: float, z: float, sun: float
) -> None:
    """Colour of the point (y, z) on a face of a car; `sun` is the sun's direction seen from the car."""
    light = 0.62
    if face == 4:
        light = 1.05
    else:
        normal = math.pi if face == 0 else 0.0 if face == 1 else -0.5 * math.pi if face == 2 else 0.5 * math.pi
        light += 0.3 * max(0.0, math.cos(normal - sun))
    rgb[0], rgb[1], rgb[2] = car[RED] * light, car[GREEN] * light, car[BLUE] * light
    height, half_width = car[HEIGHT], 0.5 * car[WIDTH]
    if cabin:
        if face != 4 and z < height - 0.1:
            rgb[0], rgb[1], rgb[2] = 34.0 * light, 42.0 * light, 52.0 * light
        return
    if face == 4:
        return
    if height >= VAN_HEIGHT_M and face == 1 and z > 0.55 * height:
        rgb[0], rgb[1], rgb[2] = 34.0, 42.0, 52.0
    if z < 0.42:
        rgb[0], rgb[1], rgb[2] = 38.0 * light, 38.0 * light, 40.0 * light
    elif face == 0 and abs(y) > 0.52 * half_width and 0.58 < z < 0.86:
        if car[A] < BRAKING_MPS2:
            rgb[0], rgb[1], rgb[2] = 255.0, 48.0, 32.0
        else:
            rgb[0], rgb[1], rgb[2] = 150.0, 22.0, 20.0


@kernel
def paint_car(
    image: NDArray[np.uint8], car: NDArray[np.float64], ahead: float, aside: float, turn: float,
    gain: float, sun: float, haze: float, pitch: float,
) -> None:  # fmt: skip
    """Draw one car whose middle stands at (ahead, aside) of the camera, turned by `turn`, over the picture so far."""
    height, width = image.shape[0], image.shape[1]
    focal = 0.5 * width / _HALF_TAN
    sin_pitch, cos_pitch = math.sin(pitch), math.cos(pitch)
    cos, sin = math.cos(turn), math.sin(turn)
    half_length, half_width, top = 0.5 * car[LENGTH], 0.5 * car[WIDTH], car[HEIGHT]
    margin = 0.35  # of the shadow
    u0, u1, v0, v1 = 1e9, -1e9, 1e9, -1e9
    for corner in range(8):
        bx = (half_length + margin) * (1.0 if corner & 1 else -1.0)
        by = (half_width + margin) * (1.0 if corner & 2 else -1.0)
        bz = (top if corner & 4 else 0.0) - CAMERA_Z_M
        px, py = ahead + cos * bx - sin * by, aside + sin * bx + cos * by
        depth = max(px * cos_pitch - bz * sin_pitch, NEAR_M)
        u = 0.5 * width - focal * py / depth
        v = 0.5 * height - focal * (px * sin_pitch + bz * cos_pitch) / depth
        u0, u1, v0, v1 = min(u0, u), max(u1, u), min(v0, v), max(v1, v)
    first_u, last_u = max(0, math.floor(u0)), min(width, math.ceil(u1))
    first_v, last_v = max(0, math.floor(v0)), min(height, math.ceil(v1))
    if first_u >= last_u or first_v >= last_v:
        return
    pixels = (last_u - first_u) * (last_v - first_v)
    subs = 4 if pixels < 50 else 3 if pixels < 200 else 2
    ox, oy = -(cos * ahead + sin * aside), -(cos * aside - sin * ahead)  # the camera, seen from the car
    is_van = top >= VAN_HEIGHT_M
    belt = top if is_van else 0.62 * top
    veil = 1.0 - math.exp(-math.hypot(ahead, aside) / haze)
    rgb = np.empty(3)
    total = np.empty(3)
    for v in range(first_v, last_v):
        for u in range(first_u, last_u):
            hits, shadows = 0, 0
            total[:] = 0.0
            for sub in range(subs * subs):
                right = (u + (sub % subs + 0.5) / subs - 0.5 * width) / focal
                up = (0.5 * height - v - (sub // subs + 0.5) / subs) / focal
                fx, fy, fz = cos_pitch + up * sin_pitch, -right, up * cos_pitch - sin_pitch
                dx, dy = cos * fx + sin * fy, cos * fy - sin * fx
                t, face = hit_box(
                    ox, oy, CAMERA_Z_M, dx, dy, fz, -half_length, half_length, -half_width, half_width, 0.22, belt
                )
                cabin = False
                if not is_van:
                    t2, face2 = hit_box(
                        ox, oy, CAMERA_Z_M, dx, dy, fz,
                        -0.40 * car[LENGTH], 0.20 * car[LENGTH], -0.88 * half_width, 0.88 * half_width, belt, top,
                    )  # fmt: skip
                    if t2 < t:
                        t, face, cabin = t2, face2, True
                if t < math.inf:
                    shade(rgb, car, face, cabin, oy + t * dy, CAMERA_Z_M + t * fz, sun)
                    hits += 1
                    total += rgb
                elif fz < 0.0:
                    t = -CAMERA_Z_M / fz
                    if abs(ox + t * dx) < half_length + 0.1 and abs(oy + t * dy) < half_width + 0.15:
                        shadows += 1
            if hits + shadows == 0:
                continue
            count = subs * subs
            for c in range(3):
                behind = float(image[v, u, c])
                dark = behind * (1.0 - hits / count - 0.6 * shadows / count)
                body = total[c] / count * gain * (1.0 - veil) + veil * behind * hits / count
                image[v, u, c] = np.uint8(min(max(dark + body, 0.0), 255.0))


@kernel
def paint_cars(
    image: NDArray[np.uint8], cars: NDArray[np.float64], x: float, y: float, yaw: float,
    gain: float, sun_yaw: float, haze: float, pitch: float,
) -> None:  # fmt: skip
    """Draw the cars ahead of an ego at x, y, yaw, farthest first."""
    cos, sin = math.cos(yaw), math.sin(yaw)
    drawn_from = VISIBLE_M
    while True:
        best, distance, ahead, aside = -1, -1.0, 0.0, 0.0
        for k in range(len(cars)):
            if cars[k, ACTIVE] == 0.0:
                continue
            dx, dy = cars[k, CX] - x, cars[k, CY] - y
            px, py = cos * dx + sin * dy - CAMERA_X_M, cos * dy - sin * dx
            away = math.hypot(px, py)
            if px > -0.5 * cars[k, LENGTH] and distance < away < drawn_from:
                best, distance, ahead, aside = k, away, px, py
        if best < 0:
            return
        drawn_from = distance
        turn = cars[best, CYAW] - yaw
        paint_car(image, cars[best], ahead, aside, turn, gain, sun_yaw - cars[best, CYAW], haze, pitch)
