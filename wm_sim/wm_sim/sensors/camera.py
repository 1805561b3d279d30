"""The front camera: sky, ground and bodies with exact coverage of every pixel, then noise. Any size, 90° wide."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import hash_bits, inner_kernel, lean_kernel
from wm_sim.observation import CAMERA_PITCH_RAD
from wm_sim.sensors import appearance as look_at
from wm_sim.sensors.bodies import draw_bodies
from wm_sim.sensors.ground import HALF_TAN, camera_view, lay_grass, rows_of_ground
from wm_sim.sensors.lanes import LANES, expose
from wm_sim.sensors.raster import NOISE_VALUES, SEGMENT_PIXELS, Scratch, camera_scratch
from wm_sim.sensors.sky import draw_sky, grow_trees
from wm_sim.sensors.strips import lay_ribbons

NOISE_SPREAD = 73.9  # standard deviation of even numbers from -128 to 127
_PLACES = np.uint64(NOISE_VALUES - 1)
_S20 = np.uint64(20)

__all__ = ["Scratch", "camera_scratch", "draw_camera"]


@inner_kernel
def expose_some(
    stored: NDArray[np.uint8], seen: NDArray[np.float32], noise: NDArray[np.int8], grain: np.int64, strength: np.float32
) -> None:
    """The same as `expose`, for the pixels that are left at the end of a row."""
    zero, most, half = np.float32(0.0), np.float32(255.0), np.float32(0.5)
    for i in range(len(stored)):
        grains = np.float32(noise[(grain + i) % 3, (grain + i) // 3])
        value = seen[i // 3 + i % 3 * LANES] + strength * (grains + half)
        stored[i] = np.uint8(np.int32(min(max(value, zero), most)))


@lean_kernel
def develop(
    image: NDArray[np.uint8], colours: NDArray[np.float32], noise: NDArray[np.int8], band: int, count: int,
    sigma: float, noise_seed: int,
) -> None:  # fmt: skip
    """Bytes of `count` rows from `band` on, with sensor noise that depends on the seed and the place in the picture."""
    strength = np.float32(sigma / NOISE_SPREAD)
    height, width = image.shape[0], image.shape[1]
    pixels = image.reshape(height, 3 * width)
    for row in range(count):
        for start in range(0, width, SEGMENT_PIXELS):
            offset = np.int64((hash_bits(noise_seed, band + row, 3 * start) >> _S20) & _PLACES)
            for u in range(start, min(start + SEGMENT_PIXELS, width), LANES):
                grain = offset + 3 * (u - start)
                if u + LANES <= width:
                    expose(pixels, band + row, 3 * u, colours, row, 3 * u, noise, grain, strength)
                else:
                    expose_some(pixels[band + row, 3 * u :], colours[row, 3 * u :], noise, grain, strength)


@lean_kernel
def draw_camera(
    image: NDArray[np.uint8],
    scratch: Scratch,
    ribbons: NDArray[np.float64],
    edges: NDArray[np.float64],
    signals: NDArray[np.float64],
    agents: NDArray[np.float64],
    look: NDArray[np.float64],
    x: float,
    y: float,
    yaw: float,
    time_s: float,
    noise_seed: int,
) -> None:
    """Fill image [H, W, 3] with what the camera of an ego at x, y, yaw sees; scratch = camera_scratch(H, W)."""
    height, width = image.shape[0], image.shape[1]
    focal = 0.5 * width / HALF_TAN
    pitch = CAMERA_PITCH_RAD + look[look_at.PITCH_OFFSET]
    grow_trees(scratch.columns, look, yaw)
    no_labels = image[:0, :, 0]
    for band in range(0, height, scratch.touched.shape[0]):
        count = min(scratch.touched.shape[0], height - band)
        horizon = rows_of_ground(scratch.rows, count, band, height, width, look, x, y, yaw, pitch)
        draw_sky(scratch.colours, scratch.columns, horizon, band, height, look, focal, pitch)
        if horizon < count:
            lay_grass(scratch.colours, scratch.rows, horizon, count, look)
            camera_view(scratch.lens, height, width, band + horizon, yaw, pitch)
            lay_ribbons(scratch, no_labels, ribbons, edges, look, x, y, horizon, count, focal)
        camera_view(scratch.lens, height, width, band, yaw, pitch)
        draw_bodies(scratch, no_labels, agents, signals, look, x, y, yaw, time_s)
        develop(image, scratch.colours, scratch.noise, band, count, look[look_at.NOISE], noise_seed)
