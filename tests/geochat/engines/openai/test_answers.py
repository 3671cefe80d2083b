"""A served model answers as a local one does, whatever the server or the way to it does in between."""

import base64
import io
import json
import pickle
import threading
import time

import pytest
from fake_server import LIMITS, Fault, about, echo
from PIL import Image

from geochat import GeoChat, Question
from geochat.engines import ChoiceScore, Chunk, GenerationSettings, Request, SecondLook, TokenScore, Usage, complete_all
from geochat.engines.openai import OpenAIEngine
from geochat.engines.openai.pictures import shown
from geochat.errors import EngineError, GeoChatError, PromptError
from geochat.geometry import Frame, ModelFrame
from geochat.models import Capabilities, bundled_path
from geochat.prompts import Message


def sent_image(body):
    url = body["messages"][0]["content"][0]["image_url"]["url"]
    return Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/png;base64,"))))


def test_an_answer_comes_in_pieces_with_its_accounts(engine):
    *pieces, last = engine.stream(about("two ships"))
    assert [piece.text for piece in pieces][:3] == ["two", " ships", " and"]
    assert "".join(chunk.text for chunk in [*pieces, last]) == echo("two ships")
    assert last.finish == "stop"
    assert last.usage == Usage(7, len(last.tokens))
    assert last.tokens[1] == TokenScore(3, 9, -0.02)
    assert last.tokens[-1] == TokenScore(len(echo("two ships")), len(echo("two ships")), -0.5)
    assert engine.info.capabilities == Capabilities(logprobs=True, choices=False)
    assert engine.info.context == 2048


def test_what_is_sent(server, engine, picture):
    earlier = (Message("user", "near?"), Message("assistant", "a harbor"))
    list(engine.stream(Request((*earlier, Message("user", "why?")), (picture(1),), GenerationSettings(seed=3))))
    body = server.bodies[-1]
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    assert [part["type"] for part in body["messages"][0]["content"]] == ["image_url", "text"]
    assert body["messages"][2]["content"] == "why?"
    assert (body["temperature"], body["max_tokens"], body["skip_special_tokens"]) == (0.0, 512, False)
    assert "seed" not in body
    engine.generate(about("why?", temperature=0.7, top_p=0.9, seed=3))
    assert (server.bodies[-1]["seed"], server.bodies[-1]["top_p"]) == (3, 0.9)


def test_an_image_is_encoded_once_for_questions_that_follow_one_another(server, engine, picture, monkeypatch):
    saved = []
    monkeypatch.setattr(Image.Image, "save", lambda *args, **_: saved.append(args))
    image = picture(1)
    requests = [about(f"question {number}", images=[image]) for number in range(5)]
    assert all(not isinstance(event, Exception) for _, event in engine.stream_batch(requests))
    assert len(saved) == 1


FRAMES = [
    (ModelFrame("pad"), (333, 333)),
    (ModelFrame("crop", size=96), (96, 96)),
    (ModelFrame("image", scale=1000), (333, 201)),
    (ModelFrame("resize", scale=None), (336, 196)),
    (ModelFrame("shrink", size=111, scale=None), (111, 67)),
]


@pytest.mark.parametrize(("frame", "size"), FRAMES, ids=[frame.fit for frame, _ in FRAMES])
def test_images_are_sent_as_the_frame_says(frame, size):
    image = Image.new("RGB", (333, 201), "blue")
    image.putpixel((0, 100), (255, 0, 0))
    sent = shown(image, frame)
    assert sent.size == size
    assert shown(sent, frame).size == size  # what is sent stays as it is


@pytest.mark.parametrize("size", [(300, 100), (100, 300), (101, 77)])
def test_a_padded_square_is_where_the_frame_has_it(size):
    image = Image.new("RGB", size, "red")
    frame = Frame(size, model=ModelFrame("pad"))
    sent = shown(image, frame.model)
    across, down = (round(number / 100 * max(size)) for number in frame.between("view", "model") @ (0, 0))
    assert sent.getpixel((across, down)) == (255, 0, 0)
    assert sent.getpixel((0, 0)) == ((255, 0, 0) if (across, down) == (0, 0) else (122, 116, 104))


def test_large_images_are_shrunk():
    assert shown(Image.new("RGB", (9000, 3000)), ModelFrame("image")).size == (4096, 1365)


def test_one_question_about_several_images(engine, picture):
    question = Question("what?", raw=True)
    answers = GeoChat(engine).ask_many([(picture(number), question) for number in range(12)])
    assert {answer.text for answer in answers} == {echo("what?")}


def test_the_second_look_goes_around_a_served_model(server, connect):
    server.answer = lambda question: "<p>the car</p> {<40><60><44><66>|<45>}"
    answer = GeoChat(SecondLook(connect(server.url))).ask(Image.new("RGB", (200, 200)), "[refer] the car", raw=True)
    assert answer.text.startswith("<p>the car</p>")
    assert len(server.questions) == 2


