"""Boxes of every dialect are compared in one square."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geochat.dialects import GEOCHAT
from geochat.errors import DataError
from geochat.geometry import AngleConvention, Frame, ModelFrame, OrientedBox
from geochat_eval.boxes import in_square, rewrite_regions, to_square
from geochat_eval.formats import GroundedText, read_brackets, read_markup
from geochat_eval.runs.settings import dialect_from_json, dialect_to_json, same_dialect

CROPPING = GEOCHAT.fitted(fit="crop", size=98, angles=AngleConvention("counterclockwise", "[0,90)"))
MIRRORED = GEOCHAT.fitted(angles=AngleConvention("counterclockwise", "[-90,0)"))
sizes = st.tuples(st.integers(20, 3000), st.integers(20, 3000))
near, far = st.integers(10, 40).map(float), st.integers(60, 90).map(float)
boxes = st.builds(OrientedBox, near, near, far, far)


def never():
    raise AssertionError("the size is asked for where it does not matter")


def test_what_the_published_model_wrote_is_left_alone():
    found = read_markup("<p>a ship</p> {<-5><20><30><40>|<0>}", GEOCHAT)
    assert in_square(found, GEOCHAT, never) == found
    text = "What is at { <10><20><30><40>|<0> } ?"
    assert rewrite_regions(text, GEOCHAT.fitted(size=504), never) is text


def test_angles_alone_need_no_image():
    written = MIRRORED.write_box(OrientedBox(10, 20, 50, 30, 25))
    (box,) = in_square(read_markup(written, MIRRORED), MIRRORED, never).boxes
    assert box.iou(OrientedBox(10, 20, 50, 30, 25)) == pytest.approx(1)
    assert 0 < box.angle <= 90  # as the published model would have written it
    assert rewrite_regions("[identify] {<10><20><50><30>|<25>} ?", MIRRORED, never) == f"[identify] {written} ?"


@given(sizes, boxes)
def test_a_cropping_models_box_lands_on_the_same_pixels(size, box):
    (placed,) = in_square(GroundedText("", (box,), ("",)), CROPPING, lambda: size).boxes
    ours = box.transform(Frame(size, model=CROPPING.model_frame).model_to_view)
    theirs = placed.transform(Frame(size, model=GEOCHAT.model_frame).model_to_view)
    assert ours.iou(theirs) == pytest.approx(1, abs=1e-6)


@given(sizes, boxes)
def test_a_question_is_rewritten_and_reads_back(size, box):
    text = f"What is the object present at {GEOCHAT.write_box(box)}"
    again = rewrite_regions(text, CROPPING, lambda: size)
    (region,) = CROPPING.parse(again).regions
    back = to_square(CROPPING.model_frame, lambda: size)
    assert region.box.transform(back).iou(box) > 0.9  # whole percents
    assert again.startswith("What is the object present at ")


def test_another_scale_needs_no_image():
    assert to_square(ModelFrame(scale=1000.0), never) @ (500, 250) == pytest.approx((50, 25))


def test_brackets_turn_as_the_dialect_does():
    (box,) = read_brackets("a ship [[10, 20, 30, 40, 15]]", MIRRORED).boxes
    assert box.angle == -15


def test_a_run_says_which_dialect_it_is_in():
    assert dialect_from_json(dialect_to_json(CROPPING)) == CROPPING
    assert dialect_from_json(None) == GEOCHAT
    assert same_dialect(None, GEOCHAT.fitted(size=504))
    assert not same_dialect(dialect_to_json(CROPPING), GEOCHAT.fitted(fit="crop", size=99, angles=CROPPING.angles))
    for broken in (
        {},
        {**dialect_to_json(GEOCHAT), "name": "klingon"},
        {**dialect_to_json(GEOCHAT), "fit": "stretch"},
        "geochat",
    ):
        with pytest.raises(DataError, match=r"run\.json"):
            dialect_from_json(broken)


def test_clips_and_lists_are_in_the_numbers_of_the_answers(score):
    """The image is twice as wide as high, so its square of 100 percent is that of a cropping model's middle half."""
    turned = [40, 20, 60, 60, 30]  # counter-clockwise, as the answers
    row = {"answer": "{<40><20><60><60>|<30>}", "ground_truth": [turned], "clip": [-50, 0, 150, 100]}
    found = score("referring", {**row, "width": 400, "height": 200}, dialect=CROPPING)
    assert found["matched_boxes@0.75"] == 100
    assert found["constant_box"] == pytest.approx([40, 40, 60, 50, 60])  # half as many percent of twice the width
    unknown = score("referring", {**row, "width": 400, "height": 200}, row, dialect=CROPPING)["lines"]
    assert list(unknown["reasons"]) == [
        "its numbers depend on the size of its image, which is unknown: give width and height, or --images"
    ]
