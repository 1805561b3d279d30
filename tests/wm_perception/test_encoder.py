import torch

from wm_perception.decoder import CameraDecoder, SensorDecoder
from wm_perception.encoder import Encoder
from wm_perception.normalise import (
    STATE_SCALE,
    camera_from_unit,
    camera_to_unit,
    scan_features,
    state_from_unit,
    state_to_unit,
)
from wm_sim.observation import CAMERA_SHAPE, SCAN_SIZE, STATE_SIZE


def test_pictures_survive_normalisation_and_back() -> None:
    camera = torch.randint(0, 256, (3, *CAMERA_SHAPE), dtype=torch.uint8)
    assert torch.equal(camera_from_unit(camera_to_unit(camera)), camera)


def test_state_scales_name_every_number_and_invert() -> None:
    assert len(STATE_SCALE) == STATE_SIZE
    state = torch.randn(4, STATE_SIZE)
    assert torch.allclose(state_from_unit(state_to_unit(state)), state)


def test_the_near_channel_resolves_the_last_metres() -> None:
    near = scan_features(torch.tensor([[1.0] * SCAN_SIZE, [2.0] * SCAN_SIZE]))
    far = scan_features(torch.tensor([[50.0] * SCAN_SIZE, [51.0] * SCAN_SIZE]))
    assert (near[0] - near[1])[SCAN_SIZE:].min() > 50 * (far[0] - far[1])[SCAN_SIZE:].max()


def test_each_sensor_reaches_the_embedding() -> None:
    torch.manual_seed(0)
    encoder = Encoder(32)
    camera = torch.zeros(1, *CAMERA_SHAPE, dtype=torch.uint8)
    scan, state = torch.full((1, SCAN_SIZE), 60.0), torch.zeros(1, STATE_SIZE)
    base = encoder(camera, scan, state)
    assert base.shape == (1, 32)
    for changed in ((camera + 200, scan, state), (camera, scan * 0.1, state), (camera, scan, state + 3.0)):
        assert not torch.allclose(encoder(*changed), base, atol=1e-4)


def test_decoders_return_the_shapes_they_were_encoded_from() -> None:
    features = torch.randn(2, 40)
    assert CameraDecoder(40)(features).shape == (2, 3, 64, 64)
    scan, state = SensorDecoder(40)(features)
    assert scan.shape == (2, SCAN_SIZE)
    assert state.shape == (2, STATE_SIZE)
