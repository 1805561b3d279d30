"""Pictures for people: a scene from above. Drawn at twice the size with OpenCV, then averaged down."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from wm_sim import scene as layout
from wm_sim import vehicle
from wm_sim.lamps import lit_lamp
from wm_sim.observation import EGO_CENTRE_X_M, EGO_LENGTH_M, EGO_WIDTH_M
from wm_sim.scene import LINE_STEP_M, Scene

if TYPE_CHECKING:
    from wm_sim.world import World

Colour = tuple[int, int, int]
Image = NDArray[np.uint8]
Pose = tuple[float, float, float]

GRASS: Colour = (92, 122, 72)
PAINT: Colour = (236, 236, 230)
SURFACES: dict[int, Colour] = {
    layout.GRASS: GRASS,
    layout.SHOULDER: (150, 140, 118),
    layout.ASPHALT: (78, 80, 84),
    layout.PAINT: PAINT,
    layout.PAINT_DASHED: PAINT,
    layout.STOP_LINE: PAINT,
    layout.CROSSWALK: PAINT,
    layout.KERB: (176, 174, 168),
}
DASHES: dict[int, tuple[float, float]] = {layout.PAINT_DASHED: (3.0, 8.0), layout.CROSSWALK: (0.5, 1.0)}  # long, period
LAMPS: dict[int, Colour] = {
    layout.LAMP_GREEN: (52, 208, 88),
    layout.LAMP_YELLOW: (255, 200, 40),
    layout.LAMP_RED: (240, 56, 44),
}
EGO: Colour = (38, 122, 232)
ROUTE: Colour = (128, 172, 214)
TRAIL: Colour = (255, 176, 32)
GLASS: Colour = (28, 34, 42)
SKIN: Colour = (226, 178, 140)
TAIL: Colour = (120, 24, 22)
BRAKE: Colour = (255, 52, 36)
BRAKING_MPS2 = -0.4
TALL_M = 2.0  # a car from this height on is a van or truck

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
    reach_m: float  # nothing farther than this from (x, y) is in the picture

    def __call__(self, points: ArrayLike) -> NDArray[np.int32]:
        """Fixed-point pixels [N, 2] of map points [N, 2]."""
        relative = np.asarray(points, dtype=np.float64).reshape(-1, 2) - (self.x, self.y)
        ahead = relative @ (math.cos(self.yaw), math.sin(self.yaw))
        aside = relative @ (-math.sin(self.yaw), math.cos(self.yaw))
        pixels = np.stack([self.centre[0] - aside * self.scale, self.centre[1] - ahead * self.scale], axis=1)
        return np.round(pixels * (1 << _SHIFT)).astype(np.int32)

    def sees(self, x: float, y: float, radius_m: float) -> bool:
        """Whether a circle may reach into the picture."""
        return math.hypot(x - self.x, y - self.y) < self.reach_m + radius_m


def _fill(image: Image, at: Camera2D, points: ArrayLike, colour: Colour) -> None:
    cv2.fillPoly(image, [at(points)], colour, cv2.LINE_AA, _SHIFT)


def _stroke(image: Image, at: Camera2D, points: ArrayLike, metres: float, colour: Colour) -> None:
    width = max(1, round(metres * at.scale))
    cv2.polylines(image, [at(points)], False, colour, width, cv2.LINE_AA, _SHIFT)


def _disc(image: Image, at: Camera2D, x: float, y: float, radius_m: float, colour: Colour) -> None:
    centre = at([x, y])[0]
    cv2.circle(image, (int(centre[0]), int(centre[1])), round(radius_m * at.scale * (1 << _SHIFT)), colour, -1,
               cv2.LINE_AA, _SHIFT)  # fmt: skip


def _box(image: Image, at: Camera2D, pose: Pose, box: tuple[float, float, float, float], colour: Colour) -> None:
    """Fill a rectangle x0, x1, y0, y1 given in the frame of a body at x, y, yaw."""
    x, y, yaw = pose
    x0, x1, y0, y1 = box
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    turned = corners @ np.array([[math.cos(yaw), math.sin(yaw)], [-math.sin(yaw), math.cos(yaw)]])
    _fill(image, at, turned + np.array([x, y]), colour)


def draw_ground(image: Image, at: Camera2D, scene: Scene) -> None:
    """The ribbons of a scene, in their order."""
    for row in scene.ribbons:
        if not at.sees(row[layout.MIDDLE_X], row[layout.MIDDLE_Y], row[layout.RADIUS_M]):
            continue
        surface = int(row[layout.SURFACE])
        edges = scene.edges[int(row[layout.RIBBON_FIRST]) : int(row[layout.RIBBON_LAST])]
        for piece in _dashes(edges, *DASHES[surface]) if surface in DASHES else (edges,):
            outline = np.concatenate([piece[:, :2], piece[::-1, 2:4]])
            _fill(image, at, outline, SURFACES[surface])


def _dashes(edges: NDArray[np.float64], dash_m: float, period_m: float) -> list[NDArray[np.float64]]:
    """The pieces of a strip that are painted: `dash_m` of every `period_m` along it."""
    s = edges[:, layout.EDGE_S]
    pieces = []
    start = math.floor(s[0] / period_m) * period_m
    while start < s[-1]:
        low, high = max(start, s[0]), min(start + dash_m, s[-1])
        if high > low:
            stations = np.concatenate([[low], s[(s > low) & (s < high)], [high]])
            pieces.append(np.stack([np.interp(stations, s, edges[:, k]) for k in range(layout.EDGE_SIZE)], axis=1))
        start += period_m
    return pieces


def _across(scene: Scene, path: int, s: float) -> NDArray[np.float64]:
    """Both ends [2, 2] of a line across the lane of a path at arc length s."""
    rows = scene.paths[scene.first[path] : scene.first[path + 1]]
    row = rows[min(max(round(s / LINE_STEP_M), 0), len(rows) - 1)]
    half = 0.5 * (row[layout.LANE_WIDTH_M] or 3.5)
    normal = np.array([-row[layout.LSIN], row[layout.LCOS]])
    middle = row[[layout.LX, layout.LY]]
    return np.stack([middle - half * normal, middle + half * normal])


def draw_signals(image: Image, at: Camera2D, scene: Scene, time_s: float) -> None:
    """Each light where it hangs, and a bar of its colour where it makes traffic stop."""
    for signal in scene.signals:
        colour = LAMPS[lit_lamp(signal, time_s)]
        x, y = float(signal[layout.SIGNAL_X]), float(signal[layout.SIGNAL_Y])
        _stroke(image, at, _across(scene, int(signal[layout.SIGNAL_PATH]), float(signal[layout.STOP_S])), 0.5, colour)
        if at.sees(x, y, 2.0):
            _disc(image, at, x, y, 1.3, GLASS)
            _disc(image, at, x, y, 0.9, colour)


def draw_car(
    image: Image, at: Camera2D, pose: Pose, size: tuple[float, float], paint: Colour, braking: bool, tall: bool = False
) -> None:
    """A car from above whose middle stands at `pose` (x, y, yaw), `size` long and wide."""
    half_length, half_width = 0.5 * size[0], 0.5 * size[1]
    _box(image, at, pose, (-half_length, half_length, -half_width, half_width), paint)
    glass = 0.8 * half_width
    if tall:
        _box(image, at, pose, (half_length - 0.9, half_length - 0.3, -glass, glass), GLASS)
    else:
        _box(image, at, pose, (0.18 * half_length, 0.48 * half_length, -glass, glass), GLASS)
        _box(image, at, pose, (-0.72 * half_length, -0.52 * half_length, -glass, glass), GLASS)
    lights = BRAKE if braking else TAIL
    for low, high in ((-half_width, -0.5 * half_width), (0.5 * half_width, half_width)):
        _box(image, at, pose, (-half_length, -half_length + 0.3, low, high), lights)


def draw_agent(image: Image, at: Camera2D, agent: NDArray[np.float64]) -> None:
    """Another road user, or a thing that stands in the way."""
    pose = (float(agent[layout.CX]), float(agent[layout.CY]), float(agent[layout.CYAW]))
    length, width = float(agent[layout.LENGTH]), float(agent[layout.WIDTH])
    paint = (int(agent[layout.RED]), int(agent[layout.GREEN]), int(agent[layout.BLUE]))
    body = int(agent[layout.BODY])
    if body == layout.CAR:
        tall = bool(agent[layout.HEIGHT] >= TALL_M)
        draw_car(image, at, pose, (length, width), paint, bool(agent[layout.A] < BRAKING_MPS2), tall)
        return
    _box(image, at, pose, (-0.5 * length, 0.5 * length, -0.5 * width, 0.5 * width), paint)
    if body == layout.BARRIER:
        for k in range(1, max(2, round(width / 0.5)), 2):
            low = -0.5 * width + 0.5 * k
            _box(image, at, pose, (-0.5 * length, 0.5 * length, low, min(low + 0.5, 0.5 * width)), PAINT)
    else:
        _disc(image, at, pose[0], pose[1], 0.45, paint)
        _disc(image, at, pose[0], pose[1], 0.22, SKIN)


def draw_top_view(world: World, size_px: int = 480, trail: ArrayLike | None = None, metres: float = 80.0) -> Image:
    """The scene around the ego [size_px, size_px, 3], its heading up: road, route, lights, traffic, trail, progress."""
    size = size_px * _OVER
    x, y, yaw, speed = world.ego[[vehicle.X, vehicle.Y, vehicle.YAW, vehicle.SPEED]].tolist()
    at = Camera2D(x, y, yaw, size / metres, (0.5 * size, 0.7 * size), 0.9 * metres)
    image = np.empty((size, size, 3), dtype=np.uint8)
    image[:] = GRASS
    scenario = world.scenario
    scene = scenario.scene
    draw_ground(image, at, scene)
    _stroke(image, at, scene.route, 0.3, ROUTE)
    _stroke(image, at, _across(scene, 0, float(scene.setup[layout.FINISH_S])), 0.8, PAINT)
    draw_signals(image, at, scene, world.time_s)
    past = np.asarray(world.trail if trail is None else trail, dtype=np.float64).reshape(-1, 2)
    if len(past) > 1:
        _stroke(image, at, past, 0.25, TRAIL)
    for agent in world.cars:
        if agent[layout.ACTIVE] > 0.0 and at.sees(agent[layout.CX], agent[layout.CY], 0.5 * agent[layout.LENGTH]):
            draw_agent(image, at, agent)
    middle = (x + EGO_CENTRE_X_M * math.cos(yaw), y + EGO_CENTRE_X_M * math.sin(yaw), yaw)
    draw_car(image, at, middle, (EGO_LENGTH_M, EGO_WIDTH_M), EGO, bool(world.ego[vehicle.ACCELERATION] < BRAKING_MPS2))
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
