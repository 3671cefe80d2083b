import pytest

from geochat.errors import PromptError
from geochat.prompts import Task, compose, task_of
from geochat.regions import AngleConvention, OrientedBox

BOX = OrientedBox(8, 26, 22, 37, 90)


@pytest.mark.parametrize(
    ("question", "task", "boxes", "text"),
    [
        ("How many ships?", None, (), "How many ships?"),
        ("How many ships?", Task.CHAT, (), "How many ships?"),
        ("Church, Beach ,", Task.SCENE, (),
         "Classify the image within one of the given classes: Church, Beach. Answer with one word or short phrase."),
        ("How many?", Task.VQA, (), "How many?\nAnswer the question using a single word or phrase."),
        ("", Task.CAPTION, (), "Describe the image."),
        ("the small white ship", Task.REFER, (), "[refer] Give me the location of <p> the small white ship </p>"),
        ("[refer] where is the largest plane?", None, (), "[refer] where is the largest plane?"),
        ("", Task.GROUNDING, (), "[grounding] Describe the image in detail with the positions of the objects."),
        ("[grounding]Describe the image.", Task.GROUNDING, (), "[grounding] Describe the image."),
        ("", Task.IDENTIFY, (BOX,), "[identify] What is the object present at {<8><26><22><37>|<90>}"),
        ("what is this", None, (BOX,), "[identify] what is this {<8><26><22><37>|<90>}"),
        ("what is this {<8><26><22><37>}", Task.IDENTIFY, (), "[identify] what is this {<8><26><22><37>}"),
        ("Compare", Task.CHAT, (BOX, BOX), "Compare {<8><26><22><37>|<90>} {<8><26><22><37>|<90>}"),
    ],
)  # fmt: skip
def test_published_wording(question, task, boxes, text):
    assert compose(question, task, boxes) == text


def test_composing_what_was_composed_changes_nothing():
    for task in (Task.SCENE, Task.VQA, Task.REFER, Task.GROUNDING):
        once = compose("airplane, beach", task)
        assert compose(once, task) == once


def test_regions_are_written_as_the_checkpoint_writes_angles():
    text = compose(
        "", Task.IDENTIFY, (OrientedBox(10, 20, 30, 40, 30),), AngleConvention("counterclockwise", "[-90,0)")
    )
    assert text.endswith("{<10><20><30><40>|<-30>}")


@pytest.mark.parametrize("task", [None, Task.CHAT, Task.VQA, Task.SCENE, Task.REFER])
def test_a_task_that_needs_words_says_so(task):
    with pytest.raises(PromptError, match="empty"):
        compose("  ", task)


def test_two_tasks_contradict():
    with pytest.raises(PromptError, match=r"\[refer\].*grounding"):
        compose("[refer] the ship", Task.GROUNDING)


def test_identify_needs_a_region():
    with pytest.raises(PromptError, match="region"):
        compose("what is this", Task.IDENTIFY)


def test_task_is_read_from_its_token():
    assert task_of(" [grounding]Describe") is Task.GROUNDING
    assert task_of("[group] hello") is None
