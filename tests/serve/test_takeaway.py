"""What is taken away says what is on the page, loads again, and trains."""

import csv
import io
import json
import zipfile
from dataclasses import replace

import pyogrio
import pytest
import shapely
from PIL import Image

from geochat.cli import main
from geochat.dialects import GEOCHAT
from geochat.errors import DataError, ExportError, GeoChatError
from geochat.geometry import AngleConvention, OrientedBox
from geochat_data.samples import read_samples
from geochat_data.readers import Report
from geochat_serve import saved
from geochat_serve.correcting import editable
from geochat_serve.downloads import make_download


@pytest.fixture
def session(opened, pictures):
    return opened(pictures / "place.tif")


@pytest.fixture
def talked(ask, session):
    """Boxes on the whole image, then on a part of it."""
    ask(session, "where?")
    ask(session, "it", "Find", window=(100, 60, 200, 160))
    return session


def content(session, kind, hidden=()):
    return make_download(kind, session, hidden).content


def test_boxes_of_a_view_lie_in_the_whole_image(talked):
    found = json.loads(content(talked, "geojson"))
    assert [feature["properties"]["phrase"] for feature in found["features"]] == [
        "two airplanes",
        "two airplanes",
        "a hangar",
        "it",
    ]
    rows = list(csv.DictReader(io.StringIO(content(talked, "csv").decode("utf-8-sig"))))
    last = rows[-1]  # the middle of the view, percent (25, 25)-(75, 50) turned by 90: 100 x 50 px, upright
    assert float(last["center_x_px"]) == pytest.approx(200)
    assert float(last["center_y_px"]) == pytest.approx(60 + 0.375 * 200 - 20)
    assert sorted((float(last["width_px"]), float(last["height_px"]))) == pytest.approx([50, 100])
    assert float(last["area_m2"]) == pytest.approx(50 * 100 * 0.25, rel=0.002)
    assert sorted((float(last["width_m"]), float(last["height_m"]))) == pytest.approx([25, 50], rel=0.002)
    assert 41 < float(last["latitude"]) < 43


def test_what_lies_beyond_the_image_is_cut_off_and_the_model_s_own_box_stays(ask, opened, pictures, tmp_path):
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


def test_a_region_asked_about_is_exported_with_the_answer(ask, opened, pictures):
    session = opened(pictures / "place.tif")
    region = OrientedBox(100, 80, 180, 120, 30)
    turn = ask(session, "", "Identify region", regions=[region])
    (feature,) = json.loads(content(session, "geojson"))["features"]
    said = feature["properties"]
    assert (said["role"], said["answer"], said["phrase"]) == ("asked", "an airplane", "an airplane")
    assert said["pixels"] == [[round(x, 3), round(y, 3)] for x, y in region.corners()]
    assert turn.features == turn.answer.features  # as the core has it
    keep(session, turn, "a helicopter", [])
    (feature,) = json.loads(content(session, "geojson"))["features"]
    assert feature["properties"]["answer"] == "a helicopter"
    (row,) = csv.DictReader(io.StringIO(content(session, "csv").decode("utf-8-sig")))
    assert (row["role"], row["answer"]) == ("asked", "a helicopter")


def test_hidden_turns_are_left_out(talked):
    assert len(json.loads(content(talked, "geojson", hidden=[1]))["features"]) == 1
    with pytest.raises(ExportError, match="no boxes are shown"):
        content(talked, "geojson", hidden=[1, 2])


def test_a_geopackage_in_the_image_s_crs(talked, tmp_path):
    path = tmp_path / "boxes.gpkg"
    path.write_bytes(content(talked, "gpkg"))
    meta, _, shapes, _ = pyogrio.raw.read(path)
    assert meta["crs"] == "EPSG:32631"
    assert len(shapes) == 4


def test_the_picture_is_the_whole_image_with_boxes(talked):
    picture = Image.open(io.BytesIO(content(talked, "png")))
    assert picture.size == (400, 320)
    assert json.loads(picture.text["geochat"])["image"] == "place.tif"  # its name, and no path of the server


def test_no_file_says_where_the_server_keeps_the_image(talked):
    place = str(talked.scene.path)
    for kind in ("geojson", "gpkg", "csv", "markdown", "json", "png"):
        assert place.encode() not in content(talked, kind)


def test_a_phrase_is_no_formula(ask, opened, pictures, engine, monkeypatch):
    monkeypatch.setattr(engine, "_write", lambda *_args: iter_answer("<p>=HYPERLINK(1)</p> {<1><1><9><9>|<90>}"))
    session = opened(pictures / "wide.png")
    ask(session, "where?")
    assert b"'=HYPERLINK(1)" in content(session, "csv")


def iter_answer(text):
    from geochat.engines import Chunk, Usage

    yield Chunk(text)
    yield Chunk("", "stop", Usage(1, 1))


def test_markdown_formats_nothing_of_what_was_said(ask, session):
    ask(session, "a script <b>", "Auto")
    text = content(session, "markdown").decode()
    assert "\\<script\\>" in text
    assert "<script>" not in text
    assert "\\<b\\>" in text


def test_a_conversation_loads_again(talked, ask, answerer, opened, pictures):
    text = content(talked, "json").decode()
    again = opened(pictures / "place.tif")
    saved.load(again, text, answerer.chat)
    shown = [[box["points"] for box in turn.boxes] for turn in again.turns]
    assert shown == [[box["points"] for box in turn.boxes] for turn in talked.turns]
    assert next(turn.to_dict()["parts"] for turn in again.turns) == talked.turns[0].to_dict()["parts"]
    ask(again, "and?", "Auto", window=(100, 60, 200, 160))
    assert len(answerer.chat.engine.requests[-1].messages) == 3  # the model has the loaded turn in mind
    assert content(again, "geojson")


