"""Colours, places, relations and the expressions made of them are true of the objects they select."""

import random
import re
from collections import Counter
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from PIL import Image
from shapely import Polygon

from geochat.dialects import GEOCHAT
from geochat.errors import ImageError
from geochat.prompts.phrases import plural
from geochat_data.questions import (
    Subject,
    colour_of,
)
from geochat_data.questions.colour import colours_of
from geochat_data.questions.expressions import attribute_expressions
from geochat_data.readers import DataSource, read, read_ucm
from geochat_data.records import LabelledImage, LabelledObject
from geochat_data.synthetic import render_scene

PAINTS = ("white", "black", "gray", "red", "green", "blue", "yellow", "brown")
CELLS = {
    "at the top left": (0, 0), "at the top": (1, 0), "at the top right": (2, 0),
    "on the left": (0, 1), "in the center": (1, 1), "on the right": (2, 1),
    "at the bottom left": (0, 2), "at the bottom": (1, 2), "at the bottom right": (2, 2),
}  # fmt: skip
KINDS = ("car", "car", "car", "building", "ship")
SAMPLED = ("next to", "left of", "above", "half", "white", "at the")


@pytest.mark.parametrize("name", PAINTS)
def test_plain_colours_have_their_names(name, painted):
    image = painted(("car", name, 100, 100, 40, 20))
    assert colour_of(image.pixels, image.objects[0].polygon) == name


def test_what_is_mixed_tiny_or_outside_has_no_colour(painted):
    image = painted(("car", "white", 100, 100, 20, 40), ("car", "black", 120, 100, 20, 40))
    assert colour_of(image.pixels, ((100, 100), (140, 100), (140, 140), (100, 140))) is None
    assert colour_of(image.pixels, ((100, 100), (103, 100), (103, 103), (100, 103))) is None
    assert colour_of(image.pixels, ((400, 400), (440, 400), (440, 440), (400, 440))) is None


