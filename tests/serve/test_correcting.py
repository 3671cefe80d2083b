"""Corrections are written as the checkpoint writes, read back to the same pixels, and stay where they were put."""

import io
import json
import zipfile
from dataclasses import replace

import pytest
from PIL import Image

from geochat.dialects import GEOCHAT
from geochat.geometry import AngleConvention, OrientedBox
from geochat_serve.correcting import editable, write_answer
from geochat_serve.downloads import make_download

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
    with zipfile.ZipFile(io.BytesIO(make_download("training", session, ()).content)) as archive:
        rows = json.loads(archive.read("kept.json"))
        pictures = {name: Image.open(io.BytesIO(archive.read(name))) for name in archive.namelist()[1:]}
    return rows, pictures


@pytest.mark.parametrize("convention", CONVENTIONS, ids=lambda each: f"{each.direction} {each.angle_range}")
def test_a_correction_reads_back_to_the_same_pixels(ask, opened, pictures, checkpoint, convention):
    dialect = checkpoint(convention)
    session = opened(pictures / "place.tif")
    turn = ask(session, "", "Identify region", regions=[DRAWN])
    turn.correct(session.kept.keep(turn, "<p>a pier</p> [1]", [DRAWN]), session.colours)
    ((row,), _) = exported(session)
    frame = turn.answer.image.frame
    for said in row["conversations"]:  # the question's region, and the answer's
        (region,) = dialect.parse(said["value"]).regions
        assert region.box.transform(frame.model_to_image).iou(DRAWN) > 0.999
    written = row["conversations"][1]["value"]
    if convention.direction == "counterclockwise":  # in the default one it would be another box
        assert GEOCHAT.parse(written).regions[0].box.transform(frame.model_to_image).iou(DRAWN) < 0.7
    assert turn.answer.image.scene is session.scene.scene


def test_answers_of_such_a_checkpoint_lie_where_it_means(ask, opened, pictures, checkpoint):
    checkpoint(AngleConvention("counterclockwise", "[0,90)"))
    turn = ask(opened(pictures / "wide.png"), "where?")
    meant = OrientedBox(10, 20, 30, 40, -30).transform(turn.answer.image.frame.model_to_image)
    assert turn.found[0].geometry.iou(meant) == pytest.approx(1)


def test_a_corrected_box_keeps_its_pixels(ask, opened, pictures):
    session = opened(pictures / "place.tif")
    turn = ask(session, "where?")
    moved = OrientedBox(101.3, 90.7, 163.1, 121.9, 12.3)
    kept = [turn.found[1].geometry, moved]
    turn.correct(session.kept.keep(turn, "<p>two airplanes</p> [1] and <p>a car</p> [2]", kept), session.colours)
    same, drawn = turn.features
    assert same is turn.answer.regions[1]  # the model's, score and numbers too
    assert drawn.geometry == moved
    assert drawn.box is None
    document = json.loads(make_download("geojson", session, ()).content)
    assert [feature["properties"]["phrase"] for feature in document["features"]] == ["two airplanes", "a car"]
    corners = document["features"][1]["properties"]["pixels"]
    assert corners == [[round(x, 3), round(y, 3)] for x, y in moved.corners()]


def test_boxes_that_share_a_number_are_edited_as_one(ask, opened, pictures):
    session = opened(pictures / "wide.png")
    turn = ask(session, "twice", "Auto")
    text = editable(turn.parsed)
    assert text == "<p>a ship</p> [1]<delim>[1]<delim>[2]"
    boxes = [region.geometry for region in turn.found]
    correction = write_answer(text, boxes, turn.answer.image.frame, turn.answer.info.dialect)
    assert [box == boxes[0] for box in correction.boxes] == [True, True, False]
    turn.correct(correction, session.colours)
    assert [box["number"] for box in turn.boxes] == [1, 2]


def test_boxes_typed_as_the_model_writes_them_are_placed(ask, opened, pictures):
    turn = ask(opened(pictures / "wide.png"), "where?")
    frame = turn.answer.image.frame
    correction = write_answer("[1] {<10><40><20><60>|<90>}", [OrientedBox(10, 10, 90, 90)], frame, GEOCHAT)
    assert correction.boxes[0] == OrientedBox(10, 10, 90, 90)
    assert correction.boxes[1].iou(OrientedBox(10, 40, 20, 60, 90).transform(frame.model_to_image)) == pytest.approx(1)


def test_one_view_in_two_stretches_is_two_pictures(ask, opened, pictures):
    from geochat.imagery import Stretch

    session = opened(pictures / "place.tif")
    session.kept.keep(ask(session, "one", "Question"), "yes", [])
    session.show_with((4, 3, 2), Stretch())
    session.kept.keep(ask(session, "two", "Question"), "no", [])
    rows, shown = exported(session)
    assert len(shown) == 2
    assert rows[0]["image"] != rows[1]["image"]


def test_a_question_answered_without_the_model_is_kept_as_the_model_would_read_it(
    ask, opened, pictures, engine, monkeypatch
):
    monkeypatch.setattr(engine, "settings", replace(engine.settings, trained_wordings=True, categories=("ship",)))
    session = opened(pictures / "wide.png")
    turn = ask(session, "What will the weather be tomorrow?", "Auto")
    assert turn.answer.interpretation.reply
    session.kept.keep(turn, "That cannot be seen.", [])
    assert session.kept.pairs[0].prompt == "What will the weather be tomorrow?"
