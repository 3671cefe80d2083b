"""What stands for no data, declared or not, takes no part: whole and shrunk, in stretch, averages and view."""

import warnings

import numpy as np
import pytest
import rasterio
from PIL import Image

from geochat.errors import ImageError
from geochat.imagery import Scene, Stretch, open_image

RNG = np.random.default_rng(0)
RAMP = np.tile(np.linspace(100, 1100, 1200), (900, 1))  # 1200 x 900


def codes(image):
    return [remark.code for remark in image.remarks]


def scattered(values, blank, share=0.01):
    """The values with a share of them replaced, and where."""
    spoilt = values.copy()
    where = np.random.default_rng(1).random(values.shape) < share
    spoilt[where] = blank
    return spoilt, where


def in_a_corner(values, blank):
    spoilt, where = values.copy(), np.zeros(values.shape, bool)
    where[:300, :400] = True
    spoilt[where] = blank
    return spoilt, where


@pytest.mark.parametrize("max_side", [1200, 150, 130])
@pytest.mark.parametrize("blank", [np.nan, np.inf, -np.inf])
def test_a_little_nan_in_an_image_larger_than_the_view(write_tiff, blank, max_side):
    """One hundredth of NaN once made 58 hundredths of a view black."""
    spoilt, _ = scattered(RAMP.astype(np.float32), blank)
    for source in (write_tiff(spoilt), spoilt):
        image = open_image(source, max_side=max_side)
        assert image.stretch.limits[0] == pytest.approx((120, 1080), abs=8)
        black = (image.pixels[..., 0] == 0).mean()
        assert black < (0.04 if max_side == 1200 else 0.03)  # the lowest 2 percent, and at full size the NaN
        if max_side < 1200:
            clean = open_image(RAMP.astype(np.float32), max_side=max_side).pixels
            assert np.abs(image.pixels.astype(int) - clean).mean() < 1


@pytest.mark.parametrize(
    ("dtype", "blank"),
    [
        *(("float32", value) for value in (-9999, -999, -32768, 1e20, -3.4028234663852886e38, 9.969209968386869e36)),
        ("float64", -1.7976931348623157e308),
        *(("int16", value) for value in (-9999, -32768, -32767, -999)),
        *(("int32", value) for value in (-9999, -2147483648)),
    ],
)
@pytest.mark.parametrize("spoil", [scattered, in_a_corner])
@pytest.mark.parametrize("max_side", [1200, 150])
def test_an_undeclared_value_is_found_and_said(write_tiff, dtype, blank, spoil, max_side):
    spoilt, where = spoil(RAMP.astype(dtype), blank)
    image = open_image(write_tiff(spoilt), max_side=max_side)
    assert image.stretch.without == (float(np.dtype(dtype).type(blank)),)
    assert image.stretch.limits[0] == pytest.approx(np.percentile(spoilt[~where].astype(float), (2, 98)), abs=10)
    assert codes(image) == ["undeclared-nodata", "stretch"]
    clean = open_image(RAMP.astype(dtype), max_side=max_side, stretch=Stretch("limits", limits=image.stretch.limits))
    shown = np.array(Image.fromarray(~where).resize(image.frame.view_size, Image.Resampling.NEAREST))
    if spoil is in_a_corner:
        assert not image.pixels[~shown].any()
    if max_side == 1200:
        assert not image.pixels[where].any()
    assert np.abs(image.pixels[shown].astype(int) - clean.pixels[shown]).mean() < 2


def test_every_window_leaves_out_what_the_whole_does(write_tiff):
    spoilt, where = in_a_corner(RAMP.astype(np.float32), -9999)
    with Scene.open(write_tiff(spoilt)) as scene:
        whole = scene.read(max_side=300)
        assert whole.look((0, 0, 100, 100), allow_blank=True).blank
        part = whole.look((350, 250, 100, 100))
        assert not part.pixels[where[250:350, 350:450]].any()
        assert (part.pixels[~where[250:350, 350:450]] > 0).all()
        assert part.remarks == ()


