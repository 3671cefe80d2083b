"""What cannot be opened says which file, why, and what to do; what should not be opened is not."""

import os
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image

from geochat.errors import ImageError, SettingsError
from geochat.imagery import open_image


@pytest.fixture
def picture(tmp_path, noise):
    path = tmp_path / "picture.png"
    Image.fromarray(noise).save(path)
    return path


@pytest.mark.parametrize(
    "source",
    [
        Path("https://example.org/image.png"),
        Path("s3://bucket/image.tif"),
        "ftp://example.org/image.tif",
        "file:///etc/hostname",
        "/vsicurl/http://127.0.0.1:9/image.tif",
        "/vsizip//tmp/image.zip/image.tif",
        "GPKG:tiles.gpkg:layer",
        "GTIFF_DIR:1:image.tif",
        "<VRTDataset rasterXSize='1' rasterYSize='1'/>",
        "missing.tif",
        "nul\0.tif",
        "",
    ],
)
def test_only_existing_local_files_are_opened(source):
    with pytest.raises(ImageError, match=r"local|exist|folder|file name"):
        open_image(source)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"Not an image at all.", "convert"),
        (b'<VRTDataset rasterXSize="1" rasterYSize="1"></VRTDataset>', "convert"),
        (b"RIFF\0\0\0\0WAVEfmt ", "convert"),
        (b"\x89PNG\r\n\x1a\n", "cannot be decoded"),
        (b"II*\0\x08\0\0\0", "cannot be decoded"),
        (b"\xff\xd8\xff\xe0", "cannot be decoded"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "cannot be decoded"),
    ],
)
def test_what_is_no_image(tmp_path, content, message):
    path = tmp_path / "image.tif"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=message) as caught:
        open_image(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "jp2"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_truncated_files(tmp_path, suffix, kept):
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(ImageError, match=r"image\..*cannot be decoded.*again"):
        open_image(path)


def test_folders_and_pipes(tmp_path):
    with pytest.raises(ImageError, match="is a folder"):
        open_image(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ImageError, match="not an ordinary file"):
        open_image(tmp_path / "pipe")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_unreadable_files(picture):
    picture.chmod(0)
    with pytest.raises(ImageError, match="permission"):
        open_image(picture)


@pytest.mark.parametrize("window", [(0, 0, 61, 10), (-1, 0, 5, 5), (60, 40, 1, 1), (0, 0, 0, 5), (5, 5, -2, 2)])
def test_windows_outside_the_image(picture, window):
    with pytest.raises(ImageError, match=r"picture\.png: window .* not within the image of 60 x 40"):
        open_image(picture, window=window)


@pytest.mark.parametrize("window", [(0, 0, 5), (0.5, 0, 5, 5), "abcd"])
def test_windows_that_are_none(picture, window):
    with pytest.raises(ImageError, match="four whole numbers"):
        open_image(picture, window=window)


@pytest.mark.parametrize(
    "array",
    [np.zeros((0, 5), np.uint8), np.zeros((2, 2, 2, 2)), np.zeros(5), np.zeros((2, 2), complex), np.array([["a"]])],
)
def test_arrays_that_are_no_image(array):
    with pytest.raises(ImageError, match="is no image; give"):
        open_image(array)


def test_other_sources_and_settings(picture):
    with pytest.raises(ImageError, match="int is no image"):
        open_image(5)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="max_side=0"):
        open_image(picture, max_side=0)


def test_no_valid_pixel(write_tiff):
    path = write_tiff(np.full((3, 4, 4), 7, np.uint16), nodata=7)
    with pytest.raises(ImageError, match=r"image\.tif has no valid pixel.*choose"):
        open_image(path)
    with pytest.raises(ImageError, match="no valid pixel"):
        open_image(np.zeros((4, 4, 4), np.uint8))


def test_complex_samples(write_tiff):
    with pytest.raises(ImageError, match="complex"):
        open_image(write_tiff(np.ones((4, 4), np.complex64)))


def png(width, height):
    """A PNG that claims a size its data do not have."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_decompression_bombs(tmp_path, write_tiff, noise):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(200_000, 200_000))
    with pytest.raises(ImageError, match=r"bomb\.png.*max_pixels"):
        open_image(path)
    one_tile = tmp_path / "tile.tif"
    size = {"width": 32768, "height": 32768, "blockxsize": 32768, "blockysize": 32768}
    settings = {"driver": "GTiff", "count": 1, "dtype": "uint8", "tiled": True, "sparse_ok": True, **size}
    with warnings.catch_warnings(action="ignore"):
        rasterio.open(one_tile, "w", **settings).close()
    with pytest.raises(ImageError, match="blocks of 32768 x 32768"):
        open_image(one_tile, window=(0, 0, 1, 1))
    with pytest.raises(ImageError, match="max_pixels = 100"):
        open_image(write_tiff(noise[..., 0], name="small.tif"), max_pixels=100)


@pytest.mark.parametrize("target", ["secret", "/vsicurl/http://127.0.0.1:9/x.tif"])
def test_a_tiff_that_names_another_file_as_its_overview(write_tiff, target):
    """GDAL would read the other file's pixels, or the network's, in place of this one's."""
    secret = write_tiff(np.full((10, 10), 77, np.uint8), name="secret.tif")
    named = str(secret) if target == "secret" else target
    path = write_tiff(np.ones((100, 100), np.uint8), tags={"OVERVIEWS": {"OVERVIEW_FILE": named}})
    with pytest.raises(ImageError, match="names another file as its overview"):
        open_image(path, max_side=10)


def test_nothing_reaches_the_terminal(tmp_path, picture):
    """Neither GDAL's messages nor warnings, for good files and bad."""
    cut = tmp_path / "cut.tif"
    Image.open(picture).save(cut)
    cut.write_bytes(cut.read_bytes()[:3000])
    script = (
        "import sys\n"
        "from geochat.errors import ImageError\n"
        "from geochat.imagery import open_image\n"
        f"open_image({str(picture)!r})\n"
        "try:\n"
        f"    open_image({str(cut)!r})\n"
        "except ImageError:\n"
        "    sys.exit(7)\n"
    )
    done = subprocess.run([sys.executable, "-W", "always", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")


def test_a_jpeg_2000_that_gdal_searches_for_ever(tmp_path, noise):
    """A box of no length, which its metadata reader never leaves; found by fuzzing."""
    path = tmp_path / "image.jp2"
    Image.fromarray(noise).save(path)
    stored = bytearray(path.read_bytes())
    start = stored.index(b"ihdr") - 4
    stored[start : start + 4] = bytes(4)
    path.write_bytes(stored)
    script = (
        "from geochat.errors import ImageError\nfrom geochat.imagery import open_image\n"
        f"try:\n    open_image({str(path)!r})\nexcept ImageError:\n    pass\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_file_names_with_odd_characters(tmp_path, picture):
    for name in ("a!b#c?d.png", "été 日本.png", "zip+x:y.png"):
        odd = tmp_path / name
        odd.write_bytes(picture.read_bytes())
        np.testing.assert_array_equal(open_image(odd).pixels, open_image(picture).pixels)
