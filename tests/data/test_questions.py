"""Every question is in the published wording and every answer is what the labels say."""

import random
import re
from itertools import islice

import pytest

from geochat.dialects import GEOCHAT
from geochat.errors import SettingsError
from geochat.geometry import OrientedBox
from geochat.prompts import Task
from geochat_data.questions import DEFAULT_SHARES, Subject, build_conversation, expressions
from geochat_data.readers import UCM_SCENES, read_ucm
from geochat_data.records import LabelledImage, LabelledObject
from geochat_data.synthetic import OBJECT_CATEGORIES, render_scene

CELLS = {
    "at the top left": (0, 0), "at the top": (1, 0), "at the top right": (2, 0),
    "on the left": (0, 1), "in the center": (1, 1), "on the right": (2, 1),
    "at the bottom left": (0, 2), "at the bottom": (1, 2), "at the bottom right": (2, 2),
}  # fmt: skip


def box(category, x, y, w=20.0, h=10.0, **more):
    corners = ((x - w, y - h), (x + w, y - h), (x + w, y + h), (x - w, y + h))
    return LabelledObject(category, corners, **more)


def image(*objects, ignore=(), width=300, height=300, **more):
    more = {"labelled": OBJECT_CATEGORIES} | more
    return LabelledImage(None, width, height, objects, tuple(ignore), **more)


def selected(labels, phrase):
    """What a phrase refers to, by the plain meaning of its words."""
    if many := re.fullmatch(r"all (.+)s", phrase):
        return {item for item in labels.objects if item.category == many[1]}
    word, category, where = re.fullmatch(
        r"the (?:(\w+most|largest|smallest) )?(.+?)( (?:at|on|in) the .+)?", phrase
    ).groups()
    found = [item for item in labels.objects if item.category == category]
    place = {item: Subject(labels, random.Random(), GEOCHAT).place(item) for item in found}
    if word == "largest":
        return {max(found, key=lambda item: place[item][1])}
    if word == "smallest":
        return {min(found, key=lambda item: place[item][1])}
    if word:
        axis = 0 if word in ("leftmost", "rightmost") else 1
        pick = min if word in ("leftmost", "topmost") else max
        return {pick(found, key=lambda item: place[item][0][axis])}
    if where:
        cell = CELLS[where.strip()]
        return {i for i in found if tuple(min(2, max(0, int(v * 3))) for v in place[i][0]) == cell}
    return set(found)


def test_expressions_select_exactly_their_objects(scenes):
    offered = [(scene, e) for scene in scenes for e in expressions(Subject(scene, random.Random(0), GEOCHAT))]
    assert len(offered) > 30
    for scene, expression in offered:
        assert selected(scene, expression.phrase) == set(expression.objects), expression.phrase


def test_ignored_objects_forbid_counting_and_compete_for_places():
    labels = image(box("airplane", 30, 30), ignore=[box("airplane", 40, 270)])
    phrases = {e.phrase for e in expressions(Subject(labels, random.Random(0), GEOCHAT))}
    assert "the airplane" not in phrases
    assert {"the airplane at the top left", "the topmost airplane"} <= phrases
    assert "the smallest airplane" not in phrases
    for seed in range(30):
        for turn in build_conversation(labels, random.Random(seed), dialect=GEOCHAT, turns=8):
            if turn.task is Task.VQA:
                assert "How many airplanes" not in turn.question
                assert "number of airplanes" not in turn.question
                assert "than" not in turn.question or "airplane" not in turn.question


def test_answers_carry_the_labelled_boxes(scenes):
    checked = 0
    for scene in [*scenes, *(render_scene(seed, 128, "airport") for seed in range(8))]:
        for turn in build_conversation(scene, random.Random(1), dialect=GEOCHAT, turns=10):
            read = GEOCHAT.parse(turn.answer)
            assert not read.problems, turn
            subject = Subject(scene, random.Random(), GEOCHAT)
            for region in read.regions:
                truth = subject.boxes(scene.objects)
                best = max(truth, key=lambda item: item.iou(region.box))
                if best.area > 0.08 * 100 * 100:
                    assert best.iou(region.box) > 0.8
                    checked += 1
    assert checked > 10


