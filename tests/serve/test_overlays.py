"""Vector layers laid on the open image: any CRS, good and broken files."""

import contextlib
import json
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import geopandas
import numpy as np
import pytest
import shapely
from serve_wire import upload

from geochat.errors import RegionError
from geochat.exports import PIXELS
from geochat.geometry import to_geographic
from geochat_serve import overlays, session
from geochat_serve.open_scene import OpenScene
from geochat_serve.overlays import read_overlay
from geochat_serve.web import layers


@pytest.fixture
def scene(pictures):
    with OpenScene.open(pictures / "place.tif", "place.tif", owned=False) as opened:  # EPSG:32631, 0.5 m, 400 x 320
        yield opened


@pytest.fixture
def plain(pictures):
    with OpenScene.open(pictures / "wide.png", "wide.png", owned=False) as opened:
        yield opened


def collection(*geometries, **more):
    features = [
        {"type": "Feature", "geometry": geometry, "properties": {"name": f"<b>{number}</b>"}}
        for number, geometry in enumerate(geometries)
    ]
    return {"type": "FeatureCollection", "features": features, **more}


def write(folder, value):
    path = folder / "layer"
    path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    return path


def ring(left, top, right, bottom):
    """Longitudes and latitudes of a rectangle given in pixels of place.tif."""
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    points = [(500_000 + x * 0.5, 4_649_000 - y * 0.5) for x, y in corners]
    return to_geographic(points, "EPSG:32631").tolist()


def test_geojson_lies_where_it_is(tmp_path, scene):
    polygon = {"type": "Polygon", "coordinates": [ring(100, 50, 200, 150), ring(120, 70, 150, 100)]}
    line = {"type": "LineString", "coordinates": ring(0, 0, 40, 40)[:2]}
    points = {"type": "MultiPoint", "coordinates": ring(10, 20, 30, 40)[:2]}
    read = read_overlay(write(tmp_path, collection(polygon, line, points, None)), "sites.geojson", scene)
    assert [shape["type"] for shape in read["shapes"]] == ["polygon", "line", "point", "point"]
    outer, hole = read["shapes"][0]["parts"]
    assert np.allclose(outer[:3], [[100, 50], [200, 50], [200, 150]], atol=0.11)
    assert np.allclose(hole[0], [120, 70], atol=0.11)
    assert read["shapes"][0]["label"] == "name: <b>0</b>"
    assert read["skipped"] == 1


@pytest.mark.parametrize("crs", ["EPSG:32631", "EPSG:3857", "EPSG:4258"])
@pytest.mark.parametrize("driver", ["GPKG", "FlatGeobuf"])
def test_other_formats_and_crss_lie_at_the_same_place(tmp_path, scene, crs, driver):
    shape = shapely.Polygon(ring(100, 50, 200, 150))
    path = tmp_path / ("a.gpkg" if driver == "GPKG" else "a.fgb")
    geopandas.GeoDataFrame({"n": [7]}, geometry=[shape], crs="EPSG:4326").to_crs(crs).to_file(path, driver=driver)
    read = read_overlay(path.rename(tmp_path / "layer"), "a", scene)
    corners = np.array(read["shapes"][0]["parts"][0])
    assert np.allclose(corners.min(axis=0), [100, 50], atol=0.2)
    assert np.allclose(corners.max(axis=0), [200, 150], atol=0.2)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "not GeoJSON"),
        (b"[1]", "is no GeoJSON"),
        (b"", "is no GeoJSON"),
        (b'<OGRVRTDataSource><OGRVRTLayer name="passwd"/></OGRVRTDataSource>', "is no GeoJSON"),
        (b"SQLite format 3\0" + bytes(200), "is no GeoJSON"),
        (collection(), "holds no feature"),
        (collection(None), "no feature with a place"),
        (collection({"type": "Polygon", "coordinates": [[[0, 0]]]}), "malformed geometry"),
        (collection({"type": "Polygon", "coordinates": "x"}), "malformed geometry"),
        (b'{"type":' * 100_000, "not GeoJSON"),
    ],
)
def test_a_broken_file_is_refused_by_its_own_name(tmp_path, scene, content, words):
    with pytest.raises(RegionError, match=words) as refused:
        read_overlay(write(tmp_path, content), "mine.geojson", scene)
    assert "mine.geojson" in str(refused.value)
    assert str(tmp_path) not in str(refused.value)


