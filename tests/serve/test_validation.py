"""Regions and windows, from what a browser sends or a user pastes."""

import json

import numpy as np
import pytest

from geochat.errors import RegionError
from geochat.geometry import OrientedBox, to_geographic, transform_points
from geochat.imagery import open_image
from geochat_serve.validation import read_bands, read_boxes, read_places, read_window


@pytest.fixture(scope="module")
def place(pictures):
    return open_image(pictures / "place.tif")


@pytest.fixture(scope="module")
def plain(pictures):
    return open_image(pictures / "wide.png")


def degrees(image, points):
    return to_geographic(transform_points(points, image.frame.image_to_map), image.crs).tolist()


def polygon(image, box):
    ring = degrees(image, box.corners())
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


def test_geojson_lands_where_it_lies(place):
    box = OrientedBox(100, 80, 180, 120, 30)
    feature = {"type": "Feature", "properties": {}, "geometry": polygon(place, box)}
    (found,) = read_places(json.dumps(feature), place)
    assert found.iou(box) > 0.999


def test_west_south_east_north(place):
    (west, south), (east, north) = degrees(place, [(50, 200), (150, 100)])
    (found,) = read_places(f"{west}, {south}, {east}, {north}", place)
    assert np.allclose(found.center, (100, 150), atol=1)
    assert found.area == pytest.approx(100 * 100, rel=0.05)


@pytest.mark.parametrize("text", ["px 10, 20, 60, 50", "px10 20 60 50 0", "PX 10,20,60,50"])
def test_pixels(place, text):
    (found,) = read_places(text, place)
    assert found.iou(OrientedBox(10, 20, 60, 50)) == pytest.approx(1)


def test_numbers_are_pixels_where_there_is_no_map(plain):
    (found,) = read_places("10 20 60 50 45", plain)
    assert found.iou(OrientedBox(10, 20, 60, 50, 45)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no region"),
        ("somewhere", "paste GeoJSON"),
        ("{", "not GeoJSON"),
        ('{"type": "Point", "coordinates": [1, 2]}', "Polygon"),
        ("px 1 2 3", "3 numbers"),
        ("px 5000 5000 6000 6000", "outside"),
        ("200 95 201 96", "no longitude and latitude"),
        ("[" * 100_000, "paste GeoJSON"),
    ],
)
def test_other_text_is_refused(place, text, message):
    with pytest.raises(RegionError, match=message):
        read_places(text, place)


def test_degrees_need_a_map(plain):
    with pytest.raises(RegionError, match="no CRS"):
        read_places(json.dumps({"type": "Polygon", "coordinates": [[[1, 1], [2, 1], [2, 2], [1, 1]]]}), plain)


@pytest.mark.parametrize(
    "values",
    [None, "x", [[1, 2, 3]], [[1, 2, 3, 4, 5, 6]], [[1, 2, 3, 4, "5"]], [[1, 2, 3, 4, float("nan")]], [[0] * 5] * 201],
)
def test_boxes_of_a_client_are_checked(values):
    with pytest.raises(RegionError):
        read_boxes(values)


def test_the_angle_of_a_box_may_be_left_out():
    assert read_boxes([[1, 2, 3, 4], [1, 2, 3, 4, 30]]) == (OrientedBox(1, 2, 3, 4), OrientedBox(1, 2, 3, 4, 30))


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (None, None),
        ([0, 0, 600, 300], None),
        ([-50, -50, 900, 900], None),
        ([10.7, 20.2, 99.5, 50.1], (10, 20, 101, 51)),
        ([590, 290, 100, 100], (590, 290, 10, 10)),
    ],
)
def test_windows_are_clipped_to_the_image(plain, sent, read):
    assert read_window(sent, plain) == read


@pytest.mark.parametrize("sent", [[700, 0, 10, 10], [0, 0, 1], "all", [0, 0, float("inf"), 1], [5, 5, -3, 2]])
def test_windows_outside_the_image_are_refused(plain, sent):
    with pytest.raises(RegionError):
        read_window(sent, plain)


@pytest.mark.parametrize(
    ("text", "bands"),
    [
        ("B8, b4,B3", (4, 3, 2)),
        ("B8", (4,)),
        ("4,3,2", (4, 3, 2)),
        ("nir", "nir"),  # a display, though a band has its name
        ("auto", "auto"),
        ("B8, B99, B3", "B8, B99, B3"),
    ],
)
def test_bands_are_chosen_by_their_names(text, bands):
    assert read_bands(text, ("nir", "B3", "B4", "B8", "")) == bands
