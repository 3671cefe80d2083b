"""One door for layers: every format keeps places and properties, streams, and is written whole or not at all."""

import json
import sys

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely
import yaml
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pyarrow import parquet
from rasterio.crs import CRS

from geochat.assistant.layers import layer_boxes
from geochat.errors import ExportError, SettingsError
from geochat.exports import Feature, Layer, read_vector_layer, write_layer
from geochat.geometry import Frame, ImagePlace, OrientedBox

SIZE = (2000, 1000)
UTM = Affine(0.5, 0.1, 485_900, 0.1, -0.5, 5_209_247)
PLACES = {
    "UTM, turned": ("EPSG:26914", UTM),
    "UTM, south up": ("EPSG:32614", Affine(10, 0, 512_345, 0, 10, 3_345_678)),
    "degrees": ("EPSG:4326", Affine(1e-5, 0, 7.5, 0, -1e-5, 47.1)),
    "degrees across the antimeridian": ("EPSG:4326", Affine(1e-4, 0, 179.9, 0, -1e-4, 3)),
    "UTM across the antimeridian": ("EPSG:32701", Affine(30, 0, 136_021, 0, -30, 9_715_000)),
    "Web Mercator": ("EPSG:3857", Affine(20, 0, 1e6, 0, -20, 6e6)),
    "south pole": ("EPSG:3031", Affine(1000, 0, -1e6, 0, -1000, 5e5)),
    "antimeridian in the north": ("EPSG:3413", Affine(100, 0, -1_100_000, 0, -100, 1_050_000)),
    "no CRS": (None, None),
}
COLUMNS = {"phrase": str, "score": float, "count": int, "sure": bool}
VECTOR = ("a.gpkg", "a.geojson", "a.fgb", "a.parquet")
boxes = st.builds(
    lambda x, y, w, h, angle: OrientedBox(x - w / 2, y - h / 2, x + w / 2, y + h / 2, angle),
    st.floats(100, SIZE[0] - 100),
    st.floats(100, SIZE[1] - 100),
    st.floats(4, 90),
    st.floats(4, 90),
    st.just(0.0) | st.floats(0, 180),
)


def place_of(name):
    crs, affine = PLACES[name]
    return ImagePlace(*SIZE, affine, crs)


def layer_of(place, **more):
    return Layer(place, COLUMNS, {"model": "tiny", "bands": [3, 2, 1], "limit": float("nan")}, "scene.tif", **more)


def features_of(place, boxes_there):
    for number, box in enumerate(boxes_there):
        said = {"phrase": ("ship", "Öltank 'ß'")[number % 2], "score": None if number % 3 else 0.25, "sure": True}
        yield Feature(box.polygon(), place, said | ({"count": number} if number % 2 else {}))


def windows_of(place):
    yield Feature(shapely.box(0, 0, 100, 100), place, {"window": "[0, 0, 100, 100]", "reason": "out of memory"})


def apart(one, other):
    """The largest distance between two outlines, in pixels."""
    return shapely.hausdorff_distance(one, other)


def boxes_in(path):
    """The outlines of a label file in pixels."""
    if path.name.endswith(".coco.json"):
        rows = json.loads(path.read_text())["annotations"]
        turned = [row["rotated_bbox"] for row in rows]
        from_numbers = [
            OrientedBox(x - w / 2, y - h / 2, x + w / 2, y + h / 2, angle).polygon() for x, y, w, h, angle in turned
        ]
        drawn = [shapely.Polygon(np.reshape(row["segmentation"][0], (-1, 2))) for row in rows]
        assert all(apart(*pair) < 0.01 for pair in zip(from_numbers, drawn, strict=True))
        return drawn
    if path.suffix == ".txt":
        lines = path.read_text().splitlines()[2:]
        return [shapely.Polygon(np.reshape([float(word) for word in line.split()[:8]], (-1, 2))) for line in lines]
    lines = (path / "labels/scene.txt").read_text().splitlines()
    return [shapely.Polygon(np.reshape([float(word) for word in line.split()[1:]], (-1, 2)) * SIZE) for line in lines]


