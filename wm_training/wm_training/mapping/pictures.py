"""Pictures of any camera as the model's: sensor_msgs/Image and CompressedImage → uint8[64, 64, 3], RGB."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from wm_sim.observation import CAMERA_SHAPE
from wm_training.errors import TrainingError

CHANNELS = {"rgb8": 3, "bgr8": 3, "mono8": 1, "8UC1": 1, "8UC3": 3, "rgba8": 4, "bgra8": 4}
TO_RGB = {
    "bgr8": cv2.COLOR_BGR2RGB,
    "8UC3": cv2.COLOR_BGR2RGB,
    "mono8": cv2.COLOR_GRAY2RGB,
    "8UC1": cv2.COLOR_GRAY2RGB,
    "rgba8": cv2.COLOR_RGBA2RGB,
    "bgra8": cv2.COLOR_BGRA2RGB,
    # ROS names the upper left 2 x 2 pixels row by row.
    "bayer_rggb8": cv2.COLOR_BayerRGGB2RGB,
    "bayer_bggr8": cv2.COLOR_BayerBGGR2RGB,
    "bayer_gbrg8": cv2.COLOR_BayerGBRG2RGB,
    "bayer_grbg8": cv2.COLOR_BayerGRBG2RGB,
}
Crop = tuple[float, float, float, float]


def picture(message: Any, crop: Crop | None = None) -> np.ndarray:
    """A message's picture, cropped and resized: uint8[64, 64, 3], RGB. TrainingError where it cannot be read."""
    rgb = _plain(message) if hasattr(message, "encoding") else _compressed(message)
    return fit(rgb, crop)


def fit(rgb: np.ndarray, crop: Crop | None = None) -> np.ndarray:
    """Cut a picture [H, W, 3] to `crop`, else to the largest square in its middle, and resize it by area."""
    height, width = rgb.shape[:2]
    if crop is None:
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        rgb = rgb[top : top + side, left : left + side]
    else:
        left, top, right, bottom = (round(c * n) for c, n in zip(crop, (width, height, width, height), strict=True))
        rgb = rgb[top : max(bottom, top + 1), left : max(right, left + 1)]
    wanted = CAMERA_SHAPE[:2]
    if rgb.shape[:2] == wanted:
        return np.ascontiguousarray(rgb)
    shrinks = rgb.shape[0] >= wanted[0] and rgb.shape[1] >= wanted[1]
    return cv2.resize(rgb, wanted[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _plain(message: Any) -> np.ndarray:
    encoding, height, width, step = str(message.encoding), message.height, message.width, message.step
    channels = CHANNELS.get(encoding, 1 if encoding in TO_RGB else 0)
    if not channels:
        known = ", ".join(["rgb8", *TO_RGB])
        raise TrainingError(f"pictures are {encoding!r}, which is not read here; record one of {known}")
    data, step = np.asarray(message.data, np.uint8), step or width * channels
    if not height or not width or step < width * channels or len(data) < (height - 1) * step + width * channels:
        raise TrainingError(f"a picture of {width}x{height} {encoding} holds {len(data)} bytes; record it again")
    data = np.pad(data, (0, max(0, height * step - len(data))))[: height * step]
    pixels = data.reshape(height, step)[:, : width * channels].reshape(height, width, channels)
    if encoding == "rgb8":
        return pixels
    return cv2.cvtColor(np.ascontiguousarray(pixels), TO_RGB[encoding])


def _compressed(message: Any) -> np.ndarray:
    if not hasattr(message, "format"):
        raise TrainingError("holds no pictures; name a topic of sensor_msgs/Image or sensor_msgs/CompressedImage")
    data = np.asarray(message.data, np.uint8)
    try:
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except cv2.error:
        bgr = None
    if bgr is None:
        raise TrainingError(f"a picture in format {message.format!r} cannot be decoded; record jpeg or png")
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
