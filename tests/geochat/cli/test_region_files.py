"""Vector layers go in, and come out with names."""

import json

import numpy as np
import pyogrio
import pytest
import shapely
from PIL import Image

from geochat.cli import main
from geochat.geometry import from_geographic, to_geographic

UTM = "EPSG:26914"  # of scene.tif: 5 m pixels from (500000, 5200000)
FIELDS = [
    shapely.box(500_150, 5_199_800, 500_250, 5_200_000),  # pixels 30,0 to 50,40
    shapely.Point(500_100, 5_199_900),
    shapely.box(400_000, 5_199_800, 400_100, 5_199_900),
    None,
    shapely.MultiPolygon([shapely.box(500_950, 5_199_700, 501_050, 5_199_800)]),  # half of it on the image
]


def write(path, shapes=FIELDS, crs=UTM, layer="fields", *, append=False, **columns):
    columns = columns or {
        "id": np.arange(11, 11 + len(shapes)),
        "Answer": np.array(list("abcdefgh")[: len(shapes)], object),
    }
    driver = {".gpkg": "GPKG", ".shp": "ESRI Shapefile", ".fgb": "FlatGeobuf", ".geojson": "GeoJSON"}[path.suffix]
    pyogrio.raw.write(
        path,
        shapely.to_wkb(shapes),
        list(columns.values()),
        list(columns),
        layer=layer,
        driver=driver,
        crs=crs,
        geometry_type="Polygon" if path.suffix == ".shp" else "Unknown",
        append=append,
    )
    return path


def ask(geotiff, path, *options):
    return main(["ask", str(geotiff), "What is this?", "--region-file", str(path), *map(str, options)])


def test_each_feature_is_asked_about_and_the_same_layer_comes_out(answering, geotiff, tmp_path, capsys):
    engine = answering("a plane", "grass")
    out = [tmp_path / name for name in ("a.geojson", "a.gpkg", "a.png", "a.jsonl")]
    options = [
        word for kind, path in zip(("geojson", "geopackage", "overlay", "table"), out, strict=True)
        for word in (f"--{kind}", path)
    ]  # fmt: skip
    assert ask(geotiff, write(tmp_path / "fields.gpkg"), *options) == 0
    captured = capsys.readouterr()
    assert captured.out == "1: a plane\n5: grass\n"
    assert [line.removeprefix("geochat: note: feature ") for line in captured.err.splitlines()] == [
        "2 was skipped: it is a Point; a region is a Polygon or MultiPolygon",
        "3 was skipped: it lies outside what is asked about",
        "4 was skipped: it has no geometry",
    ]
    assert engine.prompts[0] == "[identify] What is this? {<10><30><30><40>|<90>}"

    meta, _, geometries, columns = pyogrio.raw.read(out[1])
    values = dict(zip(meta["fields"], columns, strict=True))
    assert (meta["crs"], pyogrio.list_layers(out[1])[0][0]) == (UTM, "fields")
    assert [None if wkb is None else shapely.from_wkb(wkb) for wkb in geometries] == FIELDS
    assert values["id"].tolist() == [11, 12, 13, 14, 15]
    assert values["layer_Answer"].tolist() == list("abcde")
    assert values["phrase"].tolist() == values["answer"].tolist() == ["a plane", None, None, None, "grass"]
    assert [reason is None for reason in values["skipped"]] == [True, False, False, False, True]

    document = json.loads(out[0].read_text())
    assert [feature["properties"]["id"] for feature in document["features"]] == [11, 12, 13, 14, 15]
    corners = to_geographic(shapely.get_coordinates(FIELDS[0]), UTM)
    bounds = shapely.geometry.shape(document["features"][0]["geometry"]).bounds
    assert bounds == pytest.approx((*corners.min(axis=0), *corners.max(axis=0)), abs=1e-7)
    assert document["features"][3]["geometry"] is None
    assert document["geochat"]["model"] == "scripted"
    rows = [json.loads(line) for line in out[3].read_text().splitlines()]
    assert [(row["feature"], row["answer"]) for row in rows] == [
        (1, "a plane"),
        (2, None),
        (3, None),
        (4, None),
        (5, "grass"),
    ]
    with Image.open(out[2]) as picture:
        assert picture.size == (200, 100)


@pytest.mark.parametrize("ending", [".shp", ".fgb", ".geojson", ".gpkg"])
@pytest.mark.parametrize("crs", [UTM, "EPSG:3857", "EPSG:4326"])
def test_every_format_in_any_crs(answering, geotiff, tmp_path, capsys, ending, crs):
    engine = answering("a plane")
    corners = to_geographic(shapely.get_coordinates(FIELDS[0]), UTM)
    shape = shapely.Polygon(from_geographic(corners, crs))
    path = write(tmp_path / f"fields{ending}", [shape], crs, id=np.array([7]))
    assert ask(geotiff, path) == 0
    assert capsys.readouterr().out == "1: a plane\n"
    assert engine.prompts == ["[identify] What is this? {<10><30><30><40>|<90>}"]


