"""A small object is looked at twice, and the box of the second look is the answer's."""

import json
import shutil
import threading

import pytest
from PIL import Image

from geochat import GeoChat
from geochat.engines import ChoiceScore, Chunk, Request, SecondLook, Usage, complete_all, one_by_one
from geochat.errors import CheckpointError, ContextLengthError
from geochat.models import bundled_path
from geochat.prompts import Message

QUESTION = "[refer] Where is <p> the car </p>?"
FIRST = "<p>the car</p> {<40><60><50><66>|<90>} beside the road"
AGAIN = "<p>the car</p> {<41><51><57><63>|<90>}"
SETTLED = "<p>the car</p> {<43><56><52><63>|<90>} beside the road"


def about(question=QUESTION, size=(200, 200)):
    return Request((Message("user", question),), (Image.new("RGB", size),))


@pytest.fixture
def looking(chat_with):
    """`looking("first answer", "second answer")` answers from a script, in two looks."""

    def build(*answers):
        return SecondLook(chat_with(*answers).engine)

    return build


def test_the_box_of_the_second_look_is_the_answers(looking):
    engine = looking(FIRST, AGAIN)
    # The centre lies at 45 and 63 percent; surroundings of three fifths of the image begin at 18 and 25 percent of it.
    assert engine.generate(about()).text == SETTLED
    assert [request.images[0].size for request in engine.engine.requests] == [(200, 200), (120, 120)]
    assert engine.engine.prompts == [QUESTION, QUESTION]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        pytest.param(QUESTION, "<p>the cars</p> {<40><60><50><66>}{<10><20><30><40>}", id="several"),
        pytest.param(QUESTION, "<p>the field</p> {<10><10><60><66>|<90>}", id="large"),
        pytest.param(QUESTION, "There is no car.", id="none"),
        pytest.param("[grounding] Describe the image.", FIRST, id="another task"),
        pytest.param("Where is the car?", FIRST, id="no task"),
        pytest.param("[refer] the car in {<10><20><30><40>|<90>}", FIRST, id="a region in the question"),
    ],
)
def test_all_else_is_looked_at_once(looking, question, answer):
    engine = looking(answer)
    assert engine.generate(about(question)).text == answer
    assert len(engine.engine.requests) == 1


def test_without_an_image_there_is_nothing_to_look_at(looking):
    assert looking(FIRST).generate(Request((Message("user", QUESTION),))).text == FIRST


@pytest.mark.parametrize(
    "again",
    [
        pytest.param("<p>the car</p> {<80><80><90><90>|<90>}", id="another object"),
        pytest.param("<p>the car</p> {<41><51><57><63>}{<10><20><30><40>}", id="several"),
        pytest.param("There is no car.", id="none"),
    ],
)
def test_the_first_look_stays_where_the_second_does_not_find_it_again(looking, again):
    assert looking(FIRST, again).generate(about()).text == FIRST


class Failing:
    """Fails at a question's second look."""

    def __init__(self, engine):
        self.inner, self.info = engine, engine.info

    def stream(self, request):
        if self.inner.requests:
            raise ContextLengthError("too long")
        return self.inner.stream(request)

    def stream_batch(self, requests):
        return one_by_one(self, requests)


def test_the_first_look_stays_where_the_second_fails(chat_with):
    assert SecondLook(Failing(chat_with(FIRST).engine)).generate(about()).text == FIRST


@pytest.mark.parametrize("question", [QUESTION, "What is this?"])
def test_what_is_cancelled_is_not_looked_at_again(looking, question):
    engine = looking(FIRST)
    request = about(question)
    stream = engine.stream(request)
    engine.cancel(request.id)
    (chunk,) = stream
    assert chunk.finish == "cancelled"
    assert len(engine.engine.requests) == 1


class Cancelling:
    """Cancels a question at its second look's first words, by the id it was asked under, from another thread."""

    def __init__(self, engine, question):
        self.inner, self.info, self.question = engine, engine.info, question
        self.looking = SecondLook(self)
        self.cancel = engine.cancel

    def stream(self, request):
        for chunk in self.inner.stream(request):
            yield chunk
            if len(self.inner.requests) == 2 and chunk.finish is None:
                thread = threading.Thread(target=self.looking.cancel, args=(self.question.id,))
                thread.start()
                thread.join()

    def stream_batch(self, requests):
        return one_by_one(self, requests)