@pytest.mark.parametrize("place", PLACES)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(there=st.lists(boxes, min_size=1, max_size=3))
def test_vector_formats_give_back_the_boxes(place, there, tmp_path):
    where = place_of(place)
    frame = Frame(SIZE, image_to_map=where.image_to_map, crs=where.crs)
    for name in VECTOR:
        read = read_vector_layer(write_layer(tmp_path / name, layer_of(where), features_of(where, there)))
        order = np.argsort(read.columns["number"].astype(int))  # FlatGeobuf is sorted by its index
        found = layer_boxes(read, frame)
        for number, box in zip(order, there, strict=True):
            assert apart(found[number].polygon(), box.polygon()) < 0.01


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(there=st.lists(boxes, min_size=1, max_size=3))
def test_label_formats_give_back_the_boxes(there, tmp_path_factory):
    folder, where = tmp_path_factory.mktemp("labels"), place_of("UTM, turned")
    for name, format_name in (("a.coco.json", None), ("a.txt", None), ("yolo", "yolo-obb")):
        path = write_layer(folder / name, layer_of(where), features_of(where, there), format=format_name)
        for back, box in zip(boxes_in(path), there, strict=True):
            assert apart(back, box.polygon()) < 0.01


@pytest.mark.parametrize("name", VECTOR)
def test_geopandas_reads_types_nulls_and_crs(name, tmp_path):
    where = place_of("UTM, turned")
    there = [OrientedBox(100 + 50 * n, 100, 130 + 50 * n, 120, 10 * n) for n in range(4)]
    path = write_layer(tmp_path / name, layer_of(where), features_of(where, there), not_looked_at=windows_of(where))
    if name == "a.parquet":
        frame = geopandas.read_parquet(path)
    else:
        frame = geopandas.read_file(path, layer="objects" if name == "a.gpkg" else None)
    frame = frame.sort_values("number")
    assert frame.crs.to_epsg() == (4326 if name == "a.geojson" else 26914)
    assert frame["phrase"].tolist() == ["ship", "Öltank 'ß'"] * 2
    assert frame["score"].isna().tolist() == [False, True, True, False]
    assert frame["count"].isna().tolist() == [True, False, True, False]
    assert frame["count"].dropna().tolist() == [1, 3]
    assert frame.geometry.is_valid.all()
    assert frame.geometry.exterior.apply(lambda ring: ring.is_ccw).all()
    on_map = frame.to_crs(26914).geometry
    for shape, box in zip(on_map, there, strict=True):
        corners = [UTM @ point for point in box.corners()]
        assert apart(shape, shapely.Polygon(corners)) < 0.005  # metres


def test_a_geopackage_has_a_second_table_and_styles(tmp_path):
    where = place_of("degrees")
    path = write_layer(
        tmp_path / "a.gpkg",
        layer_of(where),
        features_of(where, [OrientedBox(1, 1, 9, 9)]),
        not_looked_at=windows_of(where),
    )
    assert dict(pyogrio.list_layers(path)) == {"objects": "Polygon", "not_looked_at": "Polygon", "layer_styles": None}
    windows = geopandas.read_file(path, layer="not_looked_at")
    assert windows[["window", "reason"]].to_numpy().tolist() == [["[0, 0, 100, 100]", "out of memory"]]
    meta, _, _, columns = pyogrio.raw.read(path, layer="layer_styles", read_geometry=False)
    styles = dict(zip(meta["fields"], columns, strict=True))
    assert styles["f_table_name"].tolist() == ["objects", "not_looked_at"]
    assert styles["f_geometry_column"].tolist() == ["geom", "geom"]
    assert 'value="ship"' in styles["styleQML"][0]
    assert pyogrio.read_info(path, layer="objects")["layer_metadata"]["model"] == "tiny"
    empty = write_layer(tmp_path / "b.gpkg", layer_of(where), [], not_looked_at=[])
    assert pyogrio.read_info(empty, layer="not_looked_at")["features"] == 0
    unknown = write_layer(tmp_path / "c.gpkg", layer_of(where), [])
    assert "not_looked_at" not in dict(pyogrio.list_layers(unknown))


