"""The same questions about every window, and objects counted in cells."""

import json
from collections import Counter

import numpy as np
import pytest

from geochat.errors import PromptError
from geochat.exports import read_vector_layer
from geochat.find import CellCounts, Survey
from geochat.find.survey import column_name
from geochat.imagery import Scene


def test_each_window_is_described_and_asked_about(oracle, coded):
    chat = oracle({})
    survey = chat.survey(coded(500, 300), ["Is there water?"], window=200)
    answers = list(survey)
    assert [each.window for each in answers] == [
        (0, 0, 200, 200), (200, 0, 200, 200), (300, 0, 200, 200),
        (0, 100, 200, 200), (200, 100, 200, 200), (300, 100, 200, 200),
    ]  # fmt: skip
    assert answers[1].values == dict.fromkeys(("caption", "is_there_water"), "at (200, 0, 400, 200)")
    assert survey.complete
    assert list(survey.answers()) == answers
    assert max(Counter(chat.engine.asked).values()) == 1


def test_the_layer_of_windows(oracle, write_scene, tmp_path):
    survey = oracle({}).survey(write_scene(500, 300), ["Is there water?"], window=200)
    list(survey)
    layer = read_vector_layer(survey.save(tmp_path / "grid.gpkg"))
    assert len(layer) == 6
    assert layer.columns["is_there_water"][1] == "at (200, 0, 400, 200)"
    assert layer.geometries[1].area == pytest.approx(100 * 100)


def test_scene_classes_come_with_probabilities(chat_with, picture):
    chat = chat_with("a field", "harbor")
    survey = chat.survey(picture, classes=("harbor", "forest"), window=100, scales=(), whole=True)
    ((window, values),) = ((each.window, each.values) for each in survey)
    assert window == (0, 0, 200, 100)
    assert values == {"caption": "a field", "scene": "harbor", "scene_probability": None}


def test_a_survey_goes_on_where_it_was(oracle, coded, tmp_path):
    chat = oracle({})
    options = {"window": 100, "job": tmp_path / "job"}
    for _ in chat.survey(coded(300, 300), **options):
        break
    done = len(chat.engine.asked)
    assert 0 < done <= 9
    assert len(list(chat.survey(coded(300, 300), **options))) == 9
    assert len(set(chat.engine.asked)) == 9
    assert len(chat.engine.asked) <= 9 + done


def test_nothing_to_ask(oracle, coded):
    with pytest.raises(PromptError, match="nothing to ask"):
        Survey(oracle({}).engine, Scene.open(coded(100, 100)), {})


@pytest.mark.parametrize(
    ("words", "name"),
    [("How many ships?", "how_many_ships"), ("Größe?", "größe"), ("???", "answer"), ("a" * 60, "a" * 40)],
)
def test_columns_are_named_after_their_questions(words, name):
    assert column_name(words) == name


def test_objects_are_counted_in_the_cell_of_their_centre(oracle, coded, truth, tmp_path):
    ships = truth.boxes((10, 10, 40, 30), (90, 90, 112, 112), (210, 210, 240, 240), (260, 210, 290, 240))
    chat = oracle({"ship": ships, "tank": truth.boxes()})
    finding = chat.find(coded(350, 300), ["ship", "tank"], window=100, overlap=40)
    list(finding)
    counts = CellCounts(finding)
    assert counts.totals == {"ship": 4, "tank": 0}
    cells = [feature.properties["ship"] for feature in counts.features()]
    assert cells == [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 2, 0]
    document = json.loads(counts.save(tmp_path / "cells.geojson").read_text())
    assert [each["properties"]["ship"] for each in document["features"]] == cells


def test_cells_that_were_not_looked_at_have_no_count(oracle, coded, truth):
    chat = oracle({"ship": truth.boxes((10, 10, 40, 30))})
    chat.engine.failing = lambda window, _: window[0] >= 100
    finding = chat.find(coded(300, 100), "ship", window=100, overlap=0)
    list(finding)
    assert [feature.properties["ship"] for feature in CellCounts(finding).features()] == [1, None, None]


def test_a_survey_of_pixels_without_data(oracle, coded, write_scene):
    pixels = np.full((200, 200, 3), 255, np.uint8)
    survey = oracle({}).survey(write_scene(200, 200, nodata=255, pixels=pixels), window=100)
    assert not list(survey)
    assert {row.properties["reason"] for row in survey.not_looked_at()} == {"no data"}
