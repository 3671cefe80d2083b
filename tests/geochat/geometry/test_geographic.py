"""Longitude and latitude against known places."""

import math

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS

from geochat.errors import ImageError
from geochat.geometry import Frame, from_geographic, geometry_to_geographic, geometry_to_pixels, to_geographic
from geochat.geometry.geographic import crs_text, turn
from geochat.imagery import Scene

EARTH = 20037508.342789244  # half the width of the Web Mercator map, metres


def test_longitude_comes_first():
    np.testing.assert_allclose(to_geographic([(500000, 0)], "EPSG:32614"), [(-99, 0)], atol=1e-9)
    np.testing.assert_allclose(to_geographic([(EARTH, 0)], "EPSG:3857"), [(180, 0)], atol=1e-9)
    np.testing.assert_allclose(to_geographic([(7.5, 47)], "EPSG:4326"), [(7.5, 47)])
    np.testing.assert_allclose(to_geographic([(7.5, 47)], "OGC:CRS84"), [(7.5, 47)])


@given(st.lists(st.tuples(st.floats(-102, -96), st.floats(1, 80)), max_size=4))
def test_there_and_back(lonlat):
    back = to_geographic(from_geographic(lonlat, "EPSG:32614"), "EPSG:32614")
    np.testing.assert_allclose(back, np.reshape(lonlat, (-1, 2)), atol=1e-8)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:4267", "EPSG:3857", "EPSG:3832", "EPSG:3031", "EPSG:32760"])
@given(longitude=st.floats(-180, 360), latitude=st.floats(-80, -60))
def test_a_longitude_may_be_of_any_turn_and_comes_out_within_180(crs, longitude, latitude):
    ((there, up),) = to_geographic(from_geographic([(longitude, latitude)], crs), crs)
    assert -180 <= there <= 180
    assert abs((there - longitude + 180) % 360 - 180) < 1e-7
    assert up == pytest.approx(latitude, abs=1e-7)


@pytest.mark.parametrize(
    ("x", "crs", "longitude"),
    [
        (350, "EPSG:4326", -10),
        (190, "EPSG:4326", -170),
        (-190, "EPSG:4326", 170),
        (541, "EPSG:4326", -179),
        (180, "EPSG:4326", 180),
        (-180, "EPSG:4326", -180),
        (EARTH * 1.1, "EPSG:3857", -162),
        (-EARTH * 1.1, "EPSG:3857", 162),
        (EARTH / 6, "EPSG:3832", 180),
        (EARTH / 2, "EPSG:3832", -120),
        (EARTH * 1.5, "EPSG:3832", 60),
        (200, "EPSG:4807", -180 + 2.337229),  # grads east of Paris, and some hundred metres of datum shift
    ],
)
def test_x_beyond_the_border_of_the_map_comes_round(x, crs, longitude):
    ((there, _),) = to_geographic([(x, 0)], crs)
    assert there == pytest.approx(longitude, abs=0.001)


def test_geometries_take_the_same_way():
    square = shapely.box(500000, 5200000, 500100, 5200100)
    lonlat = geometry_to_geographic(square, "EPSG:32614")
    assert lonlat.centroid.x == pytest.approx(-98.9993, abs=1e-3)
    frame = Frame((100, 100), image_to_map=Affine(1, 0, 500000, 0, -1, 5200100), crs="EPSG:32614")
    assert geometry_to_pixels(lonlat, "EPSG:4326", frame).equals_exact(
        shapely.box(0, 0, 100, 100), 1e-4, normalize=True
    )


def test_a_hole_around_a_pole_stays_a_hole():
    ring = shapely.Point(0, 0).buffer(2e6).difference(shapely.Point(0, 0).buffer(1e6))
    there = geometry_to_geographic(ring, "EPSG:3031")
    assert there.is_valid
    assert there.bounds[1] == pytest.approx(-80.8, abs=0.1)  # 1,000 km from the pole
    assert there.bounds[::2] == (-180, 180)
    assert not there.intersects(shapely.box(-180, -90, 180, -81))


def test_points_and_lines_go_vertex_by_vertex():
    line = shapely.LineString([(500000, 0), (500000, 1000)])
    assert geometry_to_geographic(line, "EPSG:32614").coords[0] == pytest.approx((-99, 0))
    assert geometry_to_geographic(shapely.LineString([(1e12, 0), (2e12, 1)]), "EPSG:32614") is None
    assert geometry_to_geographic(shapely.box(1e12, 0, 2e12, 1), "EPSG:32614") is None


def test_a_point_out_of_the_projections_reach_is_nan_and_spares_the_others():
    mapped = from_geographic([(0, 10), (0, 95), (0, 20)], "EPSG:3857")
    assert np.isnan(mapped[1]).all()
    assert np.isfinite(mapped[[0, 2]]).all()
    assert np.isnan(to_geographic([(0, 95)], "EPSG:4326")).all()


@pytest.mark.parametrize("crs", [None, "EPSG:999999", "nonsense"])
def test_an_unusable_crs_is_an_error(crs):
    with pytest.raises(ImageError, match="CRS"):
        to_geographic([(0, 0)], crs)


