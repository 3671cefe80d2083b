"""Corrections are written as the checkpoint writes, read back to the same pixels, stay in place, and train."""

import io
import json
import zipfile
from dataclasses import replace

import pytest
from PIL import Image

from geochat.cli import main
from geochat.dialects import GEOCHAT
from geochat.errors import DataError, GeoChatError
from geochat.geometry import AngleConvention, OrientedBox
from geochat.imagery import Stretch
from geochat_data.readers import Report
from geochat_data.samples import read_samples
from geochat_serve.corrections import editable_text, write_correction
from geochat_serve.exports import export

CONVENTIONS = [
    AngleConvention(),
    AngleConvention("counterclockwise", "[0,90)"),
    AngleConvention("counterclockwise", "[-45,45)"),
    AngleConvention("clockwise", "[0,180)"),
]
DRAWN = OrientedBox(100, 120, 260, 184, 30)  # in pixels of 400 x 320: whole percents, sides swapped or not


@pytest.fixture
def checkpoint(engine, monkeypatch):
    """`checkpoint(convention)` has the engine's model write angles so."""

    def write_angles(convention):
        monkeypatch.setattr(engine, "settings", replace(engine.settings, convention=convention))
        return engine.info.dialect

    return write_angles


def exported(session):
    """The rows and the pictures of the training data."""
    with zipfile.ZipFile(io.BytesIO(export("training", session).content)) as archive:
        rows = json.loads(archive.read("corrections.json"))
        pictures = {name: Image.open(io.BytesIO(archive.read(name))) for name in archive.namelist()[1:]}
    return rows, pictures


@pytest.mark.parametrize("convention", CONVENTIONS, ids=lambda each: f"{each.direction} {each.angle_range}")
def test_a_correction_reads_back_to_the_same_pixels(ask, correct, opened, pictures, checkpoint, convention):
    dialect = checkpoint(convention)
    session = opened(pictures / "place.tif")
    exchange = ask(session, "", "Identify region", regions=[DRAWN])
    correct(session, exchange, "<p>a pier</p> [1]", [DRAWN])
    ((row,), _) = exported(session)
    frame = exchange.answer.image.frame
    for said in row["conversations"]:  # the question's region, and the answer's
        (region,) = dialect.parse(said["value"]).regions
        assert region.box.transform(frame.model_to_image).iou(DRAWN) > 0.999
    written = row["conversations"][1]["value"]
    if convention.direction == "counterclockwise":  # in the default one it would be another box
        assert GEOCHAT.parse(written).regions[0].box.transform(frame.model_to_image).iou(DRAWN) < 0.7
    assert exchange.answer.image.scene is session.scene.scene


def test_answers_of_such_a_checkpoint_lie_where_it_means(ask, opened, pictures, checkpoint):
    checkpoint(AngleConvention("counterclockwise", "[0,90)"))
    exchange = ask(opened(pictures / "wide.png"), "where?")
    meant = OrientedBox(10, 20, 30, 40, -30).transform(exchange.answer.image.frame.model_to_image)
    assert exchange.found[0].geometry.iou(meant) == pytest.approx(1)


def test_a_corrected_box_keeps_its_pixels(ask, correct, opened, pictures):
    session = opened(pictures / "place.tif")
    exchange = ask(session, "where?")
    moved = OrientedBox(101.3, 90.7, 163.1, 121.9, 12.3)
    kept = [exchange.found[1].geometry, moved]
    correct(session, exchange, "<p>two airplanes</p> [1] and <p>a car</p> [2]", kept)
    same, drawn = exchange.features
    assert same is exchange.answer.regions[1]  # the model's, score and numbers too
    assert drawn.geometry == moved
    assert drawn.box is None
    document = json.loads(export("geojson", session).content)
    assert [feature["properties"]["phrase"] for feature in document["features"]] == ["two airplanes", "a car"]
    corners = document["features"][1]["properties"]["pixels"]
    assert corners == [[round(x, 3), round(y, 3)] for x, y in moved.corners()]


def test_boxes_that_share_a_number_are_edited_as_one(ask, opened, pictures):
    session = opened(pictures / "wide.png")
    exchange = ask(session, "twice", "Auto")
    text = editable_text(exchange.parsed)
    assert text == "<p>a ship</p> [1]<delim>[1]<delim>[2]"
    boxes = [region.geometry for region in exchange.found]
    correction = write_correction(text, boxes, exchange.answer.image.frame, exchange.answer.info.dialect)
    assert [box == boxes[0] for box in correction.boxes] == [True, True, False]
    exchange.correct(correction, session.colours)
    assert [box["number"] for box in exchange.boxes] == [1, 2]


