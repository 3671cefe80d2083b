"""The calibration of the bundled model's boxes."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from geochat.errors import SettingsError
from geochat.geometry import OrientedBox
from geochat.imagery import Window
from geochat.models import BoxConfidence, Settings, read_settings, write_settings
from geochat_data.records import LabelledImage, LabelledObject
from geochat_mini.confidence import Searched, calibrate, fit, main, search

PLANE, OTHER = OrientedBox(10, 10, 30, 30), OrientedBox(50, 50, 90, 90)


def drawn(truth, count=3000, seed=0):
    """Searches whose boxes are right with the probability that a calibration gives them."""
    rng = np.random.default_rng(seed)
    for number in range(count // 10):
        category = ("ship", "car")[number % 2]
        boxes = []
        for score, side in zip(rng.uniform(0.1, 0.5, 10), rng.uniform(0.02, 0.6, 10), strict=True):
            boxes.append((bool(rng.random() < truth.probability(score, side, category)), float(score), float(side)))
        right = sum(box[0] for box in boxes)
        yield Searched(f"{number}.jpg", "rsod", category, category, number % 4 < 2, right + 1, boxes)


def test_it_finds_the_function_that_made_the_boxes_right():
    truth = BoxConfidence(6.0, 4.0, 1.5, 0.4, {"ship": 0.7, "car": -0.7})
    found = fit(list(drawn(truth)))
    for category in ("ship", "car"):
        for score in (0.2, 0.4):
            for side in (0.05, 0.3, 0.6):
                expected = truth.probability(score, side, category)
                assert found.probability(score, side, category) == pytest.approx(expected, abs=0.05)


def test_the_minimum_is_the_one_of_the_best_f1():
    searches = list(drawn(BoxConfidence(6.0, 4.0, 1.5, 0.4, {"ship": 0.7, "car": -0.7})))
    confidence, told = calibrate(searches)
    assert 0.15 <= confidence.minimum <= 0.5
    assert "rsod, ship: " in told
    assert "probability 0.5 to 0.7: " in told


def test_without_boxes_there_is_nothing_to_fit():
    with pytest.raises(SettingsError, match="no box"):
        fit([Searched("a.jpg", "rsod", "ship", "ship", True, 3)])


class TestSearch:
    @pytest.fixture
    def photograph(self, tmp_path):
        Image.new("RGB", (100, 80)).save(tmp_path / "plane.jpg")
        objects = (LabelledObject("airplane", PLANE.corners()), LabelledObject("windmill", OTHER.corners()))
        doubtful = (LabelledObject("airplane", OrientedBox(70, 10, 90, 30).corners()),)
        return LabelledImage(tmp_path / "plane.jpg", 100, 80, objects=objects, ignore=doubtful, name="ucm/plane.jpg")

    def chat(self, *found):
        asked = []

        def find(path, phrase, window):
            asked.append((phrase, window))
            return [SimpleNamespace(box=box, score=score, window=Window(0, 0, 100, 80)) for box, score in found]

        info = SimpleNamespace(settings=Settings(categories=("airplane", "ship")))
        return SimpleNamespace(find=find, engine=SimpleNamespace(info=info), asked=asked)

    def test_boxes_are_right_once_and_doubtful_ones_do_not_count(self, photograph):
        nearly = OrientedBox(11, 10, 31, 30)
        chat = self.chat((nearly, 0.3), (PLANE, 0.4), (OrientedBox(71, 10, 91, 30), 0.9), (OTHER, None))
        (found,) = search(chat, photograph, windowed=False)
        assert chat.asked == [("airplanes", 100)]
        assert found.boxes == [(True, 0.4, 0.2), (False, 0.3, 0.2), (False, 0.0, 0.4)]
        assert (found.true, found.label, found.category, found.image) == (1, "airplane", "airplane", "ucm/plane.jpg")

    def test_windows_are_those_of_a_search(self, photograph):
        chat = self.chat()
        assert [found.boxes for found in search(chat, photograph, windowed=True)] == [[]]
        assert chat.asked == [("airplanes", None)]


def test_the_fit_is_written_into_the_settings(tmp_path, capsys):
    rows = [vars(each) for each in drawn(BoxConfidence(6.0, 4.0, 1.5, 0.4, {"ship": 0.0, "car": 0.0}), 400)]
    (tmp_path / "boxes.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    write_settings(Settings(name="tiny", second_look=True), tmp_path)
    main(["fit", str(tmp_path / "boxes.jsonl"), "--write", str(tmp_path)])
    written = read_settings(tmp_path)
    assert written.box_confidence is not None
    assert written.second_look
    assert json.dumps(written.to_dict()["box_confidence"]) in capsys.readouterr().out
