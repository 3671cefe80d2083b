"""Concurrent callers share batches, and each gets the answer that it gets alone."""

import random
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geochat.engines import Chunk, EngineLimits, LocalEngine, submit
from geochat.errors import ContextLengthError

TEXTS = ["near", "USER", "What is in the image?", "A large airplane and two small vehicles near the harbor. " * 2]
CHOICES = ("harbor", "two small vehicles", "a")


@pytest.fixture(scope="module")
def alone(checkpoint):
    """What each request is answered alone, with nothing kept."""
    engine, known = LocalEngine(checkpoint, EngineLimits(batch_rows=1, prefix_bytes=0)), {}

    def answer(request):
        key = (
            request.messages,
            tuple(image.tobytes() for image in request.images),
            request.generation,
            request.choices,
        )
        if key not in known:
            known[key] = engine.generate(request)
        return known[key]

    return answer


def assert_same(result, expected):
    assert (result.text, result.finish, result.usage) == (expected.text, expected.finish, expected.usage)
    scores = [token.logprob for token in result.tokens]
    assert scores == pytest.approx([token.logprob for token in expected.tokens], abs=1e-4)
    shares = [choice.probability for choice in result.choices]
    assert shares == pytest.approx([choice.probability for choice in expected.choices], abs=1e-4)


arrivals = st.tuples(
    st.sampled_from(TEXTS),
    st.integers(0, 3),  # which image, 0 for none
    st.integers(1, 20),  # budget
    st.sampled_from(["greedy", "sampled", "nucleus", "choices"]),
    st.booleans(),  # whether it is cancelled
    st.integers(0, 3),  # milliseconds to the next
)


