"""Exports agree with the page."""

import csv
import io
import json

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from PIL import Image

from geochat.engines import Chunk, Usage
from geochat.errors import ExportError
from geochat.geometry import OrientedBox
from geochat_serve.exports import export

SIDE = 2048  # of a picture, at most


def content(session, kind, shown=None):
    return export(kind, session, shown).content


def test_boxes_of_a_view_lie_in_the_whole_image(conversation):
    found = json.loads(content(conversation, "geojson"))
    assert [feature["properties"]["phrase"] for feature in found["features"]] == [
        "two airplanes",
        "two airplanes",
        "a hangar",
        "it",
    ]
    rows = list(csv.DictReader(io.StringIO(content(conversation, "csv").decode("utf-8-sig"))))
    last = rows[-1]  # the middle of the view, percent (25, 25)-(75, 50) turned by 90: 100 x 50 px, upright
    assert float(last["center_x_px"]) == pytest.approx(200)
    assert float(last["center_y_px"]) == pytest.approx(60 + 0.375 * 200 - 20)
    assert sorted((float(last["width_px"]), float(last["height_px"]))) == pytest.approx([50, 100])
    assert float(last["area_m2"]) == pytest.approx(50 * 100 * 0.25, rel=0.002)
    assert sorted((float(last["width_m"]), float(last["height_m"]))) == pytest.approx([25, 50], rel=0.002)
    assert 41 < float(last["latitude"]) < 43


def test_shapes_are_clipped_to_the_image_and_the_model_s_own_box_stays(ask, opened, pictures, tmp_path):
    session = opened(pictures / "place.tif")  # 400 x 320: the square's side is 400, so its right edge is the image's
    ask(session, "outside", "Auto")
    (feature,) = json.loads(content(session, "geojson"))["features"]
    assert feature["properties"]["box"] == [80, 40, 120, 60, 90]
    assert max(x for x, _ in feature["properties"]["pixels"]) > 400
    path = tmp_path / "boxes.gpkg"
    path.write_bytes(content(session, "gpkg"))
    _, _, (shape,), _ = pyogrio.raw.read(path)
    assert shapely.from_wkb(shape).bounds == pytest.approx((500_180, 4_648_880, 500_200, 4_648_960))
    (row,) = csv.DictReader(io.StringIO(content(session, "csv").decode("utf-8-sig")))
    assert shapely.from_wkt(row["on_image_px"]).bounds == pytest.approx((360, 80, 400, 240))
    assert row["model_box"] == "80 40 120 60 90"


def test_a_region_asked_about_is_exported_with_the_answer(ask, opened, pictures, correct):
    session = opened(pictures / "place.tif")
    region = OrientedBox(100, 80, 180, 120, 30)
    exchange = ask(session, "", "Identify region", regions=[region])
    (feature,) = json.loads(content(session, "geojson"))["features"]
    said = feature["properties"]
    assert (said["role"], said["answer"], said["phrase"]) == ("asked", "an airplane", "an airplane")
    assert said["pixels"] == [[round(x, 3), round(y, 3)] for x, y in region.corners()]
    assert exchange.features == exchange.answer.features  # as in the core
    correct(session, exchange, "a helicopter", [])
    (feature,) = json.loads(content(session, "geojson"))["features"]
    assert feature["properties"]["answer"] == "a helicopter"
    (row,) = csv.DictReader(io.StringIO(content(session, "csv").decode("utf-8-sig")))
    assert (row["role"], row["answer"]) == ("asked", "a helicopter")


def test_only_the_boxes_that_are_shown_are_exported(conversation):
    (feature,) = json.loads(content(conversation, "geojson", {"1-2"}))["features"]
    assert (feature["properties"]["turn"], feature["properties"]["number_in_answer"]) == (1, 2)
    with pytest.raises(ExportError, match="no boxes are shown"):
        content(conversation, "geojson", ())
    with pytest.raises(ExportError, match="no boxes are shown"):
        content(conversation, "geojson", {"1-9", "nonsense"})


