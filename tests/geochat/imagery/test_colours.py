"""Inks, deep colour pictures, and JPEG 2000 in the forms that GDAL does not get right."""

import struct
import warnings

import numpy as np
import pytest
import rasterio
from PIL import Image

from geochat.errors import ImageError
from geochat.imagery import image_size, open_image

ROWS, COLUMNS = np.mgrid[0:40, 0:60]
SMOOTH = np.stack([COLUMNS * 4, ROWS * 6, (ROWS + COLUMNS) * 2.5], -1).astype(np.uint8)  # (40, 60, 3)


def write(path, samples, driver, **profile):
    """Bands (bands, height, width) as any format."""
    size = {"count": len(samples), "height": samples.shape[1], "width": samples.shape[2], "dtype": samples.dtype}
    with warnings.catch_warnings(action="ignore"), rasterio.open(path, "w", driver=driver, **size, **profile) as file:
        file.write(samples)
    path.with_name(f"{path.name}.aux.xml").unlink(missing_ok=True)
    return path


def codes(image):
    return [remark.code for remark in image.remarks]


def mixed(inks):
    """What inks (4, height, width), from 0 to 1, show."""
    return np.rint(255 * (1 - inks[:3]) * (1 - inks[3])).transpose(1, 2, 0)


INKS = np.random.default_rng(0).random((4, 40, 60))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_inks_in_a_tiff(tmp_path, dtype):
    """Of 16 bits, cyan, magenta and yellow were once shown as red, green and blue."""
    top = np.iinfo(dtype).max
    path = write(tmp_path / "inks.tif", np.rint(INKS * top).astype(dtype), "GTiff", photometric="CMYK")
    image = open_image(path)
    np.testing.assert_allclose(image.pixels, mixed(INKS), atol=2)
    assert image.stretch.method == "none"
    assert image.remarks == ()
    np.testing.assert_allclose(open_image(path, bands=(3, 1, 1)).pixels[..., 0], image.pixels[..., 2])
    if dtype == "uint8":
        np.testing.assert_allclose(image.pixels, np.asarray(Image.open(path).convert("RGB")), atol=1)


def test_inks_in_a_jpeg_2000(tmp_path):
    path = tmp_path / "inks.jp2"
    picture = Image.fromarray(SMOOTH).convert("CMYK")
    picture.save(path, irreversible=False)
    np.testing.assert_allclose(open_image(path).pixels, np.asarray(picture.convert("RGB")), atol=1)


@pytest.mark.parametrize("suffix", ["png", "tif", "jp2"])
def test_the_hues_of_deep_colour_pictures_stay(tmp_path, suffix):
    """Each band by itself, a picture of reds would come out as one of all colours."""
    wide = SMOOTH.astype(int)
    deep = np.stack([wide[..., 0] * 200 + 8000, wide[..., 1] * 60 + 3000, wide[..., 2] * 10 + 1000]).astype(np.uint16)
    profile = {
        "png": {"driver": "PNG"},
        "tif": {"driver": "GTiff", "photometric": "RGB"},
        "jp2": {"driver": "JP2OpenJPEG", "quality": "100", "reversible": "YES"},
    }[suffix]
    path = tmp_path / f"deep.{suffix}"
    if suffix == "jp2":
        size = {"count": 3, "height": 40, "width": 60, "dtype": "uint16"}
        with warnings.catch_warnings(action="ignore"), rasterio.open(path, "w", **size, **profile) as file:
            file.colorinterp = [rasterio.enums.ColorInterp[name] for name in ("red", "green", "blue")]
            file.write(deep)
        (tmp_path / "deep.jp2.aux.xml").unlink(missing_ok=True)
    else:
        write(path, deep, **profile)
    image = open_image(path)
    low, high = np.percentile(deep, (2, 98))
    assert image.stretch.limits == ((pytest.approx(low), pytest.approx(high)),) * 3
    expected = np.clip((deep - low) / (high - low), 0, 1) * 255
    np.testing.assert_allclose(image.pixels, expected.transpose(1, 2, 0), atol=0.51)
    asked = open_image(path, stretch="percentile")
    np.testing.assert_allclose(asked.stretch.limits, np.percentile(deep, (2, 98), axis=(1, 2)).T)


