"""What is out of scope is refused in one sentence, and any text is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geochat.prompts.intents import Kind
from geochat.prompts.recognition import recognise
from geochat.prompts.tasks import Task
from geochat.prompts.vocabulary import OutOfScope, Recognised, Vocabulary

ABLE = (
    "I find, count and compare airplanes, storage tanks, tennis courts, baseball diamonds, buildings, cars, ships and "
    "solar panels, name the kind of place, describe the image, and name the object in a marked region."
)


def test_nothing_but_identify_is_asked_of_a_region(understood, refused):
    assert refused("how many cars?", has_regions=True).startswith("With a marked region I only name the object in it")
    assert understood("[refer] the ship", has_regions=True).task is Task.REFER  # a task typed is a task chosen


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("how many submarines are there?", 'I do not know "submarines"'),
        ("[refer] a submarine", 'I do not know "submarine"'),
        ("where's the swimming pool?", 'I do not know "swimming pool"'),
        ("are there more cars than submarines?", 'I do not know "submarines"'),
        ("is this a submarine base?", 'I do not know "submarine base"'),
        ("find the second airplane", 'I do not know "second airplane"'),
        ("is it day or night?", 'I do not know "day" or "night"'),
        ("find the red cars", 'I cannot tell objects apart by color ("red")'),
        ("how many cars are red?", 'I cannot tell objects apart by color ("red")'),
        ("what colour is the largest car?", "I cannot tell colors"),
        ("find the ship next to the building", "I cannot tell how objects lie to one another"),
        ("how many cars and ships are there?", "I answer about one kind of object at a time"),
        ("find all planes, ships and cars", "I answer about one kind of object at a time"),
        ("are there as many cars as ships?", "I compare only"),
        ("are there more ships than boats?", 'I do not tell "ships" from "boats"'),
        ("count the airplanes on the left", "I count airplanes in the whole image, not some of them"),
        ("find the two largest ships", "I can find the largest ship of the whole image, but not restrict it further"),
        ("find the small ships", "I tell sizes apart only as"),
        ("find the river", 'I know "river" only as a kind of place'),
        ("how many parking lots", 'I know "parking lots" only as a kind of place'),
        ("where are they?", "It is not clear which kind of object is meant"),
        ("is it safe to land?", "I cannot answer that"),
        ("what is the capital of France?", "I cannot answer that"),
        ("write a poem about airplanes", "I cannot answer that"),
        ("draw me a ship", "I cannot answer that"),
        ("put a plane on the runway", "I cannot answer that"),
        ("describe the airplanes", "I cannot answer that"),
        ("why are there airplanes?", "I cannot answer that"),
        ("Where was this taken?", "I cannot answer that"),
        ("Wie viele Flugzeuge sind zu sehen?", "I cannot answer that"),
        ("¿Cuántos aviones hay?", "I understand English only"),
        ("有几架飞机", "I understand English only"),
    ],
)
def test_what_is_out_of_scope_is_answered_in_one_sentence(question, reason, refused):
    answer = refused(question)
    assert answer.startswith(reason)
    assert answer.endswith(f": {ABLE}")
    assert answer.count(".") == 1


@pytest.mark.parametrize("question", ["hello", "Hi!", "who are you", "thanks", "what can you do?", "help"])
def test_talk_is_answered_with_what_can_be_asked(question, refused):
    assert refused(question) == ABLE


def test_a_task_that_was_chosen_does_not_make_the_unknown_known(refused):
    assert refused("how many submarines?", task=Task.VQA).startswith('I do not know "submarines"')


def test_other_vocabularies():
    few = Vocabulary(("small vehicle", "plane"), (), (Task.REFER, Task.VQA), colours=("red", "white"))
    assert recognise("how many cars", few).words == "How many small vehicles are there in the image?"
    assert recognise("find the red cars", few).words == "all red small vehicles"
    assert recognise("what color is the largest plane", few).choices == ("red", "white")
    able = "I find, count and compare small vehicles and planes."
    assert recognise("describe", few) == OutOfScope(f'I was not trained for the task "caption": {able}')
    assert recognise("what is this place?", few) == OutOfScope(f"I know no kinds of place: {able}")


def test_wordings_of_training_and_those_held_out_are_understood(understood):
    from geochat_data.questions import wordings

    expected = {
        wordings.COUNT: Kind.COUNT,
        wordings.PRESENCE: Kind.PRESENCE,
        wordings.COMPARISON: Kind.COMPARISON,
        wordings.POSITION: Kind.REFER,
        wordings.REFER: Kind.REFER,
        wordings.SCENE: Kind.SCENE,
        wordings.CAPTION: Kind.CAPTION,
    }
    words = {
        "one": "a ship", "name": "ship", "many": "ships", "word": "fewer", "first": "ships", "second": "cars",
        "thing": "the largest ship", "phrase": "the ship", "classes": "beach, river, forest",
    }  # fmt: skip
    for table, kind in expected.items():
        for wording in (*table.pool("varied"), *table.held_out):
            assert understood(wording.format(**words)).kind is kind, wording
    for wording in (*wordings.GROUNDING.pool("varied"), *wordings.GROUNDING.held_out):
        assert understood(f"[grounding] {wording}").kind is Kind.GROUNDING
    for wording in (*wordings.IDENTIFY.pool("varied"), *wordings.IDENTIFY.held_out):
        assert understood(wording, has_regions=True).kind is Kind.IDENTIFY, wording


NOUNS = st.sampled_from(
    ["airplane", "storage tank", "tennis court", "baseball diamond", "building", "car", "ship", "solar panel",
     "agricultural", "beach", "buildings", "chaparral", "dense residential", "forest", "freeway", "golf course",
     "harbor", "intersection", "medium residential", "mobile home park", "overpass", "parking lot", "river", "runway",
     "sparse residential", "storage tanks", "plane", "boats", "submarine", "red car", "it", ""]
)  # fmt: skip
PIECES = st.sampled_from(
    ["how many", "where is", "find", "the", "all", "largest", "is this", "a", "or", ",", "?", "more", "than", "and",
     "what", "[refer]", "<p>", "</p>", "{<1>}", ":", "class", "left", "in the image", "describe", "color", "of", "one",
     "at the top", "Answer with one word or short phrase."]
)  # fmt: skip
QUESTIONS = st.one_of(st.text(max_size=200), st.lists(st.one_of(NOUNS, PIECES), max_size=14).map(" ".join))


@given(QUESTIONS, st.booleans(), st.sampled_from([None, *Task]))
def test_any_text_is_read_and_what_is_understood_means_itself(vocabulary, question, has_regions, task):
    found = recognise(question, vocabulary, has_regions=has_regions, task=task)
    if isinstance(found, OutOfScope):
        assert found.answer.endswith(ABLE)
        assert "\n" not in found.answer
        return
    if found.kind is None or (found.task is Task.SCENE and len(found.choices) < 2):
        return
    words = found.words
    if found.task is Task.SCENE:
        words = f"Classify the image within one of the given classes: {words}. Answer with one word or short phrase."
    again = recognise(words, vocabulary, has_regions=has_regions, task=found.task)
    assert (again.task, again.words, again.kind) == (found.task, found.words, found.kind)


@given(QUESTIONS, QUESTIONS)
def test_any_follow_up_is_read(vocabulary, first, second):
    previous = recognise(first, vocabulary)
    recognise(second, vocabulary, previous=previous if isinstance(previous, Recognised) else None)
