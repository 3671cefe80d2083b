"""Regions written as GeoJSON and GeoPackage and asked about again come back as they were, wherever on Earth."""

import json
import math
from dataclasses import replace

import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geochat.assistant.layers import layer_boxes
from geochat.assistant.region_input import pixel_boxes
from geochat.errors import RegionError
from geochat.exports import Collection, GroundedRegion, read_vector_layer, to_geojson, write_geojson, write_geopackage
from geochat.geometry import Frame, ImagePlace, OrientedBox, to_geographic

SIDE = 200  # pixels
WORLD = 20037508.342789244  # half the width of the Web Mercator map, metres
THAI = (
    'PROJCS["Indian 1975 / UTM zone 47N",GEOGCS["Indian 1975",DATUM["Indian_1975",'
    'SPHEROID["Everest 1830 (1937 Adjustment)",6377276.345,300.8017],TOWGS84[210,814,289,0,0,0,0]],'
    'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433],AUTHORITY["EPSG","4240"]],'
    'PROJECTION["Transverse_Mercator"],PARAMETER["latitude_of_origin",0],PARAMETER["central_meridian",99],'
    'PARAMETER["scale_factor",0.9996],PARAMETER["false_easting",500000],PARAMETER["false_northing",0],'
    'UNIT["metre",1],AXIS["Easting",EAST],AXIS["Northing",NORTH]]'
)


def north_up(x, y, pixel):
    """The geotransform whose middle pixel lies at (x, y)."""
    return Affine(pixel, 0, x - pixel * SIDE / 2, 0, -pixel, y + pixel * SIDE / 2)


PLACES = {
    "UTM": ("EPSG:32614", north_up(512_345, 3_345_678, 10)),
    "UTM, turned": ("EPSG:32614", north_up(512_345, 3_345_678, 10) @ Affine.rotation(33, (100, 100))),
    "UTM, south up": ("EPSG:32614", Affine(10, 0, 512_345, 0, 10, 3_345_678)),
    "UTM, oblong pixels": ("EPSG:32614", Affine(10, 0, 512_345, 0, -25, 3_345_678)),
    "UTM across the antimeridian": ("EPSG:32701", north_up(166_021, 9_700_000, 30)),
    "degrees": ("EPSG:4326", north_up(7.5, 47.1, 1e-4)),
    "CRS84": ("OGC:CRS84", north_up(7.5, 47.1, 1e-4)),
    "degrees from 0 to 360": ("EPSG:4326", north_up(352.3, -21, 0.01)),
    "degrees across 360": ("EPSG:4326", north_up(360, 3, 0.01)),
    "degrees across the antimeridian": ("EPSG:4326", north_up(180, 3, 1e-4)),
    "degrees west of -180": ("EPSG:4326", north_up(-180, 3, 0.01)),
    "NAD27 across the antimeridian": ("EPSG:4267", north_up(-180, 52, 0.001)),
    "grads of Paris": ("EPSG:4807", north_up(0.1, 52, 0.0001)),
    "a global grid of points": ("EPSG:4326", Affine(1.8, 0, -0.9, 0, -0.9, 90.45)),
    "a global grid to 180": ("EPSG:4326", Affine(1.8, 0, -180, 0, -0.9, 90)),
    "Web Mercator": ("EPSG:3857", north_up(1e6, 6e6, 20)),
    "Web Mercator beyond its border": ("EPSG:3857", north_up(WORLD, 6e6, 50)),
    "Web Mercator before its border": ("EPSG:3857", north_up(-WORLD, -6e6, 50)),
    "Pacific Mercator": ("EPSG:3832", north_up(WORLD / 6, -2e6, 100)),
    "Pacific Mercator beyond its border": ("EPSG:3832", north_up(WORLD, -2e6, 100)),
    "cylinders of equal area": ("EPSG:6933", north_up(17_367_530, 1e6, 1000)),
    "south pole": ("EPSG:3031", north_up(0, 0, 1000)),
    "near the south pole": ("EPSG:3031", north_up(60_000, 123_456, 1000)),
    "antimeridian in the south": ("EPSG:3031", north_up(0, -1_500_000, 30)),
    "north pole": ("EPSG:3413", north_up(0, 0, 1000)),
    "antimeridian in the north": ("EPSG:3413", north_up(-1e6, 1e6, 100)),
    "feet": ("EPSG:2263", north_up(984_250, 200_000, 3)),
    "a datum shift of its own": (THAI, north_up(600_000, 1_500_000, 10)),
    "sinusoidal": ("+proj=sinu +R=6371007.181 +units=m +no_defs", north_up(1e6, 5e6, 463.3)),
}
boxes = st.builds(
    lambda x, y, w, h, angle: OrientedBox(x - w / 2, y - h / 2, x + w / 2, y + h / 2, angle),
    st.floats(1, SIDE - 1) | st.just(SIDE / 2) | st.integers(1, SIDE - 1).map(float),
    st.floats(1, SIDE - 1) | st.just(SIDE / 2) | st.integers(1, SIDE - 1).map(float),
    st.floats(2, 90) | st.integers(2, 90).map(float),
    st.floats(2, 90) | st.integers(2, 90).map(float),
    st.just(0.0) | st.floats(0, 180),
)
widely = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])