def test_the_bands_of_a_sensor_are_stretched_each_by_itself(tmp_path):
    wide = SMOOTH.astype(int)
    deep = np.stack([wide[..., 0] * 200, wide[..., 1] * 60, wide[..., 2] * 10, wide[..., 2] * 20]).astype(np.uint16)
    for samples in (deep[:3], deep):
        image = open_image(write(tmp_path / f"{len(samples)}.tif", samples, "GTiff"))
        assert len(set(image.stretch.limits)) == 3


def test_white_is_zero(tmp_path):
    path = write(tmp_path / "grey.tif", SMOOTH[None, ..., 0], "GTiff", photometric="MINISWHITE")
    np.testing.assert_array_equal(open_image(path).pixels[..., 0], 255 - SMOOTH[..., 0])


def codestream(grey):
    """A grey picture as a bare JPEG 2000 codestream, without loss."""
    import io

    stream = io.BytesIO()
    Image.fromarray(grey).save(stream, "JPEG2000", no_jp2=True, irreversible=False, num_resolutions=3)
    return stream.getvalue()


def combine(components, steps, size):
    """Components of their own resolutions as one codestream of (width, height), component by component.

    Pillow writes none with components of unlike sizes, so the parts of grey ones are put together.
    """
    parts = [codestream(component) for component in components]
    first = parts[0]
    start = first.index(b"\xff\x51")
    (length,) = struct.unpack_from(">H", first, start + 2)
    described = b"".join(bytes([7, *step]) for step in steps)
    header = struct.pack(">HIIIIIIIIH", 2, *size, 0, 0, *size, 0, 0, len(parts)) + described
    rest = bytearray(first[start + 2 + length : first.index(b"\xff\x90")])
    coding = rest.index(b"\xff\x52")
    rest[coding + 5] = 4  # component by component
    body = b"\xff\x93" + b"".join(part[part.index(b"\xff\x93") + 2 : -2] for part in parts)
    tile = b"\xff\x90" + struct.pack(">HHIBB", 10, 0, 12 + len(body), 0, 1)
    return b"\xff\x4f\xff\x51" + struct.pack(">H", len(header) + 2) + header + bytes(rest) + tile + body + b"\xff\xd9"


def as_signed(stream, bits):
    """A codestream whose samples are said to be signed, in so many bits."""
    place = stream.index(b"\xff\x51") + 40
    return stream[:place] + bytes([0x80 | (bits - 1)]) + stream[place + 1 :]


def test_components_of_one_size(tmp_path):
    path = tmp_path / "image.j2k"
    path.write_bytes(combine(list(SMOOTH.transpose(2, 0, 1)), [(1, 1)] * 3, (60, 40)))
    image = open_image(path)
    np.testing.assert_array_equal(image.pixels, SMOOTH)
    assert image.remarks == ()


@pytest.mark.parametrize("step", [(2, 1), (1, 2), (2, 2), (4, 2)])
def test_colour_stored_coarser_than_brightness(tmp_path, step):
    """GDAL opens (2, 2) alone."""
    parts = np.asarray(Image.fromarray(SMOOTH).convert("YCbCr")).transpose(2, 0, 1)
    across, down = step
    path = tmp_path / "image.j2k"
    coarse = [parts[0], *(np.ascontiguousarray(part[::down, ::across]) for part in parts[1:])]
    path.write_bytes(combine(coarse, [(1, 1), step, step], (60, 40)))
    image = open_image(path)
    assert (image.width, image.height) == image_size(path) == (60, 40)
    assert np.abs(image.pixels.astype(int) - SMOOTH).mean() < 8
    assert codes(image) == ([] if step == (2, 2) else ["jpeg2000"])


