"""Pictures for people: the scene from above. Drawn at twice the size with OpenCV, then averaged down."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from wm_sim import traffic, vehicle
from wm_sim.observation import EGO_CENTRE_X_M, EGO_LENGTH_M, EGO_WIDTH_M
from wm_sim.roads import LINE_STEP_M, LSIN, LX, LY, Road
from wm_sim.traffic import ACTIVE, BLUE, CX, CY, CYAW, GREEN, LENGTH, RED, WIDTH

if TYPE_CHECKING:
    from wm_sim.world import World

Colour = tuple[int, int, int]
Image = NDArray[np.uint8]

GRASS: Colour = (92, 122, 72)
SHOULDER: Colour = (150, 140, 118)
ASPHALT: Colour = (78, 80, 84)
PAINT: Colour = (236, 236, 230)
EGO: Colour = (38, 122, 232)
TRAIL: Colour = (255, 176, 32)
GLASS: Colour = (28, 34, 42)
TAIL: Colour = (120, 24, 22)
BRAKE: Colour = (255, 52, 36)

_SHIFT = 4  # OpenCV's fixed point: sixteenths of a pixel
_OVER = 2


@dataclass(frozen=True)
class Camera2D:
    """Map metres to pixels: turned about (x, y) so that `yaw` points up."""

    x: float
    y: float
    yaw: float
    scale: float  # px/m
    centre: tuple[float, float]  # px of (x, y)

    def __call__(self, points: ArrayLike) -> NDArray[np.int32]:
        """Fixed-point pixels [N, 2] of map points [N, 2]."""
        relative = np.asarray(points, dtype=np.float64).reshape(-1, 2) - (self.x, self.y)
        ahead = relative @ (math.cos(self.yaw), math.sin(self.yaw))
        aside = relative @ (-math.sin(self.yaw), math.cos(self.yaw))
        pixels = np.stack([self.centre[0] - aside * self.scale, self.centre[1] - ahead * self.scale], axis=1)
        return np.round(pixels * (1 << _SHIFT)).astype(np.int32)


def _side(line: NDArray[np.float64], d: float) -> NDArray[np.float64]:
    """The line [N, 2] that runs d metres left of the lane centre."""
    return np.stack([line[:, LX] - d * line[:, LSIN], line[:, LY] + d * line[:, 2]], axis=1)


def _band(image: Image, at: Camera2D, line: NDArray[np.float64], low: float, high: float, colour: Colour) -> None:
    """Fill the road between two offsets, piece by piece so that it may bend back on the picture."""
    left, right = at(_side(line, high)), at(_side(line, low))
    for i in range(0, len(line) - 1, 4):
        quad = np.concatenate([left[i : i + 5], right[i : i + 5][::-1]])
        cv2.fillPoly(image, [quad], colour, cv2.LINE_AA, _SHIFT)


def _stroke(image: Image, at: Camera2D, points: NDArray[np.float64], metres: float, colour: Colour) -> None:
    width = max(1, round(metres * at.scale))
    cv2.polylines(image, [at(points)], False, colour, width, cv2.LINE_AA, _SHIFT)


def _draw_road(image: Image, at: Camera2D, road: Road, first: int, last: int) -> None:
    line, lane = road.line[max(0, first) : last], road.lane_width_m
    if len(line) < 2:
        return
    _band(image, at, line, -0.5 * lane - 1.3, 1.5 * lane + 1.3, SHOULDER)
    _band(image, at, line, -0.5 * lane - 0.3, 1.5 * lane + 0.3, ASPHALT)
    for d in (-0.5 * lane, 1.5 * lane):
        _stroke(image, at, _side(line, d), 0.16, PAINT)
    middle = _side(line, 0.5 * lane)
    dash, period = round(3.0 / LINE_STEP_M), round(8.0 / LINE_STEP_M)
    for start in range(-(max(0, first) % period), len(line), period):
        piece = middle[max(0, start) : max(0, start + dash + 1)]
        if len(piece) > 1:
            _stroke(image, at, piece, 0.16, PAINT)


def _box(image: Image, at: Camera2D, x: float, y: float, yaw: float, box: ArrayLike, colour: Colour) -> None:
    """Fill a rectangle x0, x1, y0, y1 given in the frame of a car at x, y, yaw."""
    x0, x1, y0, y1 = (float(value) for value in np.asarray(box))
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    turned = corners @ np.array([[math.cos(yaw), math.sin(yaw)], [-math.sin(yaw), math.cos(yaw)]])
    cv2.fillPoly(image, [at(turned + np.array([x, y]))], colour, cv2.LINE_AA, _SHIFT)


def draw_car(
    image: Image,
    at: Camera2D,
    pose: tuple[float, float, float],
    size: tuple[float, float],
    paint: Colour,
    braking: bool,
) -> None:
    """A car from above whose middle stands at `pose` (x, y, yaw), `size` long and wide."""
    x, y, yaw = pose
    half_length, half_width = 0.5 * size[0], 0.5 * size[1]
    _box(image, at, x, y, yaw, (-half_length, half_length, -half_width, half_width), paint)
    glass = 0.8 * half_width
    _box(image, at, x, y, yaw, (0.18 * half_length, 0.48 * half_length, -glass, glass), GLASS)
    _box(image, at, x, y, yaw, (-0.72 * half_length, -0.52 * half_length, -glass, glass), GLASS)
    lamp = BRAKE if braking else TAIL
    for low, high in ((-half_width, -0.5 * half_width), (0.5 * half_width, half_width)):
        _box(image, at, x, y, yaw, (-half_length, -half_length + 0.3, low, high), lamp)


def draw_top_view(world: World, size_px: int = 480, trail: ArrayLike | None = None, metres: float = 80.0) -> Image:
    """The scene around the ego [size_px, size_px, 3], its heading up: road, cars, trail, progress along the route."""
    size = size_px * _OVER
    x, y, yaw, speed = world.ego[[vehicle.X, vehicle.Y, vehicle.YAW, vehicle.SPEED]].tolist()
    at = Camera2D(x, y, yaw, size / metres, (0.5 * size, 0.7 * size))
    image = np.empty((size, size, 3), dtype=np.uint8)
    image[:] = GRASS
    scenario = world.scenario
    index = world.road_index
    reach = int(1.3 * metres / LINE_STEP_M)
    _draw_road(image, at, scenario.road, index - reach, index + reach)
    finish = scenario.start_s + scenario.route_length_m
    lane = scenario.road.lane_width_m
    ends = np.array([scenario.road.point(finish, d)[:2] for d in (-0.5 * lane, 0.5 * lane)])
    _stroke(image, at, ends, 0.8, PAINT)
    past = np.asarray(world.trail if trail is None else trail, dtype=np.float64).reshape(-1, 2)
    if len(past) > 1:
        _stroke(image, at, past, 0.25, TRAIL)
    for car in world.cars:
        if car[ACTIVE] > 0.0:
            pose = (float(car[CX]), float(car[CY]), float(car[CYAW]))
            paint = (int(car[RED]), int(car[GREEN]), int(car[BLUE]))
            draw_car(image, at, pose, (float(car[LENGTH]), float(car[WIDTH])), paint, bool(car[traffic.A] < -0.4))
    middle = (x + EGO_CENTRE_X_M * math.cos(yaw), y + EGO_CENTRE_X_M * math.sin(yaw), yaw)
    braking = bool(world.ego[vehicle.ACCELERATION] < -0.4)
    draw_car(image, at, middle, (EGO_LENGTH_M, EGO_WIDTH_M), EGO, braking)
    small: Image = np.asarray(cv2.resize(image, (size_px, size_px), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    _draw_footer(small, speed, scenario.speed_limit_mps, world.progress_m / scenario.route_length_m)
    return small


def _draw_footer(image: Image, speed: float, limit: float, progress: float) -> None:
    """Speed in figures and the share of the route as a bar along the lower edge."""
    size = len(image)
    text = f"{speed * 3.6:.0f} / {limit * 3.6:.0f} km/h"
    scale = size / 900.0
    for colour, width in (((20, 24, 20), 4), ((250, 250, 246), 1)):
        cv2.putText(
            image, text, (round(size * 0.03), round(size * 0.955)), cv2.FONT_HERSHEY_SIMPLEX, scale, colour,
            max(1, round(width * size / 480)), cv2.LINE_AA,
        )  # fmt: skip
    bar = max(3, size // 80)
    image[-bar:] = (40, 46, 40)
    image[-bar:, : round(size * min(max(progress, 0.0), 1.0))] = TRAIL


def draw_both(world: World, height_px: int = 360) -> Image:
    """The camera's view (16:9) and the view from above side by side, for renders and videos."""
    width = height_px * 16 // 9
    return np.concatenate([world.picture((height_px, width)), draw_top_view(world, height_px)], axis=1)