def test_choices_are_scored_where_the_server_scores_prompts(server, connect):
    server.scores_prompts = True
    engine = connect(server.url)
    assert engine.info.capabilities.choices
    completion = engine.generate(about("which?", choices=["harbor", "wide river", "sea"]))
    logprobs = [-(7**0.5 + 2) / 2, -(5**0.5 + 6**0.5 + 2) / 3, -(4**0.5 + 2) / 2]
    assert completion.text == "sea"
    assert [score.text for score in completion.choices] == ["harbor", "wide river", "sea"]
    assert [score.logprob for score in completion.choices] == pytest.approx(logprobs)
    assert sum(score.probability for score in completion.choices) == pytest.approx(1)
    assert completion.tokens[0] == TokenScore(0, 3, -2.0)
    with pytest.raises(PromptError, match="given twice"):
        engine.generate(about("which?", choices=["sea", "sea"]))


def test_choices_are_matched_where_it_does_not(server, engine):
    server.answer = lambda question: "Harbors"
    answer = GeoChat(engine).ask(Image.new("RGB", (50, 50)), "which?", choices=("harbor", "sea"))
    assert (answer.choice, answer.choice_method) == ("harbor", "matched")


def test_answers_end_where_local_ones_do(server, connect):
    engine = connect(server.url, dialect=None, settings=bundled_path())
    server.answer = lambda question: "a ship, " * 40 + "end"
    completion = engine.generate(about("what?"))
    assert completion.finish == "repetition"
    assert completion.text == "a ship,"
    server.answer = lambda question: "one two three four"
    assert engine.generate(about("what?", stop=("a", "b", "c", "d", "three"))).text == "one two "
    assert len(server.bodies[-1]["stop"]) == 4
    completion = engine.generate(about("what?", max_new_tokens=2))
    assert (completion.text, completion.finish) == ("one two", "length")


def test_a_budget_that_the_server_ignores_is_kept(server, engine):
    server.unknown_options = set()
    server.faults = lambda number, body: body.pop("max_tokens") and None
    completion = engine.generate(about("one two three four five", max_new_tokens=3))
    assert (completion.text, completion.finish) == ("one two three", "length")


def test_a_server_that_answers_at_once(server, engine):
    whole = {"choices": [{"message": {"content": "all of it"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 5}}
    server.faults = lambda number, body: Fault(200, json.dumps(whole), {"content-type": "application/json"})
    completion = engine.generate(about("what?"))
    assert (completion.text, completion.finish, completion.usage) == ("all of it", "stop", Usage(5, 1))


def test_cancelling_closes_the_connection(server, engine):
    server.faults = lambda number, body: Fault(stall=1100)
    request = about("a long story")
    patient = OpenAIEngine.connect(server.url, dialect="geochat")
    stream = patient.stream(request)
    first = next(stream)
    threading.Timer(0.05, patient.cancel, [request.id]).start()
    begun = time.monotonic()
    *_, last = stream
    assert last.finish == "cancelled"
    assert time.monotonic() - begun < 2
    assert first.text == "a"
    assert server.aborted.wait(2)
    patient.close()


def test_a_request_may_be_cancelled_before_it_is_taken_up(server, engine):
    requests = [about(f"question {number}") for number in range(3)]
    engine.cancel(requests[1].id)
    results = dict(complete_all(engine.stream_batch(requests)))
    assert [results[number].finish for number in range(3)] == ["stop", "cancelled", "stop"]
    assert engine.generate(requests[1]).finish == "stop"  # it has ended, and so has its cancellation


def test_leaving_a_stream_closes_the_connection(server, engine):
    server.faults = lambda number, body: Fault(stall=1100)
    patient = OpenAIEngine.connect(server.url, dialect="geochat")
    stream = patient.stream(about("a long story"))
    next(stream)
    stream.close()
    assert server.aborted.wait(2)
    patient.close()


def test_closing_an_engine_ends_what_it_asks(server, connect):
    server.faults = lambda number, body: Fault(stall=1100)
    engine = OpenAIEngine.connect(server.url, dialect="geochat")
    threading.Timer(0.05, engine.close).start()
    assert engine.generate(about("a long story")).finish == "cancelled"
    engine.close()


def test_requests_are_taken_a_few_at_a_time(engine):
    taken = []

    def requests():
        for number in range(100):
            taken.append(number)
            yield about(f"question {number}")

    batch = engine.stream_batch(requests())
    next(batch)
    assert len(taken) <= LIMITS.concurrency + 1
    batch.close()


def test_the_chunks_are_plain(engine):
    assert pickle.loads(pickle.dumps(list(engine.stream(about("hi")))))[-1].finish == "stop"
    assert isinstance(ChoiceScore("a", 0.0, 1.0), ChoiceScore)
    assert issubclass(EngineError, GeoChatError)
    assert Chunk("") == Chunk("")


def test_the_boxes_of_any_dialect_are_where_they_are_on_the_image(server, connect):
    server.answer = lambda question: '```json\n[{"bbox_2d": [0, 0, 168, 196], "label": "a ship"}]\n```'
    answer = GeoChat(connect(server.url, dialect="qwen2.5-vl")).ask(
        Image.new("RGB", (333, 201)), "[refer] a ship", raw=True
    )
    assert sent_image(server.bodies[-1]).size == (336, 196)  # the model's own size, in whose pixels it writes
    (region,) = answer.regions
    corners = {(round(x, 3), round(y, 3)) for x, y in region.pixels}
    assert corners == {(0.0, 0.0), (166.5, 0.0), (166.5, 201.0), (0.0, 201.0)}
