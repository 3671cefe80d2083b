"""A view knows where it lies: windows, decimation, orientation and the map compose."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image

from geochat.geometry import ModelFrame, to_geographic, transform_points
from geochat.imagery import open_image

UTM = Affine(0.5, 0, 485900, 0, -0.5, 5209247)


def marker(width, height, box):
    """Black but for a white box (column, row, width, height)."""
    image = np.zeros((height, width), np.uint8)
    column, row, box_width, box_height = box
    image[row : row + box_height, column : column + box_width] = 255
    return image


def centre_of_light(view):
    grey = view[..., 0].astype(float)
    rows, columns = np.indices(grey.shape) + 0.5
    return (columns * grey).sum() / grey.sum(), (rows * grey).sum() / grey.sum()


@pytest.mark.parametrize("size", [(800, 400), (333, 999), (501, 377)])
@pytest.mark.parametrize("max_side", [2048, 100, 77])
@pytest.mark.parametrize("overviews", [False, True])
def test_a_marker_is_found_where_it_is(write_tiff, size, max_side, overviews):
    path = write_tiff(marker(*size, (200, 120, 60, 40)), crs="EPSG:26914", transform=UTM)
    if overviews:
        import rasterio

        with rasterio.open(path, "r+") as file:
            file.build_overviews([2, 4], rasterio.enums.Resampling.average)
    for window in (None, (150, 100, 180, 150)):
        image = open_image(path, window=window, max_side=max_side)
        assert max(image.frame.view_size) <= max_side
        assert image.pixels.shape == (*image.frame.view_size[::-1], 3)
        found = image.frame.view_to_image @ centre_of_light(image.pixels)
        tolerance = 0.5 if max_side < 2048 else 1e-6
        np.testing.assert_allclose(found, (230, 140), atol=tolerance)
        np.testing.assert_allclose(image.frame.image_to_map @ found, UTM @ (230.0, 140.0), atol=tolerance)


def test_pictures_in_memory_are_found_there_too():
    for source in (marker(800, 400, (200, 120, 60, 40)), Image.fromarray(marker(800, 400, (200, 120, 60, 40)))):
        image = open_image(source, window=(100, 50, 333, 300), max_side=90)
        found = image.frame.view_to_image @ centre_of_light(image.pixels)
        np.testing.assert_allclose(found, (230, 140), atol=0.5)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_image_keeps_its_place_on_the_map(tmp_path, orientation):
    """The world file places the pixels as stored; the view shows them turned."""
    path = tmp_path / "drone.jpg"
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(marker(80, 40, (24, 8, 16, 8))).save(path, exif=exif, quality=95)
    (tmp_path / "drone.jgw").write_text("0.5\n0\n0\n-0.5\n485900.25\n5209246.75\n")
    for options in ({}, {"max_side": 40}):
        image = open_image(path, **options)
        turned = image.frame.view_to_image @ centre_of_light(image.pixels)
        np.testing.assert_allclose(image.frame.image_to_map @ turned, UTM @ (32.0, 12.0), atol=0.2)
    assert image.crs is None
    assert image.gsd is None


PAM = "<PAMDataset><GeoTransform>485900, 0.5, 0, 5209247, 0, -0.5</GeoTransform></PAMDataset>"
WORLD = "0.5\n0\n0\n-0.5\n485900.25\n5209246.75\n"


@pytest.mark.parametrize(
    ("name", "companion"),
    [
        *(("drone.jpg", f"drone.{ending}") for ending in ("jgw", "JGW", "jpgw", "JPGW", "wld", "WLD")),
        *(("drone.PNG", f"drone.{ending}") for ending in ("pgw", "PGW", "pngw", "wld")),
        *(("a.b.webp", f"a.b.{ending}") for ending in ("wpw", "webpw", "wld")),
        *(("drone.bmp", f"drone.{ending}") for ending in ("bpw", "bmpw", "wld")),
        *((name, f"{name}.aux.xml") for name in ("drone.jpg", "drone.png", "a.b.webp", "drone")),
        *(("drone.jpg", name) for name in ("other.jgw", "drone.pgw", "drone.txt", "drone.jpg.wld")),
    ],
)
def test_files_beside_a_picture_place_it_as_gdal_says(tmp_path, name, companion):
    """WebP too, of which GDAL reads no world file."""
    path = tmp_path / name
    kind = {".jpg": "JPEG", ".webp": "WEBP", ".bmp": "BMP"}.get(path.suffix, "PNG")
    Image.fromarray(marker(80, 40, (24, 8, 16, 8))).save(path, kind)
    assert open_image(path).frame.image_to_map is None
    (tmp_path / companion).write_text(PAM if companion.endswith("xml") else WORLD)
    with warnings.catch_warnings(action="ignore"), rasterio.open(path) as dataset:
        expected = None if dataset.transform.is_identity else dataset.transform
    if kind == "WEBP" and not companion.endswith("xml"):
        expected = UTM
    assert open_image(path).frame.image_to_map == expected


def test_turned_tiffs_too(tmp_path):
    path = tmp_path / "turned.tif"
    Image.fromarray(marker(80, 40, (24, 8, 16, 8))).save(path, tiffinfo={274: 6})
    image = open_image(path)
    assert (image.width, image.height) == (40, 80)
    np.testing.assert_allclose(centre_of_light(image.pixels), (40 - 12, 32))


@pytest.mark.parametrize(
    ("crs", "transform", "gsd"),
    [
        ("EPSG:26914", UTM, 0.5),
        ("EPSG:26914", UTM @ Affine.rotation(25), 0.5),
        ("EPSG:4326", Affine(1e-5, 0, 10, 0, -1e-5, 60), 0.788),
        ("EPSG:3857", Affine(0.5, 0, 0, 0, -0.5, 8399737.9), 0.25),
    ],
)
def test_metres_a_pixel(write_tiff, crs, transform, gsd):
    image = open_image(write_tiff(marker(8, 8, (1, 1, 2, 2)), crs=crs, transform=transform))
    assert image.crs == crs
    assert image.gsd == pytest.approx(gsd, rel=3e-3)


def test_real_scenes_lie_where_they_should(shared):
    naip = open_image(shared / "imagery" / "naip" / "m_4709963_se_14_1_20200831.tif", max_side=500)
    assert (naip.width, naip.height, naip.crs) == (934, 723, "EPSG:26914")
    assert naip.gsd == pytest.approx(5, rel=1e-3)
    corners = transform_points([(0, 0), (100, 100)], replace(naip.frame, model=ModelFrame()).model_to_image)
    np.testing.assert_allclose(corners, [(0, -105 * 934 / 934), (934, 829)], atol=1.5)
    ((longitude, latitude),) = to_geographic([naip.frame.image_to_map @ (467.0, 361.5)], naip.crs)
    assert (longitude, latitude) == pytest.approx((-99.155, 47.02), abs=0.01)
    landsat = open_image(shared / "imagery" / "landsat" / "pucallpa_peru_2020.tif")
    assert landsat.gsd == pytest.approx(89.2, abs=0.1)