@given(
    arrivals=st.lists(arrivals, min_size=2, max_size=9),
    rows=st.sampled_from([2, 5, 32]),
    tokens=st.sampled_from([200, 16_384]),
    room=st.sampled_from([0, 60_000, 1 << 30]),
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_answers_do_not_depend_on_who_asks_when(checkpoint, alone, ask, picture, arrivals, rows, tokens, room):
    """Random arrivals, lengths, settings and cancellations."""
    engine = LocalEngine(checkpoint, EngineLimits(batch_rows=rows, batch_tokens=tokens, prefix_bytes=room))
    ways = {
        "greedy": {},
        "sampled": {"temperature": 1.2, "seed": 3},
        "nucleus": {"temperature": 0.9, "top_p": 0.8, "seed": 5},
        "choices": {"choices": CHOICES},
    }
    handles = []
    for text, image, budget, way, cancelled, pause in arrivals:
        request = ask(text, image=picture(image) if image else None, max_new_tokens=budget, **ways[way])
        handle = engine.submit(request)
        handles.append((handle, cancelled))
        time.sleep(pause / 1000)
        if cancelled:
            random.choice([handle.cancel, lambda: engine.cancel(request.id)])()  # noqa: B023 - called at once
    for handle, cancelled in handles:
        result, expected = handle.result(), alone(handle.request)
        if cancelled and result.finish == "cancelled":
            assert expected.text.startswith(result.text.rstrip("\ufffd"))
        else:
            assert_same(result, expected)


def test_callers_in_threads_share_forward_passes(checkpoint, alone, ask, picture, passes):
    engine = LocalEngine(checkpoint)
    requests = [ask(text, image=picture(number % 3), max_new_tokens=12) for number, text in enumerate(TEXTS * 2)]
    expected = [alone(request) for request in requests]
    passes.clear()
    results = {}

    def work(number):
        results[number] = engine.generate(requests[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(requests))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, wanted in enumerate(expected):
        assert_same(results[number], wanted)
    assert max(rows for rows, _ in passes) > 1
    assert len(passes) < sum(result.usage.completion_tokens for result in results.values())


def test_a_request_joins_a_running_batch_and_leaves_it(checkpoint, alone, ask, passes):
    """The second is asked while the third token of the first is computed, and ends before it."""
    engine = LocalEngine(checkpoint, EngineLimits(prefix_bytes=0))
    first, second = ask(max_new_tokens=20), ask("near", max_new_tokens=3)
    expected = alone(first), alone(second)
    passes.clear()
    handles = []

    def join(*_):
        if len(passes) == 3 and len(handles) == 1:
            handles.append(engine.submit(second))

    hook = checkpoint.model.register_forward_pre_hook(join)
    try:
        handles.append(engine.submit(first))
        assert_same(handles[0].result(), expected[0])
    finally:
        hook.remove()
    assert_same(handles[1].result(), expected[1])
    rows = [count for count, _ in passes]
    assert rows == [1] * 5 + [2] * 2 + [1] * (len(rows) - 7)  # a prompt is read apart, then two tokens together
    assert sum(rows) == sum(each.usage.completion_tokens for each in expected)


def test_a_cancelled_request_does_not_wait_for_room(checkpoint, ask):
    engine = LocalEngine(checkpoint, EngineLimits(batch_rows=1))
    all_asked, ended = threading.Event(), []
    hook = checkpoint.model.register_forward_pre_hook(lambda *_: all_asked.wait(60) and None)
    try:
        handles = {"long": engine.submit(ask(max_new_tokens=9)), "waiting": engine.submit(ask("near"))}
        for name, handle in handles.items():
            handle.add_listener(lambda chunk, name=name: chunk.finish and ended.append((name, chunk.finish)))
        engine.cancel(handles["waiting"].request.id)
        all_asked.set()
        handles["long"].result()
    finally:
        all_asked.set()
        hook.remove()
    assert [name for name, _ in ended] == ["waiting", "long"]
    assert ended[0][1] == "cancelled"


def test_newcomers_images_are_read_together(checkpoint, ask, picture, images_read, finished):
    engine = LocalEngine(checkpoint)
    finished(engine, [ask("near", image=picture(number), max_new_tokens=2) for number in range(1, 7)])
    assert images_read == [4, 2]


def test_a_handle_can_be_read_again_and_tells_listeners_everything(engine, ask):
    handle = submit(engine, ask(max_new_tokens=4))
    completion = handle.result()
    heard = []
    handle.add_listener(heard.append)
    assert handle.done
    assert heard == list(handle)
    assert handle.result() == completion
    handle.cancel()  # too late
    assert handle.result() == completion


def test_a_listener_that_fails_harms_nobody(engine, alone, ask):
    def fail(_event):
        raise RuntimeError("listener")

    handle = engine.submit(ask(max_new_tokens=4))
    handle.add_listener(fail)
    assert_same(handle.result(), alone(handle.request))


def test_any_engine_can_be_submitted_to(chat_with, ask):
    """Its stream is read in a thread, errors included."""
    engine = chat_with("the harbor").engine
    assert submit(engine, ask()).result().text == "the harbor"

    class Failing:
        cancel = engine.cancel

        def stream(self, _request):
            yield Chunk("the ")
            raise ContextLengthError("too long")

    handle = submit(Failing(), ask())
    with pytest.raises(ContextLengthError, match="too long"):
        handle.result()
    assert handle.done


def test_a_failing_pass_ends_those_in_the_batch_and_nobody_after(checkpoint, alone, ask):
    engine = LocalEngine(checkpoint)
    request = ask(max_new_tokens=4)
    expected = alone(request)

    def explode(*_):
        raise RuntimeError("out of memory")

    hook = checkpoint.model.register_forward_pre_hook(explode)
    try:
        with pytest.raises(RuntimeError, match="out of memory"):
            engine.generate(request)
    finally:
        hook.remove()
    assert_same(engine.generate(request), expected)


def test_the_prefix_cache_holds_some_images_of_the_model(checkpoint, ask, picture):
    engine = LocalEngine(checkpoint)
    assert 0 < engine.limits.prefix_bytes < 2 << 30
    chunks = list(engine.submit(ask(image=picture(), max_new_tokens=2)))
    assert isinstance(chunks[-1], Chunk)
    assert 0 < engine.prefix_stats.bytes <= engine.limits.prefix_bytes