def region_on(place, *boxes_there):
    crs, image_to_map = PLACES[place]
    lies = ImagePlace(SIDE, SIDE, image_to_map, crs)
    regions = [GroundedRegion("it", box, lies) for box in boxes_there]
    return regions, Frame((SIDE, SIDE), image_to_map=image_to_map, crs=crs)


def inside(box):
    """Whether nothing is cut from it: at the image's border, or at a pole half a pixel from that."""
    return shapely.box(0, 0.5, SIDE, SIDE - 0.5).contains(box.polygon())


def apart(box, other):
    """The largest distance between the outlines of two boxes, in pixels."""
    return shapely.hausdorff_distance(box.polygon(), other.polygon())


def written(regions, frame):
    return json.loads(json.dumps(to_geojson(regions, frame.crs, {}), allow_nan=False))


def unmarked(document):
    """Only the geometry, as after an export from a GIS that keeps no attributes."""
    return {"type": "FeatureCollection", "features": [{**f, "properties": {}} for f in document["features"]]}


@pytest.mark.parametrize("place", PLACES)
@widely
@given(box=boxes)
def test_geojson_gives_back_the_box(place, box):
    regions, frame = region_on(place, box)
    document = written(regions, frame)
    assert document["features"][0]["geometry"] is not None
    (back,) = pixel_boxes(document, frame)
    assert apart(back, box) < 0.01


@pytest.mark.parametrize("place", PLACES)
@widely
@given(box=boxes.filter(inside))
def test_its_geometry_alone_gives_back_the_box(place, box):
    regions, frame = region_on(place, box)
    (back,) = pixel_boxes(unmarked(written(regions, frame)), frame)
    assert apart(back, box) < 0.01


@pytest.mark.parametrize("place", PLACES)
@widely
@given(box=boxes)
def test_geojson_is_as_rfc_7946_asks(place, box):
    regions, frame = region_on(place, box)
    geometry = shapely.geometry.shape(written(regions, frame)["features"][0]["geometry"])
    assert not geometry.is_empty
    west, south, east, north = geometry.bounds
    assert shapely.box(-180, -90, 180, 90).covers(shapely.box(west, south, east, north))
    for part in shapely.get_parts(geometry):
        assert part.exterior.is_ccw
        assert part.buffer(0).area == pytest.approx(part.area, rel=1e-6)  # no ring crosses itself
    _, _, area = regions[0].ground_size or (0, 0, 0)
    if area and inside(box) and "global" not in place:
        strip = 0.1 * 2 * (box.width + box.height) / box.area  # a tenth of a pixel along the outline
        assert ellipsoidal_area(geometry) == pytest.approx(area, rel=0.01 + strip)


def ellipsoidal_area(geometry):
    """Square metres between chords in longitude and latitude, on the sphere of the same area as the ellipsoid."""
    e = math.sqrt(6.69437999014e-3)

    def equal_area(points):
        sine = np.sin(np.radians(points[:, 1]))
        q = (1 - e**2) * (sine / (1 - (e * sine) ** 2) + np.arctanh(e * sine) / e)
        return np.stack([np.radians(points[:, 0]), q / 2], axis=1) * 6378137.0

    return shapely.transform(shapely.segmentize(geometry, 0.05 * max(1e-9, geometry.length)), equal_area).area


