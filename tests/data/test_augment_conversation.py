"""Boxes written in text stay on what they name, and words that are no longer true are left out."""

import random

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from geochat.dialects import GEOCHAT
from geochat.geometry import Frame, OrientedBox
from geochat.prompts import Message
from geochat_data.augment import Augmentation, transform_record, upright_box
from geochat_data.augment_conversation import (
    augment_conversation,
    random_whole_view,
    transform_messages,
    transform_text,
)
from geochat_data.records import LabelledImage, LabelledObject

PAINTED = OrientedBox(300, 120, 420, 180, 30)  # pixels of a 640 x 400 image


def painted():
    image = Image.new("RGB", (640, 400))
    ImageDraw.Draw(image).polygon(PAINTED.corners(), fill="white")
    return image


def talk(*turns):
    return tuple(Message(("user", "assistant")[k % 2], text) for k, text in enumerate(turns))


def written(box=PAINTED, size=(640, 400)):
    return GEOCHAT.write("the ship", [box.transform(~Frame(size, model=GEOCHAT.model_frame).model_to_view)])


@pytest.mark.parametrize("seed", range(30))
def test_a_written_box_stays_on_what_it_names(seed):
    messages = talk("[refer] Where is <p> the ship </p> ?", written())
    how = Augmentation(zoom=(1.0, 1.4), tilt=12, colour=0)
    view, moved = augment_conversation(painted(), messages, how, random.Random(seed), GEOCHAT)
    assert view.size == (640, 640)
    (region,) = GEOCHAT.parse(moved[1].text).regions
    box = region.box.transform(Frame(view.size, model=GEOCHAT.model_frame).model_to_view)
    mask = Image.new("1", view.size)
    ImageDraw.Draw(mask).polygon(box.corners(), fill=1)
    drawn, bright = np.asarray(mask), np.asarray(view).min(axis=-1) > 200
    assert (drawn & bright).sum() / (drawn | bright).sum() > 0.8  # whole percents are 6 pixels here
    assert moved[0].text == messages[0].text
    assert region.phrase == "the ship"


@given(st.integers(1, 900), st.integers(1, 900), st.floats(0, 30), st.floats(1, 2), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_a_view_holds_the_whole_image(width, height, tilt, zoom, seed):
    to_view = random_whole_view(width, height, 500, Augmentation(zoom=(0.5, zoom), tilt=tilt), random.Random(seed))
    for corner in ((0, 0), (width, 0), (0, height), (width, height)):
        assert all(-1e-6 <= v <= 500 + 1e-6 for v in to_view @ corner)


@given(
    st.tuples(*[st.integers(-20, 120)] * 2),
    st.tuples(*[st.integers(2, 60)] * 2),
    st.integers(1, 90),
    st.integers(0, 3),
    st.sampled_from([1, -1]),
)
@settings(max_examples=100, deadline=None)
def test_four_quarter_turns_or_two_mirrors_change_nothing(corner, sides, angle, turns, mirror):
    box = OrientedBox(corner[0], corner[1], corner[0] + 2 * sides[0], corner[1] + 2 * sides[1], angle)
    text = GEOCHAT.write("a ship", [box])
    about = (
        Affine.translation(50, 50)
        @ Affine.rotation(90 * turns)
        @ Affine.scale(mirror, 1)
        @ Affine.translation(-50, -50)
    )
    there = GEOCHAT.parse(transform_text(text, about, GEOCHAT)).regions[0].box
    back = GEOCHAT.parse(transform_text(transform_text(text, about, GEOCHAT), ~about, GEOCHAT)).regions[0].box
    assert there.iou(box.transform(about)) > 0.999
    assert back.iou(box) > 0.999


def test_everything_else_is_left_as_it_is():
    text = "Two <p>ships</p> {<10><20><30><40>|<90>}<delim>{<50><60><70><80>|<45>} and {<1><2>} here."
    assert transform_text(text, Affine.identity(), GEOCHAT) == text
    assert transform_text(text, Affine.translation(5, 0), GEOCHAT) == (
        "Two <p>ships</p> {<15><20><35><40>|<90>}<delim>{<55><60><75><80>|<45>} and {<1><2>} here."
    )


def test_a_conversation_is_cut_before_it_speaks_of_sides():
    messages = talk("How many?", "2", "Where is it?", "It is at the top left.", "And its color?", "white")
    assert transform_messages(messages, (9, 9), Affine.identity(), 9, GEOCHAT) == messages[:2]
    for words in ("the leftmost ship", "in the lower half", "to the north-east", "in the centre", "below the tank"):
        assert transform_messages(talk(f"What is {words}?", "A ship"), (9, 9), Affine.identity(), 9, GEOCHAT) == ()
    assert (
        augment_conversation(painted(), talk("What is at the top?", "A"), Augmentation(), random.Random(0), GEOCHAT)
        is None
    )
    kept = talk("Is the water bright?", "The topic is stopped traffic.")
    assert transform_messages(kept, (9, 9), Affine.identity(), 9, GEOCHAT) == kept


def test_round_objects_keep_upright_boxes():
    tank = OrientedBox(40, 40, 60, 60)
    turn = Affine.translation(50, 50) @ Affine.rotation(20) @ Affine.translation(-50, -50)
    assert upright_box(tank.transform(turn)).iou(tank) == pytest.approx(1)
    text = GEOCHAT.write("the storage tank", [tank])
    messages = talk("[refer] Where is <p> the storage tank </p> ?", text)
    moved = transform_messages(messages, (100, 100), turn, 100, GEOCHAT)
    assert GEOCHAT.parse(moved[1].text).regions[0].box.iou(tank) == pytest.approx(1)
    ship = transform_messages(talk("Where?", GEOCHAT.write("the ship", [tank])), (100, 100), turn, 100, GEOCHAT)
    assert GEOCHAT.parse(ship[1].text).regions[0].box.iou(tank.transform(turn)) > 0.9


@pytest.mark.parametrize("angle", [0, 7, -12, 90, 97])
def test_labels_of_round_objects_keep_upright_boxes_too(angle):
    corners = ((40.0, 40.0), (60.0, 40.0), (60.0, 60.0), (40.0, 60.0))
    record = LabelledImage(None, 100, 100, (LabelledObject("storage tank", corners), LabelledObject("ship", corners)))
    turn = Affine.translation(50, 50) @ Affine.rotation(angle) @ Affine.translation(-50, -50)
    tank, ship = (
        OrientedBox.from_polygon(o.polygon)
        for o in transform_record(record, turn, Image.new("RGB", (100, 100)), 0.5).objects
    )
    assert tank.iou(OrientedBox(40, 40, 60, 60)) == pytest.approx(1)
    assert ship.iou(OrientedBox(40, 40, 60, 60, angle)) == pytest.approx(1)
