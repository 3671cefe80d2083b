"""What is to be known beside an answer: told before it, and after it."""

from dataclasses import replace

import pytest

from geochat.assistant.notices import Notice
from geochat.geometry import OrientedBox
from geochat.models import Settings
from geochat_serve.notices import on_page

TRAINED = Settings(
    "scripted",
    trained_wordings=True,
    categories=("airplane", "ship"),
    scene_classes=("airport", "harbor", "forest"),
    ground_resolution=(0.15, 0.6),
)


@pytest.fixture
def trained(engine, monkeypatch):
    """The engine's model knows its own wordings only."""
    monkeypatch.setattr(engine, "settings", TRAINED)
    return engine


def told(turn):
    shown = turn.to_dict()
    return [notice["code"] for notice in shown["notices"]], [remark["code"] for remark in shown["remarks"]]


def test_nothing_where_there_is_nothing_to_tell(ask, opened, pictures):
    assert told(ask(opened(pictures / "place.tif"), "where?")) == ([], [])


def test_how_a_question_was_understood_is_told_first(ask, opened, pictures, trained):
    turn = ask(opened(pictures / "wide.png"), "Where are the airplanes?", "Auto")
    assert told(turn)[0] == ["understood"]
    assert trained.requests[-1].messages[-1].text.startswith("[refer]")
    assert turn.boxes


def test_a_question_out_of_scope_is_answered_without_the_model(ask, opened, pictures, trained):
    asked = len(trained.requests)
    turn = ask(opened(pictures / "wide.png"), "What will the weather be tomorrow?", "Auto")
    assert len(trained.requests) == asked
    assert turn.status == "done"
    (part,) = turn.parts
    assert part["kind"] == "text"
    assert part["text"]


def test_an_empty_scene_question_offers_the_classes_the_model_knows(ask, opened, pictures, trained):
    turn = ask(opened(pictures / "wide.png"), "", "Classify")
    assert [choice["text"] for choice in turn.choices] == ["airport", "harbor", "forest"]
    assert turn.parts == [{"kind": "text", "text": "airport"}]


def test_the_choices_and_their_probabilities(ask, opened, pictures):
    turn = ask(opened(pictures / "wide.png"), "forest, airport, harbor", "Classify")
    choices = turn.to_dict()["choices"]
    assert [choice["text"] for choice in choices] == ["airport", "forest", "harbor"]
    assert [choice["probability"] for choice in choices] == pytest.approx([4 / 7, 2 / 7, 1 / 7])
    assert turn.parts == [{"kind": "text", "text": "airport"}]


def test_far_from_the_known_resolution(ask, opened, pictures, engine, monkeypatch):
    monkeypatch.setattr(engine, "settings", replace(engine.settings, ground_resolution=(5.0, 10.0)))
    assert told(ask(opened(pictures / "place.tif"), "where?"))[0] == ["ground-resolution"]


def test_a_region_too_small_is_looked_at_closer_and_its_boxes_lie_in_the_image(ask, opened, pictures, engine, tmp_path):
    from PIL import Image

    with Image.open(pictures / "wide.png") as picture:
        picture.resize((3000, 1500)).save(tmp_path / "large.png")
    session = opened(tmp_path / "large.png")
    region = OrientedBox(2000, 1000, 2010, 1010)
    turn = ask(session, "it", "Find", regions=[region])
    assert "region-window" in told(turn)[0]
    assert engine.requests[-1].images[0].width < 3000
    view = turn.answer.image
    box = OrientedBox(25, 25, 75, 50, 90).transform(view.frame.model_to_image)  # as the engine wrote
    assert turn.found[0].geometry.iou(box) == pytest.approx(1)
    assert turn.boxes[0]["points"] == [list(point) for point in turn.found[0].pixels]


@pytest.mark.parametrize(
    ("question", "task", "code"),
    [
        ("twice", "Auto", "merged"),
        ("malformed", "Auto", "unreadable"),
        ("a submarine", "Find", None),
    ],
)
def test_what_is_known_since_the_answer(ask, opened, pictures, question, task, code):
    remarks = told(ask(opened(pictures / "wide.png"), question, task))[1]
    assert remarks == ([code] if code else ["not-as-asked"])


def test_boxes_on_one_object_share_a_number_while_they_stream_and_after(answerer, opened, pictures):
    import asyncio

    session, seen = opened(pictures / "wide.png"), []

    async def run():
        turn = answerer.begin(session, "twice", "Auto", (), None)
        async for _ in answerer.answer(session, turn):
            seen.append([part["number"] for part in turn.parts if part["kind"] == "box"])
        return turn

    turn = asyncio.run(run())
    assert all(numbers == [1, 1, 2][: len(numbers)] for numbers in seen)
    assert seen[-1] == [1, 1, 2]
    assert [box["number"] for box in turn.boxes] == [1, 2]
    assert len(turn.answer.regions) == 2


def test_the_page_names_its_own_controls():
    text = "Ask about a part of some 1000 x 1000 pixels (a window)."
    assert on_page(Notice("shrunk", text))["text"] == (
        "Ask about a part of some 1000 x 1000 pixels (zoom in, tick “Look at this view”)."
    )
    cut = on_page(Notice("cut-off", "The answer was cut off after 512 tokens; raise max_new_tokens."))
    assert cut == {"code": "cut-off", "text": "The answer was cut off after 512 tokens."}
    assert on_page(Notice("new", "As it is."))["text"] == "As it is."
