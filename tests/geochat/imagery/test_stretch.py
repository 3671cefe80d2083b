"""From deep samples to 8 bits, leaving out what does not count."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from geochat.errors import ImageError, SettingsError
from geochat.imagery import Stretch, open_image

RAMP = np.linspace(0, 10000, 101 * 101).reshape(101, 101)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "uint32", "int32", "float32", "float64"])
def test_percentiles_span_the_scale(write_tiff, dtype):
    image = open_image(write_tiff(RAMP.astype(dtype)))
    ((low, high),) = image.stretch.limits
    assert (low, high) == pytest.approx((200, 9800), abs=2)
    expected = np.clip((RAMP.astype(dtype) - low) / (high - low), 0, 1) * 255
    np.testing.assert_allclose(image.pixels[..., 0], expected, atol=0.51)


@pytest.mark.parametrize("blank", [-9999.0, np.nan, 32000.0])
def test_nodata_takes_no_part_and_comes_out_black(write_tiff, blank):
    values = RAMP.astype(np.float32)
    values[:50] = blank
    image = open_image(write_tiff(values, nodata=blank))
    assert not image.pixels[:50].any()
    assert image.stretch.limits[0] == pytest.approx(np.percentile(RAMP[50:], [2, 98]), rel=1e-4)


def test_nan_and_infinity_without_a_nodata_value(write_tiff):
    values = np.stack([RAMP, RAMP, RAMP]).astype(np.float32)
    values[:, 0] = np.nan
    values[0, 1], values[1, 2], values[1, 3] = np.nan, np.inf, -np.inf
    image = open_image(write_tiff(values))
    assert np.isfinite(image.stretch.limits).all()
    assert not image.pixels[0].any()
    assert image.pixels[1, :, 0].max() == 0


def test_deep_transparency_takes_no_part(write_tiff):
    values = np.stack([RAMP, RAMP, RAMP, RAMP * 0 + 65535]).astype(np.uint16)
    values[:3, :50] = 65535
    values[3, :50] = 0
    image = open_image(write_tiff(values, colorinterp=["red", "green", "blue", "alpha"]))
    assert image.stretch.limits[0][1] < 10000
    assert not image.pixels[:50].any()


def test_one_dark_band_is_not_nodata(write_tiff):
    """0 is a common nodata value and a common value of one band in shadow."""
    values = np.full((3, 2, 2), 90, np.uint8)
    values[0, 0, 0] = 0
    values[:, 1, 1] = 0
    pixels = open_image(write_tiff(values, nodata=0)).pixels
    assert pixels[0, 0].tolist() == [0, 90, 90]
    assert pixels[1, 1].tolist() == [0, 0, 0]


def test_each_band_by_itself(write_tiff):
    image = open_image(write_tiff(np.stack([RAMP, RAMP * 2, RAMP * 3]).astype(np.uint16)))
    np.testing.assert_allclose(np.array(image.stretch.limits)[:, 1] / image.stretch.limits[0][1], [1, 2, 3], rtol=1e-3)


def test_explicit_limits_none_and_other_percentiles(write_tiff):
    path = write_tiff(RAMP.astype(np.uint16))
    assert open_image(path, stretch=Stretch("limits", limits=((0, 10000),))).pixels[50, 50, 0] in (127, 128)
    whole = open_image(path, stretch=Stretch("percentile", percentiles=(0, 100)))
    assert whole.stretch.limits == ((0, 10000),)
    plain = open_image(path, stretch="none")
    np.testing.assert_array_equal(plain.pixels[..., 0], np.minimum(RAMP.astype(np.uint16), 255))
    dim = open_image(np.array([[10, 20, 30]], np.uint8), stretch=Stretch("percentile", percentiles=(0, 100)))
    assert dim.pixels[0, :, 0].tolist() == [0, 128, 255]


def test_what_was_done_to_one_window_can_be_done_to_another(write_tiff):
    path = write_tiff(np.stack([RAMP, RAMP * 2, RAMP * 3]).astype(np.uint16))
    whole = open_image(path)
    part = open_image(path, window=(20, 30, 40, 50), stretch=whole.stretch)
    np.testing.assert_array_equal(part.pixels, whole.pixels[30:80, 20:60])
    assert part.stretch == whole.stretch


def test_even_ground_is_grey_and_rare_targets_stay_visible(write_tiff):
    assert open_image(write_tiff(np.full((50, 50), 777, np.uint16))).pixels[0, 0].tolist() == [128] * 3
    sparse = np.zeros((50, 50), np.uint16)
    sparse[7, 7] = 900
    pixels = open_image(write_tiff(sparse)).pixels
    assert pixels[7, 7, 0] == 255
    assert pixels[0, 0, 0] == 0


deep = st.sampled_from(["uint16", "int16", "int32", "uint64", "float32", "float64"])


def test_a_signalling_nan_is_a_nan():
    samples = np.array([[0x7F800001, 0x3F800000]], np.uint32).view(np.float32)
    assert open_image(samples).pixels[0, :, 0].tolist() == [0, 128]


@given(st_numpy.arrays(deep, st.tuples(st.integers(1, 5), st.integers(1, 5))))
def test_any_samples_give_a_picture_or_a_clear_error(samples):
    if np.isfinite(samples).any():
        assert open_image(samples).pixels.shape == (*samples.shape, 3)
    else:
        with pytest.raises(ImageError, match="no valid pixel"):
            open_image(samples)


@pytest.mark.parametrize("value", [np.finfo(np.float64).max, np.finfo(np.float64).min])
def test_even_ground_at_the_ends_of_double_precision(value):
    assert open_image(np.full((4, 4), value)).pixels.shape == (4, 4, 3)


def test_samples_beyond_single_precision_shrink_quietly():
    samples = np.full((8, 8), 1e300)
    samples[:, :4] = 5
    assert open_image(samples, max_side=2).pixels[0, :, 0].tolist() == [128, 0]


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "histogram"},
        {"percentiles": (98, 2)},
        {"percentiles": (-1, 50)},
        {"method": "limits"},
        {"limits": ((5, 5),)},
        {"limits": ((0, float("inf")),)},
    ],
)
def test_impossible_stretches_are_refused(settings):
    with pytest.raises(SettingsError):
        Stretch(**settings)


def test_limits_must_fit_the_bands(write_tiff):
    with pytest.raises(SettingsError, match="2 stretch limits for 1 bands"):
        open_image(write_tiff(RAMP.astype(np.uint16)), stretch=Stretch("limits", limits=((0, 1), (0, 2))))