ONE_TABLE = [("a.fgb", None), ("a.parquet", None), ("a.txt", None), ("y", "yolo-obb")]


@pytest.mark.parametrize(("name", "format_name"), ONE_TABLE)
def test_formats_of_one_table_get_a_second_file(name, format_name, tmp_path):
    where = place_of("UTM, turned")
    path, beside = tmp_path / name, tmp_path / f"{name.split('.')[0]}.not_looked_at.geojson"
    write_layer(path, layer_of(where), [], format=format_name, not_looked_at=windows_of(where))
    (window,) = json.loads(beside.read_text())["features"]
    assert window["properties"]["reason"] == "out of memory"
    if format_name is None:
        write_layer(path, layer_of(where), [], not_looked_at=[])
        assert not beside.exists()


@pytest.mark.parametrize("name", ["a.geojson", "a.coco.json"])
def test_json_formats_hold_the_windows_themselves(name, tmp_path):
    where = place_of("UTM, turned")
    path = write_layer(tmp_path / name, layer_of(where), [], not_looked_at=windows_of(where))
    document = json.loads(path.read_text(), parse_constant=pytest.fail)
    told = document["geochat"] if name == "a.geojson" else document["info"]
    assert told["model"] == "tiny"
    assert told["limit"] is None
    reasons = [each.get("properties", each)["reason"] for each in told["not_looked_at"]]
    assert reasons == ["out of memory"]


def test_geoparquet_follows_version_1_1(tmp_path):
    there = [OrientedBox(100, 100, 150, 120), OrientedBox(1000, 500, 1050, 540, 20)]
    for name in ("UTM, turned", "no CRS"):
        where = place_of(name)
        path = write_layer(tmp_path / "a.parquet", layer_of(where), features_of(where, there))
        geo = json.loads(parquet.read_metadata(path).metadata[b"geo"])
        assert (geo["version"], geo["primary_column"]) == ("1.1.0", "geometry")
        column = geo["columns"]["geometry"]
        assert (column["encoding"], column["geometry_types"]) == ("WKB", ["Polygon"])
        assert (column["crs"] is None) == (name == "no CRS")
        rows = parquet.read_table(path).to_pylist()
        assert column["bbox"] == list(shapely.total_bounds([shapely.from_wkb(row["geometry"]) for row in rows]))
        covering = column["covering"]["bbox"]
        for row in rows:
            bounds = [row[each][corner] for each, corner in covering.values()]
            assert bounds == list(shapely.from_wkb(row["geometry"]).bounds)
    where = place_of("UTM, turned")
    path = write_layer(tmp_path / "a.parquet", layer_of(where), features_of(where, there))
    one = geopandas.read_parquet(path)
    assert CRS.from_user_input(json.dumps(one.crs.to_json_dict())).to_epsg() == 26914
    assert len(geopandas.read_parquet(path, bbox=one.geometry[0].bounds)) == 1


def test_dota_and_yolo_name_their_categories(tmp_path):
    where = place_of("UTM, turned")
    there = [OrientedBox(-10, 5, 30, 15), OrientedBox(100, 100, 130, 120)]
    path = write_layer(tmp_path / "a.txt", layer_of(where), features_of(where, there))
    head, gsd, first, second = path.read_text().splitlines()
    assert (head, gsd[:8]) == ("imagesource:scene.tif", "gsd:0.51")
    assert first.startswith("-10.000 5.000")
    assert second.endswith(" Öltank-'ß' 0")
    beyond = [*there, OrientedBox(5000, 5000, 5010, 5010)]
    folder = write_layer(tmp_path / "yolo", layer_of(where), features_of(where, beyond), format="yolo-obb")
    assert yaml.safe_load((folder / "data.yaml").read_text())["names"] == {0: "ship", 1: "Öltank 'ß'"}
    numbers = np.array([line.split() for line in (folder / "labels/scene.txt").read_text().splitlines()], float)
    assert len(numbers) == 2
    assert ((numbers[:, 1:] >= 0) & (numbers[:, 1:] <= 1)).all()
    assert "Left out, without an area on it: 1" in (folder / "data.yaml").read_text()
    with pytest.raises(ExportError, match="new folder"):
        write_layer(tmp_path / "yolo", layer_of(where), [], format="yolo-obb")


