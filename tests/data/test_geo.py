"""GeoJSON and GeoPackage labels over a raster."""

import json
import random

import numpy as np
import pyogrio
import pytest
import rasterio
import rasterio.warp
import shapely
from affine import Affine

from geochat.dialects import GEOCHAT
from geochat.errors import DataError, ImageError
from geochat.geometry import OrientedBox
from geochat_data.questions import Subject
from geochat_data.readers import DataSource, read

UTM = {"crs": "EPSG:32614", "transform": Affine(0.5, 0, 500000, 0, -0.5, 4000000)}
DEGREES = {"crs": "EPSG:4326", "transform": Affine(0.001, 0, 10, 0, -0.001, 50)}


def write_raster(path, width, height, place):
    pixels = np.random.default_rng(0).integers(1, 255, (3, height, width), np.uint8)
    size = {"width": width, "height": height, "count": 3, "dtype": "uint8"}
    with rasterio.open(path, "w", driver="GTiff", **size, **place) as out:
        out.write(pixels)
    return path


@pytest.fixture
def large_raster(folder):
    """A GeoTIFF of six windows, half a metre a pixel, in UTM."""
    return write_raster(folder / "ground.tif", 300, 200, UTM)


@pytest.fixture
def raster(folder):
    """A GeoTIFF of two windows, half a metre a pixel, in UTM."""
    return write_raster(folder / "ground.tif", 200, 100, UTM)


@pytest.fixture
def degrees(folder):
    """A GeoTIFF of one window, a thousandth of a degree a pixel."""
    return write_raster(folder / "ground.tif", 100, 100, DEGREES)


def ground(x, y, width, height):
    """A box in pixels of the raster, in its map coordinates."""
    return shapely.box(500000 + x / 2, 4000000 - (y + height) / 2, 500000 + (x + width) / 2, 4000000 - y / 2)


def in_degrees(x, y, side=20):
    """A square in pixels of the raster, in degrees."""
    return shapely.box(10 + x / 1000, 50 - (y + side) / 1000, 10 + (x + side) / 1000, 50 - y / 1000)


def geo(raster, features):
    path = raster.with_name("labels.gpkg")
    path.unlink(missing_ok=True)
    shapes, names = zip(*features, strict=True)
    columns = [np.array(names, dtype=object)]
    pyogrio.raw.write(path, shapely.to_wkb(shapes), columns, ["class"], geometry_type="Unknown", crs="EPSG:32614")
    return DataSource(path, images=raster, window=100)


def geojson(raster, features, **start):
    path = raster.with_name("labels.geojson")
    rows = [{"type": "Feature", "properties": p, "geometry": shapely.geometry.mapping(shape)} for shape, p in features]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": rows}), **start)
    return DataSource(path, images=raster, window=100)


@pytest.mark.parametrize(("driver", "crs"), [("GPKG", "EPSG:32614"), ("GeoJSON", "EPSG:4326"), ("GPKG", "EPSG:3857")])
def test_labels_reach_the_windows_through_the_geotransform(large_raster, folder, driver, crs):
    shapes = [ground(10, 10, 20, 40), ground(90, 20, 30, 20), ground(98, 150, 10, 10), shapely.Point(500000, 4000000)]
    there = rasterio.warp.transform if crs != "EPSG:32614" else lambda _a, _b, x, y: (x, y)
    moved = [shapely.transform(s, lambda p: np.stack(there("EPSG:32614", crs, p[:, 0], p[:, 1]), 1)) for s in shapes]
    path = folder / f"labels.{driver.lower()}"
    names = np.array(["Building", "building", "solar_panel", "car"], dtype=object)
    pyogrio.raw.write(path, shapely.to_wkb(moved), [names], ["class"], driver=driver, geometry_type="Unknown", crs=crs)
    source = DataSource(path, images=large_raster, window=100)
    windows = {window.name: window for window in read("geo", source)}
    assert len(windows) == 6
    first = windows["ground_0_0"]
    assert [item.box.iou(OrientedBox(10, 10, 30, 50)) for item in first.objects] == [pytest.approx(1, abs=0.02)]
    assert len(first.ignore) == 1, "a third of the second building lies here"
    (cut,) = windows["ground_100_0"].objects
    assert cut.truncated
    assert cut.box.iou(OrientedBox(-10, 20, 20, 40)) == pytest.approx(1, abs=0.02)
    assert [item.category for item in windows["ground_100_100"].objects] == ["solar panel"]
    assert first.labelled == {"building", "solar panel"}
    assert first.open().size == (100, 100)
    assert source.report.reasons == {"feature that is not a polygon": 1}


