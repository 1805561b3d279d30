"""The reference lines of OpenDRIVE: lines, arcs, spirals and cubic curves, and the cubics that widths are made of."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_sim.network.xml import Node

LENGTH_MAX_M = 100_000.0
FINE_M = 0.1  # step of integration along spirals and cubics
CURVATURE_MAX = 5.0
GAP_M = 1.0  # pieces of a reference line must meet this well

Pose = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]  # x, y, heading, each [n]
KINDS = ("line", "arc", "spiral", "poly3", "paramPoly3")


@dataclass(frozen=True)
class Piece:
    """One <geometry>: where it begins and a function of its own arc length."""

    s: float
    length: float
    x: float
    y: float
    heading: float
    shape: Node

    def at(self, along: NDArray[np.float64]) -> Pose:
        """x, y, heading at distances [n] from the piece's begin."""
        u, v, turn = self._local(along)
        cos, sin = math.cos(self.heading), math.sin(self.heading)
        return self.x + cos * u - sin * v, self.y + sin * u + cos * v, self.heading + turn

    def _local(self, along: NDArray[np.float64]) -> Pose:
        shape = self.shape
        if shape.tag == "line":
            return along, np.zeros_like(along), np.zeros_like(along)
        if shape.tag in ("arc", "spiral"):
            first = shape.number("curvature" if shape.tag == "arc" else "curvStart")
            last = first if shape.tag == "arc" else shape.number("curvEnd")
            if max(abs(first), abs(last)) > CURVATURE_MAX:
                raise shape.error(f"a curvature beyond {CURVATURE_MAX} 1/m is no road.")
            return _clothoid(along, self.length, first, last)
        if shape.tag == "poly3":
            a, b, c, d = (shape.number(name) for name in "abcd")
            return _by_length(along, self.length, (0.0, 1.0, 0.0, 0.0), (a, b, c, d))
        u_terms = tuple(shape.number(f"{name}U") for name in "abcd")
        v_terms = tuple(shape.number(f"{name}V") for name in "abcd")
        span = shape.attributes.get("pRange", "normalized")
        if span not in ("arcLength", "normalized"):
            raise shape.error(f"pRange={span!r}; expected arcLength or normalized.")
        p = along if span == "arcLength" else along / self.length
        return _cubic(p, u_terms), _cubic(p, v_terms), _direction(p, u_terms, v_terms)


def _cubic(p: NDArray[np.float64], terms: tuple[float, ...]) -> NDArray[np.float64]:
    a, b, c, d = terms
    return a + p * (b + p * (c + p * d))


def _direction(p: NDArray[np.float64], u: tuple[float, ...], v: tuple[float, ...]) -> NDArray[np.float64]:
    slope_u = u[1] + p * (2.0 * u[2] + p * 3.0 * u[3])
    slope_v = v[1] + p * (2.0 * v[2] + p * 3.0 * v[3])
    return np.arctan2(slope_v, slope_u)


def _clothoid(along: NDArray[np.float64], length: float, first: float, last: float) -> Pose:
    """Curvature grows evenly from `first` to `last` over the length."""
    fine = np.linspace(0.0, length, max(2, math.ceil(length / FINE_M) + 1))
    middle = 0.5 * (fine[1:] + fine[:-1])

    def turn(s: NDArray[np.float64]) -> NDArray[np.float64]:
        return s * (first + 0.5 * (last - first) / length * s)

    begin, half, end = turn(fine[:-1]), turn(middle), turn(fine[1:])
    step = np.diff(fine) / 6.0  # Simpson's rule
    u = np.concatenate([[0.0], np.cumsum(step * (np.cos(begin) + 4.0 * np.cos(half) + np.cos(end)))])
    v = np.concatenate([[0.0], np.cumsum(step * (np.sin(begin) + 4.0 * np.sin(half) + np.sin(end)))])
    return np.interp(along, fine, u), np.interp(along, fine, v), turn(along)


def _by_length(along: NDArray[np.float64], length: float, u: tuple[float, ...], v: tuple[float, ...]) -> Pose:
    """Points of a cubic curve whose parameter is not its length, at distances along it."""
    p = np.linspace(0.0, length, max(2, math.ceil(length / FINE_M) + 1))
    far = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(_cubic(p, u)), np.diff(_cubic(p, v))))])
    at = np.interp(along, far, p)
    return _cubic(at, u), _cubic(at, v), _direction(at, u, v)


def read_pieces(road: Node, length: float) -> list[Piece]:
    """The pieces of a road's plan view, in order and without gaps."""
    pieces: list[Piece] = []
    for node in road.one("planView").all("geometry"):
        shape = next(node.all(*KINDS), None)
        if shape is None:
            raise node.error(f"its kind of curve is unknown; known are {', '.join(KINDS)}.")
        s, length_here, x, y, heading = (node.number(name) for name in ("s", "length", "x", "y", "hdg"))
        piece = Piece(s, length_here, x, y, heading, shape)
        if not 0.0 <= piece.length <= LENGTH_MAX_M:
            raise node.error(f"length={piece.length}: expected 0 to {LENGTH_MAX_M:.0f}.")
        if piece.length < 1e-6:
            continue
        if pieces:
            before = pieces[-1]
            end_x, end_y, _ = before.at(np.array([before.length]))
            if math.dist((end_x[0], end_y[0]), (x, y)) > GAP_M:
                raise node.error("it does not begin where the geometry before it ends.")
            if abs(before.s + before.length - piece.s) > GAP_M:
                raise node.error(f"s={piece.s}: the geometry before it ends at {before.s + before.length:.3f}.")
        elif abs(piece.s) > GAP_M:
            raise node.error(f"s={piece.s}: the first geometry of a road begins at 0.")
        pieces.append(piece)
    if not pieces:
        raise road.error("its <planView> has no <geometry>.")
    if abs(pieces[-1].s + pieces[-1].length - length) > GAP_M:
        raise road.error(f"length={length}, but its geometry ends at {pieces[-1].s + pieces[-1].length:.3f}.")
    return pieces


def poses(pieces: list[Piece], s: NDArray[np.float64]) -> Pose:
    """x, y, heading of the reference line at arc lengths s [n] in growing order."""
    which = np.clip(np.searchsorted([piece.s for piece in pieces], s, side="right") - 1, 0, len(pieces) - 1)
    x, y, heading = np.empty_like(s), np.empty_like(s), np.empty_like(s)
    for k in np.unique(which):
        rows = which == k
        x[rows], y[rows], heading[rows] = pieces[k].at(np.clip(s[rows] - pieces[k].s, 0.0, pieces[k].length))
    return x, y, heading


def cubics(nodes: list[Node], start: str) -> NDArray[np.float64]:
    """Rows (begin, a, b, c, d) of pieces like <width>, in growing order."""
    rows = np.array([[node.number(name) for name in (start, "a", "b", "c", "d")] for node in nodes]).reshape(-1, 5)
    return rows[np.argsort(rows[:, 0], kind="stable")]


def evaluate(rows: NDArray[np.float64], s: NDArray[np.float64]) -> NDArray[np.float64]:
    """The value of the piece that holds at each s; 0 before the first."""
    if not len(rows):
        return np.zeros_like(s)
    which = np.searchsorted(rows[:, 0], s + 1e-9, side="right") - 1
    begin, a, b, c, d = rows[np.maximum(which, 0)].T
    along = s - begin
    return np.where(which >= 0, a + along * (b + along * (c + along * d)), 0.0)
