import json

import pyogrio
import pytest
import shapely
from PIL import Image

from geochat.cli import main
from geochat.engines import GenerationSettings

PLANE = "There is <p>1 plane</p> {<10><30><30><40>|<90>} here."
NO_FEATURES = b'{"type": "FeatureCollection", "features": []}'


def test_text_streams_to_standard_output_with_the_regions_below(answering, geotiff, capsys):
    answering(PLANE)
    assert main(["ask", str(geotiff), "[grounding] Describe the image."]) == 0
    captured = capsys.readouterr()
    assert captured.out == (
        "There is 1 plane [1] here.\n\n"
        "regions, corners x,y in pixels of the image, and below in EPSG:26914:\n"
        "[1] 1 plane (200 x 100 m, 20,000 m²): 50.0,0.0  50.0,40.0  30.0,40.0  30.0,0.0\n"
        "    500250.0,5200000.0  500250.0,5199800.0  500150.0,5199800.0  500150.0,5200000.0\n"
    )
    assert captured.err == ""


def test_json_is_one_object_and_agrees_with_the_exports(answering, geotiff, capsys, tmp_path):
    answering(PLANE)
    files = {
        kind: tmp_path / name for kind, name in [("overlay", "a.png"), ("geojson", "a.json"), ("geopackage", "a.gpkg")]
    }
    options = [word for kind, path in files.items() for word in (f"--{kind}", str(path))]
    assert main(["ask", str(geotiff), "Where?", "--json", *options]) == 0
    captured = capsys.readouterr()
    value = json.loads(captured.out)
    assert captured.err == ""
    assert {"text", "plain_text", "regions", "crs", "image", "model", "question", "task", "prompt"} <= set(value)
    assert (value["image"]["path"], value["task"], value["notices"]) == (str(geotiff), "chat", [])
    (region,) = value["regions"]
    assert region["box"] == [10, 30, 30, 40, 90]

    before = Image.new("RGB", (200, 100), (90, 90, 90))
    with Image.open(files["overlay"]) as overlay:
        assert overlay.size == before.size
        xs, ys = zip(*region["pixels"], strict=True)
        edge = (round(min(xs)), round((min(ys) + max(ys)) / 2))
        assert overlay.getpixel(edge) != before.getpixel(edge)
        assert json.loads(overlay.text["geochat"])["prompt"] == "Where?"

    _, _, (wkb,), _ = pyogrio.raw.read(files["geopackage"])
    assert shapely.from_wkb(wkb).equals(shapely.Polygon(region["map"]))
    feature = json.loads(files["geojson"].read_text())["features"][0]
    assert feature["properties"]["phrase"] == region["phrase"]


def test_everything_asked_for_reaches_the_model(answering, geotiff, capsys, tmp_path):
    engine = answering(PLANE, "a plane", "a plane")
    assert main(["ask", str(geotiff), "plane", "--task", "refer", "--geojson", str(tmp_path / "a.geojson")]) == 0
    assert main(["ask", str(geotiff), "What?", "--region-file", str(tmp_path / "a.geojson")]) == 0
    assert main(["ask", str(geotiff), "What?", "--region", "30,0,50,40", "--region=-5,0,30,30,45"]) == 0
    assert engine.prompts == [
        "[refer] Give me the location of <p> plane </p>",
        "[identify] What? {<10><30><30><40>|<90>}",
        "[identify] What? {<10><30><30><40>|<90>} {<-2><25><15><40>|<45>}",
    ]
    capsys.readouterr()


def test_the_view_can_be_chosen(answering, geotiff, capsys):
    engine = answering("yes")
    options = ["--window", "100,20,80,60", "--bands", "3,2,1", "--stretch", "0,180", "--max-new-tokens", "9"]
    assert main(["ask", str(geotiff), "Is there a plane?", "--task", "vqa", *options]) == 0
    (request,) = engine.requests
    assert request.images[0].size == (80, 60)
    assert request.images[0].getpixel((0, 0)) == (128, 128, 128)
    assert request.generation.max_new_tokens == 9
    assert capsys.readouterr().out == "yes\n"


