"""Transcripts: Markdown to read, JSON that loads again."""

import json
from dataclasses import replace

import pytest

from geochat.errors import DataError
from geochat.geometry import AngleConvention, OrientedBox
from geochat_serve.exports import export
from geochat_serve.transcripts import load, to_json, to_markdown


def test_markdown_escapes_questions_and_answers(ask, opened, pictures):
    session = opened(pictures / "wide.png")
    ask(session, "a script <b>", "Auto")
    text = to_markdown(session)
    assert "\\<script\\>" in text
    assert "<script>" not in text
    assert "\\<b\\>" in text


def test_a_conversation_loads_again(conversation, ask, answers, opened, pictures):
    text = to_json(conversation)
    again = opened(pictures / "place.tif")
    load(again, text, answers.chat)
    shown = [[box["points"] for box in exchange.boxes] for exchange in again.exchanges]
    assert shown == [[box["points"] for box in exchange.boxes] for exchange in conversation.exchanges]
    assert (
        next(exchange.to_dict()["parts"] for exchange in again.exchanges)
        == conversation.exchanges[0].to_dict()["parts"]
    )
    ask(again, "and?", "Auto", window=(100, 60, 200, 160))
    assert len(answers.chat.engine.requests[-1].messages) == 3  # the model sees the loaded exchange
    assert export("geojson", again).content


def test_regions_corrections_choices_and_notices_load_again(ask, answers, opened, pictures, correct):
    session = opened(pictures / "place.tif")
    ask(session, "", "Identify region", regions=[OrientedBox(100, 80, 180, 120, 30)])
    ask(session, "airport, harbor", "Classify")
    corrected = ask(session, "a submarine", "Find")
    correct(session, corrected, "<p>it</p> [1]", [OrientedBox(101.3, 90.7, 163.1, 121.9, 12.3)])
    again = opened(pictures / "place.tif")
    load(again, to_json(session), answers.chat)
    before, after = ([exchange.to_dict() for exchange in each.exchanges] for each in (session, again))
    for value in (*before, *after):
        del value["seconds"]
        for box in value["boxes"]:
            del box["score"]
    assert after == before
    assert len(again.exchanges[0].features) == len(session.exchanges[0].features) == 1
    assert "airport 67%" in to_markdown(again)
    assert "was asked for" in to_markdown(again)


def test_boxes_written_in_another_direction_are_refused(conversation, answers, opened, pictures, engine, monkeypatch):
    text = to_json(conversation)
    other = replace(engine.settings, convention=AngleConvention("counterclockwise"))
    monkeypatch.setattr(engine, "settings", other)
    with pytest.raises(DataError, match="written by 'scripted', whose boxes this model reads differently"):
        load(opened(pictures / "place.tif"), text, answers.chat)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"form": "geochat-conversation"}', '{"form": "other", "turns": [], "image": {}}', "[" * 100_000],
)
def test_other_files_are_refused(conversation, answers, text):
    with pytest.raises(DataError):
        load(conversation, text, answers.chat)


def test_a_conversation_about_another_image_is_refused(conversation, answers, opened, pictures):
    other = opened(pictures / "wide.png")
    with pytest.raises(DataError, match=r"place\.tif"):
        load(other, to_json(conversation), answers.chat)


@pytest.mark.parametrize(
    "change",
    [
        *({"window": [1, 2]}, {"regions": "x"}, {"task": "Fly"}, {"text": "<image>"}, {"window": [5000, 5000, 5, 5]}),
        *({"choices": [{"text": "a"}]}, {"choices": 7}, {"notices": ["x"]}, {"corrected": "a", "corrected_boxes": "x"}),
    ],
)
def test_a_conversation_tampered_with_is_refused(conversation, answers, opened, pictures, change):
    value = json.loads(to_json(conversation))
    value["turns"][0] |= change
    with pytest.raises(DataError, match="cannot be read"):
        load(opened(pictures / "place.tif"), json.dumps(value), answers.chat)


def test_a_conversation_about_another_page_of_the_file_is_refused(ask, answers, opened, storage, pictures):
    session = opened(pictures / "pages.tif")
    session.open_scene(session.scene.open_page(2), storage)
    ask(session, "where?")
    text = to_json(session)
    other = opened(pictures / "pages.tif")
    with pytest.raises(DataError, match=r"page 2 of 'pages\.tif'"):
        load(other, text, answers.chat)
    other.open_scene(other.scene.open_page(2), storage)
    load(other, text, answers.chat)
    assert len(other.exchanges) == 1
