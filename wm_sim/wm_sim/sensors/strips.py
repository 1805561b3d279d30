"""Strips of ground in the picture: shoulders, asphalt, paint, dashes, kerbs; the ribbons of scene.py."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import inner_kernel, lean_kernel
from wm_sim.observation import CAMERA_Z_M
from wm_sim.scene import (
    ASPHALT,
    CROSSWALK,
    EDGE_LX,
    EDGE_LY,
    EDGE_RX,
    EDGE_RY,
    EDGE_S,
    KERB,
    MIDDLE_X,
    MIDDLE_Y,
    PAINT_DASHED,
    RADIUS_M,
    RIBBON_FIRST,
    RIBBON_LAST,
    SHOULDER,
    SURFACE,
)
from wm_sim.sensors import appearance as look_at
from wm_sim.sensors.ground import GRASS_CELLS, NEAREST_M
from wm_sim.sensors.raster import SPARE, VERTICES, Scratch, add_polygon, project
from wm_sim.sensors.sweep import sweep_ground, sweep_label, sweep_paint

SIGHT_M = 120.0  # beyond, the ground is haze
LINE_SIGHT_M, GROUND_SIGHT_M = 1.5, 2.0  # for each pixel of focal length: a line is a tenth of a pixel from there on
STRIPE_M, STRIPE_PERIOD_M = 0.5, 1.0  # of a zebra crossing
STEP_M = 8.0  # between a ribbon's edges at 1 m and focal length 1 px: a bend of 20 m radius then strays 0.4 pixels
BEND_M = 40.0  # … and farther ahead roads are taken to bend less
STEP_NEAR_M = 2.0  # nothing in the picture is nearer
MARKING = 3  # class of all paint
KERB_RGB = (168.0, 166.0, 160.0)
ASPHALT_GRAIN = 0.3  # of that of grass
WEAR = 1.6  # share of the paint that is gone where wear is 1 and a patch worst
ASPHALT_CELLS = 3.0  # squares of texture a metre
Border = tuple[float, float, float]
MARKING_SHARE, GROUND_SHARE = 0.35, 0.5  # a pixel belongs to paint, or to other ground, from this share on


@inner_kernel
def put(points: NDArray[np.float64], n: int, view: NDArray[np.float64], dx: float, dy: float) -> None:
    """Ground point (dx, dy) from the ego's place becomes vertex n."""
    points[n, 0] = view[0, 0] * dx + view[0, 1] * dy + view[0, 3]
    points[n, 1] = view[1, 0] * dx + view[1, 1] * dy + view[1, 3]
    points[n, 2] = view[2, 0] * dx + view[2, 1] * dy + view[2, 3]


@inner_kernel
def depth_of(edges: NDArray[np.float64], i: int, view: NDArray[np.float64], x: float, y: float) -> float:
    """How far ahead the left end of edge i is."""
    return view[2, 0] * (edges[i, EDGE_LX] - x) + view[2, 1] * (edges[i, EDGE_LY] - y) + view[2, 3]


@lean_kernel
def add_strip(
    cover: NDArray[np.float32], touched: NDArray[np.uint64], points: NDArray[np.float64], polygon: NDArray[np.float64],
    view: NDArray[np.float64], edges: NDArray[np.float64], start: int, stop: int,
    x: float, y: float, focal: float, weight: float,
) -> tuple[int, int]:  # fmt: skip
    """Cover of a ribbon with the edges start to stop - 1, the fewer the farther away; the rows touched."""
    # Left edges from the middle of the buffer on, right edges back from there: together they go round.
    left = right = VERTICES // 2
    kept_s, kept_depth = -math.inf, math.inf
    for i in range(start, stop):
        put(points, left, view, edges[i, EDGE_LX] - x, edges[i, EDGE_LY] - y)
        put(points, right - 1, view, edges[i, EDGE_RX] - x, edges[i, EDGE_RY] - y)
        depth, since = min(points[left, 2], points[right - 1, 2]), edges[i, EDGE_S] - kept_s
        near = max(min(depth, kept_depth), STEP_NEAR_M)
        onward = STEP_M * (1.0 + near / BEND_M)
        if i < stop - 1 and (since * since * focal < onward * onward * near or left == VERTICES - 2):
            continue
        kept_s, kept_depth = edges[i, EDGE_S], depth
        left += 1
        right -= 1
    kept = project(points[right:left], polygon, left - right, NEAREST_M)
    return add_polygon(cover, touched, polygon, kept, weight)