def test_a_layer_on_the_map_needs_a_place(tmp_path, plain):
    point = {"type": "Point", "coordinates": [3, 42]}
    with pytest.raises(RegionError, match="has no place there"):
        read_overlay(write(tmp_path, collection(point)), "a.geojson", plain)
    pixels = collection({"type": "Point", "coordinates": [30, 40]}, geochat={"coordinates": PIXELS})
    assert read_overlay(write(tmp_path, pixels), "a.geojson", plain)["shapes"][0]["parts"] == [[[30, 40]]]


def test_too_much_is_refused(tmp_path, scene, monkeypatch):
    points = collection(*[{"type": "Point", "coordinates": [3, 42]}] * 3)
    for limit, words in (("MAX_FEATURES", "3 features"), ("MAX_VERTICES", "3 vertices"), ("MAX_BYTES", "has 0 MB")):
        monkeypatch.setattr(overlays, limit, 2)
        with pytest.raises(RegionError, match=words):
            read_overlay(write(tmp_path, points), "a.geojson", scene)
        monkeypatch.undo()


def geopackage(folder, *statements):
    """A GeoPackage whose layer v is what statements make of its table t."""
    path = folder / "a.gpkg"
    frame = geopandas.GeoDataFrame({"n": [7]}, geometry=[shapely.Point(3, 42)], crs="EPSG:4326")
    frame.to_file(path, driver="GPKG", layer="t", SPATIAL_INDEX="NO")
    with contextlib.closing(sqlite3.connect(path)) as database:
        for statement in ("PRAGMA foreign_keys=off", *statements):
            database.execute(statement)
        database.commit()
    return path.rename(folder / "layer")


ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
AS_LAYER = ("UPDATE gpkg_contents SET table_name = 'v'", "UPDATE gpkg_geometry_columns SET table_name = 'v'")


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        ((f"CREATE VIEW v AS {ENDLESS} SELECT x AS fid, geom FROM c, t", *AS_LAYER), "has the view 'v'"),
        (("CREATE VIRTUAL TABLE v USING dbstat", *AS_LAYER), "has the view 'v'"),
        (("ALTER TABLE t ADD z GENERATED ALWAYS AS (hex(zeroblob(100000000)))",), "computes a column of 't'"),
        (
            (
                f"INSERT INTO t(fid) {ENDLESS} SELECT x + 1 FROM c LIMIT 5000",
                f"ALTER TABLE t ADD z TEXT DEFAULT '{'x' * 100_000}'",  # stored once, read 5000 times
            ),
            "holds too much",
        ),
    ],
)
def test_a_geopackage_that_computes_what_it_holds_is_refused(tmp_path, scene, statements, words):
    with pytest.raises(RegionError, match=words):
        read_overlay(geopackage(tmp_path, *statements), "a.gpkg", scene)


def test_json_of_many_lists_is_refused_before_it_is_parsed(tmp_path, scene):
    with pytest.raises(RegionError, match="holds too much"):
        read_overlay(write(tmp_path, b'{"a":[' + b"[]," * 4_000_000 + b"0]}"), "a.geojson", scene)


@pytest.mark.parametrize("features", [2**40, 2**62, 2**26])
def test_a_count_that_is_a_lie_allocates_nothing(tmp_path, scene, features):
    path = tmp_path / "a.fgb"
    frame = geopandas.GeoDataFrame({"n": [7] * 10}, geometry=[shapely.Point(3, 42)] * 10, crs="EPSG:4326")
    frame.to_file(path, driver="FlatGeobuf", SPATIAL_INDEX="NO")
    forged = path.read_bytes().replace((10).to_bytes(8, "little"), features.to_bytes(8, "little"), 1)
    with pytest.raises(RegionError, match=r"malformed|holds too much|cannot be read"):
        read_overlay(write(tmp_path, forged), "a.fgb", scene)


def test_labels_can_be_sent(tmp_path, scene):
    document = collection({"type": "Point", "coordinates": [3, 42]})
    document["features"][0]["properties"] = {"name": "\ud800", "size": float("nan")}
    json.dumps(read_overlay(write(tmp_path, document), "a.geojson", scene), ensure_ascii=False).encode()


@pytest.mark.slow
def test_a_hundred_thousand_features_take_seconds(tmp_path, scene):
    one = ring(100, 50, 200, 150)
    text = json.dumps({"type": "Polygon", "coordinates": [one]})
    feature = '{"type":"Feature","properties":{},"geometry":' + text + "}"
    path = write(tmp_path, ('{"type":"FeatureCollection","features":[' + ",".join([feature] * 100_000) + "]}").encode())
    began = time.process_time()
    assert len(read_overlay(path, "a.geojson", scene)["shapes"]) == 100_000
    assert time.process_time() - began < 60


