import json

import pytest

from geochat.errors import CheckpointError
from geochat.geometry import AngleConvention
from geochat.models import SETTINGS_FILE, BoxConfidence, Settings
from geochat.models.settings import read_settings, write_settings
from geochat.prompts import Task

FULL = Settings(
    name="tiny",
    convention=AngleConvention(direction="counterclockwise"),
    fit="crop",
    tasks=(Task.CHAT, Task.SCENE),
    scene_classes=("beach", "église"),
    ground_resolution=(0.1, 5.0),
    object_resolution=0.3,
    box_confidence=BoxConfidence(1.0, 2.0, 3.0, 0.4, {"ship": 0.5}, 0.2),
    second_look=True,
    earlier_turns=2,
    licence="CC-BY-4.0",
)


@pytest.mark.parametrize("settings", [Settings(), FULL], ids=["defaults", "everything set"])
def test_round_trip(tmp_path, settings):
    write_settings(settings, tmp_path)
    assert read_settings(tmp_path) == settings


def test_without_a_file_the_published_model_is_meant(tmp_path):
    assert read_settings(tmp_path) == Settings(name=tmp_path.name)
    dialect = Settings().dialect_for(504)
    assert (dialect.angles, dialect.model_frame.fit) == (AngleConvention("clockwise", "(0,90]"), "pad")
    assert Settings().tasks == tuple(Task)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"angle": 1}, r"unknown settings \['angle'\].*convention"),
        ({"tasks": ["paint"]}, "impossible value.*paint"),
        ({"tasks": 3}, "impossible value"),
        ({"convention": {"direction": "left"}}, "impossible value.*left"),
        ({"convention": {"turn": 1}}, "impossible value.*turn"),
        ({"name": 3}, "impossible value.*3 is not text"),
        ({"scene_classes": [["beach"]]}, "impossible value.*is not text"),
        ({"earlier_turns": -1}, "impossible value.*earlier_turns is -1"),
        ({"earlier_turns": True}, "impossible value.*earlier_turns is True"),
        ({"second_look": 1}, "impossible value.*second_look is 1, neither true nor false"),
        ({"fit": "stretch"}, "fit='stretch'.*'pad' or 'crop'"),
        ({"ground_resolution": [1]}, "impossible value"),
        ({"object_resolution": -1}, "impossible value.*object_resolution is -1"),
        ({"ground_resolution": ["fine", "coarse"]}, "impossible value.*fine"),
    ],
)
def test_a_bad_setting_is_named(tmp_path, values, message):
    (tmp_path / SETTINGS_FILE).write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match=message):
        read_settings(tmp_path)


@pytest.mark.parametrize(("text", "message"), [('{"name": ', "not valid JSON"), ("[1]", "holds a list")])
def test_a_file_that_is_no_object_is_named(tmp_path, text, message):
    (tmp_path / SETTINGS_FILE).write_text(text)
    with pytest.raises(CheckpointError, match=message) as error:
        read_settings(tmp_path)
    assert SETTINGS_FILE in str(error.value)
