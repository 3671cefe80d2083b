"""Every kind of picture comes out as the 8-bit RGB that Pillow, or the eye, says it is."""

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from geochat.imagery import handles, image_size, open_image

LOSSLESS = [
    ("png", {}),
    ("bmp", {}),
    ("webp", {"lossless": True}),
    ("tif", {"compression": "tiff_lzw"}),
    ("jp2", {"irreversible": False}),
]


@pytest.mark.parametrize(("suffix", "options"), LOSSLESS)
def test_lossless_rgb_is_kept_to_the_bit(tmp_path, noise, suffix, options):
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(noise).save(path, **options)
    image = open_image(path)
    np.testing.assert_array_equal(image.pixels, noise)
    assert (image.width, image.height, image.bands, image.stretch.method) == (60, 40, (1, 2, 3), "none")
    assert image.pixels.dtype == np.uint8
    assert not image.pixels.flags.writeable


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_lossy_pictures_equal_pillow(tmp_path, noise, suffix, mode):
    if (suffix, mode) == ("webp", "CMYK"):
        pytest.skip("WebP has no CMYK")
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(noise).convert(mode).save(path)
    np.testing.assert_array_equal(open_image(path).pixels, np.asarray(Image.open(path).convert("RGB")))


def test_the_reference_images_equal_pillow(shared):
    paths = sorted((shared / "reference" / "original" / "images").glob("*.png"))
    paths += sorted((shared / "imagery" / "ucm" / "train").glob("*/*.jpg"))[::200]
    paths += sorted((shared / "imagery" / "hit-uav" / "val").glob("*.jpg"))[::20]
    assert len(paths) > 10
    for path in paths:
        np.testing.assert_array_equal(open_image(path).pixels, np.asarray(Image.open(path).convert("RGB")))


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp"])
def test_plain_pictures_do_without_gdal(tmp_path, noise, suffix, monkeypatch):
    monkeypatch.setattr(handles, "open_dataset", lambda _: pytest.fail("opened by GDAL"))
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(noise).save(path)
    np.testing.assert_array_equal(open_image(path).pixels, np.asarray(Image.open(path).convert("RGB")))


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
@pytest.mark.parametrize("mode", ["1", "P", "L"])
def test_palette_grey_and_one_bit(tmp_path, noise, suffix, mode):
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(noise).convert(mode).save(path)
    np.testing.assert_array_equal(open_image(path).pixels, np.asarray(Image.open(path).convert("RGB")))


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_over_black(tmp_path, noise, suffix, mode):
    picture = Image.fromarray(noise).convert("RGB" if mode == "RGBA" else "L").convert(mode)
    alpha = np.full((40, 60), 255, np.uint8)
    alpha[:10], alpha[10:20] = 0, 100
    picture.putalpha(Image.fromarray(alpha))
    path = tmp_path / f"image.{suffix}"
    picture.save(path, **({"lossless": True, "exact": True} if suffix == "webp" else {}))
    pixels = open_image(path).pixels
    colours = np.asarray(picture.convert("RGB"))
    assert not pixels[:10].any()
    graded = 1 if suffix == "tif" else 100 / 255  # a TIFF's alpha says where there is data
    np.testing.assert_allclose(pixels[10:20], colours[10:20] * graded, atol=0.51)
    np.testing.assert_array_equal(pixels[20:], colours[20:])


def test_a_transparent_colour_and_a_transparent_palette_entry(tmp_path, noise):
    noise[0, 0], noise[0, 1] = (1, 2, 3), (3, 2, 1)
    Image.fromarray(noise).save(tmp_path / "colour.png", transparency=(1, 2, 3))
    assert open_image(tmp_path / "colour.png").pixels[0, :2].tolist() == [[0, 0, 0], [3, 2, 1]]
    palette = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    palette.putpalette([200, 100, 50, 10, 20, 30])
    palette.save(tmp_path / "palette.png", transparency=0)
    assert open_image(tmp_path / "palette.png").pixels.tolist() == [[[0, 0, 0], [10, 20, 30]]]


def test_colour_table_of_a_geotiff(write_tiff):
    path = write_tiff(
        np.array([[1, 2, 3]], np.uint8), colormap={1: (255, 0, 0), 2: (0, 128, 0), 3: (9, 9, 9)}, nodata=3
    )
    assert open_image(path).pixels.tolist() == [[[255, 0, 0], [0, 128, 0], [0, 0, 0]]]


