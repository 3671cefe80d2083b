"""A small object is looked at twice, and the box of the second look is the answer's."""

import json
import shutil
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from geochat import GeoChat
from geochat.dialects import GEOCHAT
from geochat.engines import ChoiceScore, Chunk, Request, SecondLook, TokenScore, Usage, complete_all, one_by_one
from geochat.errors import CheckpointError, ContextLengthError
from geochat.geometry import Frame, ModelFrame, OrientedBox
from geochat.models import ModelInfo, Settings, bundled_path
from geochat.prompts import Message

QUESTION = "[refer] Where is <p> the car </p>?"
FIRST = "<p>the car</p> {<40><60><50><66>|<90>} beside the road"
AGAIN = "<p>the car</p> {<41><51><57><63>|<90>}"
SETTLED = "<p>the car</p> {<43><56><52><63>|<90>} beside the road"
SQUARE = ModelFrame(size=100)


def about(question=QUESTION, size=(200, 200)):
    return Request((Message("user", question),), (Image.new("RGB", size),))


@pytest.fixture
def looking(chat_with):
    """`looking("first answer", "second answer")` answers from a script, in two looks."""

    def build(*answers):
        return SecondLook(chat_with(*answers).engine)

    return build


class Measuring:
    """Knows where an object lies, finds which part of the image it is shown by its pixels, and writes the box there.

    In the whole image it writes the box too wide, as a model does that sees few pixels.
    """

    def __init__(self, truth, frame, excess=0.0):
        self.info = ModelInfo(Settings(fit=frame.model.fit), 100)
        self.truth, self.frame, self.excess = truth, frame, excess
        self.shown = []
        columns, rows = np.meshgrid(*(np.arange(side, dtype=np.uint8) for side in frame.view_size))
        self.image = Image.fromarray(np.stack([columns, rows, rows], axis=2))

    def stream(self, request):
        (image,) = request.images
        column, row, _ = image.getpixel((0, 0))
        part = self.frame.window(column, row, *image.size)
        excess = 0 if self.shown else self.excess
        self.shown.append(part)
        box = self.truth.transform(part.between("image", "model"))
        box = OrientedBox(box.x1 - excess, box.y1, box.x2 + excess, box.y2, box.angle)
        yield Chunk(GEOCHAT.write("the car", [box]), "stop", Usage(1, 1))

    def stream_batch(self, requests):
        return one_by_one(self, requests)


def located(engine):
    asked = Request((Message("user", QUESTION),), (engine.image,))
    (region,) = GEOCHAT.parse(SecondLook(engine).generate(asked).text).regions
    return region.box


def test_the_box_of_the_second_look_is_the_answers(looking):
    engine = looking(FIRST, AGAIN)
    # The centre lies at 45 and 63 percent; surroundings of three fifths of the image begin at 18 and 25 percent of it.
    assert engine.generate(about()).text == SETTLED
    assert [request.images[0].size for request in engine.engine.requests] == [(200, 200), (120, 120)]
    assert engine.engine.prompts == [QUESTION, QUESTION]


@given(
    size=st.tuples(st.integers(60, 250), st.integers(60, 250)),
    fit=st.sampled_from(["pad", "crop"]),
    at=st.tuples(st.floats(0.05, 0.95), st.floats(0.05, 0.95)),
    sides=st.tuples(st.floats(6, 12), st.floats(6, 12)),
    angle=st.floats(-44, 45),
)
def test_it_lies_where_the_object_does(size, fit, at, sides, angle):
    """Whatever the image's shape: to half a percent of rounding, which is what writing costs."""
    frame = Frame(size, model=ModelFrame(fit, 100))
    shorter = min(size)
    center = [shorter * (part - 0.5) + side / 2 for part, side in zip(at, size, strict=True)]  # what "crop" shows
    half = [shorter * side / 200 for side in sides]
    truth = OrientedBox(center[0] - half[0], center[1] - half[1], center[0] + half[0], center[1] + half[1], angle)
    engine = Measuring(truth, frame)
    found = located(engine).transform(frame.between("model", "image"))
    assert len(engine.shown) == 2
    percent = max(size) / 100 if fit == "pad" else shorter / 100
    reach = np.hypot(*half) * np.radians(0.5)  # of half a degree
    assert found.polygon().hausdorff_distance(truth.polygon()) <= 1.25 * percent + reach  # of the two looks' rounding


def test_its_surroundings_keep_its_relative_place():
    frame = Frame((200, 100), model=SQUARE)
    truth = OrientedBox(168, 8, 180, 14)
    engine = Measuring(truth, frame)
    located(engine)
    whole, closer = (part.between("image", "view") @ truth.center for part in engine.shown)
    assert whole[0] / 200 == pytest.approx(closer[0] / 120, abs=0.01)
    assert whole[1] / 100 == pytest.approx(closer[1] / 60, abs=0.02)


def test_what_was_measured_badly_is_measured_better():
    truth = OrientedBox(100, 100, 115, 110)  # 40 to 46 and 40 to 44 percent
    engine = Measuring(truth, Frame((250, 250), model=SQUARE), excess=2.0)  # 38 to 48 in the first look
    assert located(engine).iou(OrientedBox(40, 40, 46, 44)) > 0.95


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


def test_the_regions_score_is_the_second_looks():
    class Scoring(Measuring):
        """As likely as a half in the first look and a tenth in the second, phrases always at one."""

        def stream(self, request):
            (chunk,) = super().stream(request)
            start, logprob = chunk.text.index("{"), np.log(0.5 if len(self.shown) == 1 else 0.1)
            tokens = [TokenScore(0, 3, -9.0), TokenScore(3, start - 5, 0.0), TokenScore(start - 5, start, -9.0)]
            tokens += [TokenScore(at, at + 1, logprob) for at in range(start, len(chunk.text))]
            yield Chunk(chunk.text, "stop", Usage(5, 6), tuple(tokens))

    engine = Scoring(OrientedBox(8, 8, 14, 14), Frame((200, 200), model=SQUARE))
    completion = SecondLook(engine).generate(Request((Message("user", QUESTION),), (engine.image,)))
    (region,) = GEOCHAT.parse(completion.text).regions
    inside = [token for token in completion.tokens if token.start >= region.span[0]]
    assert {token.logprob for token in inside} == {np.log(0.1)}
    assert (inside[0].start, inside[-1].end) == region.span == (15, len(completion.text))
    assert completion.usage == Usage(10, 12)


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