def test_geo_needs_a_raster_and_a_category(large_raster, folder):
    path = folder / "labels.geojson"
    pyogrio.raw.write(path, shapely.to_wkb([ground(0, 0, 9, 9)]), [], [], geometry_type="Polygon", crs="EPSG:32614")
    with pytest.raises(DataError, match="--images"):
        list(read("geo", DataSource(path)))
    with pytest.raises(DataError, match="category"):
        list(read("geo", DataSource(path, images=large_raster)))
    folder.picture("plain.png")
    with pytest.raises(ImageError, match="geotransform"):
        list(read("geo", DataSource(path, images=folder / "plain.png")))


def test_a_feature_that_cannot_be_used_is_unknown_where_it_lies(raster):
    features = [
        (ground(10, 10, 20, 20), "car"),
        (ground(110, 10, 20, 20), "plane"),
        (ground(50, 50, 20, 20).centroid, "plane"),
        (ground(150, 50, 20, 20), None),
    ]
    source = geo(raster, features)
    left, right = read("geo", source)
    assert (left.labelled, right.labelled) == ({"car"}, frozenset())
    assert [item.category for item in right.objects] == ["plane"]
    assert source.report.reasons == {"feature that is not a polygon": 1, "feature without a category": 1}
    assert (source.report.unused_labels, source.report.unknown_images) == (2, 2)


def test_planes_off_the_raster_are_not_absent_from_it(raster):
    features = [(ground(10, 10, 20, 20), "car"), (ground(9000, 10, 20, 20), "car"), (ground(9000, 0, 20, 20), "plane")]
    source = geo(raster, features)
    left, right = read("geo", source)
    assert left.labelled == right.labelled == {"car"}
    assert source.report.notes == {"feature off the raster": 2}
    assert Subject(right, random.Random(), GEOCHAT).absent == ["car"]
    with pytest.raises(DataError, match=r"none of the 1 features .* pixels they reach from \(9000, 0\)"):
        list(read("geo", geo(raster, features[2:])))


def test_a_feature_without_a_place_is_unknown_everywhere(raster):
    source = geo(raster, [(ground(10, 10, 20, 20), "car"), (None, "plane"), (shapely.Polygon(), "car")])
    assert [window.labelled for window in read("geo", source)] == [frozenset(), frozenset()]
    assert source.report.reasons == {"feature without a geometry": 2}
    assert source.report.unknown == {"plane": 2, "car": 2}


def test_what_only_touches_a_window_is_no_fault_of_it(raster):
    source = geo(raster, [(ground(60, 10, 40, 20), "car"), (ground(100, 50, 20, 20), "car")])
    left, right = read("geo", source)
    assert (len(left.objects), len(right.objects)) == (1, 1)
    assert left.labelled == right.labelled == {"car"}
    assert source.report.skipped == 0


def test_two_polygons_of_a_feature_are_two_objects(degrees):
    both = shapely.MultiPolygon([in_degrees(5, 5), in_degrees(60, 60)])
    mixed = shapely.GeometryCollection([in_degrees(5, 60), shapely.Point(10.07, 49.98)])
    (window,) = read("geo", geojson(degrees, [(both, {"class": "car"})], encoding="utf-8-sig"))
    assert sorted(item.center for item in window.objects) == [pytest.approx((15, 15)), pytest.approx((70, 70))]
    assert window.labelled == {"car"}
    source = geojson(degrees, [(both, {"class": "car"}), (mixed, {"class": "ship"})])
    (window,) = read("geo", source)
    assert [item.category for item in window.objects] == ["car", "car", "ship"]
    assert window.labelled == {"car"}
    assert source.report.reasons == {"feature that is not a polygon": 1}


def test_a_class_is_a_name(degrees):
    features = [(in_degrees(5, 5), {"class": 3, "kind": "Car"}), (in_degrees(60, 60), {"class": None, "kind": "Ship"})]
    source = geojson(degrees, features)
    with pytest.raises(DataError, match=r"feature 0: the category '3' is a number.*--names 3=NAME"):
        list(read("geo", source))
    (window,) = read("geo", DataSource(source.path, images=degrees, names={"3": "car"}))
    assert [item.category for item in window.objects] == ["car"]
    assert window.labelled == frozenset(), "the other may be a car too"
    (window,) = read("geo", DataSource(source.path, images=degrees, column="kind"))
    assert {item.category for item in window.objects} == window.labelled == {"car", "ship"}
    with pytest.raises(DataError, match="none of the attributes sort, only class, kind"):
        list(read("geo", DataSource(source.path, images=degrees, column="sort")))
    (window,) = read(
        "geo", geojson(degrees, [(in_degrees(5, 5), {"Class": "nan"}), (in_degrees(60, 60), {"Class": "car"})])
    )
    assert ([item.category for item in window.objects], window.labelled) == (["car"], frozenset())
