"""What a mapping file may say, and pictures of every encoding that cars send."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from wm_training import TrainingError
from wm_training.mapping import Mapping, read_mapping
from wm_training.mapping.pictures import fit, picture
from wm_training.mapping.route import driven_route, straight_route
from wm_training.mapping.spec import MAY_BE_MISSING, parse_mapping

COLOUR = (200, 120, 40)  # red, green, blue
LEAST: dict[str, Any] = {
    "camera": {"topic": "/image"},
    "speed": {"topic": "/twist", "field": "linear.x"},
    "steer": {"topic": "/twist", "field": "angular.z", "unit": "rad/s"},
    "accel": 0.0,
    **dict.fromkeys(MAY_BE_MISSING, "missing"),
}


def image(encoding: str, *channels: int, step: int = 0) -> SimpleNamespace:
    """A plain sensor_msgs/Image of 8 x 6 pixels, rows filled up to `step` bytes."""
    row = np.tile(np.array(channels, np.uint8), 8)
    row = np.concatenate((row, np.zeros(max(step - len(row), 0), np.uint8)))
    return SimpleNamespace(encoding=encoding, height=6, width=8, step=len(row), data=np.tile(row, 6))


def bayer(encoding: str) -> SimpleNamespace:
    """The colour through a filter whose upper left pixels are named by the encoding."""
    value = dict(zip("rgb", COLOUR, strict=True))
    tile = np.array([value[c] for c in encoding[6:10]], np.uint8).reshape(2, 2)
    return SimpleNamespace(encoding=encoding, height=6, width=8, step=8, data=np.tile(tile, (3, 4)).reshape(-1))


def coded(kind: str) -> SimpleNamespace:
    bgr = np.full((48, 64, 3), COLOUR[::-1], np.uint8)
    return SimpleNamespace(format=kind, data=cv2.imencode(f".{kind}", bgr)[1].reshape(-1))


@pytest.mark.parametrize(
    "message",
    [
        image("rgb8", *COLOUR), image("bgr8", *COLOUR[::-1]), image("rgba8", *COLOUR, 7),
        image("rgb8", *COLOUR, step=40),
        image("bgra8", *COLOUR[::-1], 7), *(bayer(f"bayer_{p}8") for p in ("rggb", "bggr", "gbrg", "grbg")),
        coded("jpg"), coded("png"),
    ],
    ids=lambda m: getattr(m, "encoding", "") or m.format,
)  # fmt: skip
def test_every_encoding_gives_the_same_64_by_64_rgb(message: SimpleNamespace) -> None:
    got = picture(message)
    assert got.shape == (64, 64, 3) and got.dtype == np.uint8
    assert np.abs(got[20:44, 20:44].astype(int) - COLOUR).max() <= 3


def test_grey_pictures_are_grey() -> None:
    assert (picture(image("mono8", 90)) == 90).all()


@pytest.mark.parametrize(
    "message, sentence",
    [
        (image("yuv422", 1, 2), "'yuv422', which is not read here; record one of rgb8"),
        (SimpleNamespace(format="jpeg", data=np.zeros(9, np.uint8)), "cannot be decoded; record jpeg or png"),
        (SimpleNamespace(encoding="rgb8", height=6, width=8, step=24, data=np.zeros(9, np.uint8)), "holds 9 bytes"),
        (SimpleNamespace(data=1.0), "holds no pictures"),
    ],
)
def test_a_picture_that_cannot_be_read_is_refused(message: SimpleNamespace, sentence: str) -> None:
    with pytest.raises(TrainingError, match=sentence):
        picture(message)


def test_the_middle_square_is_kept_unless_a_crop_is_given() -> None:
    wide = np.zeros((64, 192, 3), np.uint8)
    wide[:, 64:128] = 255
    assert (fit(wide) == 255).all()
    assert (fit(wide, (0.0, 0.0, 1 / 3, 1.0)) == 0).all()


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"steer": None}, "steer is None; expected topic and field"),
        ({"speed": "missing"}, "speed cannot be missing; name its topic and field"),
        ({"speed": {"topic": "/a", "field": "x", "unit": "furlongs"}}, "speed in furlongs: expected m/s, km/h"),
        ({"speed": {"topic": "/a"}}, "speed has no field; say where in a message of /a"),
        ({"speed": {"topic": "/a", "feild": "x"}}, "speed knows no feild; it takes topic, field"),
        ({"speeed": 1.0}, "speeed is no field of ours; use camera, speed"),
        ({"route": "derived"}, "route cannot be derived without pose"),
        ({"scan": "derived"}, "scan cannot be derived"),
        ({"crop": [0, 0, 2, 1]}, r"crop is \[0, 0, 2, 1\]; expected"),
        ({"tolerance_s": 0}, "tolerance_s is 0; expected a number above 0"),
        ({"stamps": "wall"}, "stamps is 'wall'; expected header or log"),
    ],
)
def test_a_wrong_mapping_is_refused_in_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(TrainingError, match=f"mapping map.yaml: {sentence}"):
        parse_mapping({**LEAST, **changes}, "map.yaml")


@pytest.mark.parametrize("name", ["camera", "speed", "scan", "reward"])
def test_a_field_that_the_mapping_forgets_is_named(name: str) -> None:
    with pytest.raises(TrainingError, match=f"says nothing of {name}"):
        parse_mapping({key: value for key, value in LEAST.items() if key != name})


def test_files_that_are_no_mapping_are_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("a: [1")
    (tmp_path / "list.yaml").write_text("- 1")
    for name, sentence in (("none", "No such file"), ("broken", "not readable as YAML at line"), ("list", "no fields")):
        with pytest.raises(TrainingError, match=sentence):
            read_mapping(tmp_path / f"{name}.yaml")


def test_the_digest_is_of_what_a_mapping_says() -> None:
    def digest(mapping: Mapping) -> str:
        return mapping.digest

    first = digest(parse_mapping(LEAST, "one.yaml"))
    assert first == digest(parse_mapping(dict(reversed(LEAST.items())), "two.yaml"))
    assert first != digest(parse_mapping({**LEAST, "tolerance_s": 0.2}))


def test_the_driven_route_turns_with_the_car_and_ends_where_the_recording_does() -> None:
    along = np.arange(0, 30, 0.5)
    north = np.stack([np.zeros_like(along), along, np.full_like(along, np.pi / 2)], 1)
    points, reached = driven_route(north)
    np.testing.assert_allclose(points, straight_route(len(along)), atol=1e-9)  # straight on, also behind the end
    assert reached[0].tolist() == [True, True, False, False] and not reached[-1].any()
    standing, reached = driven_route(np.zeros((5, 3)))
    np.testing.assert_allclose(standing, straight_route(5))
    assert not reached.any()
