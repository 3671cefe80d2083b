import json

import numpy as np
import pytest
import shapely
from affine import Affine

from geochat import GeoChatError, OrientedBox
from geochat.assistant.region_input import pixel_boxes
from geochat.errors import RegionError
from geochat.exports import PIXELS
from geochat.geometry import Frame, from_geographic, to_geographic

FRAME = Frame((200, 100))
MAPPED = Frame((200, 100), image_to_map=Affine(5, 0, 500_000, 0, -5, 5_200_000), crs="EPSG:26914")
BOX = OrientedBox(20, 10, 60, 30)


def lonlat(points):
    return to_geographic([MAPPED.image_to_map @ point for point in points], MAPPED.crs).tolist()


def geojson(kind="Polygon", points=None):
    ring = lonlat(BOX.corners()) if points is None else [list(point) for point in points]
    ring = [*ring, ring[0]]
    return {"type": kind, "coordinates": [ring] if kind == "Polygon" else [[ring]]}


def feature(geometry, **properties):
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def collection(*features, **members):
    return {"type": "FeatureCollection", "features": list(features), **members}


def same(box, other, tolerance=1e-3):
    return box.iou(other) > 1 - tolerance


@pytest.mark.parametrize(
    "region",
    [
        (20, 10, 60, 30),
        [20.0, 10.0, 60.0, 30.0, 0.0],
        np.array([20, 10, 60, 30]).tolist(),
        BOX,
        BOX.polygon(),
        [(20, 10), (60, 10), (60, 30), (20, 30)],
        shapely.LineString([(20, 10), (60, 30), (60, 10)]),
        feature(geojson(points=BOX.corners()), coordinates=PIXELS),
        collection(feature(geojson(points=BOX.corners())), geochat={"coordinates": PIXELS}),
    ],
)
def test_forms_in_pixels(region):
    (alone,) = pixel_boxes(region, FRAME)
    (listed,) = pixel_boxes([region], FRAME)
    assert same(alone, BOX)
    assert alone == listed


@pytest.mark.parametrize(
    "region",
    [
        geojson(),
        geojson("MultiPolygon"),
        feature(geojson()),
        feature(geojson(), coordinates="WGS 84 longitude, latitude"),
        collection(feature(geojson())),
        {"type": "GeometryCollection", "geometries": [geojson()]},
        {**geojson(), "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}},
        json.loads(json.dumps(collection(feature(geojson())))),
    ],
)
def test_geojson_is_longitude_and_latitude(region):
    (box,) = pixel_boxes(region, MAPPED)
    assert same(box, BOX)


def test_bare_shapes_may_be_geographic():
    points = [tuple(point) for point in lonlat(BOX.corners())]
    for region in (points, shapely.Polygon(points)):
        (box,) = pixel_boxes([region], MAPPED, "geographic")
        assert same(box, BOX)


def test_turned_boxes_keep_their_angle():
    (box,) = pixel_boxes((20, 10, 60, 30, 40), FRAME)
    assert (box.x1, box.y1, box.x2, box.y2, box.angle) == pytest.approx((20, 10, 60, 30, 40))


def test_in_a_window_pixels_are_still_the_whole_images():
    (box,) = pixel_boxes((120, 10, 160, 30), FRAME.window(100, 0, 100, 100))
    assert (box.x1, box.y1, box.x2, box.y2) == pytest.approx((120, 10, 160, 30))


def test_several_regions_keep_their_order():
    boxes = pixel_boxes([BOX, collection(feature(geojson()), feature(geojson())), (0, 0, 9, 9)], MAPPED)
    assert len(boxes) == 4
    assert boxes[3].x2 == pytest.approx(9)


def test_a_region_may_reach_over_the_edge():
    (box,) = pixel_boxes((-20, -10, 20, 10), FRAME)
    assert (box.x1, box.y1) == pytest.approx((-20, -10))


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ((10, 20, 30), "region 1 .*3 numbers"),
        ((30, 20, 10, 40), "region 1 .*no area: x1 must be below x2"),
        ((10, 20, float("nan"), 40), "region 1 .*not finite"),
        ((10, 20, float("inf"), 40), "region 1.*not finite"),
        ((300, 20, 340, 40), "region 1 lies outside .*300.* view"),
        ((-30, 20, 0, 40), "region 1 lies outside"),  # touches without overlapping
        (OrientedBox(10, 10, 10, 20), "region 1 has no area"),
        (shapely.Point(10, 10), "region 1 has no area"),
        (shapely.Polygon(), "region 1 is empty"),
        ("10,20,30,40", "region 1 is text"),
        ([(1, 2), (3, 4)], "region 1 is .*give x1,y1,x2,y2"),
        ([(1, 2), (3, 4), ("a", 5)], "region 1 is no list of points"),
        ([(1, 2), (3, float("nan")), (4, 5)], "region 1"),
        (None, "region 1 is None"),
        ({"type": "Point", "coordinates": [1, 2]}, "region 1 is GeoJSON of type 'Point'"),
        ({"type": "Polygon", "coordinates": [[[1], [2]]]}, "region 1 is a malformed Polygon"),
        ({"type": "Polygon"}, "region 1 is a malformed Polygon"),
        ({"type": "Polygon", "coordinates": None}, "region 1"),
        ({"coordinates": 1}, "region 1 is GeoJSON of type None"),
        (feature(None), "region 1 is a feature without geometry"),
        (collection(None), "region 1, feature 1 is None"),
        (collection(), "region 1 is a FeatureCollection without features"),
        ({"type": "GeometryCollection", "geometries": []}, "region 1 is a GeometryCollection without geometries"),
        (
            collection(feature(geojson()), feature(geojson(points=[(0, 0), (1, 0), (1, 1)]))),
            "feature 2: it lies beyond",
        ),
        ({**geojson(), "crs": {"type": "name", "properties": {"name": "EPSG:26914"}}}, "in EPSG:26914; reproject"),
        (geojson(points=BOX.corners()), "reproject it to EPSG:4326|outside"),
        (geojson(points=[(500_000, 5_199_000), (500_100, 5_199_000), (500_100, 5_199_100)]), "no longitude and"),
    ],
)
def test_impossible_regions_are_named(region, message):
    with pytest.raises(RegionError, match=message):
        pixel_boxes([region], MAPPED)


