"""What may say where an image lies, what is used of it, and what is said about that."""

import warnings

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC

from geochat.errors import ImageError
from geochat.imagery import open_image

UTM = Affine(0.5, 0.1, 485900, 0.1, -0.5, 5209247)
PIXELS = np.random.default_rng(0).integers(0, 256, (1, 80, 100), dtype=np.uint8)
WORLD = "0.5\n0\n0\n-0.5\n485900.25\n5209246.75\n"


def written(path, change=None, **profile):
    """A grey TIFF of 100 x 80 pixels."""
    size = {"driver": "GTiff", "width": 100, "height": 80, "count": 1, "dtype": "uint8"}
    with warnings.catch_warnings(action="ignore"), rasterio.open(path, "w", **size, **profile) as file:
        if change is not None:
            change(file)
        file.write(PIXELS)
    return path


def codes(image):
    return [remark.code for remark in image.remarks]


def with_points(shift=0.0):
    """Ground control points at the corners, one of them so many pixels off."""
    places = [(0, 0), (0, 100), (80, 0), (80, 100), (40, 50)]
    points = [GroundControlPoint(row=r, col=c, x=(UTM @ (c, r))[0], y=(UTM @ (c, r))[1]) for r, c in places]
    off = UTM @ (50.0 + shift, 40.0)
    points[-1] = GroundControlPoint(row=40, col=50, x=off[0], y=off[1])

    def change(file):
        file.gcps = (points, "EPSG:26914")

    return change


def test_ground_control_points_place_an_image_and_say_how_well(tmp_path):
    image = open_image(written(tmp_path / "gcps.tif", with_points()))
    assert image.crs == "EPSG:26914"
    np.testing.assert_allclose(image.frame.image_to_map[:6], UTM[:6], rtol=1e-9, atol=1e-6)
    assert codes(image) == ["gcps"]
    image.scene.require_map()
    assert image.scene.place == image.place
    assert "5 ground control points" in image.remarks[0].text
    image = open_image(written(tmp_path / "off.tif", with_points(2.0)))
    assert "up to 1.6 pixels off" in image.remarks[0].text


def test_ground_control_points_that_no_affine_map_fits(tmp_path):
    image = open_image(written(tmp_path / "gcps.tif", with_points(30.0)))
    assert image.frame.image_to_map is None
    assert codes(image) == ["gcps-not-used"]
    assert "gdalwarp -tps" in image.remarks[0].text

    def line(file):
        file.gcps = ([GroundControlPoint(row=n, col=n, x=n, y=n) for n in range(4)], "EPSG:26914")

    image = open_image(written(tmp_path / "line.tif", line))
    assert image.frame.image_to_map is None
    assert codes(image) == ["gcps-not-used"]


@pytest.mark.parametrize("ending", ["tfw", "TFW", "tifw", "wld"])
def test_a_world_file_places_a_tiff_and_says_so(tmp_path, ending):
    path = written(tmp_path / "scene.tif")
    (tmp_path / f"scene.{ending}").write_text(WORLD)
    image = open_image(path)
    assert image.frame.image_to_map == Affine(0.5, 0, 485900, 0, -0.5, 5209247)
    assert image.crs is None
    assert f"world file scene.{ending}; it names no coordinate system" in image.remarks[0].text


def test_a_tiff_that_knows_its_place_needs_no_world_file(tmp_path):
    path = written(tmp_path / "scene.tif", crs="EPSG:26914", transform=UTM)
    (tmp_path / "scene.tfw").write_text(WORLD)
    image = open_image(path)
    assert image.frame.image_to_map == UTM
    assert image.remarks == ()


@pytest.mark.parametrize(
    "text", ["", "0.5\n0\n0\n", "a\nb\nc\nd\ne\nf\n", "0\n0\n0\n0\n5\n5\n", "nan\n0\n0\n1\n1\n1\n"]
)
def test_a_world_file_that_is_none_is_said_to_be(tmp_path, text):
    path = written(tmp_path / "scene.tif")
    (tmp_path / "scene.tfw").write_text(text)
    image = open_image(path)
    assert image.frame.image_to_map is None
    assert codes(image) == ["side-file-ignored"]


def rpc():
    ones = [1.0] * 20
    numbers = dict.fromkeys(
        ("height_off", "height_scale", "lat_off", "lat_scale", "line_off", "line_scale"), 1.0
    ) | dict.fromkeys(("long_off", "long_scale", "samp_off", "samp_scale"), 1.0)
    return RPC(**numbers, line_den_coeff=ones, line_num_coeff=ones, samp_den_coeff=ones, samp_num_coeff=ones)


