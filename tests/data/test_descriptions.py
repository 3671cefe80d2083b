"""What is said of objects is true: colours, places, relations, and the expressions made of them."""

import random
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw
from shapely import Polygon

from geochat.dialects import GEOCHAT
from geochat.prompts import Task
from geochat_data.questions import (
    FULL_SHARES,
    AnswerBalance,
    Subject,
    build_conversation,
    build_dialogue,
    colour_of,
    wordings,
)
from geochat_data.questions.expressions import attribute_expressions
from geochat_data.questions.subject import plural
from geochat_data.readers import DataSource, read, read_ucm
from geochat_data.records import LabelledImage, LabelledObject
from geochat_data.synthetic import OBJECT_CATEGORIES, render_scene

PAINT = {
    "white": (240, 240, 238), "black": (20, 22, 20), "gray": (128, 130, 126), "red": (190, 30, 30),
    "green": (60, 140, 60), "blue": (50, 80, 170), "yellow": (220, 200, 50), "brown": (110, 70, 40),
}  # fmt: skip
CELLS = {
    "at the top left": (0, 0), "at the top": (1, 0), "at the top right": (2, 0),
    "on the left": (0, 1), "in the center": (1, 1), "on the right": (2, 1),
    "at the bottom left": (0, 2), "at the bottom": (1, 2), "at the bottom right": (2, 2),
}  # fmt: skip
TRAFFIC = (
    ("car", "white", 20, 20, 60, 30),
    ("car", "red", 240, 250, 30, 16),
    ("ship", "black", 140, 140, 30, 20),
)
KINDS = ("car", "car", "car", "building", "ship")
SAMPLED = ("next to", "left of", "above", "half", "white", "at the")


def painted(*things, size=300, ignore=()):
    """An image of rectangles: (category, colour, x, y, width, height)."""
    canvas = Image.new("RGB", (size, size), (90, 110, 80))
    made = []
    for category, colour, x, y, width, height in (*things, *ignore):
        corners = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
        ImageDraw.Draw(canvas).polygon(corners, fill=PAINT[colour])
        made.append(LabelledObject(category, corners))
    objects, doubtful = tuple(made[: len(things)]), tuple(made[len(things) :])
    return LabelledImage(
        None, size, size, objects, doubtful, labelled=OBJECT_CATEGORIES, pixels=np.asarray(canvas), scene="airplane"
    )


@pytest.mark.parametrize("name", PAINT)
def test_plain_colours_have_their_names(name):
    image = painted(("car", name, 100, 100, 40, 20))
    assert colour_of(image.pixels, image.objects[0].polygon) == name


def test_what_is_mixed_tiny_or_outside_has_no_colour():
    image = painted(("car", "white", 100, 100, 20, 40), ("car", "black", 120, 100, 20, 40))
    assert colour_of(image.pixels, ((100, 100), (140, 100), (140, 140), (100, 140))) is None
    assert colour_of(image.pixels, ((100, 100), (103, 100), (103, 103), (100, 103))) is None
    assert colour_of(image.pixels, ((400, 400), (440, 400), (440, 440), (400, 440))) is None


