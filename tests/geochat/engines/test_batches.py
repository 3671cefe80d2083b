import pytest
import torch
from PIL import Image

from geochat.engines import Chunk, Completion, EngineLimits, LocalEngine, Request, complete_all
from geochat.errors import CheckpointError, ContextLengthError, ImageError, PromptError, SettingsError
from geochat.prompts import Message

LONG = "A large airplane and two small vehicles near the harbor. " * 2
QUESTIONS = ["near", "What is in the image?", LONG, "two small vehicles near the harbor", "USER", "is it polite?"]


@pytest.fixture
def uncached(checkpoint):
    """Nothing is kept from one request to the next."""
    return LocalEngine(checkpoint, EngineLimits(prefix_bytes=0))


def assert_same(results, alone):
    for result, expected in zip(results, alone, strict=True):
        assert (result.text, result.finish, result.usage) == (expected.text, expected.finish, expected.usage)
        scores = [token.logprob for token in result.tokens]
        assert scores == pytest.approx([token.logprob for token in expected.tokens], abs=1e-4)


@pytest.mark.parametrize("kinds", ["text", "one image", "images", "mixed"])
@pytest.mark.parametrize("kept", [0, 1 << 30])
def test_rows_answer_as_they_do_alone(checkpoint, uncached, ask, picture, finished, kinds, kept):
    images = {"text": [None], "one image": [picture()], "images": [picture(1), picture(2)]}
    shown = images.get(kinds, [None, picture(1), picture(1), picture(2)])
    requests = [ask(text, image=shown[i % len(shown)]) for i, text in enumerate(QUESTIONS)]
    engine = LocalEngine(checkpoint, EngineLimits(prefix_bytes=kept))
    alone = [uncached.generate(request) for request in requests]
    assert_same(finished(engine, requests), alone)
    assert_same(finished(engine, requests), alone)


def test_each_row_has_its_own_settings(engine, uncached, ask, picture, finished):
    greedy = uncached.generate(ask(image=picture()))
    requests = [
        ask(image=picture(), max_new_tokens=3),
        ask(image=picture(), stop=(greedy.text[5:9],)),
        ask(image=picture(), temperature=1.2, seed=1),
        ask(image=picture(), temperature=1.2, seed=2),
        ask(image=picture(), temperature=0.9, top_p=0.8, seed=1, max_new_tokens=30),
        ask(image=picture()),
    ]
    results = finished(engine, requests)
    assert_same(results, [uncached.generate(request) for request in requests])
    assert [result.finish for result in results[:2]] == ["length", "stop"]
    assert len({result.text for result in results}) == len(results)


def test_rows_that_have_ended_are_computed_no_more(uncached, ask, finished, passes):
    requests = [ask(text, max_new_tokens=budget) for text, budget in [("near", 2), ("USER", 9), ("polite", 5)]]
    results = finished(uncached, requests)
    rows = [count for count, _ in passes]
    assert rows == sorted(rows, reverse=True)
    assert sum(rows) == sum(result.usage.completion_tokens for result in results)


def test_a_batch_streams(engine, ask, picture):
    events = list(engine.stream_batch([ask(text, image=picture()) for text in QUESTIONS[:2]]))
    order = [number for number, _ in events]
    assert order.index(1) < len(order) - 1 - order[::-1].index(0)  # the second begins before the first ends
    for number in (0, 1):
        chunks = [event for which, event in events if which == number]
        assert len(chunks) > 3
        assert [chunk.finish is None for chunk in chunks] == [True] * (len(chunks) - 1) + [False]


def test_answers_come_as_they_finish(engine, ask):
    requests = [ask(max_new_tokens=9), ask(max_new_tokens=2)]
    assert [number for number, _ in complete_all(engine.stream_batch(requests))] == [1, 0]


def test_cancelling_a_row_stops_computing_it_alone(uncached, ask, passes):
    requests = [ask(QUESTIONS[0]), ask(QUESTIONS[1], max_new_tokens=150), ask(QUESTIONS[3])]
    ends = {}
    for number, chunk in uncached.stream_batch(requests):
        if number == 1 and chunk.finish is None:
            uncached.cancel(requests[1].id)
        if chunk.finish:
            ends[number] = chunk
    assert [ends[number].finish for number in range(3)] == ["length", "cancelled", "length"]
    assert ends[1].usage.completion_tokens < 150
    assert sum(rows for rows, _ in passes) == sum(chunk.usage.completion_tokens for chunk in ends.values())