def test_json_is_an_object_a_feature(answering, geotiff, tmp_path, capsys):
    answering("a plane", "grass")
    assert ask(geotiff, write(tmp_path / "fields.gpkg"), "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["feature"], line["plain_text"], line["task"]) for line in lines] == [
        (1, "a plane", "identify"),
        (5, "grass", "identify"),
    ]


def test_other_tasks_ask_once_about_all(answering, geotiff, tmp_path, capsys):
    engine = answering("two")
    path = write(tmp_path / "fields.fgb", [FIELDS[0], FIELDS[4]])
    assert ask(geotiff, path, "--task", "vqa") == 0
    (prompt,) = engine.prompts
    assert prompt.count("{<") == 2
    assert capsys.readouterr().out == "two\n"
    assert ask(geotiff, write(tmp_path / "points.gpkg"), "--task", "vqa") == 1
    assert "points.gpkg, feature 2: it is a Point" in capsys.readouterr().err


def test_the_layer_of_a_file_with_several(answering, geotiff, tmp_path, capsys):
    answering("a", "b")
    path = write(tmp_path / "fields.gpkg", [FIELDS[0]])
    write(path, [FIELDS[0]], layer="roads", append=True)
    assert ask(geotiff, path) == 0
    err = capsys.readouterr().err
    assert "has several layers; taken: fields (--region-layer names another: roads)" in err
    assert ask(geotiff, path, "--region-layer", "roads", "--geopackage", tmp_path / "a.gpkg") == 0
    assert capsys.readouterr().err == ""
    assert pyogrio.list_layers(tmp_path / "a.gpkg")[0][0] == "roads"
    assert ask(geotiff, path, "--region-layer", "rivers") == 1
    assert "has no layer 'rivers'; it has fields, roads" in capsys.readouterr().err


def test_what_was_written_for_an_image_without_a_place_is_read_back(answering, picture, tmp_path, capsys):
    engine = answering("<p>a plane</p> {<10><30><30><40>|<90>}", "a", "b", "c")
    image = tmp_path / "plain.png"
    Image.fromarray(picture).save(image)
    first, second = tmp_path / "a.geojson", tmp_path / "a.gpkg"
    assert main(["ask", str(image), "Where?", "--geojson", str(first), "--geopackage", str(second)]) == 0
    named, again = tmp_path / "b.gpkg", tmp_path / "c.geojson"
    assert ask(image, first, "--geopackage", named) == 0
    assert ask(image, second, "--geojson", again) == 0
    assert ask(image, named) == 0
    assert engine.prompts[1:] == ["[identify] What is this? {<10><30><30><40>|<90>}"] * 3
    (feature,) = json.loads(again.read_text())["features"]
    assert shapely.geometry.shape(feature["geometry"]).bounds == (30, 0, 50, 40)
    capsys.readouterr()


@pytest.mark.parametrize(
    ("shapes", "crs", "message"),
    [
        (FIELDS[:1], None, "does not say its CRS; assign one"),
        (FIELDS[1:4], UTM, "no feature of"),
        ([], UTM, "holds no feature"),
    ],
)
@pytest.mark.filterwarnings("ignore:'crs' was not provided")
def test_layers_that_cannot_be_asked_about(answering, geotiff, tmp_path, capsys, shapes, crs, message):
    answering()
    assert ask(geotiff, write(tmp_path / "fields.shp" if crs is None else tmp_path / "fields.gpkg", shapes, crs)) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_an_image_without_a_place_and_a_layer_with_one(answering, picture, tmp_path, capsys):
    answering()
    Image.fromarray(picture).save(tmp_path / "plain.png")
    assert ask(tmp_path / "plain.png", write(tmp_path / "fields.gpkg")) == 1
    assert "lies in EPSG:26914 and the image has no CRS" in capsys.readouterr().err


def test_a_file_of_something_else(answering, geotiff, tmp_path, capsys):
    answering()
    (tmp_path / "fields.gpkg").write_text("no database")
    assert ask(geotiff, tmp_path / "fields.gpkg") == 1
    assert "fields.gpkg cannot be read" in capsys.readouterr().err


def test_one_failure_leaves_the_others_alone(answering, geotiff, tmp_path, capsys):
    from geochat.errors import ContextLengthError

    engine = answering("a", "c")
    stream = engine.stream

    def failing(request):
        if not request.id.endswith("-1"):
            return stream(request)
        raise ContextLengthError("too long")

    engine.stream = failing
    path = write(tmp_path / "fields.gpkg", FIELDS[:1] * 3)
    assert ask(geotiff, path, "--geojson", tmp_path / "a.geojson") == 1
    captured = capsys.readouterr()
    assert captured.out == "1: a\n3: c\n"
    assert captured.err == "geochat: error: feature 2: too long\n"
    features = json.loads((tmp_path / "a.geojson").read_text())["features"]
    assert [feature["properties"]["skipped"] for feature in features] == [None, "too long", None]
