import random

import numpy as np
import pytest

from geochat.dialects import GEOCHAT
from geochat.geometry import OrientedBox
from geochat.geometry.overlap import reaches
from geochat_eval.scorers.grounding import ConstantBox

A, B, FAR = OrientedBox(10, 10, 30, 30), OrientedBox(60, 60, 80, 80), OrientedBox(10, 70, 20, 90)


def row(found, truth, **fields):
    return {
        "answer": "".join(map(GEOCHAT.write_box, found)),
        "ground_truth": "".join(map(GEOCHAT.write_box, truth)),
        **fields,
    }


def test_each_rule_counts_what_it_says(score):
    found = score(
        "referring",
        row([A, B], [A, B], size_group="small", type="ref"),
        row([A, A, FAR], [A, B], size_group="large", type="grounding"),
        row([], [A], size_group="large", type="ref"),
    )
    assert found["matched_boxes@0.5"] == 60  # 2 + 1 + 0 of 5 true boxes
    assert found["all_matched@0.5"] == pytest.approx(33.33)
    assert found["predicted_hit@0.5"] == 80  # 2 + 2 of 5 predicted boxes
    assert found["matched_boxes@0.5/small"] == 100
    assert found["matched_boxes@0.5/grounding"] == 50
    assert found["matched_boxes@0.5/refer"] == pytest.approx(66.67)
    assert found["matched_boxes@0.5/single"] == 0
    assert found["matched_boxes@0.5/multiple"] == 75
    assert found["predicted_hit@0.5/single"] is None
    assert found["n"]["predicted_hit@0.5"] == 5
    assert found["answers_without_box"] == 1


def test_one_box_too_many_is_not_all_matched(score):
    found = score("referring", row([A, FAR], [A]), row([A], [A]), row([], []))
    assert found["all_matched@0.5"] == pytest.approx(66.67)
    assert found["matched_boxes@0.5"] == 100


def test_thresholds_include_their_value(score):
    half = OrientedBox(10, 10, 30, 20)  # IoU with A is exactly 0.5
    found = score("referring", row([half], [A]))
    assert (found["matched_boxes@0.25"], found["matched_boxes@0.5"], found["matched_boxes@0.75"]) == (100, 100, 0)


def test_rotated_and_aligned_differ(score):
    thin, crossed = OrientedBox(10, 45, 90, 55, 45), OrientedBox(10, 45, 90, 55, 135)
    found = score("referring", row([thin], [crossed]))
    assert found["matched_boxes@0.5"] == 0
    assert found["matched_boxes_aligned@0.5"] == 100


def test_earthdial_mirrors_and_drops(score):
    outside = OrientedBox(-5, 10, 15, 30)
    found = score("referring", row([outside, A], [A, outside]))
    assert found["n"]["earthdial@0.5"] == 1
    assert found["n"]["earthdial_with_negatives@0.5"] == 2
    assert found["earthdial@0.5/single"] == 100  # one true box is left
    assert found["predicted_hit@0.5/multiple"] == 100


def test_polygons_in_pixels_need_the_image_size(score, tmp_path):
    from PIL import Image

    polygon = [[20, 10], [60, 10], [60, 30], [20, 30]]
    fields = {"image_id": "P1", "ground_truth": [[polygon]], "answer": "{<10><30><30><40>|<0>}"}
    assert score("referring", {**fields, "width": 200, "height": 100})["matched_boxes@0.75"] == 100
    Image.new("RGB", (200, 100)).save(tmp_path / "P1.png")
    assert score("referring", fields, images=tmp_path)["matched_boxes@0.75"] == 100
    flat = [number for point in polygon for number in point]
    found = score("referring", {**fields, "ground_truth": flat, "image_size": [200, 100]})
    assert found["matched_boxes@0.75"] == 100
    found = score("referring", row([A], [A]), fields)
    assert list(found["lines"]["reasons"]) == [
        "its truth is in pixels, of an image of unknown size: give width and height, or --images"
    ]


def test_the_constant_box_is_the_best_of_the_true_ones():
    draw = random.Random(0)
    rows = []
    for _ in range(60):
        x, y = draw.randint(0, 50), draw.randint(0, 50)
        size = draw.randint(10, 40), draw.randint(10, 40)
        rows.append([OrientedBox(x, y, x + size[0], y + size[1], draw.randint(1, 90))])
    constant = ConstantBox()
    for truth in rows:
        constant.add(truth)
    box, hits, answers, count = constant.best()
    by_hand = [sum(bool(reaches(np.float64(one.iou(truth)), 0.5)) for (truth,) in rows) for (one,) in rows]
    assert (hits, answers, count) == (max(by_hand), 60, 60)
    assert sum(OrientedBox(*box).iou(truth) >= 0.5 - 1e-9 for (truth,) in rows) == hits
