"""The front camera: one exact ground-plane pass, then cars by ray casting. Any size, 90° wide.

Each pixel below the horizon is a point on the ground with a footprint; the paint in it counts by the share that it
covers, so far lines fade instead of flickering.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import hash_bits, hash_unit, kernel
from wm_sim.observation import CAMERA_HFOV_RAD, CAMERA_PITCH_RAD, CAMERA_X_M, CAMERA_Z_M
from wm_sim.roads import LCOS, LINE_STEP_M, LSIN, LX, LY, locate
from wm_sim.sensors import appearance as look_at
from wm_sim.sensors.bodies import paint_cars

FAR_M = 120.0  # beyond, the ground is haze
CELL_M = 4.0
CELLS_X, CELLS_Y = 31, 42
REACH_CELLS = 3  # a line sample marks the cells this near to it
MARKED_M = 13.0  # … so that no pixel of road, shoulder or half a cell beyond is missed
ASPHALT_MARGIN_M = 0.3  # beyond the edge lines
SHOULDER_M = 1.2
SMALL_PX = 200  # wider pictures are for people and get finer ground

GRASS, ASPHALT, SHOULDER, MARKING = look_at.GRASS, look_at.ASPHALT, look_at.SHOULDER, look_at.MARKING
SKY_TOP, SKY_LOW, TREES, GAIN, NOISE = look_at.SKY_TOP, look_at.SKY_LOW, look_at.TREES, look_at.GAIN, look_at.NOISE
PITCH_OFFSET, WEAR, LINE_WIDTH, DASH = look_at.PITCH_OFFSET, look_at.WEAR, look_at.LINE_WIDTH, look_at.DASH
DASH_PERIOD, TEXTURE, HAZE, SUN_YAW = look_at.DASH_PERIOD, look_at.TEXTURE, look_at.HAZE, look_at.SUN_YAW
TREE_HEIGHT, SEED = look_at.TREE_HEIGHT, look_at.SEED
_U16, _U32, _MASK = np.uint64(16), np.uint64(32), np.uint64(0xFFFF)
_HALF_TAN = math.tan(CAMERA_HFOV_RAD / 2)


@kernel
def nearest_samples(line: NDArray[np.float64], index: int, x: float, y: float, yaw: float) -> NDArray[np.int32]:
    """For each 4 m cell of the ground ahead the line sample nearest to its middle, -1 far from the road."""
    cells = np.full((CELLS_X, CELLS_Y), -1, dtype=np.int32)
    distance = np.full((CELLS_X, CELLS_Y), 1e9, dtype=np.float32)
    cos, sin = math.cos(yaw), math.sin(yaw)
    last = min(len(line) - 1, index + int(2.0 * FAR_M / LINE_STEP_M))
    for i in range(max(0, index - 10), last, 3):
        dx, dy = line[i, LX] - x, line[i, LY] - y
        px, py = cos * dx + sin * dy, cos * dy - sin * dx
        row, column = math.floor(px / CELL_M), math.floor(py / CELL_M) + CELLS_Y // 2
        for a in range(max(0, row - REACH_CELLS), min(CELLS_X, row + REACH_CELLS + 1)):
            ex = (a + 0.5) * CELL_M - px
            for b in range(max(0, column - REACH_CELLS), min(CELLS_Y, column + REACH_CELLS + 1)):
                ey = (b + 0.5 - CELLS_Y // 2) * CELL_M - py
                squared = ex * ex + ey * ey
                if squared < distance[a, b] and squared < MARKED_M * MARKED_M:
                    distance[a, b] = squared
                    cells[a, b] = i
    return cells


@kernel
def share(low: float, high: float, at: float, extent: float) -> float:
    """How much of the footprint [at ± extent / 2] lies between low and high, 0..1."""
    half = 0.5 * extent
    covered = min(high, at + half) - max(low, at - half)
    return min(max(covered / extent, 0.0), 1.0)


@kernel
def to_byte(value: float) -> np.uint8:
    """A colour value as stored, 0..255."""
    return np.uint8(min(max(value, 0.0), 255.0))


@kernel
def painted(s: float, dash: float, period: float) -> float:
    """Metres of dash between 0 and s."""
    whole = math.floor(s / period)
    return whole * dash + min(s - whole * period, dash)


@kernel
def draw_sky(image: NDArray[np.uint8], look: NDArray[np.float64], pitch: float, yaw: float, noise_seed: int) -> None:
    """Sky above the horizon, with a line of far trees that turns with the heading."""
    height, width = image.shape[0], image.shape[1]
    focal = 0.5 * width / _HALF_TAN
    gain, noise = look[GAIN], look[NOISE] * 3.46
    sin_pitch, cos_pitch = math.sin(pitch), math.cos(pitch)
    seed = int(look[SEED])
    crown = np.empty(width)
    for u in range(width):
        angle = (yaw - math.atan((u + 0.5 - 0.5 * width) / focal)) * 9.0
        whole = math.floor(angle)
        part = angle - whole
        part = part * part * (3.0 - 2.0 * part)
        bump = (1.0 - part) * hash_unit(seed, whole, 7) + part * hash_unit(seed, whole + 1, 7)
        crown[u] = look[TREE_HEIGHT] * (0.25 + 0.75 * bump)
    for v in range(height):
        up = (0.5 * height - v - 0.5) / focal
        rise = up * cos_pitch - sin_pitch
        if rise <= 0.0:
            break
        forward = cos_pitch + up * sin_pitch
        slope = rise / forward
        half_row = 0.5 / focal
        mix = min(1.0, slope * 1.6)
        for u in range(width):
            tree = share(0.0, crown[u], slope, 2.0 * half_row)
            bits = hash_bits(noise_seed, v, u)
            for c in range(3):
                value = (1.0 - mix) * look[SKY_LOW + c] + mix * look[SKY_TOP + c]
                value += tree * (0.65 * look[TREES + c] + 0.35 * look[SKY_LOW + c] - value)
                value = value * gain + noise * ((bits & _MASK) / 65536.0 - 0.5)
                bits >>= _U16
                image[v, u, c] = np.uint8(min(max(value, 0.0), 255.0))


@kernel
def draw_ground(
    image: NDArray[np.uint8],
    line: NDArray[np.float64],
    index: int,
    lane_width: float,
    x: float,
    y: float,
    yaw: float,
    look: NDArray[np.float64],
    pitch: float,
    noise_seed: int,
) -> None:
    """Grass, shoulder, asphalt and markings below the horizon, each counted by its share of the pixel's footprint."""
    height, width = image.shape[0], image.shape[1]
    focal = 0.5 * width / _HALF_TAN
    gain, noise, texture, wear = look[GAIN], look[NOISE] * 3.46 / 65536.0, look[TEXTURE], 1.6 * look[WEAR]
    sin_pitch, cos_pitch = math.sin(pitch), math.cos(pitch)
    cos, sin = math.cos(yaw), math.sin(yaw)
    cells = nearest_samples(line, index, x, y, yaw)
    seed = int(look[SEED])
    half_line = 0.5 * look[LINE_WIDTH]
    dash, period = look[DASH], look[DASH_PERIOD]
    middle = 0.5 * lane_width
    half_road = lane_width  # the road is symmetric about its middle line, so `away` from that decides
    detail = 1.0 if width <= SMALL_PX else 3.0
    for v in range(height):
        up = (0.5 * height - v - 0.5) / focal
        down = sin_pitch - up * cos_pitch
        if down <= 0.0:
            continue
        reach = CAMERA_Z_M / down  # along the pixel's ray, in units of its forward part
        ahead = CAMERA_X_M + reach * (cos_pitch + up * sin_pitch)
        across = reach / focal  # width of a pixel on the ground
        # The ground between the pixel's upper and lower edge.
        low_up, high_up = up - 0.5 / focal, up + 0.5 / focal
        low_reach = CAMERA_Z_M / (sin_pitch - low_up * cos_pitch)
        high_reach = CAMERA_Z_M / max(sin_pitch - high_up * cos_pitch, 1e-3)
        long = high_reach * (cos_pitch + high_up * sin_pitch) - low_reach * (cos_pitch + low_up * sin_pitch)
        spread = high_reach - low_reach
        haze = 1.0 - math.exp(-ahead / look[HAZE])
        veil = haze * 0.85 * gain
        veil_r, veil_g, veil_b = veil * look[SKY_LOW], veil * look[SKY_LOW + 1], veil * look[SKY_LOW + 2]
        clear = (1.0 - haze) * gain
        grain = 2.0 * texture * min(max(1.0 - 0.25 * long, 0.0), 1.0)
        row = min(int(ahead / CELL_M), CELLS_X - 1)
        reached = -1  # line sample of the pixel to the left
        for u in range(width):
            offset = -(u + 0.5 - 0.5 * width) / focal
            aside = reach * offset
            red, green, blue = look[GRASS], look[GRASS + 1], look[GRASS + 2]
            cell = -1
            column = math.floor(aside / CELL_M) + CELLS_Y // 2
            if ahead < FAR_M and 0 <= column < CELLS_Y:
                cell = cells[row, column]
            gx = x + cos * ahead - sin * aside
            gy = y + sin * ahead + cos * aside
            on_road = 0.0
            if cell >= 0:
                start = reached if reached >= 0 and abs(cell - reached) < 12 else cell
                i, s, d = locate(line, start, gx, gy)
                reached = i
                tx = cos * line[i, LCOS] + sin * line[i, LSIN]  # the road's direction in the ego frame
                ty = cos * line[i, LSIN] - sin * line[i, LCOS]
                drift = spread * offset
                d_extent = abs(tx) * across + abs(tx * drift - ty * long) + 1e-3
                away = abs(d - middle)
                half = 0.5 * d_extent
                if away - half < half_road + SHOULDER_M:
                    per = 1.0 / d_extent
                    side = min(max((half_road + SHOULDER_M - away) * per + 0.5, 0.0), 1.0)
                    on_road = min(max((half_road + ASPHALT_MARGIN_M - away) * per + 0.5, 0.0), 1.0)
                    if on_road < 1.0:
                        red += side * (look[SHOULDER] - red)
                        green += side * (look[SHOULDER + 1] - green)
                        blue += side * (look[SHOULDER + 2] - blue)
                    red += on_road * (look[ASPHALT] - red)
                    green += on_road * (look[ASPHALT + 1] - green)
                    blue += on_road * (look[ASPHALT + 2] - blue)
                    near_edge = abs(away - half_road) < half + half_line
                    near_middle = away < half + half_line
                    if near_edge or near_middle:
                        s_extent = abs(ty) * across + abs(tx * long + ty * drift) + 1e-3
                        paint = 0.0
                        if near_edge:
                            paint = share(half_road - half_line, half_road + half_line, away, d_extent)
                        if near_middle:
                            first, last = s - 0.5 * s_extent, s + 0.5 * s_extent
                            dashes = (painted(last, dash, period) - painted(first, dash, period)) / s_extent
                            paint += share(-half_line, half_line, d - middle, d_extent) * dashes
                        patch = 0.5
                        if s_extent < 2.0:
                            patch = hash_unit(seed, int(s * 1.7), math.floor(d * 3.0))
                        paint *= 1.0 - wear * patch
                        red += paint * (look[MARKING] - red)
                        green += paint * (look[MARKING + 1] - green)
                        blue += paint * (look[MARKING + 2] - blue)
            factor = clear
            if grain > 0.0:
                cut = detail * (1.0 + 2.0 * on_road)  # asphalt is finer than grass, and smoother
                rough = hash_unit(seed, math.floor(gx * cut), math.floor(gy * cut)) - 0.5
                factor *= 1.0 + grain * rough * (1.0 - 0.7 * on_road)
            bits = hash_bits(noise_seed, v, u)
            image[v, u, 0] = to_byte(red * factor + veil_r + noise * (float(bits & _MASK) - 32768.0))
            image[v, u, 1] = to_byte(green * factor + veil_g + noise * (float((bits >> _U16) & _MASK) - 32768.0))
            image[v, u, 2] = to_byte(blue * factor + veil_b + noise * (float((bits >> _U32) & _MASK) - 32768.0))


@kernel
def draw_camera(
    image: NDArray[np.uint8],
    line: NDArray[np.float64],
    index: int,
    lane_width: float,
    x: float,
    y: float,
    yaw: float,
    look: NDArray[np.float64],
    cars: NDArray[np.float64],
    noise_seed: int,
) -> None:
    """Fill image [H, W, 3] with what the camera of an ego at x, y, yaw (line sample `index`) sees."""
    pitch = CAMERA_PITCH_RAD + look[PITCH_OFFSET]
    draw_sky(image, look, pitch, yaw, noise_seed)
    draw_ground(image, line, index, lane_width, x, y, yaw, look, pitch, noise_seed)
    paint_cars(image, cars, x, y, yaw, look[GAIN], look[SUN_YAW], look[HAZE], pitch)