def test_the_second_region_is_called_so():
    with pytest.raises(RegionError, match="region 2"):
        pixel_boxes([BOX, (0, 0, 0, 0)], FRAME)


def test_degrees_need_a_crs():
    with pytest.raises(RegionError, match="no CRS.*" + PIXELS):
        pixel_boxes(geojson(), FRAME)


def test_outside_the_window_is_outside():
    window = FRAME.window(100, 0, 100, 100)
    with pytest.raises(GeoChatError, match="view \\(100, 0\\) to \\(200, 100\\)"):
        pixel_boxes((20, 10, 60, 30), window)


def degrees(west, north, pixel=0.1, crs="EPSG:4326"):
    return Frame((200, 100), image_to_map=Affine(pixel, 0, west, 0, -pixel, north), crs=crs)


@pytest.mark.parametrize("west", [0, 20, 170, 340, -180, -200, -360])
@pytest.mark.parametrize("turn", [-360, 0, 360])
def test_longitudes_of_any_turn_are_understood(west, turn):
    frame = degrees(west, 5)
    corners = [
        (x + turn, y) for x, y in [(west + 2, 4), (west + 6, 4), (west + 6, 2), (west + 2, 2)] if abs(x + turn) < 360
    ]
    if len(corners) == 4:
        (box,) = pixel_boxes(geojson(points=corners), frame)
        assert same(box, OrientedBox(20, 10, 60, 30))