@pytest.mark.parametrize("bits", [2, 4])
def test_few_bits_fill_the_scale(write_tiff, bits):
    path = write_tiff(np.array([[0, 2**bits - 1]], np.uint8), nbits=bits)
    assert open_image(path).pixels[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, noise, suffix, orientation):
    noise[:20, :30] //= 8  # survives JPEG
    path = tmp_path / f"image.{suffix}"
    exif = Image.Exif()
    exif[274] = orientation
    turning = {"tiffinfo": {274: orientation}} if suffix == "tif" else {"exif": exif}
    Image.fromarray(noise).save(path, **turning, **({"lossless": True} if suffix == "webp" else {}))
    upright = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    image = open_image(path)
    assert (image.width, image.height) == upright.size
    np.testing.assert_array_equal(image.pixels, np.asarray(upright))
    window = (5, 7, 30, 20)
    np.testing.assert_array_equal(open_image(path, window=window).pixels, image.pixels[7:27, 5:35])
    np.testing.assert_array_equal(open_image(Image.open(path)).pixels, image.pixels)


def test_a_nonsense_orientation_turns_nothing(tmp_path, noise):
    exif = Image.Exif()
    exif[274] = 77
    Image.fromarray(noise).save(tmp_path / "image.png", exif=exif)
    np.testing.assert_array_equal(open_image(tmp_path / "image.png").pixels, noise)


@pytest.mark.parametrize("place", ["before the pixels", "behind them", "in XMP", "in a raw profile"])
def test_wherever_a_png_says_its_orientation(tmp_path, noise, place):
    path = tmp_path / "image.png"
    exif = Image.Exif()
    exif[274] = 6
    if place == "in XMP":
        about = PngImagePlugin.PngInfo()
        about.add_itxt("XML:com.adobe.xmp", '<rdf:Description tiff:Orientation="6"/>')
        Image.fromarray(noise).save(path, pnginfo=about)
    elif place == "in a raw profile":
        about = PngImagePlugin.PngInfo()
        about.add_text("Raw profile type exif", f"\nexif\n      {len(exif.tobytes())}\n{exif.tobytes().hex()}\n")
        Image.fromarray(noise).save(path, pnginfo=about)
    else:
        Image.fromarray(noise).save(path, exif=exif)
        if place == "behind them":
            chunks = path.read_bytes()
            start = chunks.index(b"eXIf") - 4
            end = start + 12 + int.from_bytes(chunks[start : start + 4])
            moved = chunks[:start] + chunks[end:-12] + chunks[start:end] + chunks[-12:]
            path.write_bytes(moved)
    np.testing.assert_array_equal(open_image(path).pixels, np.asarray(ImageOps.exif_transpose(Image.open(path))))
    assert image_size(path) == (40, 60)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_damaged_exif_data_are_passed_over_in_silence(tmp_path, noise, suffix):
    """Warnings are errors here."""
    path = tmp_path / f"image.{suffix}"
    exif = b"Exif\0\0II*\0\x08\0\0\0\x02\0\x1a\x01\x05\0\xff\0\0\0\xff\xff\0\0"
    Image.fromarray(noise).save(path, exif=exif)
    assert open_image(path).pixels.shape == noise.shape


def test_arrays_and_pil_images(noise):
    np.testing.assert_array_equal(open_image(noise).pixels, noise)
    np.testing.assert_array_equal(open_image(noise[..., 0]).pixels, noise[..., [0, 0, 0]])
    np.testing.assert_array_equal(open_image(Image.fromarray(noise)).pixels, noise)
    rgba = np.dstack([noise, np.zeros((40, 60), np.uint8)])
    rgba[1:, :, 3] = 255
    assert not open_image(rgba).pixels[0].any()
    np.testing.assert_array_equal(open_image(rgba).pixels[1:], noise[1:])
    assert open_image(rgba, bands=(4, 1, 2)).pixels[0, :, 1].tolist() == noise[0, :, 0].tolist()
    assert open_image(noise[..., 0] > 99).pixels.max() == 255
    assert open_image(noise.astype(np.uint16) * 9).stretch.method == "percentile"
    assert open_image(Image.fromarray(noise[..., 0].astype(np.uint16))).bands == (1,)
    assert open_image(noise).path is None
    assert len(open_image(noise).sha256) == 64
    assert open_image(noise).sha256 != open_image(noise[::-1]).sha256


def test_the_source_array_is_not_shared(noise):
    image = open_image(noise)
    before = image.pixels.copy()
    noise[:] = 0
    np.testing.assert_array_equal(image.pixels, before)


def test_provenance(tmp_path, noise):
    import hashlib

    path = tmp_path / "image.png"
    Image.fromarray(noise).save(path)
    image = open_image(str(path), window=(1, 2, 3, 4))
    assert image.path == path
    assert image.window == (1, 2, 3, 4)
    assert image.stretch.limits == ((0, 255),) * 3
    assert image.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert image.pil().size == (3, 4)
    assert image.crs is image.gsd is None
