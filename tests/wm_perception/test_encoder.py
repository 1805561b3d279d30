import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wm_perception.decoder import CameraDecoder, SensorDecoder
from wm_perception.encoder import Encoder
from wm_perception.normalise import (
    MEASURED_FEATURES,
    MEASURED_OF_STATE,
    SPEED_STEP_MPS,
    STATE_SCALE,
    approach,
    camera_from_unit,
    camera_to_unit,
    measured_features,
    scan_channels,
    state_from_unit,
    state_to_unit,
)
from wm_sim.observation import CAMERA_SHAPE, SCAN_MAX_M, SCAN_SIZE, STATE_SIZE


def test_pictures_survive_normalisation_and_back() -> None:
    camera = torch.randint(0, 256, (3, *CAMERA_SHAPE), dtype=torch.uint8)
    assert torch.equal(camera_from_unit(camera_to_unit(camera)), camera)


def test_state_scales_name_every_number_and_invert() -> None:
    assert len(STATE_SCALE) == STATE_SIZE
    state = torch.randn(4, STATE_SIZE)
    assert torch.allclose(state_from_unit(state_to_unit(state)), state)


def test_the_near_channel_resolves_the_last_metres() -> None:
    one, two, fifty, more = (scan_channels(torch.full((1, 2, SCAN_SIZE), metres))[:, 1] for metres in (1, 2, 50, 51))
    assert (one - two).min() > 50 * (fifty - more).max()


def test_approach_is_the_speed_at_which_the_same_thing_comes_nearer_in_its_sector_or_the_next() -> None:
    earlier, newest = torch.full((1, SCAN_SIZE), SCAN_MAX_M), torch.full((1, SCAN_SIZE), SCAN_MAX_M)
    earlier[0, 10], newest[0, 10] = 20.0, 18.0  # straight on, 4 m/s
    earlier[0, 30], newest[0, 31] = 12.0, 12.5  # moved to the next sector, going away
    newest[0, 50] = 9.0  # has just come into view
    earlier[0, 71], newest[0, 0] = 6.0, 5.0  # the last sector is the first one's neighbour
    earlier[0, 60], newest[0, 60] = 50.0, 5.0  # another thing
    wanted = torch.zeros(1, SCAN_SIZE)
    wanted[0, 10], wanted[0, 31], wanted[0, 0] = 4.0, -1.0, 2.0
    assert torch.allclose(approach(newest, earlier), wanted, atol=1e-5)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.floats(width=32), min_size=2 * SCAN_SIZE, max_size=2 * SCAN_SIZE))
def test_no_scan_makes_the_approach_anything_but_a_number(ranges: list[float]) -> None:
    newest, earlier = torch.tensor(ranges).view(2, 1, SCAN_SIZE)
    assert torch.isfinite(approach(newest, earlier)).all()


def test_what_is_measured_tells_the_speed_and_the_scan_ahead_exactly() -> None:
    state = torch.zeros(3, STATE_SIZE)
    state[:, 0] = torch.tensor([4.37, 4.38, 19.0])
    scans = torch.full((3, 2, SCAN_SIZE), 30.0)
    found = measured_features(scan_channels(scans), state)
    assert found.shape == (3, MEASURED_FEATURES)
    knots = found[:, 2 * STATE_SIZE : MEASURED_OF_STATE]
    assert torch.allclose(knots @ (SPEED_STEP_MPS * torch.arange(15.0)), state[:, 0], atol=1e-4)
    behind = scans.clone()
    behind[:, :, :20] = 5.0
    assert torch.equal(measured_features(scan_channels(behind), state), found)
    scans[:, :, 36] = 5.0
    assert not torch.equal(measured_features(scan_channels(scans), state), found)


def test_each_sensor_reaches_the_embedding() -> None:
    torch.manual_seed(0)
    encoder = Encoder(32)
    camera = torch.zeros(1, *CAMERA_SHAPE, dtype=torch.uint8)
    scans, state = torch.full((1, 2, SCAN_SIZE), 50.0), torch.zeros(1, STATE_SIZE)
    base = encoder(camera, scans, state)
    assert base.shape == (1, 32 + MEASURED_FEATURES)
    earlier = scans.clone()
    earlier[:, 1] -= 5.0
    for changed in ((camera + 200, scans, state), (camera, scans * 0.1, state), (camera, earlier, state)):
        assert not torch.allclose(encoder(*changed)[:, :32], base[:, :32], atol=1e-4)
    assert not torch.allclose(encoder(camera, scans, state + 3.0)[:, :32], base[:, :32], atol=1e-4)


def test_decoders_return_the_shapes_they_were_encoded_from() -> None:
    features = torch.randn(2, 40)
    assert CameraDecoder(40)(features).shape == (2, 3, 64, 64)
    scan, state = SensorDecoder(40)(features)
    assert scan.shape == (2, SCAN_SIZE)
    assert state.shape == (2, STATE_SIZE)