@pytest.mark.parametrize(
    ("crs", "length"),
    [
        ("EPSG:4326", 360),
        ("OGC:CRS84", 360),
        ("EPSG:4807", 400),  # grads
        ("EPSG:3857", 2 * EARTH),
        ("EPSG:3832", 2 * EARTH),
        ("EPSG:6933", 34735060.89),
        ("+proj=merc +lon_0=33.5 +ellps=intl +towgs84=84,-107,-120", 2 * math.pi * 6378388),
        ("EPSG:32614", None),
        ("EPSG:3031", None),
        ("ESRI:54030", None),  # Robinson: even along the equator alone
        ("+proj=sinu +R=6371007.181", None),
        ("+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=40 +lon_0=10 +datum=WGS84", None),
        ('LOCAL_CS["site",UNIT["metre",1]]', None),
        ("nonsense", None),
    ],
)
def test_which_maps_repeat_along_x(crs, length):
    repeat = turn(crs)
    assert (repeat if length is None else repeat.length) == (length and pytest.approx(length, rel=1e-8))


THAI = (
    'PROJCS["Indian 1975 / UTM zone 47N",GEOGCS["Indian 1975",DATUM["Indian_1975",'
    'SPHEROID["Everest 1830 (1937 Adjustment)",6377276.345,300.8017,AUTHORITY["EPSG","7015"]],'
    'TOWGS84[{shift}],AUTHORITY["EPSG","6240"]],PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],'
    'UNIT["degree",0.0174532925199433,AUTHORITY["EPSG","9122"]],AUTHORITY["EPSG","4240"]],'
    'PROJECTION["Transverse_Mercator"],PARAMETER["latitude_of_origin",0],PARAMETER["central_meridian",99],'
    'PARAMETER["scale_factor",0.9996],PARAMETER["false_easting",500000],PARAMETER["false_northing",0],'
    'UNIT["metre",1,AUTHORITY["EPSG","9001"]],AXIS["Easting",EAST],AXIS["Northing",NORTH],AUTHORITY["EPSG","24047"]]'
)
SHIFTS = ((206, 837, 295, 0, 0, 0, 0), (280, 820, 300, 0.5, 1.6, -2.8, 2.1), (210, 814, 289, 0, 0, 0, 0))


def everest_to_wgs84(longitude, latitude, shift):
    """Helmert's formula in the position vector convention (EPSG method 9606), which TOWGS84 is in."""
    a, f = 6377276.345, 1 / 300.8017
    lon, lat, e2 = math.radians(longitude), math.radians(latitude), f * (2 - f)
    n = a / math.sqrt(1 - e2 * math.sin(lat) ** 2)
    point = np.array(
        [n * math.cos(lat) * math.cos(lon), n * math.cos(lat) * math.sin(lon), n * (1 - e2) * math.sin(lat)]
    )
    rx, ry, rz = np.radians(np.array(shift[3:6]) / 3600)
    turned = np.array([[1, -rz, ry], [rz, 1, -rx], [-ry, rx, 1]])
    x, y, z = np.array(shift[:3]) + (1 + shift[6] * 1e-6) * turned @ point
    a, e2 = 6378137.0, (2 - 1 / 298.257223563) / 298.257223563
    lat = math.atan2(z, math.hypot(x, y) * (1 - e2))
    for _ in range(9):
        n = a / math.sqrt(1 - e2 * math.sin(lat) ** 2)
        lat = math.atan2(z + e2 * n * math.sin(lat), math.hypot(x, y))
    return math.degrees(math.atan2(y, x)), math.degrees(lat)


def thai_file(path, shift):
    wkt = THAI.format(shift=",".join(map(str, shift)))
    with (
        rasterio.Env(OSR_STRIP_TOWGS84="NO"),
        rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=8,
            height=8,
            count=1,
            dtype="uint8",
            crs=CRS.from_wkt(wkt),
            transform=Affine(10, 0, 600_000, 0, -10, 1_500_000),
        ) as file,
    ):
        file.write(np.arange(64, dtype=np.uint8).reshape(1, 8, 8))
    return path


@pytest.mark.parametrize("shift", SHIFTS)
def test_a_files_own_datum_shift_is_used_though_its_crs_has_a_code(tmp_path, shift):
    with Scene.open(thai_file(tmp_path / "thai.tif", shift)) as scene:
        crs = scene.crs
    assert "TOWGS84" in crs
    here = (600_000, 1_500_000)
    (native,) = np.transpose(rasterio.warp.transform("EPSG:24047", "EPSG:4240", [here[0]], [here[1]]))
    expected = everest_to_wgs84(*native, shift)
    np.testing.assert_allclose(to_geographic([here], crs), [expected], atol=1e-8)  # a millimetre
    np.testing.assert_allclose(from_geographic([expected], crs), [here], atol=0.001)
    by_code = to_geographic([here], "EPSG:24047")
    assert np.abs(by_code - expected).max() > 1e-5  # more than a metre off


def test_a_layer_in_the_same_datum_lies_on_such_a_file_without_any_shift(tmp_path):
    with Scene.open(thai_file(tmp_path / "thai.tif", SHIFTS[0])) as scene:
        frame = Frame(scene.size, image_to_map=scene.image_to_map, crs=scene.crs)
    there = geometry_to_pixels(shapely.box(600_010, 1_499_930, 600_050, 1_499_980), "EPSG:24047", frame)
    assert there.bounds == pytest.approx((1, 2, 5, 7), abs=1e-4)


def test_a_shift_that_the_code_has_too_is_not_spelt_out(tmp_path):
    with Scene.open(thai_file(tmp_path / "thai.tif", (293, 836, 318, 0.5, 1.6, -2.8, 2.1))) as scene:  # EPSG:1812
        assert scene.crs == "EPSG:24047"
    assert crs_text(CRS.from_epsg(32614), (0, 0)) == "EPSG:32614"