@pytest.mark.parametrize("place", PLACES)
def test_a_geopackage_gives_back_the_box(place, tmp_path):
    there = [OrientedBox(90, 80, 130, 95, 20), OrientedBox(95, 99, 130, 102, 90), OrientedBox(100, 100, 130, 130)]
    regions, frame = region_on(place, *there)
    layer = read_vector_layer(write_geopackage(tmp_path / "a.gpkg", regions, frame.crs, {}))
    for back, box in zip(layer_boxes(layer, frame), there, strict=True):
        assert apart(back, box) < 0.01


@pytest.mark.parametrize("place", PLACES)
def test_a_geojson_file_gives_back_the_box(place, tmp_path):
    there = [OrientedBox(90, 80, 130, 95, 20), OrientedBox(95, 99, 130, 102, 90), OrientedBox(100, 100, 130, 130)]
    regions, frame = region_on(place, *there)
    layer = read_vector_layer(write_geojson(tmp_path / "a.geojson", to_geojson(regions, frame.crs, {})))
    for back, box in zip(layer_boxes(layer, frame), there, strict=True):
        assert apart(back, box) < 0.01


def test_around_a_pole_the_ring_runs_along_antimeridian_and_pole(tmp_path):
    regions, frame = region_on("south pole", OrientedBox(90, 95, 120, 105))
    path = write_geojson(tmp_path / "a.geojson", to_geojson(regions, frame.crs, {}))
    _, _, (wkb,), _ = pyogrio.raw.read(path)
    ring = shapely.from_wkb(wkb)
    assert ring.geom_type == "Polygon"
    assert ring.bounds[::2] == (-180, 180)
    assert {(-180.0, -90.0), (180.0, -90.0)} <= set(ring.exterior.coords)
    # 20 pixels of a kilometre one way, 5 the other
    shore = {lon: lat for lon, lat in ring.exterior.coords if lat > -89.99}
    (east,), (south,) = to_geographic([(20_000, 0)], frame.crs), to_geographic([(0, -5000)], frame.crs)
    assert shore[min(shore, key=lambda lon: abs(lon - 90))] == pytest.approx(east[1], abs=1e-3)
    assert shore[180] == pytest.approx(south[1], abs=1e-4)


def test_a_box_cut_at_the_antimeridian_is_one_region():
    regions, frame = region_on("degrees across the antimeridian", OrientedBox(80, 80, 120, 120))
    document = written(regions, frame)
    assert document["features"][0]["geometry"]["type"] == "MultiPolygon"
    for form in (document, unmarked(document), document["features"][0]["geometry"]):
        assert len(pixel_boxes(form, frame)) == 1


def test_two_objects_of_a_multipolygon_stay_two():
    west, east = shapely.box(179.991, 3, 179.993, 3.001), shapely.box(-179.993, 3, -179.991, 3.001)
    _, frame = region_on("degrees across the antimeridian")
    both = shapely.geometry.mapping(shapely.MultiPolygon([west, east]))
    assert [round(box.center[0]) for box in pixel_boxes(both, frame)] == [20, 180]


def test_an_edited_geometry_rules():
    regions, frame = region_on("UTM", OrientedBox(20, 20, 40, 40), OrientedBox(180, 20, 220, 40))
    document = written(regions, frame)
    first, second = document["features"]
    first["geometry"] = {**second["geometry"]}  # a GIS moved it
    moved, as_it_was = pixel_boxes(document, frame)
    assert apart(moved, OrientedBox(180, 20, 200, 40)) < 0.01  # the part on the image is all that is drawn
    assert apart(as_it_was, OrientedBox(180, 20, 220, 40)) < 0.01


def test_on_another_image_of_the_place_the_geometry_rules():
    regions, frame = region_on("UTM", OrientedBox(20, 20, 40, 40))
    finer = replace(frame, view_size=(400, 400), image_to_map=frame.image_to_map @ Affine.scale(0.5))
    (box,) = pixel_boxes(written(regions, frame), finer)
    assert apart(box, OrientedBox(40, 40, 80, 80)) < 0.01


