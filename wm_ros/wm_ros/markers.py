"""Lines for RViz and other viewers: MarkerArrays from paths and colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

LIFETIME_S = 1  # a viewer forgets lines that are not renewed
VIRIDIS = ((0.27, 0.0, 0.33), (0.13, 0.57, 0.55), (0.99, 0.91, 0.14))  # from low to high; readable without colour sight
ALARM = ((0.75, 0.75, 0.75), (0.99, 0.65, 0.1), (0.85, 0.0, 0.1))


@dataclass(frozen=True, eq=False)
class Lines:
    """Paths of one look."""

    namespace: str  # viewers switch it on and off by this name
    paths: np.ndarray  # [N, M, 2] m
    colours: np.ndarray  # [N, 3] 0..1
    width_m: float = 0.03
    height_m: float = 0.1
    opacity: float = 0.6


def gradient(share: np.ndarray, anchors: Sequence[tuple[float, float, float]]) -> np.ndarray:
    """Colours [N, 3] for shares [N] from 0 to 1, between evenly spaced anchors."""
    places = np.linspace(0.0, 1.0, len(anchors))
    table = np.asarray(anchors)
    return np.stack([np.interp(share, places, table[:, k]) for k in range(3)], axis=1)


def lines_msg(groups: Sequence[Lines], stamp: Time, frame: str) -> MarkerArray:
    """A LINE_STRIP a path; whatever was shown before goes."""
    clear = Marker(action=Marker.DELETEALL)
    clear.header.stamp, clear.header.frame_id = stamp, frame
    message = MarkerArray(markers=[clear])
    for group in groups:
        for index, (path, colour) in enumerate(zip(group.paths.tolist(), group.colours.tolist(), strict=True)):
            marker = Marker(ns=group.namespace, id=index, type=Marker.LINE_STRIP, action=Marker.ADD)
            marker.header.stamp, marker.header.frame_id = stamp, frame
            marker.pose.orientation.w = 1.0
            marker.scale.x = group.width_m
            marker.color = ColorRGBA(r=colour[0], g=colour[1], b=colour[2], a=group.opacity)
            marker.lifetime = Duration(sec=LIFETIME_S)
            marker.points = [Point(x=x, y=y, z=group.height_m) for x, y in path]
            message.markers.append(marker)
    return message