def test_a_page_lays_a_layer_on_its_image_and_the_session_keeps_its_shapes(pages, server, pictures):
    page = pages(server)
    key, _ = page.load()
    headers = {"x-geochat-session": key}

    def add(content, name="a.geojson"):
        uploaded = upload(page.http, content, name, "gradio_api/upload")
        return page.http.post("page/overlays", headers=headers, json={"upload": uploaded, "name": name})

    layer = json.dumps(collection({"type": "Polygon", "coordinates": [ring(100, 50, 200, 150)]})).encode()
    refused = add(layer)
    assert (refused.status_code, "no image is open" in refused.json()["error"].lower()) == (400, True)
    opened = upload(page.http, (pictures / "place.tif").read_bytes(), "place.tif", "gradio_api/upload")
    page.trigger("scene-viewer", "uploaded", {"upload": opened, "name": "place.tif"})
    before = len(list(server.storage.uploads.parent.rglob("*")))
    laid = add(layer)
    assert laid.status_code == 200
    assert len(laid.json()["shapes"]) == 1
    assert add(b"nonsense").status_code == 400
    assert page.http.post("page/overlays", headers=headers, json={"upload": "../../etc/passwd"}).status_code == 400
    assert len(list(server.storage.uploads.parent.rglob("*"))) == before + 2  # a folder with a file
    told = page.http.get("page/overlays", headers=headers).json()
    assert told == {"image_id": laid.json()["image_id"], "overlays": [laid.json()["id"]]}
    named = f"page/overlays/{laid.json()['id']}"
    assert page.http.get(named, headers=headers).json() == laid.json()
    assert other(server, pages).get(named).status_code == 400
    page.http.post(f"{named}/remove", headers=headers)
    assert page.http.get(named, headers=headers).status_code == 400
    assert add(layer).status_code == 200
    page.trigger("scene-viewer", "sample", {"file": "airport.tif"})  # the layer goes, and so does the image's file
    assert page.http.get("page/overlays", headers=headers).json()["overlays"] == []
    assert len(list(server.storage.uploads.parent.rglob("*"))) == before - 1


def other(server, pages):
    """The client of another page."""
    page = pages(server, "another")
    page.http.headers["x-geochat-session"] = page.load()[0]
    page.trigger("scene-viewer", "sample", {"file": "airport.tif"})
    return page.http


def test_a_page_may_have_so_many_layers(pages, server, pictures, monkeypatch):
    page = pages(server)
    headers = {"x-geochat-session": page.load()[0]}
    opened = upload(page.http, (pictures / "place.tif").read_bytes(), "place.tif", "gradio_api/upload")
    page.trigger("scene-viewer", "uploaded", {"upload": opened, "name": "place.tif"})
    monkeypatch.setattr(session, "MAX_OVERLAYS", 1)
    content = json.dumps(collection({"type": "Polygon", "coordinates": [ring(100, 50, 200, 150)]})).encode()
    answers = []
    for _ in range(2):
        uploaded = upload(page.http, content, "a.geojson", "gradio_api/upload")
        answers.append(page.http.post("page/overlays", headers=headers, json={"upload": uploaded}))
    assert [answer.status_code for answer in answers] == [200, 400]
    assert "there are 1 vector layers" in answers[1].json()["error"].lower()


def test_two_layers_are_read_at_a_time(pages, server, pictures, monkeypatch):
    page = pages(server)
    key, _ = page.load()
    opened = upload(page.http, (pictures / "place.tif").read_bytes(), "place.tif", "gradio_api/upload")
    page.trigger("scene-viewer", "uploaded", {"upload": opened, "name": "place.tif"})
    lock, running, most = threading.Lock(), [], []

    def read(*_):
        with lock:
            running.append(1)
            most.append(len(running))
        time.sleep(0.1)
        with lock:
            running.pop()
        return {"shapes": []}

    monkeypatch.setattr(layers, "read_overlay", read)

    def add(_):
        uploaded = upload(page.http, b"{}", "a.geojson", "gradio_api/upload")
        return page.http.post("page/overlays", headers={"x-geochat-session": key}, json={"upload": uploaded})

    with ThreadPoolExecutor(6) as threads:
        assert [answer.status_code for answer in threads.map(add, range(6))] == [200] * 6
    assert max(most) == 2
