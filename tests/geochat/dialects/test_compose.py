import pytest

from geochat.dialects import GEOCHAT
from geochat.errors import PromptError
from geochat.geometry import AngleConvention, OrientedBox
from geochat.prompts import Task, read_task

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
    assert GEOCHAT.compose(question, task, boxes) == text


def test_composing_what_was_composed_changes_nothing():
    for task in (Task.SCENE, Task.VQA, Task.REFER, Task.GROUNDING):
        once = GEOCHAT.compose("airplane, beach", task)
        assert GEOCHAT.compose(once, task) == once


def test_regions_are_written_as_the_checkpoint_writes_angles():
    turned = GEOCHAT.fitted(angles=AngleConvention("counterclockwise", "[-90,0)"))
    text = turned.compose("", Task.IDENTIFY, (OrientedBox(10, 20, 30, 40, 30),))
    assert text.endswith("{<10><20><30><40>|<-30>}")


@pytest.mark.parametrize("task", [None, Task.CHAT, Task.VQA, Task.SCENE, Task.REFER])
def test_a_task_that_needs_words_says_so(task):
    with pytest.raises(PromptError, match="empty"):
        GEOCHAT.compose("  ", task)


def test_two_tasks_contradict():
    with pytest.raises(PromptError, match=r"\[refer\].*grounding"):
        GEOCHAT.compose("[refer] the ship", Task.GROUNDING)


def test_identify_needs_a_region():
    with pytest.raises(PromptError, match="region"):
        GEOCHAT.compose("what is this", Task.IDENTIFY)


def test_task_is_read_from_its_token():
    assert GEOCHAT.task_of(" [grounding]Describe") is Task.GROUNDING
    assert GEOCHAT.task_of("[group] hello") is None


@pytest.mark.parametrize(("name", "task"), [("scene", Task.SCENE), (" Refer ", Task.REFER), ("describe", Task.CAPTION)])
def test_a_task_has_a_name(name, task):
    assert read_task(name) is task
    assert read_task("auto") is None
    assert read_task(None) is None
    with pytest.raises(PromptError, match="no task 'paint'"):
        read_task("paint")
