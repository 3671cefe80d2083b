"""Figures of the walk-through: what counts, and that pictures hold them."""

import json
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from geochat_data.records import LabelledImage, LabelledObject
from geochat_train.measure import _windows, identify, summary
from geochat_train.plot import plot


def test_a_constant_answer_scores_one_over_the_categories():
    found = summary(["car"] * 90 + ["person"] * 10, ["Car."] * 100, list(map(str, range(100))))
    assert found["accuracy"] == 50
    assert found["by_category"]["person"] == {"accuracy": 0.0, "questions": 10}
    assert found["answers"] == {"car": 100}
    assert found["low"] == found["high"] == 50  # each category has no spread


def test_intervals_hold_the_accuracy():
    rng = np.random.default_rng(1)
    answers = ["car" if rng.random() < 0.8 else "person" for _ in range(200)]
    found = summary(["car"] * 200, answers, list(map(str, range(200))))
    assert found["low"] < found["accuracy"] < found["high"]
    width = found["high"] - found["low"]
    assert width == pytest.approx(2 * 196 * (0.8 * 0.2 / 200) ** 0.5, rel=0.2)
    many = summary(
        ["car"] * 2000, [answer for answer in answers for _ in range(10)], [str(n // 10) for n in range(2000)]
    )
    assert many["high"] - many["low"] == pytest.approx(width, rel=0.2)  # ten questions an image are no ten images
    one = summary(["car"] * 200, answers, ["a"] * 200)
    assert (one["low"], one["high"], one["images"]) == (None, None, 1)


class Said(NamedTuple):
    plain_text: str


class Chat:
    """Answers every question by the area of its region."""

    def __init__(self):
        self.asked = []

    def ask_each(self, pairs, generation):
        for number, (_, question) in enumerate(pairs):
            self.asked.append(question)
            yield number, Said("car" if question.regions.area > 50 else "person")


def test_objects_are_drawn_by_category(monkeypatch):
    monkeypatch.setattr("geochat_train.measure.Answer", Said)
    square = ((0, 0), (10, 0), (10, 10), (0, 10))
    small = ((0, 0), (5, 0), (5, 5), (0, 5))
    things = [LabelledObject("car", square)] * 5 + [LabelledObject("person", small)] * 2
    image = LabelledImage(None, 20, 20, tuple(things), pixels=np.zeros((20, 20, 3), np.uint8))
    chat = Chat()
    found = identify(chat, [image], most=3)
    assert found["accuracy"] == 100
    assert found["questions"] == len(chat.asked) == 5
    assert all(question.raw for question in chat.asked)


def test_windows_are_of_one_image():
    square = ((0, 0), (10, 0), (10, 10), (0, 10))
    image = LabelledImage(
        None, 40, 40, (LabelledObject("car", square),) * 3, pixels=np.zeros((40, 40, 3), np.uint8), name="a"
    )
    assert [name for _, name in _windows([image], None, 20)] == ["a"] * 3


def test_a_plot_has_its_curves_and_bars(tmp_path):
    log = tmp_path / "log.jsonl"
    rows = [{"step": step, "loss": 3 / step} for step in range(1, 20)] + [{"step": 19, "eval_loss": 0.5}]
    log.write_text("\n".join(map(json.dumps, rows)) + "\n")
    for name, accuracy in (("before", 20.0), ("after", 80.0)):
        report = {"split": "test", "identify": {"accuracy": accuracy, "low": accuracy - 5, "high": accuracy + 5}}
        (tmp_path / f"{name}.json").write_text(json.dumps(report))
    sheet = plot(log, [tmp_path / "before.json"], [tmp_path / "after.json"])
    assert isinstance(sheet, Image.Image)
    pixels = np.asarray(sheet).reshape(-1, 3).tolist()
    counts = {colour: pixels.count(list(colour)) for colour in ((120, 160, 220), (180, 180, 180), (60, 130, 80))}
    assert counts[60, 130, 80] > 3 * counts[180, 180, 180] > 0  # the bars
    assert counts[120, 160, 220] > 100  # the curve