@pytest.mark.parametrize("max_side", [1200, 150])
def test_the_largest_value_at_the_border(write_tiff, max_side):
    spoilt, _ = in_a_corner(RAMP.astype(np.uint16), 65535)
    image = open_image(write_tiff(spoilt), max_side=max_side)
    assert image.stretch.without == (65535,)
    assert not image.pixels[:10, :10].any()
    inside = RAMP.astype(np.uint16)
    inside[400:420, 400:420] = 65535  # bright, and not at the border
    assert open_image(write_tiff(inside, "bright.tif"), max_side=max_side).stretch.without == ()


def test_bright_targets_on_even_ground_are_no_border(write_tiff):
    for dtype in ("int16", "uint16"):
        even = np.zeros((50, 50), dtype)
        even[:, -1] = np.iinfo(dtype).max
        image = open_image(write_tiff(even, f"{dtype}.tif"))
        assert image.stretch.without == ()
        assert image.pixels[0, -1].tolist() == [255] * 3


def test_values_with_neighbours_are_measurements(write_tiff):
    depths = np.linspace(-10900, -9000, 1200 * 900).round().reshape(900, 1200)
    assert (depths == -9999).any()
    for dtype in ("int16", "float32"):
        image = open_image(write_tiff(depths.astype(dtype)))
        assert image.stretch.without == ()
        assert codes(image) == ["stretch"]


def test_a_stretch_says_what_it_left_out(write_tiff):
    image = open_image(write_tiff(RAMP.astype(np.uint16)))
    (remark,) = image.remarks
    assert remark.code == "stretch"
    assert "percentiles 2 and 98: 2.0% lie below and 2.0% above" in remark.text
    assert open_image(write_tiff(RAMP.astype(np.uint16), "again.tif"), stretch=Stretch("percentile")).remarks == ()


def test_a_declared_value_shrinks_as_an_undeclared_one(write_tiff):
    spoilt, _ = scattered(RAMP.astype(np.float32), -9999)
    image = open_image(write_tiff(spoilt, nodata=-9999), max_side=150)
    assert (image.pixels[..., 0] == 0).mean() < 0.03
    assert codes(image) == ["stretch"]


def test_nodata_and_nan_together(write_tiff):
    spoilt, _ = scattered(RAMP.astype(np.float32), np.nan)
    spoilt[:300] = -9999
    image = open_image(write_tiff(spoilt, nodata=-9999), max_side=150)
    assert not image.pixels[:37].any()
    assert (image.pixels[38:, :, 0] == 0).mean() < 0.03


@pytest.mark.parametrize("text", ["nan", "NaN", "-nan"])
def test_a_nodata_tag_that_is_nan(write_tiff, text):
    spoilt, _ = in_a_corner(RAMP.astype(np.float32), np.nan)
    path = write_tiff(spoilt, nodata=-8.125)
    stored = path.read_bytes()
    assert b"-8.125" in stored
    path.write_bytes(stored.replace(b"-8.125", text.encode().ljust(6, b"\0")))
    image = open_image(path, max_side=150)
    assert not image.pixels[:37, :49].any()
    assert (image.pixels[38:, 51:] > 0).all()