def test_rational_polynomials_are_refused_with_the_remedy(tmp_path):
    def change(file):
        file.rpcs = rpc()

    image = open_image(written(tmp_path / "rpc.tif", change))
    assert image.frame.image_to_map is None
    assert codes(image) == ["rpc-not-used"]
    assert "gdalwarp -rpc" in image.remarks[0].text
    with pytest.raises(ImageError, match=r"rpc\.tif cannot be placed on a map.*gdalwarp -rpc"):
        image.scene.require_map()
    path = written(tmp_path / "basic.tif")
    (tmp_path / "basic_RPC.TXT").write_text("LINE_OFF: 1\n")
    image = open_image(path)
    assert codes(image) == ["rpc-not-used"]
    assert "basic_RPC.TXT" in image.remarks[0].text


def test_a_coordinate_system_that_cannot_be_resolved(tmp_path):
    path = written(tmp_path / "scene.tif", crs="EPSG:32614", transform=UTM)
    code = (32614).to_bytes(2, "little")
    stored = path.read_bytes()
    assert stored.count(code) == 1
    for unknown in (32767, 9999, 2, 20000):  # user-defined without a definition, unknown, and one of heights
        path.write_bytes(stored.replace(code, unknown.to_bytes(2, "little")))
        image = open_image(path)
        assert image.crs is None
        assert image.gsd is None
        assert image.frame.image_to_map == UTM
        assert codes(image) == ["crs-not-resolved"]
        np.testing.assert_array_equal(image.pixels[..., 0], PIXELS[0])
    local = 'LOCAL_CS["building site",UNIT["metre",1]]'
    image = open_image(written(tmp_path / "local.tif", crs=local, transform=UTM))
    assert image.crs is None
    assert "building site" in image.remarks[0].text


def test_a_coordinate_system_defined_in_full(tmp_path):
    wkt = rasterio.crs.CRS.from_string("+proj=aea +lat_1=10 +lat_2=20 +lat_0=15 +lon_0=100 +datum=WGS84").to_wkt()
    image = open_image(written(tmp_path / "own.tif", crs=wkt, transform=UTM))
    assert "Albers" in image.crs
    assert image.remarks == ()


@pytest.mark.parametrize(
    "transform", [Affine(0.5, 0, 9, 0, 0.5, 9), Affine(0.5, 0, 9, 0, -0.5, 9) @ Affine.rotation(30)]
)
def test_south_up_and_rotated(tmp_path, transform):
    image = open_image(written(tmp_path / "scene.tif", crs="EPSG:26914", transform=transform))
    np.testing.assert_allclose(image.frame.image_to_map, transform)
    assert image.remarks == ()
    np.testing.assert_array_equal(image.pixels[..., 0], PIXELS[0])


def test_a_geotransform_without_an_inverse(tmp_path):
    path = written(tmp_path / "scene.tif", crs="EPSG:26914", transform=Affine(1, 1, 5, 1, 1, 5))
    image = open_image(path)
    assert image.frame.image_to_map is None
    assert codes(image) == ["geotransform-not-used"]


def test_what_a_side_file_says_of_the_place_comes_first(tmp_path):
    path = written(tmp_path / "scene.tif", crs="EPSG:26914", transform=UTM)
    srs = rasterio.crs.CRS.from_epsg(32631).to_wkt()
    (tmp_path / "scene.tif.aux.xml").write_text(
        f"<PAMDataset><SRS>{srs.replace('&', '&amp;')}</SRS>"
        "<GeoTransform>10, 2, 0, 20, 0, -2</GeoTransform></PAMDataset>"
    )
    image = open_image(path)
    assert (image.crs, image.frame.image_to_map) == ("EPSG:32631", Affine(2, 0, 10, 0, -2, 20))
    (tmp_path / "scene.tif.aux.xml").write_text(
        "<PAMDataset><GCPList Projection='EPSG:32631'>"
        + "".join(
            f'<GCP Pixel="{c}" Line="{r}" X="{10 + 2 * c}" Y="{20 - 2 * r}"/>' for c, r in ((0, 0), (100, 0), (0, 80))
        )
        + "</GCPList></PAMDataset>"
    )
    bare = written(tmp_path / "bare.tif")
    (tmp_path / "bare.tif.aux.xml").write_bytes((tmp_path / "scene.tif.aux.xml").read_bytes())
    image = open_image(bare)
    assert image.crs == "EPSG:32631"
    np.testing.assert_allclose(image.frame.image_to_map, Affine(2, 0, 10, 0, -2, 20), atol=1e-9)


@pytest.mark.parametrize("srs", ["http://127.0.0.1:9/crs", "/etc/passwd", "file.prj", "+init=/etc/passwd"])
def test_a_coordinate_system_by_reference_is_not_followed(tmp_path, srs):
    path = written(tmp_path / "scene.tif")
    (tmp_path / "scene.tif.aux.xml").write_text(
        f"<PAMDataset><SRS>{srs}</SRS><GeoTransform>10, 2, 0, 20, 0, -2</GeoTransform></PAMDataset>"
    )
    image = open_image(path)
    assert image.crs is None
    assert codes(image) == ["crs-not-resolved"]