def test_a_question_may_stand_anywhere_or_not_at_all(answering, geotiff, capsys):
    engine = answering(*"abcdef")
    image = str(geotiff)
    assert main(["ask", image, "--task", "refer", "plane", "--json"]) == 0
    assert main(["ask", "--task", "refer", image, "plane"]) == 0
    assert main(["ask", image, "--task", "grounding", "--json"]) == 0
    assert main(["ask", image, "--task", "describe"]) == 0
    assert main(["ask", image, "--task", "identify", "--region", "30,0,50,40"]) == 0
    assert main(["ask", image, "[grounding]"]) == 0
    refer, again, grounding, caption, identify, token = engine.prompts
    assert refer == again == "[refer] Give me the location of <p> plane </p>"
    assert grounding == token
    assert grounding.startswith("[grounding] ")
    assert caption
    assert identify.startswith("[identify] ")
    assert identify.endswith("{<10><30><30><40>|<90>}")
    capsys.readouterr()


@pytest.mark.parametrize("task", ["auto", "chat", "scene", "vqa", "refer"])
def test_other_tasks_need_words(answering, geotiff, capsys, task):
    answering()
    for question in ([], [""], [" "]):
        assert main(["ask", str(geotiff), *question, "--task", task]) == 1
        error = capsys.readouterr().err
        assert error.startswith("geochat: error: the question is empty")
        assert error.count("\n") == 1


def test_how_it_is_answered_can_be_chosen(answering, geotiff, capsys):
    engine = answering("yes")
    options = ["--temperature", "0.7", "--top-p", "0.9", "--seed", "3", "--stop", "###", "--stop", "Q:"]
    assert main(["ask", str(geotiff), "Is there a plane?", *options]) == 0
    assert engine.requests[0].generation == GenerationSettings(512, 0.7, 0.9, 3, ("###", "Q:"))
    capsys.readouterr()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--overlay", "gone/a.png"], "no folder gone"),
        (["--overlay", "a.bmp"], "'.bmp'; this result is written as .png or .jpg"),
        (["--overlay", "folder.png"], "folder.png cannot be written: it is a folder"),
        (["--overlay", "a" * 300 + ".png"], "File name too long"),
        (["--geojson", "a.gpkg"], "'.gpkg'"),
        (["--geopackage", "a.json"], "'.json'"),
        (["--window", "0,0,999,999"], "window (0, 0, 999, 999)"),
        (["--window", "-5,0,9,9"], "window (-5, 0, 9, 9)"),
        (["--region", "-9,-9,-5,-5"], "region 1 lies outside"),
        (["--bands", "7,8,9"], "bands (7, 8, 9)"),
        (["--bands", "purple"], "'purple'"),
        (["--stretch", "purple"], "'purple'"),
        (["--stretch", "9,3"], "9.0, 3.0"),
        (["--region", "900,900,950,950"], "region 1 lies outside"),
        (["--region-file", "gone.geojson"], "gone.geojson cannot be read"),
        (["--max-new-tokens", "0"], "max_new_tokens=0"),
        (["--temperature", "-1"], "temperature=-1"),
        (["--temperature", "nan"], "temperature=nan"),
        (["--top-p", "2"], "top_p=2"),
        (["--seed", "-1"], "seed=-1"),
        (["--stop", ""], "stop="),
        (["--task", "identify"], "asks about a region"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_computed(
    answering, geotiff, tmp_path, monkeypatch, capsys, options, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
    engine = answering("never")
    assert main(["ask", str(geotiff), "What?", *options]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("geochat: error: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert engine.requests == []


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"{", b"\xff\xfe", b'{"type": "Point"}', NO_FEATURES])
def test_a_region_file_that_holds_no_regions(answering, geotiff, capsys, tmp_path, content):
    answering("never")
    (tmp_path / "r.geojson").write_bytes(content)
    assert main(["ask", str(geotiff), "What?", "--region-file", str(tmp_path / "r.geojson")]) == 1
    assert "region" in capsys.readouterr().err


def test_what_could_not_be_read_is_noted_aside(answering, geotiff, capsys):
    answering("a ship {<1><2>} there")
    assert main(["ask", str(geotiff), "Where?"]) == 0
    captured = capsys.readouterr()
    assert "a ship" in captured.out
    assert "{<1><2>}" not in captured.out
    assert captured.err.startswith("geochat: note: The model wrote '{<1><2>}', which could not be read")


def test_a_read_only_folder_is_found_before_anything_is_computed(answering, geotiff, tmp_path, monkeypatch, capsys):
    engine = answering("never")
    monkeypatch.setattr("os.access", lambda path, _mode: path != tmp_path)  # whoever runs the test may be root
    assert main(["ask", str(geotiff), "What?", "--overlay", str(tmp_path / "a.png")]) == 1
    assert f"the folder {tmp_path} is read-only; choose another place" in capsys.readouterr().err
    assert engine.requests == []
