"""What geochat-small is taught: answers that its labels know, follow-ups, training files."""

import random
from dataclasses import replace

import numpy as np
import pytest

from geochat.prompts import Task
from geochat_data.questions import QAPair
from geochat_data.questions.subject import Subject
from geochat_data.records import LabelledImage, LabelledObject, as_polygon
from geochat_data.samples import read_samples
from geochat_mini.material import Material
from geochat_mini.number_tokens import MINI
from geochat_small import conversations
from geochat_small.conversations import described, dialogue, mixed, spoken_answer, write
from geochat_small.follow_ups import follow_ups
from geochat_small.spoken import topics
from geochat_small.text_chat import hand_written
from geochat_small.text_chat import write as write_text


def thing(x, colour):
    corners = [(x, 40), (x + 40, 40), (x + 40, 80), (x, 80)]
    return LabelledObject("airplane", as_polygon(corners), attributes=(colour,))


@pytest.fixture
def view():
    """Two white airplanes and a red one, of 200 px; ships are known to be absent."""
    things = (thing(10, "white"), thing(70, "white"), thing(130, "red"))
    return LabelledImage(
        None,
        200,
        200,
        objects=things,
        scene="airplane",
        captions=("Three planes on the ground .",),
        labelled=frozenset({"airplane", "ship"}),
        pixels=np.full((200, 200, 3), 120, np.uint8),
        name="ucm/train/airplane/airplane1.jpg",
    )


def asked_after(view, pair, draws=60):
    subjects = (Subject(view, random.Random(seed), MINI) for seed in range(draws))
    return [turn for subject in subjects for turn in follow_ups(subject, pair)]


PRESENT = QAPair("any airplanes?", "yes", Task.VQA, "presence", "airplane")


def test_follow_ups_say_what_the_labels_know(view):
    answers = {answer for _, answer in asked_after(view, PRESENT)}
    assert "There are 3." in answers
    assert {"2 are white.", "1 is red.", "None of them is blue."} <= answers
    regions = [MINI.parse(answer).regions for answer in answers if "<p>" in answer]
    assert [len(each) for each in regions] == [3]


def test_nothing_follows_where_the_labels_do_not_know(view):
    assert asked_after(replace(view, labelled=frozenset()), PRESENT) == []
    doubtful = replace(view, ignore=(thing(150, "white"),))
    assert asked_after(doubtful, PRESENT) == []
    uncoloured = replace(view, objects=tuple(replace(item, attributes=()) for item in view.objects[:2]))
    assert not [answer for _, answer in asked_after(uncoloured, PRESENT) if " are red" in answer]


def test_what_is_absent_stays_absent(view):
    turns = asked_after(view, QAPair("any ships?", "no", Task.VQA, "presence", "ship"))
    assert turns
    assert {answer for _, answer in turns} == {"Yes, I see no ship in the image.", "No, I see no ship in the image."}


@pytest.mark.parametrize(
    ("pair", "answer"),
    [
        (PRESENT, "Yes, there is an airplane."),
        (QAPair("any ships?", "no", Task.VQA, "presence", "ship"), "No, there is no ship."),
        (QAPair("count ships", "0", Task.VQA, "count", "ship"), "There are none."),
        (QAPair("count planes", "1", Task.VQA, "count", "plane"), "There is 1."),
        (QAPair("what place is this", "beach", Task.SCENE), "This is a beach."),
        (QAPair("Which of: a, b?", "beach", Task.SCENE, "scene"), "beach"),
        (QAPair("Any?\nAnswer the question using a single word or phrase.", "no", Task.VQA, "presence", "ship"), "no"),
    ],
)
def test_people_are_answered_in_sentences(pair, answer):
    assert spoken_answer(pair) == answer


def test_a_view_has_conversations_of_about_ten_questions(view):
    counts, shapes = [], set()
    for seed in range(40):
        talks = dialogue(view, random.Random(seed))
        counts.append(sum(map(len, talks)))
        shapes.add(len(talks) == 1)
    assert 8 <= np.mean(counts) <= 14
    assert shapes == {True, False}
    assert described(view, random.Random(0))[0][0][1] == "Three planes on the ground."
    assert dialogue(replace(view, objects=(), labelled=frozenset(), scene=None, captions=()), random.Random(0)) is None


def test_training_files_are_written_once_and_read_by_train(view, tmp_path, monkeypatch):
    monkeypatch.setattr(conversations, "instruction_pools", lambda material: [material])
    material = Material((view,), (), (), ())
    monkeypatch.setattr(
        conversations, "Views", lambda pools, make, **_: [make(view, random.Random(n), n) for n in range(3)]
    )
    write(material, tmp_path, "instruct", dialogue, count=3, seed=1)
    write_text(tmp_path / "text.jsonl", hand_written(1))
    mixed(tmp_path, tmp_path / "text.jsonl", share=0.4, seed=1)
    before = (tmp_path / "train.jsonl").read_bytes()
    mixed(tmp_path, tmp_path / "text.jsonl", share=0.4, seed=2)  # is there already
    assert (tmp_path / "train.jsonl").read_bytes() == before
    samples = list(read_samples(tmp_path / "train.jsonl"))
    images = {sample.image for sample in samples if sample.image}
    assert len(images) == 3
    assert all((tmp_path / "images" / image).is_file() for image in images)
    texts = [sample.messages[0].text for sample in samples if sample.image is None]
    assert len(texts) == 2
    assert set(texts) <= {words for topic in topics("text") for words in topic.questions}
