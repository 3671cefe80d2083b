"""Damaged bytes of every format: each outcome is an image or an `ImageError`, in silence."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image

from geochat.errors import ImageError
from geochat.imagery import Scene, open_image

TRIES = 400
NOISE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def by_pillow(path, **options):
    picture = Image.fromarray(NOISE)
    if "exif" in options:
        tags = Image.Exif()
        tags[274] = options.pop("exif")
        options["exif"] = tags
    (picture.convert(options.pop("mode")) if "mode" in options else picture).save(path, **options)


def by_rasterio(path, dtype="uint8", count=3, about=None, **profile):
    samples = np.random.default_rng(1).integers(0, 99, (count, 48, 64)).astype(dtype)
    size = {"driver": "GTiff", "count": count, "height": 48, "width": 64, "dtype": dtype}
    with warnings.catch_warnings(action="ignore"), rasterio.open(path, "w", **size | profile) as file:
        file.write(samples)
        if about:
            about(file)
    Path(f"{path}.aux.xml").unlink(missing_ok=True)


def geotiff(path):
    def about(file):
        file.update_tags(SATELLITE="PlanetScope")
        file.descriptions = ("B2", "B3", "B4")
        file.build_overviews([2])

    by_rasterio(
        path, "uint16", about=about, crs="EPSG:32614", transform=(2, 0, 5, 0, -2, 9), nodata=7, tiled=True,
        blockxsize=16, blockysize=16, compress="deflate",
    )  # fmt: skip


KINDS = {
    "png": by_pillow,
    "turned.jpg": lambda path: by_pillow(path, exif=6),
    "inks.jpg": lambda path: by_pillow(path, mode="CMYK"),
    "palette.png": lambda path: by_pillow(path, mode="P"),
    "webp": by_pillow,
    "bmp": by_pillow,
    "jp2": lambda path: by_pillow(path, irreversible=False),
    "rgba.jp2": lambda path: by_pillow(path, mode="RGBA"),
    "signed.j2k": lambda path: by_pillow(path, mode="L", signed=True, no_jp2=True),
    "deep.png": lambda path: by_rasterio(path, "uint16", driver="PNG"),
    "geotiff.tif": geotiff,
    "float.tif": lambda path: by_rasterio(path, "float32", count=1),
    "inks.tif": lambda path: by_rasterio(path, "uint16", count=4, photometric="CMYK"),
    "jpeg.tif": lambda path: by_rasterio(path, compress="jpeg", photometric="YCBCR"),
    "pages.tif": lambda path: by_pillow(path, save_all=True, append_images=[Image.fromarray(NOISE[::-1])]),
}


def damaged(content, rng):
    """The bytes with some changed, cut out, doubled or cut off; more often those of the header."""
    changed = bytearray(content)
    for _ in range(rng.integers(1, 8)):
        span = len(changed) if rng.random() < 0.4 else min(len(changed), 400)
        place, length = int(rng.integers(0, max(1, span))), int(rng.integers(1, 9))
        how = rng.integers(0, 6)
        if how <= 2:
            changed[place : place + 1] = bytes([rng.choice([0, 1, 2, 127, 128, 255, rng.integers(0, 256)])])
        elif how == 3:
            changed[place : place + length] = b""
        elif how == 4:
            changed[place:place] = changed[place : place + length]
        else:
            changed[place : place + 4] = rng.bytes(4)
    return bytes(changed if rng.random() < 0.9 else changed[: rng.integers(0, len(changed) + 1)])


def silent(captured):
    """Nothing but what rasterio's own log handler says where a message of GDAL's is not UTF-8."""
    written = [line for line in captured.err.splitlines() if not line.startswith("UnicodeDecodeError")]
    return not captured.out and (not written or all("rasterio._env.log_error" in line for line in written))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # as above
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_bytes(tmp_path, capfd, kind):
    good = tmp_path / (kind if "." in kind else f"good.{kind}")
    KINDS[kind](good)
    content = good.read_bytes()
    assert open_image(good).pixels.any()
    path = tmp_path / f"damaged{good.suffix}"
    rng = np.random.default_rng(list(KINDS).index(kind))
    for _ in range(TRIES):
        path.write_bytes(damaged(content, rng))
        try:
            with Scene.open(path) as scene:
                for options in ({"max_side": 20}, {}, {"window": (0, 0, 8, 8)}):
                    view = scene.read(**options, max_pixels=2**24)
                    assert view.pixels.dtype == np.uint8
                assert scene.gsd is None or scene.gsd > 0
        except ImageError as error:
            assert path.name in str(error)  # noqa: PT017 - one of two right outcomes
    assert silent(capfd.readouterr())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("ending", ["tif.aux.xml", "tif.ovr", "tif.msk", "tfw"])
def test_damaged_side_files(tmp_path, capfd, ending):
    scene = tmp_path / "scene.tif"
    by_rasterio(scene)
    if ending.endswith("xml"):
        content = (
            b"<PAMDataset><SRS>EPSG:32614</SRS><GeoTransform>5, 2, 0, 9, 0, -2</GeoTransform><GCPList Projection="
            b"'EPSG:4326'><GCP Pixel='0' Line='0' X='1' Y='2'/></GCPList><PAMRasterBand band='1'><Description>red"
            b"</Description><NoDataValue>3</NoDataValue></PAMRasterBand></PAMDataset>"
        )
    elif ending == "tfw":
        content = b"0.5\n0\n0\n-0.5\n485900.25\n5209246.75\n"
    else:
        by_rasterio(tmp_path / "other.tif", count=3 if ending.endswith("ovr") else 1)
        content = (tmp_path / "other.tif").read_bytes()
    rng = np.random.default_rng(5)
    for _ in range(TRIES):
        (tmp_path / f"scene.{ending}").write_bytes(damaged(content, rng))
        try:
            for side in (20, 64):
                assert open_image(scene, max_side=side).pixels.shape[2] == 3
        except ImageError as error:
            assert "scene.tif" in str(error)  # noqa: PT017 - one of two right outcomes
    assert silent(capfd.readouterr())
