"""Vector layers read and written back, and the regions of several images as one layer."""

import json
import socket

import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine

from geochat.dialects import Region
from geochat.errors import ExportError, RegionError
from geochat.exports import (
    PIXELS,
    Collection,
    GroundedRegion,
    answered_geojson,
    read_vector_layer,
    vector_layer,
    write_answered_geopackage,
)
from geochat.geometry import Frame, ImagePlace, ModelFrame, OrientedBox

SQUARE = shapely.box(500_000, 5_200_000, 500_100, 5_200_100)
ADDED = {"phrase": ["a field", None], "answer": ["a field", None], "score": [0.5, None], "skipped": [None, "no"]}


@pytest.fixture
def fields(tmp_path):
    """A GeoPackage with every kind of column."""
    path = tmp_path / "fields.gpkg"
    columns = {
        "number": np.array([4, 5], np.int32),
        "area": np.array([1.5, np.nan]),
        "name": np.array(["Ô", None], dtype=object),
        "sown": np.array(["2024-03-01", "NaT"], "datetime64[D]"),
        "irrigated": np.array([True, False]),
        "Phrase": np.array(["old", "older"], dtype=object),
    }
    pyogrio.raw.write(
        path,
        shapely.to_wkb([SQUARE, SQUARE]),
        list(columns.values()),
        list(columns),
        layer="fields",
        crs="EPSG:26914",
        geometry_type="Polygon",
    )
    return path


def columns_of(path):
    meta, _, _, values = pyogrio.raw.read(path)
    return dict(zip(meta["fields"], values, strict=True))


def test_columns_keep_their_types_and_order(fields, tmp_path):
    before = columns_of(fields)
    layer = read_vector_layer(fields)
    assert (layer.name, layer.crs, layer.geometry_type, len(layer)) == ("fields", "EPSG:26914", "Polygon", 2)
    after = columns_of(write_answered_geopackage(tmp_path / "a.gpkg", layer, ADDED, {"model": "tiny"}))
    assert list(after) == ["number", "area", "name", "sown", "irrigated", "layer_Phrase", *ADDED]
    for name, values in before.items():
        kept = after["layer_Phrase" if name == "Phrase" else name]
        assert kept.dtype == values.dtype
        assert str(kept.tolist()) == str(values.tolist())
    assert after["score"].tolist()[0] == 0.5
    assert np.isnan(after["score"][1])
    assert pyogrio.read_info(tmp_path / "a.gpkg")["layer_metadata"]["model"] == "tiny"


def test_geojson_of_a_layer_is_valid_json(fields):
    document = answered_geojson(read_vector_layer(fields), ADDED, {"model": "tiny"})
    first, second = (feature["properties"] for feature in json.loads(json.dumps(document, allow_nan=False))["features"])
    assert first["sown"].startswith("2024-03-01")
    assert (second["sown"], second["area"], second["name"]) == (None, None, None)
    assert (first["irrigated"], first["number"], first["layer_Phrase"], first["phrase"]) == (True, 4, "old", "a field")
    (ring,) = document["features"][0]["geometry"]["coordinates"]
    assert shapely.LinearRing(ring).is_ccw


def write_json(path, document):
    path.write_text(json.dumps(document))
    return path


def feature(geometry, **properties):
    return {"type": "Feature", "geometry": geometry, "properties": properties}


POLYGON = shapely.geometry.mapping(shapely.box(0, 0, 1, 1))


def test_geojson_properties_of_any_kind_survive(tmp_path):
    rows = [feature(POLYGON, id=1, tags=["a", 2], nested={"x": None}), feature(None, id=None)]
    layer = read_vector_layer(write_json(tmp_path / "a.json", {"type": "FeatureCollection", "features": rows}))
    assert (layer.crs, layer.coordinates) == ("EPSG:4326", "map")
    first, second = (each["properties"] for each in answered_geojson(layer, ADDED, {})["features"])
    assert (first["tags"], first["nested"], second["id"]) == (["a", 2], {"x": None}, None)
    values = columns_of(write_answered_geopackage(tmp_path / "a.gpkg", layer, ADDED, {}))
    assert values["tags"].tolist() == ['["a", 2]', None]