def test_all_components_coarser_than_the_grid(tmp_path):
    path = tmp_path / "image.j2k"
    path.write_bytes(combine([SMOOTH[..., 0]], [(2, 2)], (120, 80)))
    image = open_image(path)
    np.testing.assert_array_equal(image.pixels[..., 0], SMOOTH[..., 0])
    assert codes(image) == ["jpeg2000"]


def test_components_that_do_not_go_together_are_refused_with_the_remedy(tmp_path):
    path = tmp_path / "image.j2k"
    path.write_bytes(combine([SMOOTH[..., 0], np.ascontiguousarray(SMOOTH[::2, ::2, 1])], [(1, 1), (2, 2)], (60, 40)))
    with pytest.raises(ImageError, match="convert it to a GeoTIFF"):
        open_image(path)


@pytest.mark.parametrize("bits", [4, 6, 8])
def test_signed_samples_of_few_bits(tmp_path, bits):
    """GDAL cuts off the lower half; four bits were nearly black."""
    half = 2 ** (bits - 1)
    values = np.random.default_rng(0).integers(-half, half, (64, 64))
    path = tmp_path / "image.j2k"
    path.write_bytes(as_signed(codestream((values + 128).astype(np.uint8)), bits))
    image = open_image(path)
    np.testing.assert_allclose(image.pixels[..., 0], (values + half) / (2 * half - 1) * 255, atol=0.51)
    assert codes(image) == ["jpeg2000"]


def test_signed_samples_of_many_bits(tmp_path):
    values = np.random.default_rng(0).integers(-800, 800, (1, 64, 64)).astype(np.int16)
    path = write(tmp_path / "image.jp2", values, "JP2OpenJPEG", quality="100", reversible="YES")
    assert open_image(path).stretch.limits[0] == pytest.approx(np.percentile(values, (2, 98)))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("kind", ["opacity", "premultiplied", "of no image", "unspecified", "not said"])
def test_transparency_however_a_jpeg_2000_calls_it(tmp_path, noise, mode, kind):
    picture = Image.fromarray(noise).convert("RGB" if mode == "RGBA" else "L")
    picture.putalpha(Image.fromarray(np.where(COLUMNS < 20, 0, 255).astype(np.uint8)))
    path = tmp_path / "image.jp2"
    picture.save(path, irreversible=False)
    stored = bytearray(path.read_bytes())
    box = stored.index(b"cdef")
    last = box + 6 + 6 * (len(mode) - 1)
    assert struct.unpack_from(">HHH", stored, last) == (len(mode) - 1, 1, 0)
    if kind == "not said":
        stored[box : box + 4] = b"free"
    else:
        meant = {"opacity": (1, 0), "premultiplied": (2, 0), "of no image": (1, 65535), "unspecified": (65535, 65535)}
        struct.pack_into(">HHH", stored, last, len(mode) - 1, *meant[kind])
    path.write_bytes(stored)
    image = open_image(path)
    assert not image.pixels[:, :20].any()
    np.testing.assert_array_equal(image.pixels[:, 20:], np.asarray(picture.convert("RGB"))[:, 20:])
    near = np.dstack([noise, np.random.default_rng(1).integers(0, 256, (40, 60))]).astype(np.uint8)
    band = write(tmp_path / "near.jp2", near.transpose(2, 0, 1), "JP2OpenJPEG", quality="100", reversible="YES")
    np.testing.assert_array_equal(open_image(band).pixels, noise)  # a fourth band that is no transparency


def test_complex_integers_get_the_message_of_complex_floats(tmp_path):
    path = tmp_path / "sar.tif"
    size = {"driver": "GTiff", "width": 8, "height": 8, "count": 1}
    with warnings.catch_warnings(action="ignore"), rasterio.open(path, "w", dtype="complex_int16", **size):
        pass
    with pytest.raises(ImageError, match="holds complex samples; convert them to magnitudes first"):
        open_image(path)