def test_thermal_images_have_no_colours():
    image = painted(("car", "white", 100, 100, 40, 20))
    grey = np.repeat(image.pixels.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    assert Subject(image, random.Random(), GEOCHAT).colour(image.objects[0]) == "white"
    assert Subject(replace(image, pixels=grey), random.Random(), GEOCHAT).colour(image.objects[0]) is None


def test_white_is_white_in_the_shade():
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


def test_expressions_by_colour_place_and_relation_select_exactly_their_objects():
    kinds = ("airport", "tanks", "residential", "harbour")
    images = [render_scene(seed, 256, kind) for kind in kinds for seed in range(5)]
    rng = random.Random(4)
    for _ in range(40):
        spots = [(x, y) for x in range(10, 270, 38) for y in range(10, 270, 38)]
        things = [
            (
                rng.choice(KINDS),
                rng.choice(list(PAINT)),
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
    assert min(kinds[w] for w in SAMPLED) > 20, kinds


def test_expressions_about_real_photographs_select_exactly_their_objects(shared):
    imagery = shared / "imagery"
    sources = [DataSource(imagery / "evaluation-only" / "dota"), DataSource(imagery / "hit-uav", split="val")]
    photographs = [image for source in sources for image in read("boxes", source)]
    photographs += [image for image in read_ucm(imagery / "ucm", "train") if len(image.objects) > 1][:80]
    checked = 0
    for image in photographs:
        subject = Subject(image, random.Random(0), GEOCHAT)
        colours = {item: subject.colour(item) for item in image.objects}
        for category in subject.present:
            for expression in attribute_expressions(subject, category):
                found = selected(image, category, expression.phrase, colours)
                assert found == set(expression.objects), (image.path, expression.phrase)
                checked += 1
    assert checked > 1000


def test_a_doubtful_object_that_fits_forbids_the_expression():
    clear = painted(("car", "white", 20, 20, 40, 20), ("car", "red", 200, 200, 40, 20))
    assert "the white car" in {e.phrase for e in attribute_expressions(Subject(clear, random.Random(), GEOCHAT), "car")}
    doubtful = painted(
        ("car", "white", 20, 20, 40, 20), ("car", "red", 200, 200, 40, 20), ignore=[("car", "white", 100, 100, 40, 20)]
    )
    phrases = {e.phrase for e in attribute_expressions(Subject(doubtful, random.Random(), GEOCHAT), "car")}
    assert "the white car" not in phrases
    assert "the red car" in phrases


def turns_of(image, shares, count=60, **options):
    talks = (
        build_conversation(image, random.Random(s), dialect=GEOCHAT, turns=1, shares=shares, **options)
        for s in range(count)
    )
    return [turn for talk in talks for turn in talk.turns]


def test_positions_and_colours_are_those_of_the_object():
    image = painted(*TRAFFIC)
    places = {(t.question.split("\n")[0], t.answer) for t in turns_of(image, {"position": 1})}
    assert ("Where is the largest car in the image?", "top left") in places
    assert ("Where is the ship in the image?", "center") in places
    assert not any("leftmost" in question or " at the " in question for question, _ in places)
    colours = {(t.question.split("\n")[0], t.answer) for t in turns_of(image, {"colour": 1})}
    assert ("What is the color of the largest car?", "white") in colours
    assert ("What is the color of the car at the bottom right?", "red") in colours


def test_grounded_descriptions_may_tell_colour_and_place():
    image = painted(*TRAFFIC, ("airplane", "white", 20, 200, 30, 20), ("airplane", "white", 80, 200, 30, 20))
    plain, rich = (turns_of(image, {"grounding": 1}, 1, rich=rich)[0].answer for rich in (False, True))
    assert re.sub(r" ?(\{.+?\})(<delim>)?", "", plain) == (
        "The image shows <p>2 airplanes</p>, <p>2 cars</p> and <p>a ship</p>."
    )
    assert re.sub(r" ?(\{.+?\})(<delim>)?", "", rich) == (
        "The image shows <p>2 white airplanes</p>, <p>2 cars</p> and <p>a black ship</p> in the center."
    )


def test_what_is_not_there_is_said_not_to_be_there():
    image = painted(("car", "white", 20, 20, 60, 30))
    for turn in turns_of(image, {"negative": 1}, wording="varied"):
        named = re.fullmatch(r"There is no (.+) in the image\.", turn.answer)[1]
        assert named != "car"
        assert named in turn.question


@pytest.mark.parametrize("kind", FULL_SHARES)
def test_held_out_wordings_are_never_trained_on(kind):
    image = painted(*TRAFFIC)

    def skeletons(wording):
        found = turns_of(image, {kind: 1}, 40, wording=wording, rich=True, scenes=("airplane", "river"))
        return {skeleton(turn.question, kind) for turn in found}

    trained, measured = skeletons("varied"), skeletons("held out")
    assert trained
    assert measured
    assert not trained & measured


def skeleton(question, kind):
    """The wording of a question, found among those of its kind."""
    pools, question = getattr(wordings, kind.upper()), question.replace("Where are <p>", "Where is <p>")
    found = {
        pattern
        for pattern in (*pools.published, *pools.varied, *pools.held_out)
        if re.search(re.sub(r"\\\{\w+\\\}", "(.+)", re.escape(pattern)), question, re.IGNORECASE)
    }
    return max(found, key=len)


def test_all_wordings_are_different():
    for pools in wordings.ALL:
        every = (*pools.published, *pools.varied, *pools.held_out)
        assert len(set(every)) == len(every)
        assert len(pools.held_out) > 1


def test_answers_over_a_data_set_are_balanced():
    rng, balance, answers = random.Random(0), AnswerBalance(), {"presence": Counter(), "count": Counter()}
    for _ in range(400):
        number = min(6, 1 + int(rng.expovariate(1)))
        image = painted(*(("car", "white", 20 + 40 * k, 20, 30, 16) for k in range(number)))
        image = replace(image, labelled=frozenset({"car", *rng.sample(["ship", "airplane"], rng.choice((0, 0, 1)))}))
        for turn in build_conversation(
            image, rng, dialect=GEOCHAT, shares={"presence": 1, "count": 1}, balance=balance
        ).turns:
            answers[turn.kind][turn.answer] += 1
    assert 0.8 < answers["presence"]["yes"] / answers["presence"]["no"] < 1.25
    counts = answers["count"]
    assert counts["1"] < 2 * counts.total() / len(counts) + 10


def test_dialogues_build_on_what_was_said():
    image = painted(("car", "white", 20, 20, 60, 30), ("car", "red", 240, 250, 30, 16))
    talk = build_dialogue(image, random.Random(0), dialect=GEOCHAT)
    assert talk.dependent
    questions, answers = zip(*((turn.question, turn.answer) for turn in talk.turns), strict=True)
    assert answers[0] == "There are two cars in the image."
    assert questions[1].startswith("[refer]")
    assert "cars" not in questions[1]
    assert len(GEOCHAT.parse(answers[1]).regions) == 2
    assert ("In which part of the image is the largest one?", "It is at the top left of the image.") in zip(
        questions, answers, strict=True
    )
    assert re.fullmatch(r"No, there is no .+ in the image\.", answers[-1])
    assert build_dialogue(painted(), random.Random(0), dialect=GEOCHAT) is None


def test_six_to_ten_questions_of_real_photographs(shared):
    asked, tasks = Counter(), Counter()
    photographs = [i for i in read_ucm(shared / "imagery" / "ucm", "train") if i.objects][:30]
    vehicles = list(read("boxes", DataSource(shared / "imagery" / "hit-uav", split="val")))[:10]
    for index, image in enumerate([*photographs, *vehicles]):
        talk = build_conversation(
            image,
            random.Random(index),
            dialect=GEOCHAT,
            turns=8,
            shares=FULL_SHARES,
            wording="varied",
            rich=True,
            balance=AnswerBalance(),
        )
        asked[len(talk.turns)] += 1
        for turn in talk.turns:
            tasks[turn.kind] += 1
            assert not GEOCHAT.parse(turn.question + turn.answer).problems
            assert (turn.task is Task.REFER) == turn.question.startswith("[refer]")
    assert sum(count for turns, count in asked.items() if turns >= 6) > 30
    assert set(tasks) == set(FULL_SHARES)