def test_thermal_images_have_no_colours(painted):
    image = painted(("car", "white", 100, 100, 40, 20))
    grey = np.repeat(image.pixels.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    assert Subject(image, random.Random(), GEOCHAT).colour(image.objects[0]) == "white"
    assert Subject(replace(image, pixels=grey), random.Random(), GEOCHAT).colour(image.objects[0]) is None


def test_white_is_white_in_the_shade(painted):
    image = painted(("car", "white", 100, 100, 40, 20))
    dark = (image.pixels * 0.6).astype(np.uint8)
    assert Subject(replace(image, pixels=dark), random.Random(), GEOCHAT).colour(image.objects[0]) == "white"


def anchor_of(image, phrase):
    word, category = None, phrase.removeprefix("the ")
    if category not in {item.category for item in image.objects}:
        word, category = category.split(" ", 1)
    return pick(image, [item for item in image.objects if item.category == category], word)


def pick(image, members, word):
    subject = Subject(image, random.Random(), GEOCHAT)
    places = {item: subject.place(item) for item in members}
    match word:
        case None:
            (only,) = members
            return only
        case "largest" | "smallest":
            return (max if word == "largest" else min)(members, key=lambda i: places[i][1])
    axis = 0 if word in ("leftmost", "rightmost") else 1
    return (min if word in ("leftmost", "topmost") else max)(members, key=lambda i: places[i][0][axis])


def meant(image, item, after):
    """Whether the words after the category hold for an object, by their plain meaning."""
    x, y = Subject(image, random.Random(), GEOCHAT).place(item)[0]
    if after in CELLS:
        return tuple(min(2, max(0, int(v * 3))) for v in (x, y)) == CELLS[after]
    if half := re.fullmatch(r"in the (\w+) half", after):
        return {"left": x < 0.5, "right": x > 0.5, "top": y < 0.5, "bottom": y > 0.5}[half[1]]
    relation, anchor = re.fullmatch(r"(to the left of|to the right of|above|below|next to) (the .+)", after).groups()
    thing = anchor_of(image, anchor)
    (x, y), xs, ys = item.center, *zip(*thing.polygon, strict=True)
    if relation == "next to":
        gap = Polygon(item.polygon).distance(Polygon(thing.polygon))
        sides = [np.hypot(*np.subtract(*i.polygon[k : k + 2])) for i in (item, thing) for k in (0, 1)]
        return gap < max(sides)
    return {
        "to the left of": x < min(xs), "to the right of": x > max(xs), "above": y < min(ys), "below": y > max(ys)
    }[relation]  # fmt: skip


def selected(image, category, phrase, colours):
    """What an expression refers to, worked out again from the labels and the pixels."""
    many = phrase.startswith("all ")
    words = phrase.removeprefix("all ").removeprefix("the ")
    before, after = re.fullmatch(rf"(.*?) ?(?:{category}|{plural(category)})(?: (.+))?", words).groups()
    found = [i for i in image.objects if i.category == category]
    if before:
        found = [i for i in found if colours[i] == before]
    if after:
        found = [i for i in found if meant(image, i, after)]
    assert many == (len(found) > 1), phrase
    return set(found)


def test_expressions_by_colour_place_and_relation_select_exactly_their_objects(painted):
    kinds = ("airport", "tanks", "residential", "harbour")
    images = [render_scene(seed, 256, kind) for kind in kinds for seed in range(3)]
    rng = random.Random(4)
    for _ in range(24):
        spots = [(x, y) for x in range(10, 270, 38) for y in range(10, 270, 38)]
        things = [
            (
                rng.choice(KINDS),
                rng.choice(PAINTS),
                x,
                y,
                *rng.choice(((30, 14), (14, 30))),
            )
            for x, y in rng.sample(spots, 7)
        ]
        images.append(painted(*things))
    kinds = Counter()
    for image in images:
        subject = Subject(image, random.Random(0), GEOCHAT)
        for category in subject.present:
            colours = {item: subject.colour(item) for item in image.objects}
            for expression in attribute_expressions(subject, category):
                found = selected(image, category, expression.phrase, colours)
                assert found == set(expression.objects), expression.phrase
                kinds.update(w for w in SAMPLED if w in expression.phrase)
    assert min(kinds[w] for w in SAMPLED) > 10, kinds


def test_expressions_about_real_photographs_select_exactly_their_objects(shared):
    imagery = shared / "imagery"
    sources = [DataSource(imagery / "evaluation-only" / "dota"), DataSource(imagery / "hit-uav", split="val")]
    photographs = [image for source in sources for image in islice(read("boxes", source), 0, None, 4)]
    photographs += list(islice((i for i in read_ucm(imagery / "ucm", "train") if len(i.objects) > 1), 0, 80, 4))
    checked = 0
    for image in photographs:
        subject = Subject(image, random.Random(0), GEOCHAT)
        colours = {item: subject.colour(item) for item in image.objects}
        for category in subject.present:
            for expression in attribute_expressions(subject, category):
                found = selected(image, category, expression.phrase, colours)
                assert found == set(expression.objects), (image.path, expression.phrase)
                checked += 1
    assert checked > 200


def test_an_ignored_object_that_fits_forbids_the_expression(painted):
    clear = painted(("car", "white", 20, 20, 40, 20), ("car", "red", 200, 200, 40, 20))
    assert "the white car" in {e.phrase for e in attribute_expressions(Subject(clear, random.Random(), GEOCHAT), "car")}
    ignored = painted(
        ("car", "white", 20, 20, 40, 20), ("car", "red", 200, 200, 40, 20), ignore=[("car", "white", 100, 100, 40, 20)]
    )
    phrases = {e.phrase for e in attribute_expressions(Subject(ignored, random.Random(), GEOCHAT), "car")}
    assert "the white car" not in phrases
    assert "the red car" in phrases


def test_colours_are_those_of_the_windows_of_the_objects(tmp_path):
    pixels = np.full((200, 3000, 3), (90, 120, 60), np.uint8)  # wider than what a view shows
    pixels[40:80, 50:110], pixels[150:190, 2900:2990] = (220, 30, 30), (30, 30, 220)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    corners = (((50, 40), (110, 40), (110, 80), (50, 80)), ((2900, 150), (2990, 150), (2990, 190), (2900, 190)))
    things = tuple(LabelledObject("car", polygon) for polygon in corners)
    told = LabelledObject("car", ((0, 0), (9, 0), (9, 9), (0, 9)), attributes=("white",))
    person = LabelledObject("person", corners[0])
    record = LabelledImage(tmp_path / "a.png", 3000, 200, (*things, told, person))
    assert list(colours_of(record).values()) == ["red", "blue", "white", None]
    (tmp_path / "a.png").unlink()
    assert list(colours_of(LabelledImage(tmp_path / "a.png", 3000, 200, (told,))).values()) == ["white"]
    with pytest.raises(ImageError):
        colours_of(record)