def test_boxes_typed_as_the_model_writes_them_are_placed(ask, opened, pictures):
    exchange = ask(opened(pictures / "wide.png"), "where?")
    frame = exchange.answer.image.frame
    correction = write_correction("[1] {<10><40><20><60>|<90>}", [OrientedBox(10, 10, 90, 90)], frame, GEOCHAT)
    assert correction.boxes[0] == OrientedBox(10, 10, 90, 90)
    assert correction.boxes[1].iou(OrientedBox(10, 40, 20, 60, 90).transform(frame.model_to_image)) == pytest.approx(1)


def test_one_view_in_two_stretches_is_two_pictures(ask, opened, pictures):
    session = opened(pictures / "place.tif")
    session.corrections.add(ask(session, "one", "Question"), "yes", [])
    session.render((4, 3, 2), Stretch())
    session.corrections.add(ask(session, "two", "Question"), "no", [])
    rows, shown = exported(session)
    assert len(shown) == 2
    assert rows[0]["image"] != rows[1]["image"]


def test_a_question_answered_without_the_model_is_saved_as_the_model_would_read_it(
    ask, opened, pictures, engine, monkeypatch
):
    monkeypatch.setattr(engine, "settings", replace(engine.settings, trained_wordings=True, categories=("ship",)))
    session = opened(pictures / "wide.png")
    exchange = ask(session, "What will the weather be tomorrow?", "Auto")
    assert exchange.answer.interpretation.reply
    session.corrections.add(exchange, "That cannot be seen.", [])
    assert session.corrections.pairs[0].prompt == "What will the weather be tomorrow?"


def test_corrected_pairs_are_training_data(conversation, tmp_path, capsys, correct):
    first, second = conversation.exchanges
    assert editable_text(first.parsed).startswith("There are <p>two airplanes</p> [1]<delim>[2]")
    box = OrientedBox(40, 80, 120, 112, 30)  # pixels of 400 x 320: the square's side is 400, 40 above
    correct(conversation, first, "One <p>large airplane</p> [1] here.", [box])
    correct(conversation, second, "<p>it</p> [1]", [OrientedBox(150, 100, 250, 150)])
    with zipfile.ZipFile(io.BytesIO(export("training", conversation).content)) as archive:
        archive.extractall(tmp_path)
    report = Report()
    samples = list(read_samples(tmp_path / "corrections.json", report))
    assert report.reasons == {}
    assert [sample.messages[0].text.split()[0] for sample in samples] == ["[grounding]", "[refer]"]
    (region,) = GEOCHAT.parse(samples[0].messages[1].text).regions
    assert region.phrase == "large airplane"
    assert region.box.iou(OrientedBox(10, 30, 30, 38, 30)) > 0.95
    (in_view,) = GEOCHAT.parse(samples[1].messages[1].text).regions
    assert in_view.box.iou(OrientedBox(25, 30, 75, 55)) > 0.95
    with Image.open(tmp_path / "images" / samples[1].image) as picture:
        assert picture.size == (200, 160)
    assert main(["data", "check", str(tmp_path / "corrections.json"), "--images", str(tmp_path / "images")]) == 0
    assert "2" in capsys.readouterr().out


def test_correcting_again_replaces_the_pair(conversation, correct):
    exchange = conversation.exchanges[1]
    for side in (50, 60):
        correct(conversation, exchange, "<p>it</p> [1]", [OrientedBox(150, 100, 150 + side, 150)])
    assert len(conversation.corrections.pairs) == 1
    assert exchange.raw == "<p>it</p> {<25><25><75><50>|<90>}"  # what the model wrote stays


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
def test_a_correction_that_does_not_fit_is_refused(conversation, text, boxes, message, correct):
    with pytest.raises(GeoChatError, match=message):
        correct(conversation, conversation.exchanges[0], text, boxes)
    assert conversation.corrections.pairs == []


def test_the_number_of_corrections_is_limited(ask, opened, pictures, correct):
    session = opened(pictures / "wide.png")
    for number in range(3):
        correct(session, ask(session, f"{number}", "Question"), "yes", [])
    with pytest.raises(DataError, match="there are 3 corrections"):
        correct(session, ask(session, "4", "Question"), "yes", [])