def test_attributes_that_came_back_as_text_or_nonsense_do_no_harm():
    regions, frame = region_on("UTM", OrientedBox(180, 20, 220, 40))
    document = written(regions, frame)
    said = document["features"][0]["properties"]
    document["features"][0]["properties"] = {name: json.dumps(said[name]) for name in ("pixels", "outline")}
    (box,) = pixel_boxes(document, frame)
    assert apart(box, OrientedBox(180, 20, 220, 40)) < 0.01
    for nonsense in ("[[", 3, [[1, 2]], [["a", 1], [2, 3], [4, 5]], {}, None):
        document["features"][0]["properties"] = {"pixels": nonsense, "outline": nonsense}
        (box,) = pixel_boxes(document, frame)
        assert apart(box, OrientedBox(180, 20, 200, 40)) < 0.01


def test_in_pixels_a_box_over_the_border_comes_back_whole():
    box, frame = OrientedBox(180, 20, 220, 40, 10), Frame((SIDE, SIDE))
    document = json.loads(json.dumps(to_geojson([GroundedRegion("it", box, ImagePlace(SIDE, SIDE))], None, {})))
    (back,) = pixel_boxes(document, frame)
    assert apart(back, box) < 0.01


def test_what_has_no_geometry_says_why():
    outside, frame = region_on("UTM", OrientedBox(300, 300, 320, 320))
    beyond = replace(outside[0], geometry=OrientedBox(10, 10, 20, 20), place=ImagePlace(SIDE, SIDE, *far()))
    document = written([outside[0], beyond], frame)
    assert [feature["geometry"] for feature in document["features"]] == [None, None]
    reasons = [feature["properties"]["unlocated"] for feature in document["features"]]
    assert "on the image" in reasons[0]
    assert "CRS" in reasons[1]
    with pytest.raises(RegionError, match="nothing of it lies on the image"):
        pixel_boxes(document, frame)


def far():
    return Affine(5, 0, 1e12, 0, -5, 1e12), "EPSG:32614"


def test_a_geopackage_says_why_too(tmp_path):
    regions, frame = region_on("UTM", OrientedBox(300, 300, 320, 320), OrientedBox(30, 30, 32, 32))
    meta, _, shapes, columns = pyogrio.raw.read(write_geopackage(tmp_path / "a.gpkg", regions, frame.crs, {}))
    said = dict(zip(meta["fields"], columns, strict=True))["unlocated"].tolist()
    assert shapes[0] is None
    assert said == ["nothing of it lies on the image", None]


def test_images_of_several_crs_make_a_geopackage_cut_at_the_antimeridian(tmp_path):
    layer, frames = Collection(), []
    for place in ("degrees across the antimeridian", "antimeridian in the south", "UTM"):
        regions, frame = region_on(place, OrientedBox(80, 90, 120, 110))
        layer.add(place, regions, {"image": place, "crs": frame.crs})
        frames.append(frame)
    path = layer.to_geopackage(tmp_path / "a.gpkg")
    meta, _, shapes, _ = pyogrio.raw.read(path)
    assert meta["geometry_type"] == "MultiPolygon"
    shapes = shapely.from_wkb(shapes)
    assert [len(shape.geoms) for shape in shapes] == [1, 2, 1]  # the first stays on its image, on beyond 180
    assert all(part.bounds[2] - part.bounds[0] < 1 for part in shapely.get_parts(shapes))
    read = read_vector_layer(path)
    for number, frame in enumerate(frames):
        assert apart(layer_boxes(read, frame)[number], OrientedBox(80, 90, 120, 110)) < 0.01


@pytest.mark.parametrize("place", [place for place in PLACES if "pole" not in place and "global" not in place])
def test_a_layer_in_any_crs_lies_on_an_image_in_degrees_of_any_turn(place, tmp_path):
    regions, frame = region_on(place, OrientedBox(90, 80, 130, 100))
    layer = read_vector_layer(write_geopackage(tmp_path / "a.gpkg", regions, frame.crs, {}))
    ((longitude, latitude),) = to_geographic([frame.image_to_map @ (110, 90)], frame.crs)
    for turn in (-360, 0, 360):
        there = Frame((SIDE, SIDE), image_to_map=north_up(longitude + turn, latitude, 0.01), crs="EPSG:4326")
        (box,) = layer_boxes(layer, there)
        assert box.center == pytest.approx((SIDE / 2, SIDE / 2), abs=0.05 * max(box.width, box.height))
