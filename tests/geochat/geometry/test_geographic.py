"""Longitude and latitude, and metres a pixel, against known places and known formulas."""

import math

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from geochat.errors import ImageError
from geochat.geometry import (
    from_geographic,
    geometry_from_geographic,
    geometry_to_geographic,
    ground_sample_distance,
    ground_size,
    to_geographic,
)

EARTH = 20037508.342789244  # half the width of the Web Mercator map, metres


def test_longitude_comes_first():
    np.testing.assert_allclose(to_geographic([(500000, 0)], "EPSG:32614"), [(-99, 0)], atol=1e-9)
    np.testing.assert_allclose(to_geographic([(EARTH, 0)], "EPSG:3857"), [(180, 0)], atol=1e-9)
    np.testing.assert_allclose(to_geographic([(7.5, 47)], "EPSG:4326"), [(7.5, 47)])


@given(st.lists(st.tuples(st.floats(-102, -96), st.floats(1, 80)), max_size=4))
def test_there_and_back(lonlat):
    back = to_geographic(from_geographic(lonlat, "EPSG:32614"), "EPSG:32614")
    np.testing.assert_allclose(back, np.reshape(lonlat, (-1, 2)), atol=1e-8)


def test_geometries_take_the_same_way():
    square = shapely.box(500000, 5200000, 500100, 5200100)
    lonlat = geometry_to_geographic(square, "EPSG:32614")
    assert lonlat.centroid.x == pytest.approx(-98.9993, abs=1e-3)
    assert geometry_from_geographic(lonlat, "EPSG:32614").equals_exact(square, 1e-5)


def test_a_point_out_of_the_projections_reach_is_nan_and_spares_the_others():
    mapped = from_geographic([(0, 10), (0, 95), (0, 20)], "EPSG:3857")
    assert np.isnan(mapped[1]).all()
    assert np.isfinite(mapped[[0, 2]]).all()
    assert np.isnan(to_geographic([(0, 95)], "EPSG:4326")).all()


@pytest.mark.parametrize("crs", [None, "EPSG:999999", "nonsense"])
def test_an_unusable_crs_is_an_error(crs):
    with pytest.raises(ImageError, match="CRS"):
        to_geographic([(0, 0)], crs)


@pytest.mark.parametrize("latitude", [0, 23.5, -47, 80])
def test_metres_a_pixel_of_web_mercator_shrink_with_latitude(latitude):
    size = 2 * EARTH / 2**18 / 256
    (place,) = from_geographic([(10, latitude)], "EPSG:3857")
    gsd = ground_sample_distance(Affine.translation(*place) @ Affine.scale(size, -size), "EPSG:3857", (0, 0))
    # 0.7 %: the map's sphere against the ellipsoid.
    assert gsd == pytest.approx(size * math.cos(math.radians(latitude)), rel=0.007)


def test_metres_a_pixel_of_degrees_feet_and_metres():
    degrees = ground_sample_distance(Affine(1e-3, 0, 30, 0, -1e-3, 60), "EPSG:4326", (0, 0))
    assert degrees == pytest.approx(math.sqrt(55.80 * 111.41), rel=1e-3)  # a degree at 60 N is 55.80 by 111.41 km
    feet = ground_sample_distance(Affine(1, 0, 984250, 0, -1, 200000), "EPSG:2263", (0, 0))
    assert feet == pytest.approx(0.3048, rel=1e-3)
    turned = Affine(5, 0, 500000, 0, -5, 5200000) @ Affine.rotation(30)
    assert ground_sample_distance(turned, "EPSG:32614", (9, 9)) == pytest.approx(5, rel=1e-3)


def test_metres_a_pixel_across_the_antimeridian():
    gsd = ground_sample_distance(Affine(1e-3, 0, 179.9995, 0, -1e-3, 0), "EPSG:4326", (0, 0))
    assert gsd == pytest.approx(110.95, rel=1e-3)


def test_no_metres_where_the_map_is_nowhere():
    assert ground_sample_distance(Affine.scale(1), "EPSG:4326", (0, 500)) is None
    assert ground_sample_distance(Affine.scale(1), 'LOCAL_CS["site",UNIT["metre",1]]', (0, 0)) is None


@pytest.mark.parametrize("angle", [0, 30, 90])
def test_sides_and_area_of_a_turned_rectangle_in_utm(angle):
    turned = Affine.translation(500_000, 5_000_000) @ Affine.rotation(angle) @ Affine.scale(2, -2)
    along, across, area = ground_size([(0, 0), (50, 0), (50, 20), (0, 20)], turned, "EPSG:32631")
    scale = 0.9996  # of UTM on its meridian: the map is smaller than the ground
    assert (along, across, area) == pytest.approx((100 / scale, 40 / scale, 4000 / scale**2), rel=1e-4)


def test_degrees_and_feet_are_metres_on_the_ground():
    north = ground_size(
        [(0, 0), (0, 1), (1, 1), (1, 0)], Affine.translation(179.9995, 60) @ Affine.scale(0.001), "EPSG:4326"
    )
    assert north[1] == pytest.approx(55.8, rel=0.01)  # across the antimeridian, at 60 degrees north
    assert north[0] == pytest.approx(111.4, rel=0.01)
    assert ground_size([(0, 0), (1, 0), (1, 1), (0, 1)], Affine.identity(), "nowhere") is None
