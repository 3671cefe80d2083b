"""A served model answers as a local one does, whatever the server or the way to it does in between."""

import base64
import importlib.util
import io
import json
import logging
import pickle
import random
import threading
import time
from pathlib import Path

import httpx
import pytest
from PIL import Image

from geochat import GeoChat, Question
from geochat.cli import main
from geochat.engines import ChoiceScore, Chunk, GenerationSettings, Request, SecondLook, TokenScore, Usage, complete_all
from geochat.engines.openai import OpenAIEngine, RemoteLimits
from geochat.engines.openai.connection import checked_url, key_for
from geochat.engines.openai.pictures import shown
from geochat.errors import ContextLengthError, EngineError, GeoChatError, PromptError, SettingsError
from geochat.geometry import Frame, ModelFrame
from geochat.models import Capabilities, bundled_path
from geochat.prompts import Message

_spec = importlib.util.spec_from_file_location("fake_server", Path(__file__).with_name("fake_server.py"))
fake_server = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fake_server)
Fault, FakeServer, CuttingProxy, echo = (
    fake_server.Fault,
    fake_server.FakeServer,
    fake_server.CuttingProxy,
    fake_server.echo,
)

LIMITS = RemoteLimits(concurrency=8, timeout=0.3, attempts=40, backoff=0.002, longest_backoff=0.01)
CANARY = "sk-canary-5ecret"


@pytest.fixture
def server():
    fake = FakeServer()
    yield fake
    fake.close()


@pytest.fixture
def connect():
    """Engines that are closed at the end."""
    engines = []

    def build(url, *, dialect="geochat", limits=LIMITS, **options):
        engines.append(OpenAIEngine.connect(url, dialect=dialect, limits=limits, **options))
        return engines[-1]

    yield build
    for engine in engines:
        engine.close()


@pytest.fixture
def engine(server, connect):
    return connect(server.url)


def about(question, *, images=(), choices=(), **generation):
    return Request((Message("user", question),), tuple(images), GenerationSettings(**generation), tuple(choices))


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


def half_fail(seed):
    """Every second request fails, in any way there is."""
    draw = random.Random(seed)
    ways = [
        lambda: Fault(429, '{"error": {"message": "slow down"}}', {"retry-after": "0.01"}),
        lambda: Fault(503, "<html>upstream</html>"),
        lambda: Fault(500),
        lambda: Fault(cut=draw.randrange(400)),
        lambda: Fault(cut=draw.randrange(2000), reset=True),
        lambda: Fault(stall=draw.randrange(2000)),
        lambda: Fault(body='data: {"choices": [{"delta"\n\n'),
        lambda: Fault(body='data: {"error": {"message": "engine died", "code": 500}}\n\n'),
        lambda: Fault(body='data: {"choices": [{"delta": {"content": "half"}, "finish_reason": "abort"}]}\n\n'),
    ]

    def faults(number, body):
        return draw.choice(ways)() if draw.random() < 0.5 else None

    return faults


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_lost_and_nothing_comes_twice_when_half_the_requests_fail(server, engine, seed):
    server.faults = half_fail(seed)
    questions = [f"question {number} about {'ships ' * (number % 7)}end" for number in range(60)]
    seen = [(number, event.text) for number, event in complete_all(engine.stream_batch(map(about, questions)))]
    assert sorted(seen) == [(number, echo(question)) for number, question in enumerate(questions)]
    assert server.most_at_once <= LIMITS.concurrency + 1  # one whose connection was just cut may still be counted