def test_alpha_and_nodata_both_count(write_tiff):
    """rasterio warns of this, and GDAL's mask shows the nodata alone."""
    rgba = np.full((4, 90, 120), 200, np.uint8)
    rgba[3] = 255
    rgba[:3, :30] = 7
    rgba[3, :, :40] = 0
    path = write_tiff(rgba, colorinterp=["red", "green", "blue", "alpha"], nodata=7)
    for max_side in (120, 30):
        pixels = open_image(path, max_side=max_side).pixels
        step = 120 // max_side
        assert not pixels[: 30 // step].any()
        assert not pixels[:, : 40 // step].any()
        assert (pixels[30 // step :, 40 // step :] == 200).all()


def test_masks_inside_a_cloud_optimised_file(tmp_path):
    path = tmp_path / "cog.tif"
    rows = np.full((3, 900, 1200), 150, np.uint8)
    rows[:, :450] = 60
    size = {"width": 1200, "height": 900, "count": 3, "dtype": "uint8"}
    with (
        warnings.catch_warnings(action="ignore"),
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", driver="GTiff", tiled=True, **size) as file,
    ):
        file.write(rows)
        file.write_mask(np.where(np.arange(900)[:, None] < 300, 0, 255) * np.ones((1, 1200), np.uint8))
        file.build_overviews([2, 4], rasterio.enums.Resampling.average)
    for max_side in (1200, 300, 100):
        pixels = open_image(path, max_side=max_side).pixels
        third = len(pixels) // 3
        assert not pixels[:third].any()
        assert (pixels[-third:] == 150).all()


def palette(tmp_path, alpha):
    path = tmp_path / "palette.tif"
    size = {"driver": "GTiff", "width": 4, "height": 1, "count": 2, "dtype": "uint8"}
    with (
        warnings.catch_warnings(action="ignore"),
        rasterio.open(path, "w", **size, photometric="PALETTE", alpha=alpha) as file,
    ):
        file.write_colormap(1, {0: (255, 0, 0), 1: (0, 128, 0), 2: (0, 0, 64), 3: (9, 9, 9)})
        file.write(np.array([[[0, 1, 2, 3]], [[255, 255, 0, 255]]], np.uint8))
    return path


@pytest.mark.parametrize("alpha", ["YES", "PREMULTIPLIED", "NON-PREMULTIPLIED"])
def test_a_palette_with_alpha(tmp_path, alpha):
    """Its indices were once shown as grey."""
    image = open_image(palette(tmp_path, alpha))
    assert image.pixels.tolist() == [[[255, 0, 0], [0, 128, 0], [0, 0, 0], [9, 9, 9]]]
    assert image.bands == (1, 2, 3)
    assert image.remarks == ()


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_palettes_with_alpha_by_pillow(tmp_path, noise, suffix):
    picture = Image.fromarray(noise).quantize(16).convert("PA")
    alpha = Image.fromarray(np.where(np.arange(60) < 20, 0, 255).astype(np.uint8)[None].repeat(40, 0))
    picture.putalpha(alpha)
    path = tmp_path / f"palette.{suffix}"
    (picture if suffix == "tif" else picture.convert("RGBA")).save(path)
    pixels = open_image(path).pixels
    assert not pixels[:, :20].any()
    np.testing.assert_array_equal(pixels[:, 20:], np.asarray(picture.convert("RGB"))[:, 20:])


def test_the_colours_of_a_palette_are_averaged(tmp_path, write_tiff):
    """A fine pattern is grey from afar, and not the one colour or the other."""
    checks = (np.indices((400, 400)).sum(0) % 2).astype(np.uint8)
    path = write_tiff(checks, colormap={0: (0, 0, 0), 1: (255, 255, 255)}, nbits=1)
    assert set(np.unique(open_image(path, max_side=50).pixels)) <= {127, 128}
    Image.fromarray(checks * 255).convert("1").save(tmp_path / "bilevel.tif", compression="group4")
    assert set(np.unique(open_image(tmp_path / "bilevel.tif", max_side=50).pixels)) <= {127, 128}


def test_nothing_but_undeclared_values_is_a_picture_still(write_tiff):
    """What stands apart from nothing is not left out."""
    assert open_image(write_tiff(np.full((9, 9), -9999, np.int16))).pixels[0, 0, 0] == 128
    with pytest.raises(ImageError, match="no valid pixel"):
        open_image(write_tiff(np.full((9, 9), np.nan, np.float32), "nan.tif"))