def test_a_feature_beyond_the_image_is_never_lost(tmp_path):
    where = place_of("UTM, turned")
    there = [OrientedBox(5000, 5000, 5010, 5010), OrientedBox(100, 100, 130, 120)]
    path = write_layer(tmp_path / "a.gpkg", layer_of(where), features_of(where, there))
    assert geopandas.read_file(path, layer="objects").geometry.isna().tolist() == [True, False]
    path = write_layer(tmp_path / "a.fgb", layer_of(where), features_of(where, there))
    assert pyogrio.read_info(path)["features"] == 1
    (beyond,) = json.loads((tmp_path / "a.unlocated.geojson").read_text())["features"]
    assert beyond["properties"]["unlocated"] == "nothing of it lies on the image"
    document = json.loads(write_layer(tmp_path / "a.coco.json", layer_of(where), features_of(where, there)).read_text())
    assert (len(document["annotations"]), document["info"]["left_out"]) == (1, 1)


def test_a_shape_cut_into_parts_stays_one_polygon(tmp_path):
    where = place_of("UTM, turned")
    comb = shapely.Polygon([(-20, 0), (10, 0), (10, 10), (-10, 10), (-10, 20), (10, 20), (10, 30), (-20, 30)])
    path = write_layer(tmp_path / "a.gpkg", layer_of(where), [Feature(comb, where)])
    (shape,) = geopandas.read_file(path, layer="objects").geometry
    assert shape.geom_type == "Polygon"
    assert shape.area == pytest.approx(300 * 0.26)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_a_picture_is_drawn_on_the_view(name, tmp_path):
    from geochat.imagery import open_image

    view = open_image(np.zeros((100, 200, 3), np.uint8))
    place = view.place
    layer = Layer(place, COLUMNS, {"model": "tiny"}, view=lambda: view)
    with Image.open(write_layer(tmp_path / name, layer, features_of(place, [OrientedBox(50, 30, 150, 70)]))) as picture:
        assert picture.size == (200, 100)
        assert picture.convert("RGB").getpixel((100, 70))[0] > 100
    with pytest.raises(ExportError, match="needs the image"):
        write_layer(tmp_path / name, layer_of(place), [])


@pytest.mark.parametrize(
    ("name", "format_name"),
    [(name, None) for name in (*VECTOR, "a.coco.json", "a.txt")] + [("yolo", "yolo-obb")],
)
def test_a_source_that_fails_leaves_no_file(name, format_name, tmp_path):
    where = place_of("UTM, turned")

    def failing():
        yield from features_of(where, [OrientedBox(1, 1, 9, 9)])
        raise SettingsError("the engine is gone")

    with pytest.raises(SettingsError, match="the engine is gone"):
        write_layer(tmp_path / name, layer_of(where), failing(), format=format_name)
    assert list(tmp_path.iterdir()) == []


def test_formats_in_pixels_refuse_several_images(tmp_path):
    layer = Layer(None, COLUMNS, crs="EPSG:4326")
    for name, format_name in (("a.coco.json", None), ("a.txt", None), ("yolo", "yolo-obb")):
        with pytest.raises(ExportError, match="several images"):
            write_layer(tmp_path / name, layer, [], format=format_name)


def test_without_pyarrow_the_message_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for name in ("a.fgb", "a.parquet"):
        with pytest.raises(ExportError, match=r"geochat\[layers\]"):
            write_layer(tmp_path / name, layer_of(place_of("degrees")), [])