@pytest.mark.parametrize(
    "region",
    [
        (178, -1, 182, 1),
        (-182, -1, -178, 1),
        (178, -1, -178, 1),  # as the bounding box of RFC 7946
        [(178, -1), (-178, -1), (-178, 1), (178, 1)],  # a ring that was not cut takes the short way
        [(178, -1), (182, -1), (182, 1), (178, 1)],
        shapely.MultiPolygon([shapely.box(178, -1, 180, 1), shapely.box(-180, -1, -178, 1)]),
        geojson(points=[(178, -1), (-178, -1), (-178, 1), (178, 1)]),
        geojson(points=[(178, -1), (182, -1), (182, 1), (178, 1)]),
    ],
)
@pytest.mark.parametrize(
    "frame",
    [
        degrees(170, 5),
        degrees(-190, 5),
        Frame(
            (200, 100),
            image_to_map=Affine(11131.949079, 0, 18924313.434857, 0, -11131.949079, 556597.4539),
            crs="EPSG:3857",
        ),
        Frame(
            (200, 100),
            image_to_map=Affine(11131.949079, 0, 2226389.815865, 0, -11131.949079, 556597.4539),
            crs="EPSG:3832",
        ),
    ],
)
def test_across_the_antimeridian_in_every_spelling(region, frame):
    (box,) = pixel_boxes(region if isinstance(region, dict) else [region], frame, "geographic")
    assert same(box, OrientedBox(80, 40, 120, 60), 0.02)  # Mercator's parallels lie 0.1 % further apart


def test_on_a_map_of_the_world_a_wide_ring_is_a_wide_ring():
    world = Frame((360, 180), image_to_map=Affine(1, 0, -180, 0, -1, 90), crs="EPSG:4326")
    (box,) = pixel_boxes(geojson(points=[(-170, -10), (170, -10), (170, 10), (-170, 10)]), world)
    assert same(box, OrientedBox(10, 80, 350, 100))


def test_a_region_around_the_globe_covers_an_image_of_any_turn():
    band = geojson(points=[(-180, -10), (180, -10), (180, 10), (-180, 10)])
    for west in (-180, 0, 20):
        (box,) = pixel_boxes(band, Frame((360, 180), image_to_map=Affine(1, 0, west, 0, -1, 90), crs="EPSG:4326"))
        assert same(box, OrientedBox(0, 80, 360, 100))
    (box,) = pixel_boxes(band, degrees(175, 5))
    assert same(box, OrientedBox(0, 0, 200, 100))


def test_the_cap_around_a_pole_is_a_region_of_a_polar_image():
    polar = Frame((200, 200), image_to_map=Affine(10_000, 0, -1e6, 0, -10_000, 1e6), crs="EPSG:3031")
    cap = geojson(points=[(-180, -90), (180, -90), (180, -85), (-180, -85)])
    (box,) = pixel_boxes(cap, polar)
    radius = -to_map(polar, (180, -85))[1] / 10_000
    assert box.center == pytest.approx((100, 100), abs=1)
    assert (box.width, box.height) == pytest.approx((2 * radius, 2 * radius), rel=0.02)


def to_map(frame, lonlat):
    return from_geographic([lonlat], frame.crs)[0]


def test_a_feature_without_geometry_is_named_with_its_reason():
    with pytest.raises(RegionError, match="feature 2 is a feature without geometry \\(too far\\)"):
        pixel_boxes(collection(feature(geojson()), feature(None, unlocated="too far")), MAPPED)


@pytest.mark.parametrize(("west", "east"), [(7, 6), (170, 10), (10, -170)])
def test_numbers_in_the_wrong_order_are_no_box_around_the_globe(west, east):
    with pytest.raises(RegionError, match="no area: x1 must be below x2"):
        pixel_boxes((west, 1, east, 2), degrees(0, 5), "geographic")


@pytest.mark.parametrize(
    "region",
    [
        {"type": "GeometryCollection", "geometries": [1, 2]},
        (-1e308, -1e308, 1e308, 1e308),
        (0, 0, 1e308, 1e308),
        (0, 0, 1e12, 5),
        None,
        pytest.param(object(), id="object"),  # whose `repr` differs between processes
        [10**400, 0, 1, 1],
        (10**400, 0, 1, 1),
        [[10**400, 1], [2, 3], [3, 4]],
        {"type": "Polygon", "coordinates": [[[10**400, 0], [0, 1], [1, 1]]]},
        {"type": ["Polygon"]},
        {"type": "Feature", "properties": [1], "geometry": geojson(points=[(0, 0), (50, 0), (50, 50)])},
        {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": "abc"}},
        b"12",
        [b"12"],
    ],
    ids=repr,
)
def test_whatever_is_no_region_is_an_error_that_names_it(region):
    for frame in (FRAME, MAPPED):
        with pytest.raises(RegionError, match="region"):
            pixel_boxes(region, frame)
        with pytest.raises(RegionError, match="region"):
            pixel_boxes([region], frame)