@pytest.mark.parametrize("batch", [False, True])
def test_cancelling_a_question_ends_its_second_look(chat_with, batch):
    """The first look's answer stays."""
    engine = chat_with(FIRST, AGAIN).engine
    question = about()
    looking = Cancelling(engine, question).looking
    if batch:
        ((_, completion),) = complete_all(looking.stream_batch([question]))
    else:
        completion = looking.generate(question)
    assert (completion.text, completion.finish) == (FIRST, "stop")
    assert engine.cancelled == {engine.requests[1].id} != {question.id}
    assert not looking._asked


def test_a_question_cancelled_between_its_looks_is_not_looked_at_again(looking):
    """Its neighbours, whose second looks are taken together with it, are."""
    engine = looking(FIRST, "road", FIRST, AGAIN)
    asked = [about(), about("What is this?"), about()]
    texts = ["", "", ""]
    for number, chunk in engine.stream_batch(asked):
        texts[number] += chunk.text
        if number == 1:
            engine.cancel(asked[0].id)
    assert texts == [FIRST, "road", SETTLED]
    assert len(engine.engine.requests) == 4


def test_an_answer_that_is_left_is_forgotten(looking):
    engine = looking(FIRST, "road", FIRST)
    events = engine.stream_batch([about(), about("What is this?")])
    next(events)
    events.close()
    stream = engine.stream(about())
    stream.close()
    assert not engine._asked


def test_choices_pass_through(looking):
    class Choosing(Failing):
        def stream(self, request):
            yield Chunk(FIRST, "stop", Usage(1, 1), (), (ChoiceScore(FIRST, -1.0, 1.0),))

    engine = looking()
    engine.engine = Choosing(engine.engine)
    request = about()
    completion = engine.generate(Request(request.messages, request.images, choices=(FIRST,)))
    assert completion.choices == (ChoiceScore(FIRST, -1.0, 1.0),)


def test_the_facts_are_the_inner_engines(looking):
    engine = looking()
    assert engine.info is engine.engine.info


def test_many_are_answered_as_each_alone(looking):
    question = "What is this?"
    engine = looking("road", FIRST, "none", "field", AGAIN)
    asked = [about(question), about(), about(), about(question)]
    answers = dict(complete_all(engine.stream_batch(asked)))
    assert [answers[number].text for number in range(4)] == [
        "road",
        SETTLED,
        "none",
        "field",
    ]


def test_more_than_are_computed_together(looking):
    engine = looking(*[FIRST] * 32, *[AGAIN] * 32, *[FIRST] * 8, *[AGAIN] * 8)
    answers = dict(complete_all(engine.stream_batch(about() for _ in range(40))))
    assert sorted(answers) == list(range(40))
    assert {answer.text for answer in answers.values()} == {SETTLED}


def test_an_error_is_its_own_questions(chat_with):
    class Refusing(Failing):
        def stream(self, request):
            if request.images[0].size == (50, 50):
                raise ContextLengthError("too long")
            return self.inner.stream(request)

    engine = SecondLook(Refusing(chat_with(FIRST, AGAIN).engine))
    answers = dict(complete_all(engine.stream_batch([about(size=(50, 50)), about()])))
    assert isinstance(answers[0], ContextLengthError)
    assert answers[1].text.startswith("<p>the car</p> {<43>")


def test_a_checkpoint_says_whether_it_looks_twice(tmp_path):
    folder = tmp_path / "once"
    shutil.copytree(bundled_path(), folder)
    settings = json.loads((folder / "geochat.json").read_text())
    assert isinstance(GeoChat.from_pretrained(bundled_path(), device="cpu").engine, SecondLook)
    (folder / "geochat.json").write_text(json.dumps(settings | {"second_look": False}))
    assert not isinstance(GeoChat.from_pretrained(folder, device="cpu").engine, SecondLook)
    (folder / "geochat.json").write_text(json.dumps(settings | {"second_look": "yes"}))
    with pytest.raises(CheckpointError, match="second_look is 'yes', neither true nor false"):
        GeoChat.from_pretrained(folder, device="cpu")
