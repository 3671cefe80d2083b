"""`geochat ask` about several images: lines, table, layer and pictures."""

import csv
import json

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from PIL import Image

from geochat.cli import main

PLANE = "<p>a plane</p> {<10><30><30><40>|<90>}"


@pytest.fixture
def folder(tmp_path, geotiff, picture):
    """scene.tif in UTM 14N, north.tif in UTM 15N, plain.png without a place, b.TXT that is a PNG, and no images."""
    tiles = tmp_path / "tiles"
    (tiles / "deeper").mkdir(parents=True)
    geotiff.rename(tiles / "scene.tif")
    place = {"transform": Affine(5, 0, 500_000, 0, -5, 5_200_000), "crs": "EPSG:26915"}
    with rasterio.open(tiles / "north.tif", "w", width=200, height=100, count=3, dtype="uint8", **place) as target:
        target.write(picture.transpose(2, 0, 1))
    Image.fromarray(picture).save(tiles / "plain.png")
    Image.fromarray(picture).save(tiles / "b.TXT", "PNG")
    Image.fromarray(picture).save(tiles / "deeper" / "c.png")
    Image.fromarray(picture).save(tiles / ".hidden.png")
    (tiles / "notes.md").write_text("# notes")
    Image.fromarray(picture).save(tiles / "scene.tif.ovr", "TIFF")
    return tiles


def test_a_folder_is_a_line_an_image_in_order(answering, folder, capsys):
    engine = answering("one", "two\nlines", "three", "four")
    assert main(["ask", str(folder), "What is this?"]) == 0
    captured = capsys.readouterr()
    names = ("b.TXT", "north.tif", "plain.png", "scene.tif")
    answers = ("one", "two lines", "three", "four")
    assert captured.out.splitlines() == [f"{folder / name}: {a}" for name, a in zip(names, answers, strict=True)]
    assert captured.err == ""
    assert engine.prompts == ["What is this?"] * 4
    assert len({request.id for request in engine.requests}) == 4


def test_json_is_an_object_a_line(answering, folder, capsys):
    answering("one", PLANE)
    assert main(["ask", str(folder / "plain.png"), str(folder / "scene.tif"), "--json", "What?"]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["file"], first["image"]["path"]) == (str(folder / "plain.png"),) * 2
    assert (first["text"], first["crs"], second["crs"]) == ("one", None, "EPSG:26914")
    assert len(second["regions"]) == 1


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_what_fails_is_reported_and_the_others_go_on(answering, folder, tmp_path, capsys, ending):
    answering("=1+1", "two")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    table = tmp_path / f"a.{ending}"
    images = [str(folder / name) for name in ("plain.png", "broken.png", "gone.tif", "scene.tif")]
    assert main(["ask", *images, "What?", "--table", str(table)]) == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [f"{images[0]}: =1+1", f"{images[3]}: two"]
    broken, gone = captured.err.splitlines()
    assert broken.startswith("geochat: error: ")
    assert "broken.png cannot be decoded" in broken
    assert gone.startswith("geochat: error: ")
    assert "gone.tif' does not exist" in gone
    if ending == "csv":
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        assert rows[0]["answer"] == "'=1+1"
    else:
        rows = [json.loads(line) for line in table.read_text().splitlines()]
        assert rows[0]["answer"] == "=1+1"
    assert [row["image"] for row in rows] == images
    assert [bool(row["error"]) for row in rows] == [False, True, True, False]
    assert rows[0]["task"] == "chat"
    assert not table.with_name(f"a.{ending}.part").exists()


def test_an_interrupted_run_keeps_its_rows_and_the_table_before(answering, folder, tmp_path, capsys):
    engine = answering("one", "two")
    stream = engine.stream

    def interrupted(request):
        if len(engine.requests) == 2:
            raise KeyboardInterrupt
        return stream(request)

    engine.stream = interrupted
    table = tmp_path / "a.csv"
    table.write_text("an earlier table\n")
    assert main(["ask", str(folder), "What?", "--table", str(table)]) == 130
    assert table.read_text() == "an earlier table\n"
    kept = table.with_name("a.csv.part").read_text(encoding="utf-8-sig").splitlines()
    assert len(kept) == 3
    assert "2 rows written so far are in" in capsys.readouterr().err


def test_one_layer_over_all_images_with_a_place(answering, folder, tmp_path, capsys):
    answering(*[PLANE] * 4)
    files = ["--geojson", str(tmp_path / "a.geojson"), "--geopackage", str(tmp_path / "a.gpkg")]
    assert main(["ask", str(folder), "plane", "--task", "refer", *files]) == 0
    err = capsys.readouterr().err
    left_out = f"2 images ({folder / 'b.TXT'}, {folder / 'plain.png'})"
    assert f"left out of the layer, without georeferencing: {left_out}" in err
    assert "the images lie in 2 CRSs" in err
    document = json.loads((tmp_path / "a.geojson").read_text())
    north, scene = document["features"]
    assert [feature["properties"]["image"] for feature in (north, scene)] == [
        str(folder / "north.tif"),
        str(folder / "scene.tif"),
    ]
    assert shapely.geometry.shape(north["geometry"]).bounds[0] == pytest.approx(-93, abs=0.01)
    assert shapely.geometry.shape(scene["geometry"]).bounds[0] == pytest.approx(-99, abs=0.01)
    assert document["geochat"]["model"] == "scripted"
    assert document["geochat"]["images"][str(folder / "scene.tif")]["crs"] == "EPSG:26914"
    meta, _, geometries, columns = pyogrio.raw.read(tmp_path / "a.gpkg")
    values = dict(zip(meta["fields"], columns, strict=True))
    assert meta["crs"] == "EPSG:4326"
    assert values["image"].tolist() == [str(folder / "north.tif"), str(folder / "scene.tif")]
    assert values["crs"].tolist() == ["EPSG:26915", "EPSG:26914"]
    for geometry, feature in zip(geometries, document["features"], strict=True):
        expected = shapely.geometry.shape(feature["geometry"])
        assert shapely.from_wkb(geometry).symmetric_difference(expected).area < 1e-4 * expected.area