def test_regions_corrections_choices_and_notices_load_again(ask, answerer, opened, pictures):
    session = opened(pictures / "place.tif")
    ask(session, "", "Identify region", regions=[OrientedBox(100, 80, 180, 120, 30)])
    ask(session, "airport, harbor", "Classify")
    corrected = ask(session, "a submarine", "Find")
    keep(session, corrected, "<p>it</p> [1]", [OrientedBox(101.3, 90.7, 163.1, 121.9, 12.3)])
    again = opened(pictures / "place.tif")
    saved.load(again, content(session, "json").decode(), answerer.chat)
    before, after = ([turn.to_dict() for turn in each.turns] for each in (session, again))
    for value in (*before, *after):
        del value["seconds"]
        for box in value["boxes"]:
            del box["score"]
    assert after == before
    assert content(again, "geojson").count(b"an airplane") == content(session, "geojson").count(b"an airplane") > 0
    assert "airport 67%" in content(again, "markdown").decode()
    assert "was asked for" in content(again, "markdown").decode()


def test_boxes_written_in_another_direction_are_refused(talked, answerer, opened, pictures, engine, monkeypatch):
    text = content(talked, "json").decode()
    other = replace(engine.settings, convention=AngleConvention("counterclockwise"))
    monkeypatch.setattr(engine, "settings", other)
    with pytest.raises(DataError, match="reads boxes unlike 'scripted'"):
        saved.load(opened(pictures / "place.tif"), text, answerer.chat)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"form": "geochat-conversation"}', '{"form": "other", "turns": [], "image": {}}', "[" * 100_000],
)
def test_what_is_no_conversation_is_refused(session, answerer, text):
    with pytest.raises(DataError):
        saved.load(session, text, answerer.chat)


def test_a_conversation_about_another_image_is_refused(talked, answerer, opened, pictures):
    other = opened(pictures / "wide.png")
    with pytest.raises(DataError, match=r"place\.tif"):
        saved.load(other, content(talked, "json").decode(), answerer.chat)


@pytest.mark.parametrize(
    "change",
    [
        *({"window": [1, 2]}, {"regions": "x"}, {"task": "Fly"}, {"text": "<image>"}, {"window": [5000, 5000, 5, 5]}),
        *({"choices": [{"text": "a"}]}, {"choices": 7}, {"notices": ["x"]}, {"corrected": "a", "corrected_boxes": "x"}),
    ],
)
def test_a_conversation_tampered_with_is_refused(talked, answerer, opened, pictures, change):
    value = json.loads(content(talked, "json"))
    value["turns"][0] |= change
    with pytest.raises(DataError, match="cannot be read"):
        saved.load(opened(pictures / "place.tif"), json.dumps(value), answerer.chat)


def keep(session, turn, text, boxes):
    turn.correct(session.kept.keep(turn, text, boxes), session.colours)


def test_corrected_pairs_are_training_data(talked, tmp_path, capsys):
    first, second = talked.turns
    assert editable(first.parsed).startswith("There are <p>two airplanes</p> [1]<delim>[2]")
    box = OrientedBox(40, 80, 120, 112, 30)  # pixels of 400 x 320: the square's side is 400, 40 above
    keep(talked, first, "One <p>large airplane</p> [1] here.", [box])
    keep(talked, second, "<p>it</p> [1]", [OrientedBox(150, 100, 250, 150)])
    with zipfile.ZipFile(io.BytesIO(content(talked, "training"))) as archive:
        archive.extractall(tmp_path)
    report = Report()
    samples = list(read_samples(tmp_path / "kept.json", report))
    assert report.reasons == {}
    assert [sample.messages[0].text.split()[0] for sample in samples] == ["[grounding]", "[refer]"]
    (region,) = GEOCHAT.parse(samples[0].messages[1].text).regions
    assert region.phrase == "large airplane"
    assert region.box.iou(OrientedBox(10, 30, 30, 38, 30)) > 0.95
    (in_view,) = GEOCHAT.parse(samples[1].messages[1].text).regions
    assert in_view.box.iou(OrientedBox(25, 30, 75, 55)) > 0.95
    with Image.open(tmp_path / "images" / samples[1].image) as picture:
        assert picture.size == (200, 160)
    assert main(["data", "check", str(tmp_path / "kept.json"), "--images", str(tmp_path / "images")]) == 0
    assert "2" in capsys.readouterr().out


def test_correcting_again_replaces_the_pair(talked):
    turn = talked.turns[1]
    for side in (50, 60):
        keep(talked, turn, "<p>it</p> [1]", [OrientedBox(150, 100, 150 + side, 150)])
    assert len(talked.kept.pairs) == 1
    assert turn.raw == "<p>it</p> {<25><25><75><50>|<90>}"  # what the model wrote stays


@pytest.mark.parametrize(
    ("text", "boxes", "message"),
    [
        ("", [], "1 to 20,000 characters"),
        ("a plane [1]", [], r"names box \[1\]"),
        ("a plane", [OrientedBox(10, 10, 90, 90)], r"does not name box \[1\]"),
        ("a plane [1]", [OrientedBox(12, 12, 12.4, 12.4)], "too small"),
        ("a plane {<1><2>}", [], "cannot be read"),
        ("a <image>", [], "reserves"),
    ],
)
def test_what_does_not_fit_is_not_kept(talked, text, boxes, message):
    with pytest.raises(GeoChatError, match=message):
        keep(talked, talked.turns[0], text, boxes)
    assert talked.kept.pairs == []


def test_so_many_are_kept(ask, session):
    for number in range(3):
        keep(session, ask(session, f"{number}", "Question"), "yes", [])
    with pytest.raises(DataError, match="3 pairs"):
        keep(session, ask(session, "4", "Question"), "yes", [])