def test_each_feature_carries_its_own_question(conversation, tmp_path):
    expected = [("where?", 1, 1), ("where?", 1, 2), ("where?", 1, 3), ("it", 2, 1)]
    features = json.loads(content(conversation, "geojson"))["features"]
    said = [feature["properties"] for feature in features]
    assert [(row["question"], row["turn"], row["number_in_answer"]) for row in said] == expected
    assert [row["task"] for row in said] == ["Grounded description"] * 3 + ["Find"]
    assert all(row["area_m2"] > 0 and row["outline"] and row["box"] for row in said)
    rows = list(csv.DictReader(io.StringIO(content(conversation, "csv").decode("utf-8-sig"))))
    assert [(row["question"], int(row["turn"]), int(row["number_in_answer"])) for row in rows] == expected
    path = tmp_path / "boxes.gpkg"
    path.write_bytes(content(conversation, "gpkg"))
    meta, _, _, columns = pyogrio.raw.read(path)
    table = dict(zip(meta["fields"], columns, strict=True))
    assert list(zip(table["question"], table["turn"], table["number_in_answer"], strict=True)) == expected


def test_a_geopackage_in_the_image_s_crs(conversation, tmp_path):
    path = tmp_path / "boxes.gpkg"
    path.write_bytes(content(conversation, "gpkg"))
    meta, _, shapes, _ = pyogrio.raw.read(path)
    assert meta["crs"] == "EPSG:32631"
    assert len(shapes) == 4


def test_the_picture_is_the_whole_image_with_boxes(conversation):
    picture = Image.open(io.BytesIO(content(conversation, "png")))
    assert picture.size == (400, 320)
    assert json.loads(picture.text["geochat"])["image"] == "place.tif"  # its name, and no path of the server


def test_no_export_reveals_the_path_of_the_image(conversation):
    place = str(conversation.scene.path)
    for kind in ("geojson", "gpkg", "csv", "markdown", "json", "png"):
        assert place.encode() not in content(conversation, kind)


def test_a_phrase_is_no_formula(ask, opened, pictures, engine, monkeypatch):
    monkeypatch.setattr(engine, "_write", lambda *_args: answer_of("<p>=HYPERLINK(1)</p> {<1><1><9><9>|<90>}"))
    session = opened(pictures / "wide.png")
    ask(session, "where?")
    assert b"'=HYPERLINK(1)" in content(session, "csv")
    ask(session, "=1+1")
    assert b"'=1+1" in content(session, "csv")


def answer_of(text):
    yield Chunk(text)
    yield Chunk("", "stop", Usage(1, 1))


def test_an_unknown_format_is_refused(conversation):
    with pytest.raises(ExportError, match="no export format 'shapefile'; choose from png"):
        content(conversation, "shapefile")


def test_a_page_gets_its_files_and_nobody_else_does(pages, server):
    page = pages(server)
    key, _ = page.load()
    headers = {"x-geochat-session": key}

    def ask_for(**values):
        return page.http.post("page/exports", headers=headers, json=values)

    page.trigger("scene-viewer", "sample", {"file": "airport.tif"})
    page.trigger("ask", "click", data=["where?", "Grounded description", False, ""])
    whole, one = ask_for(kind="geojson"), ask_for(kind="geojson", shown=["1-2"])
    assert whole.headers["content-type"] == "application/geo+json"
    assert whole.headers["content-disposition"] == "attachment; filename*=utf-8''airport-geochat.geojson"
    assert [len(each.json()["features"]) for each in (whole, one)] == [3, 1]
    picture = Image.open(io.BytesIO(ask_for(kind="png").content))
    assert max(picture.size) <= SIDE
    for values in (
        {},
        {"kind": "shapefile"},
        {"kind": []},
        {"kind": "png", "shown": []},
        {"kind": "png", "shown": [3, {}]},
    ):
        refused = ask_for(**values)
        assert (refused.status_code, "error on the server" in refused.text) == (400, False)
    assert page.http.post("page/exports", headers=headers, content="[").status_code == 400
    assert page.http.post("page/exports", json={"kind": "png"}).status_code == 403


def test_the_picture_of_a_large_scene_is_bounded_and_nothing_is_read_for_it(ask, opened, tmp_path, monkeypatch):
    path = tmp_path / "large.tif"
    profile = {
        "width": 4000,
        "height": 1000,
        "count": 1,
        "dtype": "uint8",
        "tiled": True,
        "compress": "deflate",
        "transform": Affine.scale(2),
    }
    with rasterio.open(path, "w", driver="GTiff", **profile) as target:
        target.write(np.full((1, 1000, 4000), 90, np.uint8))
    session = opened(path)
    ask(session, "where?")
    monkeypatch.delattr(type(session.scene.scene), "read")
    assert Image.open(io.BytesIO(content(session, "png"))).size == (SIDE, SIDE // 4)