def test_a_row_cancelled_before_it_began_costs_nothing(uncached, ask, picture, finished, passes, images_read):
    requests = [ask(image=picture()), ask("near", max_new_tokens=3)]
    uncached.cancel(requests[0].id)
    first, second = finished(uncached, requests)
    assert (first.text, first.finish, second.finish) == ("", "cancelled", "length")
    assert [rows for rows, _ in passes] == [1, 1, 1]
    assert not images_read


class Truncated(Image.Image):
    def load(self):
        raise OSError("image file is truncated")


def test_a_failing_request_leaves_its_neighbours_alone(engine, uncached, ask, picture, finished):
    requests = [
        ask("near", image=picture()),
        ask("near " * 300),
        ask(image=Truncated()),
        Request((Message("system", "Be brief."),), (picture(),)),
        ask("polite", image=picture()),
    ]
    first, too_long, broken, silent, last = finished(engine, requests)
    assert_same([first, last], [uncached.generate(requests[0]), uncached.generate(requests[4])])
    assert [type(error) for error in (too_long, broken, silent)] == [ContextLengthError, ImageError, PromptError]
    for request, error in [(requests[1], too_long), (requests[2], broken), (requests[3], silent)]:
        with pytest.raises(type(error)):
            engine.stream(request)


@pytest.mark.parametrize("temperature", [0, 1.0])
def test_a_row_whose_numbers_are_none_leaves_its_neighbours_alone(
    engine, checkpoint, uncached, ask, finished, temperature
):
    requests = [ask("near", temperature=temperature, seed=1), ask("USER", max_new_tokens=5)]
    alone = uncached.generate(requests[1])

    def poison(_module, _inputs, logits):
        return logits.index_fill(0, torch.tensor([0]), float("nan")) if len(logits) == 2 else logits

    hook = checkpoint.model.lm_head.register_forward_hook(poison)
    try:
        error, completion = finished(engine, requests)
    finally:
        hook.remove()
    assert isinstance(error, CheckpointError)
    assert_same([completion], [alone])


def test_an_image_is_read_once_for_all_its_questions(uncached, ask, picture, finished, images_read):
    finished(uncached, [ask(text, image=picture(i % 2)) for i, text in enumerate(QUESTIONS)])
    assert len(images_read) <= 4  # two images, in two classes of length
    images_read.clear()
    finished(uncached, [ask(text, image=picture()) for text in ("near", "USER", "near", "near")])
    assert images_read == [1]


def test_rows_share_a_batch_only_with_rows_of_like_length(uncached, ask, finished, passes):
    finished(uncached, [ask(text, max_new_tokens=1) for text in ("near", LONG + LONG, "USER", LONG + LONG + "near")])
    assert [rows for rows, _ in passes] == [2, 2]


@pytest.mark.parametrize(
    ("limits", "rows"),
    [({"batch_rows": 2}, [2, 2, 1]), ({"batch_tokens": 150}, [2, 2, 1]), ({"batch_tokens": 1}, [1] * 5)],
)
def test_limits_hold(checkpoint, ask, finished, passes, limits, rows):
    engine = LocalEngine(checkpoint, EngineLimits(**limits))
    requests = [ask("near", max_new_tokens=1)] * 5
    assert len(finished(engine, requests)) == 5
    assert [count for count, _ in passes] == rows


@pytest.mark.parametrize(("name", "value"), [("batch_rows", 0), ("batch_tokens", 0), ("prefix_bytes", -1)])
def test_impossible_limits_are_refused(name, value):
    with pytest.raises(SettingsError, match=f"{name}={value}"):
        EngineLimits(**{name: value})


def test_requests_are_taken_as_they_are_needed(checkpoint, ask):
    engine = LocalEngine(checkpoint, EngineLimits(batch_rows=2))
    taken = []
    events = engine.stream_batch(taken.append(i) or ask(max_new_tokens=1) for i in range(100))
    assert not taken
    assert isinstance(next(events)[1], Chunk)
    assert len(taken) < 20
    assert all(isinstance(result, Completion) for _, result in complete_all(events))
    assert len(taken) == 100


def test_nothing_asked_is_nothing_answered(engine):
    assert list(engine.stream_batch([])) == []
