"""Notices before and after an answer, choices, and which tasks use a region."""

from dataclasses import replace

import pytest
from serve_wire import run

from geochat.assistant.notices import Notice
from geochat.geometry import OrientedBox
from geochat.models import Settings
from geochat_serve.tasks import TASKS, notice_for_page

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


def codes(exchange):
    """Codes of the notices before and after the answer."""
    shown = exchange.to_dict()
    return tuple([notice["code"] for notice in shown[name]] for name in ("notices", "answer_notices"))


def test_no_notice_without_a_reason(ask, opened, pictures):
    assert codes(ask(opened(pictures / "place.tif"), "where?")) == ([], [])


def test_a_notice_says_how_a_question_was_understood(ask, opened, pictures, trained):
    exchange = ask(opened(pictures / "wide.png"), "Where are the airplanes?", "Auto")
    assert codes(exchange)[0] == ["understood"]
    assert trained.requests[-1].messages[-1].text.startswith("[refer]")
    assert exchange.boxes


def test_a_question_out_of_scope_is_answered_without_the_model(ask, opened, pictures, trained):
    asked = len(trained.requests)
    exchange = ask(opened(pictures / "wide.png"), "What will the weather be tomorrow?", "Auto")
    assert len(trained.requests) == asked
    assert exchange.status == "done"
    (part,) = exchange.parts
    assert part["kind"] == "text"
    assert part["text"]


def test_an_empty_scene_question_offers_the_classes_the_model_knows(ask, opened, pictures, trained):
    exchange = ask(opened(pictures / "wide.png"), "", "Classify")
    assert [choice["text"] for choice in exchange.choices] == ["airport", "harbor", "forest"]
    assert exchange.parts == [{"kind": "text", "text": "airport"}]


def test_the_choices_and_their_probabilities(ask, opened, pictures):
    exchange = ask(opened(pictures / "wide.png"), "forest, airport, harbor", "Classify")
    choices = exchange.to_dict()["choices"]
    assert [choice["text"] for choice in choices] == ["airport", "forest", "harbor"]
    assert [choice["probability"] for choice in choices] == pytest.approx([4 / 7, 2 / 7, 1 / 7])
    assert exchange.parts == [{"kind": "text", "text": "airport"}]


def test_far_from_the_known_resolution(ask, opened, pictures, engine, monkeypatch):
    monkeypatch.setattr(engine, "settings", replace(engine.settings, ground_resolution=(5.0, 10.0)))
    assert codes(ask(opened(pictures / "place.tif"), "where?"))[0] == ["ground-resolution"]


def test_a_region_too_small_for_the_model_is_shown_to_it_closer(ask, opened, pictures, engine, tmp_path):
    from PIL import Image

    with Image.open(pictures / "wide.png") as picture:
        picture.resize((3000, 1500)).save(tmp_path / "large.png")
    session = opened(tmp_path / "large.png")
    region = OrientedBox(2000, 1000, 2010, 1010)
    exchange = ask(session, "twice", "Identify region", regions=[region])
    assert "region-window" in codes(exchange)[0]
    assert engine.requests[-1].images[0].width < 3000
    view = exchange.answer.image
    box = OrientedBox(10, 10, 30, 30, 90).transform(view.frame.model_to_image)  # as the engine wrote
    assert exchange.found[0].geometry.iou(box) == pytest.approx(1)
    assert exchange.boxes[0]["points"] == [list(point) for point in exchange.found[0].pixels]


@pytest.mark.parametrize(
    ("question", "task", "code"),
    [
        ("twice", "Auto", "merged"),
        ("malformed", "Auto", "unreadable"),
        ("a submarine", "Find", None),
    ],
)
def test_notices_after_the_answer(ask, opened, pictures, question, task, code):
    found = codes(ask(opened(pictures / "wide.png"), question, task))[1]
    assert found == ([code] if code else ["not-as-asked"])


def test_boxes_on_one_object_share_a_number_while_they_stream_and_after(answers, opened, pictures):
    session, seen = opened(pictures / "wide.png"), []

    async def scenario():
        exchange = answers.start(session, "twice", "Auto", (), None)
        async for _ in answers.answer(session, exchange):
            seen.append([part["number"] for part in exchange.parts if part["kind"] == "box"])
        return exchange

    exchange = run(scenario())
    assert all(numbers == [1, 1, 2][: len(numbers)] for numbers in seen)
    assert seen[-1] == [1, 1, 2]
    assert [box["number"] for box in exchange.boxes] == [1, 2]
    assert len(exchange.answer.regions) == 2


def test_the_page_names_its_own_controls():
    text = "Ask about a part of some 1000 x 1000 pixels (a window), or have all of it searched (a search)."
    assert notice_for_page(Notice("shrunk", text))["text"] == (
        "Ask about a part of some 1000 x 1000 pixels (zoom in and tick “Visible area only”), or have all of it searched"
        " (“Find in the whole scene”)."
    )
    cut = notice_for_page(Notice("cut-off", "The answer was cut off after 512 tokens; raise max_new_tokens."))
    assert cut == {"code": "cut-off", "text": "The answer was cut off after 512 tokens."}
    assert notice_for_page(Notice("new", "As it is."))["text"] == "As it is."


REGION = OrientedBox(100, 80, 180, 120)


@pytest.mark.parametrize("task", [name for name in TASKS if name not in ("Auto", "Identify region")])
def test_a_region_is_not_sent_to_tasks_that_look_at_the_whole_view(ask, opened, pictures, engine, task):
    exchange = ask(opened(pictures / "place.tif"), "airport, harbor", task, regions=[REGION])
    assert engine.info.dialect.parse(engine.requests[-1].messages[-1].text).regions == ()
    assert exchange.to_dict()["asked"] == []
    assert codes(exchange)[0] == ["region-not-used"]
    assert "choose “Identify region”" in exchange.to_dict()["notices"][0]["text"]


def test_nor_is_one_that_lies_outside_the_view(ask, opened, pictures):
    exchange = ask(opened(pictures / "place.tif"), "it", "Find", regions=[REGION], window=(200, 200, 100, 100))
    assert exchange.status == "done"
    assert codes(exchange)[0] == ["region-not-used"]


@pytest.mark.parametrize("task", ["Auto", "Identify region"])
def test_a_region_is_sent_to_tasks_that_use_one(ask, opened, pictures, engine, task):
    exchange = ask(opened(pictures / "place.tif"), "what is this?", task, regions=[REGION])
    assert len(engine.info.dialect.parse(engine.requests[-1].messages[-1].text).regions) == 1
    assert len(exchange.to_dict()["asked"]) == 1
    assert codes(exchange)[0] == []


def test_a_region_is_not_sent_to_a_task_that_the_words_name(ask, opened, pictures, engine):
    exchange = ask(opened(pictures / "place.tif"), "[refer] a ship", "Auto", regions=[REGION])
    assert engine.info.dialect.parse(engine.requests[-1].messages[-1].text).regions == ()
    assert codes(exchange)[0] == ["region-not-used"]