def test_boxes_are_percent_of_the_padded_square():
    wide = image(box("airplane", 100, 50, 100, 50), width=200, height=100)
    turn = build_conversation(wide, random.Random(0), dialect=GEOCHAT, turns=1, shares={"identify": 1})[0]
    assert turn.question == "[identify] What is the object present at {<25><0><75><100>|<90>}"
    assert turn.answer == "airplane"
    read = GEOCHAT.parse(turn.question).regions[0].box
    assert read.iou(OrientedBox(0, 25, 100, 75)) == pytest.approx(1)


def test_yes_and_no_are_balanced():
    counts = {"yes": 0, "no": 0}
    labels = image(box("airplane", 50, 50), box("car", 200, 200))
    for seed in range(400):
        shares = {"presence": 1, "comparison": 1}
        for turn in build_conversation(labels, random.Random(seed), dialect=GEOCHAT, turns=1, shares=shares):
            counts[turn.answer] += 1
    assert 0.85 < counts["yes"] / counts["no"] < 1.18


def test_what_nobody_labelled_is_not_asked_about():
    labels = image(box("airplane", 50, 50), labelled=frozenset({"airplane"}))
    for seed in range(40):
        for turn in build_conversation(labels, random.Random(seed), dialect=GEOCHAT, turns=8):
            assert not re.search("tank|court|diamond|building|ship|car", turn.question)


def test_absent_objects_are_said_to_be_absent():
    answers = set()
    for seed in range(40):
        answers |= {
            t.answer for t in build_conversation(image(), random.Random(seed), dialect=GEOCHAT, shares={"refer": 1})
        }
    assert answers == {f"There is no {category} in the image." for category in OBJECT_CATEGORIES}


def test_wording_is_the_published_one():
    labels = image(
        box("airplane", 60, 60), box("airplane", 200, 220), scene="airplane", captions=("Two planes here .",)
    )
    turns = [t for seed in range(30) for t in build_conversation(labels, random.Random(seed), dialect=GEOCHAT, turns=9)]
    by_task = {task: {t for t in turns if t.task is task} for task in Task}
    for turn in by_task[Task.SCENE]:
        classes = re.fullmatch(
            r"Classify the image within one of the given classes: (.+)\. Answer with one word or short phrase\.",
            turn.question,
        )[1].split(", ")
        assert turn.answer == "airplane"
        assert turn.answer in classes
        assert set(classes) <= set(UCM_SCENES)
        assert len(set(classes)) == len(classes)
    assert {t.answer for t in by_task[Task.CAPTION]} == {"Two planes here."}
    assert all(t.question.endswith("\nAnswer the question using a single word or phrase.") for t in by_task[Task.VQA])
    assert all(t.question.startswith("[refer] Give me the location of <p> ") for t in by_task[Task.REFER])
    assert any(t.answer.startswith("<p>all airplanes</p> {") for t in by_task[Task.REFER])
    assert all("<p>2 airplanes</p> {" in t.answer for t in by_task[Task.GROUNDING])
    assert all(by_task[task] for task in Task if task is not Task.CHAT)


def test_the_same_seed_gives_the_same_conversation():
    scene = render_scene(3, 128, "airport")
    first, again = (build_conversation(scene, random.Random(7), dialect=GEOCHAT) for _ in range(2))
    assert first == again
    assert len({turn.question for turn in first}) == len(first)


def test_bad_settings():
    with pytest.raises(SettingsError, match="poetry"):
        build_conversation(image(), random.Random(0), dialect=GEOCHAT, shares={"poetry": 1})
    with pytest.raises(SettingsError, match="0"):
        build_conversation(image(), random.Random(0), dialect=GEOCHAT, turns=0)
    assert set(DEFAULT_SHARES) == {
        "scene", "caption", "presence", "count", "comparison", "identify", "refer", "grounding"
    }  # fmt: skip


def test_real_photographs(shared):
    asked = 0
    for photo in islice(read_ucm(shared / "imagery" / "ucm", "train"), 0, None, 5):
        for turn in build_conversation(photo, random.Random(0), dialect=GEOCHAT, turns=6):
            asked += 1
            assert turn.question
            assert turn.answer
            assert not GEOCHAT.parse(turn.answer).problems
        for expression in expressions(Subject(photo, random.Random(0), GEOCHAT)):
            assert selected(photo, expression.phrase) == set(expression.objects), (photo.path, expression.phrase)
    assert asked > 1000