def test_images_of_one_crs_keep_it(answering, folder, tmp_path, capsys):
    answering(PLANE, "nothing there")
    images = [str(folder / "scene.tif")] * 2
    assert main(["ask", *images, "plane", "--task", "refer", "--geopackage", str(tmp_path / "a.gpkg")]) == 0
    assert pyogrio.read_info(tmp_path / "a.gpkg")["crs"] == "EPSG:26914"
    assert pyogrio.read_info(tmp_path / "a.gpkg")["features"] == 1
    assert capsys.readouterr().err == ""


def test_pictures_go_to_a_folder(answering, folder, tmp_path, capsys):
    answering(*[PLANE] * 3)
    again = tmp_path / "other" / "plain.jpg"
    again.parent.mkdir()
    Image.fromarray(np.full((50, 60, 3), 9, np.uint8)).save(again)
    images = [str(folder / "plain.png"), str(folder / "scene.tif"), str(again)]
    assert main(["ask", *images, "What?", "--overlay", str(tmp_path / "out" / "pictures")]) == 0
    names = sorted(path.name for path in (tmp_path / "out" / "pictures").iterdir())
    assert names == ["plain-2.png", "plain.png", "scene.png"]
    assert main(["ask", *images, "What?", "--overlay", str(tmp_path / "a.png")]) == 1
    assert "drawn into a folder" in capsys.readouterr().err


def test_a_notice_is_printed_once(answering, folder, capsys):
    answering("", "", "")
    images = [str(folder / name) for name in ("plain.png", "scene.tif", "north.tif")]
    assert main(["ask", *images, "What?"]) == 0
    first, rest = capsys.readouterr().err.splitlines()
    assert first == f"geochat: note: {images[0]}: The model had nothing to say; ask in other words."
    assert rest == "geochat: note: 2 more images: The model had nothing to say; ask in other words."


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["tiles/plain.png", "tiles/b.TXT", "What?", "--geojson", "a.geojson"],
            "none of the 2 images is georeferenced",
        ),
        (["tiles/deeper", "What?", "--geopackage", "a.gpkg"], "none of the 1 images is georeferenced"),
        (["tiles", "What?", "--region-file", "tiles/notes.md"], "name one, not 4"),
        (["tiles", "What?", "--table", "a.xlsx"], "'.xlsx'; this result is written as .csv or .jsonl"),
        (["tiles", "What?", "--table", "gone/a.csv"], "no folder gone"),
        (["empty", "What?"], "the folder empty itself holds no image"),
        (["tiles/plain.png", "is", "this?"], "'is' is no image file or folder; put a question of several words"),
        (["gone.tif", "away.tif", "What?"], "gone.tif' does not exist"),
        (["tiles", "What?", "--question", "Where?"], "the question was given twice"),
        (["tiles", "What?", "--choices", "a"], "--choices a leaves nothing to choose"),
        (["tiles", "What?", "--choices", "gone.txt"], "gone.txt cannot be read"),
        (["tiles/plain.png", "What?", "--region-layer", "a"], "names a layer of no file"),
    ],
)
def test_mistakes_come_before_the_model(folder, tmp_path, monkeypatch, capsys, words, message):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("geochat.cli.options.load_model", lambda _args: pytest.fail("the model was loaded"))
    assert main(["ask", *words]) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_a_question_that_reads_like_a_file(answering, folder, tmp_path, monkeypatch, capsys):
    engine = answering("a", "b", "c")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "airplane").mkdir()
    assert main(["ask", "tiles/plain.png", "--question", "airplane", "--task", "refer"]) == 0
    assert main(["ask", "tiles/plain.png", "airplane", "--task", "refer"]) == 1  # an empty folder
    assert main(["ask", "tiles/plain.png", "tiles/b.TXT", "--task", "caption"]) == 0
    assert engine.prompts == ["[refer] Give me the location of <p> airplane </p>", *["Describe the image."] * 2]
    capsys.readouterr()


def test_a_table_of_one_image(answering, geotiff, tmp_path, capsys):
    answering(PLANE)
    assert main(["ask", str(geotiff), "plane", "--task", "refer", "--table", str(tmp_path / "a.jsonl")]) == 0
    (row,) = map(json.loads, (tmp_path / "a.jsonl").read_text().splitlines())
    assert (row["image"], row["task"], row["regions"], row["error"]) == (str(geotiff), "refer", 1, None)
    assert "a plane [1]" in capsys.readouterr().out
