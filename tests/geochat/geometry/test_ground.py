"""Metres on the ground against known places and known formulas."""

import math

import numpy as np
import pytest
from affine import Affine

from geochat.geometry import from_geographic, ground_sample_distance, ground_size

EARTH = 20037508.342789244  # half the width of the Web Mercator map, metres
E2 = 6.69437999014e-3


def parallel(latitude, degrees):
    """Metres along a parallel of WGS 84."""
    phi = math.radians(latitude)
    return math.radians(degrees) * 6378137 * math.cos(phi) / math.sqrt(1 - E2 * math.sin(phi) ** 2)


def zone(south, north, degrees):
    """Square metres between two parallels and two meridians of WGS 84."""

    def q(latitude):
        e, sine = math.sqrt(E2), math.sin(math.radians(latitude))
        return (1 - E2) / 2 * (sine / (1 - E2 * sine**2) + math.atanh(e * sine) / e)

    return math.radians(degrees) * 6378137**2 * (q(north) - q(south))


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


@pytest.mark.parametrize("longitude", [0, 179.9995, -180, 180, 200, 359.9995, 360])
def test_metres_a_pixel_in_any_turn(longitude):
    gsd = ground_sample_distance(Affine(1e-3, 0, longitude, 0, -1e-3, 0), "EPSG:4326", (0, 0))
    assert gsd == pytest.approx(110.95, rel=1e-3)


@pytest.mark.parametrize("x", [0, EARTH, -EARTH, 1.2 * EARTH])
@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:3832"])
def test_metres_a_pixel_beyond_the_border_of_a_world_map(crs, x):
    gsd = ground_sample_distance(Affine(100, 0, x, 0, -100, 0), crs, (0, 0))
    assert gsd == pytest.approx(100, rel=0.007)


@pytest.mark.parametrize(("crs", "at_pole", "true"), [("EPSG:3031", 0.97276901, -71), ("EPSG:3413", 0.96985771, 70)])
def test_a_kilometre_is_one_at_the_poles_but_for_the_projections_scale(crs, at_pole, true):
    to_map = Affine(1000, 0, -1e6, 0, -1000, 1e6)
    for place in ((1000, 1000), (1000.5, 1000), (1000.2, 999.7), (1001, 1000)):
        assert ground_sample_distance(to_map, crs, place) == pytest.approx(1000 / at_pole, rel=1e-4)
    ((x, y),) = from_geographic([(180, true)], crs)  # on the antimeridian, at the latitude of true scale
    assert ground_sample_distance(to_map, crs, ~to_map @ (x, y)) == pytest.approx(1000, rel=1e-5)
    along, across, area = ground_size([(995, 990), (1005, 990), (1005, 1010), (995, 1010)], to_map, crs)
    expected = (10_000 / at_pole, 20_000 / at_pole, 2e8 / at_pole**2)
    assert (along, across, area) == pytest.approx(expected, rel=1e-4)


def test_no_metres_where_the_map_is_nowhere():
    assert ground_sample_distance(Affine.scale(1), "EPSG:4326", (0, 500)) is None
    assert ground_sample_distance(Affine.scale(1), 'LOCAL_CS["site",UNIT["metre",1]]', (0, 0)) is None
    assert ground_size([(0, 0), (1, 0), (1, 1), (0, 1)], Affine.identity(), "nowhere") is None


@pytest.mark.parametrize("angle", [0, 30, 90])
def test_sides_and_area_of_a_turned_rectangle_in_utm(angle):
    turned = Affine.translation(500_000, 5_000_000) @ Affine.rotation(angle) @ Affine.scale(2, -2)
    along, across, area = ground_size([(0, 0), (50, 0), (50, 20), (0, 20)], turned, "EPSG:32631")
    scale = 0.9996  # of UTM on its meridian: the map is smaller than the ground
    assert (along, across, area) == pytest.approx((100 / scale, 40 / scale, 4000 / scale**2), rel=1e-4)


def test_a_box_of_centimetres_is_measured_as_well():
    to_map = Affine(0.01, 0, 512_345, 0, -0.01, 5_123_456)
    along, across, area = ground_size([(0, 0), (40, 0), (40, 20), (0, 20)], to_map, "EPSG:32631")
    assert (along, across, area) == pytest.approx((0.4, 0.2, 0.08), rel=1e-3)


@pytest.mark.parametrize("west", [-10, 170, 340, 350])
def test_a_wide_box_in_degrees_is_as_long_as_its_parallel(west):
    box = [(0, 0), (40, 0), (40, 10), (0, 10)]
    along, across, area = ground_size(box, Affine(1, 0, west, 0, -1, 60), "EPSG:4326")
    assert along == pytest.approx(parallel(60, 40), rel=1e-4)
    assert across == pytest.approx(
        np.sum([111_132.95 - 559.85 * math.cos(math.radians(2 * (50.5 + n))) for n in range(10)]), rel=1e-4
    )
    assert area == pytest.approx(zone(50, 60, 40), rel=1e-3)


def test_a_box_around_the_globe_is_as_long_as_the_equator():
    along, _, area = ground_size([(0, 80), (360, 80), (360, 100), (0, 100)], Affine(1, 0, 0, 0, -1, 90), "EPSG:4326")
    assert along == pytest.approx(parallel(10, 360), rel=0.007)
    assert area == pytest.approx(zone(-10, 10, 360), rel=0.02)