@lean_kernel
def add_dashes(
    cover: NDArray[np.float32], touched: NDArray[np.uint64], points: NDArray[np.float64], polygon: NDArray[np.float64],
    view: NDArray[np.float64], edges: NDArray[np.float64], start: int, stop: int,
    x: float, y: float, dash: float, period: float, sight: float,
) -> tuple[int, int, int]:  # fmt: skip
    """Cover of the dashes of a ribbon with the edges start to stop - 1; the rows touched.

    Goes as far as the edge from which on nothing is nearer than `sight` (m), the third number.
    """
    first, last = touched.shape[0], 0
    end = stop - 1
    while end > start and depth_of(edges, end - 1, view, x, y) > sight and depth_of(edges, end, view, x, y) > sight:
        end -= 1
    for i in range(start, end):
        s0, s1 = edges[i, EDGE_S], edges[i + 1, EDGE_S]
        lx, ly, rx, ry = edges[i, EDGE_LX] - x, edges[i, EDGE_LY] - y, edges[i, EDGE_RX] - x, edges[i, EDGE_RY] - y
        per_m = 1.0 / max(s1 - s0, 1e-9)
        lx_m, ly_m = (edges[i + 1, EDGE_LX] - x - lx) * per_m, (edges[i + 1, EDGE_LY] - y - ly) * per_m
        rx_m, ry_m = (edges[i + 1, EDGE_RX] - x - rx) * per_m, (edges[i + 1, EDGE_RY] - y - ry) * per_m
        begin = math.floor(s0 / period) * period
        while begin < s1:
            a, b = max(begin, s0) - s0, min(begin + dash, s1) - s0
            begin += period
            if b <= a:
                continue
            put(points, 0, view, lx + a * lx_m, ly + a * ly_m)
            put(points, 1, view, lx + b * lx_m, ly + b * ly_m)
            put(points, 2, view, rx + b * rx_m, ry + b * ry_m)
            put(points, 3, view, rx + a * rx_m, ry + a * ry_m)
            top, bottom = add_polygon(cover, touched, polygon, project(points, polygon, 4, NEAREST_M), 1.0)
            first, last = min(first, top), max(last, bottom)
    return first, last, end


@inner_kernel
def colour_class(surface: int) -> int:
    """Surfaces that are laid in one go: all paint is one."""
    return surface if surface <= ASPHALT else KERB if surface == KERB else MARKING


@inner_kernel
def borders_of(view: NDArray[np.float64], width: int) -> tuple[Border, Border, Border]:
    """Unit normals (x, y) and offsets of what is ahead, right of the left border, and left of the right one."""
    return (
        border(view[2, 0], view[2, 1], view[2, 3]),
        border(view[0, 0], view[0, 1], view[0, 3]),
        border(width * view[2, 0] - view[0, 0], width * view[2, 1] - view[0, 1], width * view[2, 3] - view[0, 3]),
    )


@inner_kernel
def border(a: float, b: float, c: float) -> tuple[float, float, float]:
    """How far inside a border a place lies, as a linear function of the place; none for a view without depth."""
    per_m = 1.0 / max(math.sqrt(a * a + b * b), 1e-9)
    return a * per_m, b * per_m, c * per_m


@inner_kernel
def nearest_of(
    ribbon: NDArray[np.float64], borders: tuple[Border, Border, Border], x: float, y: float, focal: float
) -> float:
    """How near a ribbon may come (m, at least 2), inf where it is out of the picture."""
    dx, dy, radius = ribbon[MIDDLE_X] - x, ribbon[MIDDLE_Y] - y, ribbon[RADIUS_M]
    (a0, b0, c0), (a1, b1, c1), (a2, b2, c2) = borders
    inside = min(a0 * dx + b0 * dy + c0, a1 * dx + b1 * dy + c1, a2 * dx + b2 * dy + c2)
    reach = min((GROUND_SIGHT_M if ribbon[SURFACE] <= ASPHALT else LINE_SIGHT_M) * focal, SIGHT_M) + radius
    squared = dx * dx + dy * dy
    if (inside < -radius) | (squared > reach * reach):
        return math.inf
    return max(math.sqrt(squared) - radius, STEP_NEAR_M)


@inner_kernel
def dashes_of(ribbon: NDArray[np.float64], look: NDArray[np.float64], row_m: float) -> tuple[float, float, bool]:
    """Length and period of a ribbon's dashes, and whether they are told apart where a row is row_m long."""
    surface = int(ribbon[SURFACE])
    dash, period = 1.0, 1.0
    if surface == PAINT_DASHED:
        dash, period = look[look_at.DASH], look[look_at.DASH_PERIOD]
    elif surface == CROSSWALK:
        dash, period = STRIPE_M, STRIPE_PERIOD_M
    return dash, period, dash < period and row_m < period


