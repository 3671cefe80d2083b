"""Servers and ways to them that fail: no answer is lost, none comes twice, and refusals say what to do."""

import random

import pytest
from fake_server import LIMITS, CuttingProxy, Fault, about, echo, question_of

from geochat.engines import complete_all
from geochat.engines.openai import RemoteLimits
from geochat.errors import ContextLengthError, EngineError, PromptError


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
    server.faults = lambda number, body: Fault(400, "no") if "second" in question_of(body) else None
    requests = [about("first"), about("second"), about("third", images=[picture(1)] * 2), about("fourth")]
    results = dict(complete_all(engine.stream_batch(requests)))
    assert [results[0].text, results[3].text] == [echo("first"), echo("fourth")]
    assert isinstance(results[1], EngineError)
    assert isinstance(results[2], PromptError)


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