@pytest.mark.parametrize("seed", range(5))
def test_a_streamed_answer_goes_on_where_it_broke(server, engine, seed):
    server.faults = half_fail(seed)
    for number in range(8):
        question = f"question {number}"
        chunks = list(engine.stream(about(question)))
        assert "".join(chunk.text for chunk in chunks) == echo(question)
        assert [chunk.finish for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
        assert chunks[-1].tokens[-2].end == len(echo(question))


def test_an_answer_that_begins_anew_with_other_words_is_an_error_where_words_were_given_out(server, engine):
    answers = iter(["one way of saying it", "another way of saying it"])
    server.answer = lambda question: next(answers)
    server.faults = lambda number, body: Fault(cut=1000) if number == 0 else None
    with pytest.raises(EngineError, match="in other words"):
        list(engine.stream(about("what?")))


def test_in_a_batch_an_answer_may_begin_anew_with_other_words(server, engine):
    answers = iter(["one way of saying it", "another way of saying it"])
    server.answer = lambda question: next(answers)
    server.faults = lambda number, body: Fault(cut=1000) if number == 0 else None
    assert [event.text for _, event in engine.stream_batch([about("what?")])] == ["another way of saying it"]


def test_one_question_about_several_images(engine, picture):
    question = Question("what?", raw=True)
    answers = GeoChat(engine).ask_many([(picture(number), question) for number in range(12)])
    assert {answer.text for answer in answers} == {echo("what?")}


def test_a_proxy_that_cuts_connections(server, connect):
    draw = random.Random(1)
    proxy = CuttingProxy(
        server.port, lambda number: draw.randrange(3000) if number > 2 and draw.random() < 0.5 else None
    )
    engine = connect(proxy.url)
    questions = [f"question {number}" for number in range(40)]
    results = dict(complete_all(engine.stream_batch(map(about, questions))))
    assert [results[number].text for number in range(40)] == list(map(echo, questions))
    assert proxy.connections > 45
    proxy.close()


def test_retry_after_is_waited(server, engine):
    server.faults = lambda number, body: Fault(429, "", {"retry-after": "0.25"}) if number == 0 else None
    engine.generate(about("what?"))
    assert server.times[-1] - server.times[-2] >= 0.25


def test_a_retry_after_that_nobody_waits_for_is_an_error(server, engine):
    server.faults = lambda number, body: Fault(429, "", {"retry-after": "3600"})
    with pytest.raises(EngineError, match="3600 s"):
        engine.generate(about("what?"))


def test_a_failure_is_final_after_the_last_attempt(server, connect):
    engine = connect(server.url, limits=RemoteLimits(attempts=3, backoff=0))
    server.faults = lambda number, body: Fault(502, "bad gateway")
    with pytest.raises(EngineError, match=r"502: bad gateway \(tried 3 times\)"):
        engine.generate(about("what?"))
    assert len(server.questions) == 3


REFUSALS = [
    (401, '{"error": {"message": "bad key"}}', EngineError, "GEOCHAT_API_KEY"),
    (404, '{"error": {"message": "The model `fake` does not exist."}}', EngineError, "it has fake: name one with"),
    (404, "<h1>Not Found</h1>", EngineError, "end in /v1"),
    (400, '{"message": "maximum context length is 1024 tokens, requested 1500"}', ContextLengthError, "shorten"),
    (400, '{"error": {"message": "the request exceeds the available context size"}}', ContextLengthError, "shorten"),
    (400, '{"error": "max_tokens=9 cannot be greater than max_model_len=8"}', ContextLengthError, "shorten"),
    (413, "", EngineError, "smaller window"),
    (400, '{"detail": "fake is not a multimodal model"}', EngineError, "does the model take images"),
    (500, '{"error": {"message": "image input is not supported: provide the mmproj"}}', EngineError, "take images"),
    (429, '{"error": {"message": "You exceeded your current quota"}}', EngineError, "used up"),
    (422, '{"detail": [{"loc": ["temperature"]}]}', EngineError, "422"),
    (307, "", EngineError, "redirects"),
]


@pytest.mark.parametrize(("status", "body", "kind", "words"), REFUSALS)
def test_refusals_say_what_to_do(server, engine, picture, status, body, kind, words):
    server.faults = lambda number, _: Fault(status, body)
    with pytest.raises(kind, match=words):
        engine.generate(about("what?", images=[picture(1)]))
    assert len(server.questions) == 1  # asking again would not help


def test_errors_of_one_request_leave_the_others(server, engine, picture):
    server.faults = lambda number, body: Fault(400, "no") if "second" in fake_server.question_of(body) else None
    requests = [about("first"), about("second"), about("third", images=[picture(1)] * 2), about("fourth")]
    results = dict(complete_all(engine.stream_batch(requests)))
    assert [results[0].text, results[3].text] == [echo("first"), echo("fourth")]
    assert isinstance(results[1], EngineError)
    assert isinstance(results[2], PromptError)


def test_what_is_no_openai_server(server, connect):
    server.models = Fault(200, "<html>hello</html>", {"content-type": "text/html"})
    with pytest.raises(EngineError, match="answers no JSON"):
        connect(server.url)
    server.models = Fault(200, "[]")
    with pytest.raises(EngineError, match="answers a list"):
        connect(server.url)
    server.models = Fault(200, "{}")
    with pytest.raises(EngineError, match="lists none"):
        connect(server.url)


def test_a_server_that_is_not_there(connect):
    with pytest.raises(EngineError, match="is the server running there"):
        connect("http://127.0.0.1:9/v1")


def test_https_to_a_server_that_does_not_speak_it(server, connect):
    with pytest.raises(EngineError, match="is it an http:// address"):
        connect(server.url.replace("http:", "https:"))


@pytest.mark.parametrize(
    "url", ["host:8000", "ftp://host/v1", "http://", "http://user:secret@host/v1", "http://host/?k=secret"]
)
def test_addresses_that_are_none(url):
    with pytest.raises(SettingsError) as caught:
        checked_url(url)
    assert "secret" not in str(caught.value)


def test_an_address_may_leave_out_v1(server, connect):
    assert connect(f"http://127.0.0.1:{server.port}").url == server.url


def test_which_of_several_models(server, connect):
    server.models = [{"id": "one"}, {"id": "two"}]
    with pytest.raises(SettingsError, match="several models; name one with --model: one, two"):
        connect(server.url)
    with pytest.raises(EngineError, match="no model 'three'; it has one, two"):
        connect(server.url, model="three")
    assert connect(server.url, model="two").generate(about("hi")).text == echo("hi")
    assert server.bodies[-1]["model"] == "two"


def test_a_server_without_a_list_of_models(server, connect):
    server.models = None
    with pytest.raises(SettingsError, match="no list of models; name one"):
        connect(server.url)
    assert connect(server.url, model="fake").generate(about("hi")).text == echo("hi")


def test_the_dialect_is_stated_and_never_guessed(server, connect, tmp_path):
    with pytest.raises(SettingsError, match="--dialect"):
        connect(server.url, dialect=None)
    with pytest.raises(SettingsError, match="no dialect is called"):
        connect(server.url, dialect="klingon")
    (tmp_path / "geochat.json").write_text(json.dumps({"name": "mine", "second_look": True}))
    for settings in (tmp_path, tmp_path / "geochat.json"):
        assert connect(server.url, dialect=None, settings=settings).info.name == "mine"
    assert connect(server.url).info.name == "fake"


def test_the_settings_of_a_checkpoint_on_this_machine_are_taken(server, connect):
    server.models = [{"id": "fake", "root": str(bundled_path()), "max_model_len": 1024}]
    info = connect(server.url, dialect=None).info
    assert (info.name, info.image_size, info.patch_size, info.context) == ("geochat-mini", 288, 16, 1024)
    assert info.sha256 is not None
    assert connect(server.url).info.settings.second_look


def test_the_second_look_goes_around_a_served_model(server, connect):
    server.answer = lambda question: "<p>the car</p> {<40><60><44><66>|<45>}"
    answer = GeoChat(SecondLook(connect(server.url))).ask(Image.new("RGB", (200, 200)), "[refer] the car", raw=True)
    assert answer.text.startswith("<p>the car</p>")
    assert len(server.questions) == 2


def test_options_a_server_does_not_know_are_left_out(server, connect):
    server.unknown_options = {"stream_options", "skip_special_tokens", "max_tokens", "prompt_logprobs", "logprobs"}
    engine = connect(server.url)
    completion = engine.generate(about("hi"))
    assert completion.text == echo("hi")
    assert completion.tokens == ()
    assert completion.usage == Usage(7, 5)
    assert not engine.info.capabilities.logprobs
    assert server.bodies[-1]["max_completion_tokens"] == 512
    before = len(server.bodies)
    engine.generate(about("hi"))
    assert len(server.bodies) == before + 1


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


GARBAGE = [
    '{"choices": 5}',
    '{"choices": [null]}',
    '{"choices": [{"delta": "text"}]}',
    '{"choices": [{"delta": {"content": 7}}]}',
    '{"choices": [{"delta": {"content": "a"}, "logprobs": {"content": [{"token": "a"}]}}]}',
    '{"choices": [{"delta": {"content": "a"}, "logprobs": {"content": [{"token": "a", "logprob": null}]}}]}',
    '{"choices": [{"delta": {"content": "a"}, "finish_reason": "content_filter"}]}',
    '{"usage": {"prompt_tokens": "many"}, "choices": []}',
]


@pytest.mark.parametrize("event", GARBAGE)
def test_events_that_are_not_as_openai_s_are_errors(server, engine, event):
    server.faults = lambda number, body: Fault(body=f"data: {event}\n\n")
    with pytest.raises(EngineError):
        engine.generate(about("what?"))
    assert len(server.questions) == 1


def test_events_without_end_and_damaged_ones_are_tried_again(server, engine):
    faults = iter([Fault(body="data: {broken\n\n"), Fault(body="data: 7\n\n"), Fault(body="event: ping\n\ndata:\n\n")])
    server.faults = lambda number, body: next(faults, None)
    assert engine.generate(about("what?")).text == echo("what?")


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


def test_the_key_goes_into_the_header_alone(server, connect, caplog, monkeypatch, tmp_path):
    monkeypatch.setenv("GEOCHAT_API_KEY", f"{CANARY}\n")
    caplog.set_level(logging.DEBUG)
    engine = connect(server.url)
    answer = GeoChat(engine).ask(Image.new("RGB", (60, 40)), "what?", raw=True)
    assert set(server.keys) == {f"Bearer {CANARY}"}
    told = [repr(engine), repr(vars(engine)), json.dumps(answer.to_dict()), json.dumps(answer.provenance)]
    told += [answer.save_geojson(tmp_path / "a.geojson").read_text(), str(answer.save_overlay(tmp_path / "a.png"))]
    for status, body in [
        (401, f'{{"error": {{"message": "Incorrect key {CANARY}"}}}}'),
        (404, f"the model for {CANARY} does not exist"),
        (500, f"<b>{CANARY}</b>"),
    ]:
        server.faults = lambda number, _, answered=(status, body): Fault(*answered)
        with pytest.raises(EngineError) as caught:
            engine.generate(about("what?"))
        told += [str(caught.value), *map(repr, _chain(caught.value))]
    server.faults = lambda number, _: Fault(body=f'data: {{"error": {{"message": "{CANARY}", "code": 400}}}}\n\n')
    with pytest.raises(EngineError) as caught:
        engine.generate(about("what?"))
    told += [str(caught.value), caplog.text]
    with pytest.raises(TypeError):
        pickle.dumps(engine)
    assert CANARY not in "\n".join(told)
    assert "***" in str(caught.value)


def _chain(error):
    while error is not None:
        yield error
        error = error.__cause__


def test_which_key_goes_where(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "general")
    monkeypatch.delenv("GEOCHAT_API_KEY", raising=False)
    assert key_for(httpx.URL("https://api.example.org/v1")) == "general"
    assert key_for(httpx.URL("http://127.0.0.1:8000/v1")) == "general"
    assert key_for(httpx.URL("http://api.example.org/v1")) is None  # unencrypted, to another machine
    monkeypatch.setenv("GEOCHAT_API_KEY", "own")
    assert key_for(httpx.URL("http://api.example.org/v1")) == "own"
    monkeypatch.setenv("GEOCHAT_API_KEY", "söcret")
    with pytest.raises(SettingsError) as caught:
        key_for(httpx.URL("http://127.0.0.1/v1"))
    assert "söcret" not in str(caught.value)


@pytest.mark.parametrize("limits", [{"concurrency": 0}, {"attempts": 0}, {"timeout": 0.0}, {"backoff": -1}])
def test_impossible_limits(limits):
    with pytest.raises(SettingsError, match=next(iter(limits))):
        RemoteLimits(**limits)


def test_the_chunks_are_plain(engine):
    assert pickle.loads(pickle.dumps(list(engine.stream(about("hi")))))[-1].finish == "stop"
    assert isinstance(ChoiceScore("a", 0.0, 1.0), ChoiceScore)
    assert issubclass(EngineError, GeoChatError)
    assert Chunk("") == Chunk("")


def test_the_command_line_asks_a_server(server, capsys, tmp_path):
    image = tmp_path / "a.png"
    Image.new("RGB", (60, 40)).save(image)
    words = ["ask", str(image), "what?", "--engine", server.url, "--dialect", "geochat"]
    assert main([*words, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["model"], answer["text"]) == ("fake", echo("what?"))
    assert len(answer["regions"]) == 1
    assert main([*words, "--device", "cuda"]) == 1
    assert "--device means nothing to a server" in capsys.readouterr().err
    assert main(words[:-2]) == 1
    assert "name its dialect with --dialect" in capsys.readouterr().err


def test_the_boxes_of_any_dialect_are_where_they_are_on_the_image(server, connect):
    server.answer = lambda question: '```json\n[{"bbox_2d": [0, 0, 168, 196], "label": "a ship"}]\n```'
    answer = GeoChat(connect(server.url, dialect="qwen2.5-vl")).ask(
        Image.new("RGB", (333, 201)), "[refer] a ship", raw=True
    )
    assert sent_image(server.bodies[-1]).size == (336, 196)  # the model's own size, in whose pixels it writes
    (region,) = answer.regions
    corners = {(round(x, 3), round(y, 3)) for x, y in region.pixels}
    assert corners == {(0.0, 0.0), (166.5, 0.0), (166.5, 201.0), (0.0, 201.0)}