@inner_kernel
def goes_on(ribbons: NDArray[np.float64], edges: NDArray[np.float64], k: int) -> bool:
    """Whether ribbon k begins where the one before it ends: two pieces of one strip."""
    if ribbons[k, SURFACE] != ribbons[k - 1, SURFACE]:
        return False
    i = int(ribbons[k, RIBBON_FIRST])
    return edges[i, EDGE_LX] == edges[i - 1, EDGE_LX] and edges[i, EDGE_RY] == edges[i - 1, EDGE_RY]


@lean_kernel
def lay_ribbons(
    scratch: Scratch, labels: NDArray[np.uint8], ribbons: NDArray[np.float64], edges: NDArray[np.float64],
    look: NDArray[np.float64], x: float, y: float, horizon: int, count: int, focal: float,
) -> None:  # fmt: skip
    """Lay all ribbons over rows `horizon` to count - 1 of the band, seen in a view whose row 0 is `horizon`.

    labels: the rows from `horizon` on get classes instead of colours; without rows: colours.
    Ribbons of one colour that follow each other are laid at once, so that they meet without a seam; pieces of one
    strip that follow each other are one polygon.
    """
    seed = int(look[look_at.SEED])
    width = scratch.cover.shape[1] - SPARE
    cover, touched = scratch.cover[horizon:count], scratch.touched[horizon:count]
    colours, rows = scratch.colours[horizon:count], scratch.rows[horizon:count]
    points, polygon, view = scratch.points, scratch.polygon, scratch.lens
    borders = borders_of(view, width)
    before, first, last = -1, count, 0
    start, stop, weight = 0, 0, 1.0  # the strip that may go on
    for k in range(len(ribbons) + 1):
        nearest = math.inf if k == len(ribbons) else nearest_of(ribbons[k], borders, x, y, focal)
        if nearest == math.inf and k < len(ribbons):
            continue
        row_m = nearest * nearest / (CAMERA_Z_M * focal)
        dash, period, apart = 1.0, 1.0, False
        if k < len(ribbons):
            dash, period, apart = dashes_of(ribbons[k], look, row_m)
            if stop == int(ribbons[k, RIBBON_FIRST]) and stop > start and not apart and goes_on(ribbons, edges, k):
                stop = int(ribbons[k, RIBBON_LAST])
                continue
        if stop > start:
            a, b = add_strip(cover, touched, points, polygon, view, edges, start, stop, x, y, focal, weight)
            first, last, start, stop = min(first, a), max(last, b), 0, 0
        laid = -1 if k == len(ribbons) else colour_class(int(ribbons[k, SURFACE]))
        if laid != before:
            if last > first:
                if len(labels) > 0:
                    share = MARKING_SHARE if before >= MARKING else GROUND_SHARE
                    sweep_label(labels, cover, touched, first, last, label_of(before), share)
                else:
                    lay_class(colours, cover, touched, rows, first, last, before, look, seed)
            before, first, last = laid, count, 0
        if k == len(ribbons):
            return
        start, stop, weight = int(ribbons[k, RIBBON_FIRST]), int(ribbons[k, RIBBON_LAST]), dash / period
        if apart:
            sight = math.sqrt(period * CAMERA_Z_M * focal)
            a, b, start = add_dashes(
                cover, touched, points, polygon, view, edges, start, stop, x, y, dash, period, sight
            )
            first, last = min(first, a), max(last, b)
            if start == stop - 1:
                stop = start


@lean_kernel
def label_of(laid: int) -> int:
    """The class, as semantic.Label has it, of a surface."""
    return 5 if laid == KERB else laid + 1


@lean_kernel
def lay_class(
    colours: NDArray[np.float32], cover: NDArray[np.float32], touched: NDArray[np.uint64], rows: NDArray[np.float64],
    first: int, last: int, laid: int, look: NDArray[np.float64], seed: int,
) -> None:  # fmt: skip
    """Give the covered area its surface's colour."""
    if laid == KERB:
        red, green, blue = KERB_RGB
        sweep_ground(colours, cover, touched, rows, first, last, red, green, blue, 1.0, 0.0, seed)
        return
    column = look_at.GRASS
    if laid == SHOULDER:
        column = look_at.SHOULDER
    elif laid == ASPHALT:
        column = look_at.ASPHALT
    elif laid == MARKING:
        column = look_at.MARKING
    red, green, blue = look[column], look[column + 1], look[column + 2]
    if laid == MARKING:
        wear = WEAR * look[look_at.WEAR]
        sweep_paint(colours, cover, touched, rows, first, last, red, green, blue, wear, seed)
    elif laid == ASPHALT:
        sweep_ground(
            colours, cover, touched, rows, first, last, red, green, blue, ASPHALT_CELLS, ASPHALT_GRAIN, seed
        )
    else:
        sweep_ground(colours, cover, touched, rows, first, last, red, green, blue, GRASS_CELLS, 1.0, seed)