@pytest.mark.parametrize(
    ("document", "coordinates", "crs"),
    [
        (POLYGON, "map", "EPSG:4326"),
        (feature(POLYGON), "map", "EPSG:4326"),
        (feature(POLYGON, coordinates=PIXELS), "pixels", None),
        (
            {"type": "FeatureCollection", "features": [feature(POLYGON)], "geochat": {"coordinates": PIXELS}},
            "pixels",
            None,
        ),
        (
            {
                "type": "FeatureCollection",
                "features": [feature(POLYGON)],
                "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::26914"}},
            },
            "map",
            "EPSG:26914",
        ),
        (
            {
                "type": "FeatureCollection",
                "features": [feature(POLYGON)],
                "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}},
            },
            "map",
            "EPSG:4326",
        ),
    ],
)
def test_what_geojson_says_of_its_coordinates(tmp_path, document, coordinates, crs):
    layer = read_vector_layer(write_json(tmp_path / "a.geojson", document))
    assert (layer.coordinates, layer.crs) == (coordinates, crs)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([1], "holds a list"),
        ({"type": "FeatureCollection", "features": []}, "holds no feature"),
        ({"type": "FeatureCollection"}, "holds no feature"),
        ({"type": "Polygon", "coordinates": [[[0, 0]]]}, "feature 1: malformed geometry"),
        (feature({"type": "Spiral"}), "feature 1: malformed geometry"),
    ],
)
def test_geojson_that_is_none(tmp_path, document, message):
    with pytest.raises(RegionError, match=message):
        read_vector_layer(write_json(tmp_path / "a.geojson", document))


@pytest.mark.parametrize(
    "crs",
    [
        {"type": "link", "properties": {"href": "URL", "type": "proj4"}},
        {"type": "url", "properties": {"url": "URL"}},
        {"type": "name", "properties": {"name": "URL"}},
        {"type": "name", "properties": {"name": "/etc/passwd"}},
        {"type": "name", "properties": {"name": 3857}},
        "EPSG:3857",
    ],
)
def test_a_crs_of_geojson_is_a_name_and_nothing_is_fetched(tmp_path, crs):
    """GDAL would fetch a link."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/crs"
        document = json.loads(json.dumps(feature(POLYGON) | {"crs": crs}).replace("URL", address))
        with pytest.raises(RegionError, match="name it as EPSG"):
            read_vector_layer(write_json(tmp_path / "a.geojson", document))
        with pytest.raises(TimeoutError):
            listener.accept()


@pytest.mark.parametrize(
    "document",
    [
        {"type": "gdal_streamed_alg", "crs": "x", "command_line": "gdal vector convert /etc/passwd"},
        {"type": "Topology", "crs": "x", "objects": {}},
    ],
)
def test_json_of_other_formats_is_not_read(tmp_path, document):
    """GDAL would run the commands in the first."""
    for values in (document, {name: value for name, value in document.items() if name != "crs"}):
        with pytest.raises(RegionError):
            read_vector_layer(write_json(tmp_path / "a.geojson", values))


def test_attributes_that_each_row_names_anew_are_refused(tmp_path, monkeypatch):
    """A thousand rows with an attribute of their own each make a million values."""
    monkeypatch.setattr(vector_layer, "_MAX_CELLS", 999_999)
    rows = [feature(POLYGON, **{f"n{number}": number}) for number in range(1000)]
    with pytest.raises(RegionError, match="1,000 attributes"):
        read_vector_layer(write_json(tmp_path / "a.json", {"type": "FeatureCollection", "features": rows}))


def region(crs, origin):
    place = ImagePlace(200, 100, Affine(5, 0, origin, 0, -5, 5_200_000), crs)
    frame = Frame((200, 100), image_to_map=place.image_to_map, crs=crs, model=ModelFrame())
    return GroundedRegion.placed(Region(OrientedBox(40, 40, 60, 60), "a ship"), frame, place)


def provenance(crs, **more):
    return {"model": "tiny", "image": "/a/b.tif", "image_sha256": crs, "crs": crs, "bands": [1, 2, 3], **more}


def test_an_image_without_regions_counts(tmp_path):
    layer = Collection()
    layer.add("a.tif", [region("EPSG:26914", 500_000)], provenance("EPSG:26914"))
    layer.add("b.tif", [], provenance("EPSG:26914", prompt="other"))
    assert layer.crs == "EPSG:26914"
    document = json.loads(layer.save_geojson(tmp_path / "a.geojson").read_text())
    assert document["geochat"]["model"] == "tiny"
    assert "prompt" not in document["geochat"]
    assert set(document["geochat"]["images"]) == {"a.tif", "b.tif"}
    values = columns_of(layer.to_geopackage(tmp_path / "a.gpkg"))
    assert values["image"].tolist() == ["a.tif"]
    assert values["bands"].tolist() == ["[1, 2, 3]"]


def test_a_layer_needs_an_image(tmp_path):
    with pytest.raises(ExportError, match="no image that was answered has a place"):
        Collection().to_geopackage(tmp_path / "a.gpkg")


def test_no_regions_at_all_give_an_empty_layer(tmp_path):
    layer = Collection()
    layer.add("a.tif", [], provenance("EPSG:26914"))
    info = pyogrio.read_info(layer.to_geopackage(tmp_path / "a.gpkg"))
    assert (info["features"], info["crs"]) == (0, "EPSG:26914")
