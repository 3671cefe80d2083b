"""Questions as people type them are understood, and those that a model cannot know about are refused.

The questions, with the kind and the object each is about, were written for this test by writers who did not know the
tables. Those of `dev` were read while the tables were written; those of `test` were counted only.
"""

import pytest

from geochat.prompts.recognition import recognise
from geochat.prompts.tasks import Task
from geochat.prompts.vocabulary import OutOfScope, Vocabulary
from geochat_data.readers import Report
from geochat_data.readers.json_files import read_jsonl

CATEGORIES = (
    "airplane", "baseball diamond", "building", "car", "ground track field", "lake", "overpass", "ship", "solar panel",
    "storage tank", "swimming pool", "tennis court",
)  # fmt: skip
SCENES = ("airport", "beach", "commercial", "farmland", "forest", "harbor", "industrial", "residential", "stadium")
VOCABULARY = Vocabulary(CATEGORIES, SCENES, tuple(Task))


def _read(question: str) -> tuple[str, str]:
    found = recognise(question, VOCABULARY)
    if isinstance(found, OutOfScope):
        return "unanswerable", ""
    assert found.kind is not None
    return found.kind.value, found.category


@pytest.mark.parametrize(("part", "understood"), [pytest.param("dev", 0.85, marks=pytest.mark.slow), ("test", 0.8)])
def test_most_are_understood_and_few_beyond_the_scope(part, understood, fixtures):
    rows = [row for _, row in read_jsonl(fixtures / "questions" / f"{part}.jsonl", Report())]
    right: dict[bool, list[bool]] = {True: [], False: []}
    for row in rows:
        kind, category = _read(row["text"])
        object_right = row["intent"] not in {"count", "presence", "refer", "comparison"} or category == row["category"]
        right[row["intent"] == "unanswerable"].append(kind == row["intent"] and object_right)
    assert sum(right[False]) >= understood * len(right[False])
    assert sum(right[True]) >= 0.95 * len(right[True])


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("how many cars are parked on the bridge?", "How many cars are there in the image?"),
        ("Where are the boats in the marina", "all ships"),
        ("any planes on the tarmac", "Is there an airplane in the image?"),
    ],
)
def test_a_place_is_not_considered_and_the_answer_says_so(question, words):
    found = recognise(question, VOCABULARY)
    assert found.words == words
    assert "not only" in found.note


@pytest.mark.parametrize(
    "question",
    [
        "how fast are the ships?", "how much are the boats?", "is the tank full", "how many cars can park here",
        "do solar panels work in winter", "is the car in the driveway mine", "where is the plane flying to",
        "how many planes per day", "find the plane next to the hangar",
    ],
)  # fmt: skip
def test_a_word_of_another_meaning_is_not_passed_over(question):
    assert isinstance(recognise(question, VOCABULARY), OutOfScope)


@pytest.mark.parametrize("real", ["plants", "planets", "horses", "trucks", "places", "tracts"])
def test_another_word_is_no_misspelling(real):
    assert isinstance(recognise(f"how many {real} are there?", VOCABULARY), OutOfScope)


def test_a_long_text_of_clauses_takes_little_time():
    text = "tell me if you know whether to say, and so check if me if " * 40
    assert isinstance(recognise(text, VOCABULARY), OutOfScope)
