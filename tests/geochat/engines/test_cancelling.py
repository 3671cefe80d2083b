"""Cancelling a request of the local engine: at any moment, from any thread, and without a trace."""

import threading
from dataclasses import replace

import pytest

from geochat.engines import GenerationSettings
from geochat.errors import ContextLengthError


def test_cancelling_stops_computing(engine, passes, ask, picture):
    request, chunks = ask(image=picture()), []
    for chunk in engine.stream(request):
        chunks.append(chunk)
        engine.cancel(request.id)
        done = len(passes)
    assert chunks[-1].finish == "cancelled"
    assert len(passes) == done == chunks[-1].usage.completion_tokens < 24


def test_another_thread_may_cancel_while_a_token_is_computed(engine, checkpoint, passes, ask):
    """The token being computed is the last."""
    request = ask()

    def cancel_at_third(*_):
        if len(passes) == 3:
            thread = threading.Thread(target=engine.cancel, args=(request.id,))
            thread.start()
            thread.join()

    hook = checkpoint.model.register_forward_pre_hook(cancel_at_third)
    try:
        completion = engine.generate(request)
    finally:
        hook.remove()
    assert (completion.finish, completion.usage.completion_tokens, len(passes)) == ("cancelled", 3, 3)


def test_cancelled_before_it_began_computes_nothing(engine, passes, ask, picture):
    request = ask(image=picture())
    engine.cancel(request.id)
    chunks = list(engine.stream(request))
    assert [(chunk.text, chunk.finish) for chunk in chunks] == [("", "cancelled")]
    assert passes == []


def left(engine, request):
    """Leave an answer that has begun."""
    stream = engine.stream(request)
    next(stream)
    engine.cancel(request.id)
    stream.close()


def unread(engine, request):
    stream = engine.stream(request)
    engine.cancel(request.id)
    stream.close()


def refused(engine, request):
    engine.cancel(request.id)
    with pytest.raises(ContextLengthError):
        engine.stream(replace(request, generation=GenerationSettings(max_new_tokens=999)))


def whole(engine, request):
    stream = engine.stream(request)
    for chunk in stream:
        if chunk.finish:
            engine.cancel(request.id)


def left_batch(engine, request):
    events = engine.stream_batch([request, replace(request, id="its neighbour")])
    next(events)
    engine.cancel(request.id)
    events.close()


def refused_in_a_batch(engine, request):
    engine.cancel(request.id)
    list(engine.stream_batch([replace(request, generation=GenerationSettings(max_new_tokens=999))]))


@pytest.mark.parametrize("end", [left, unread, refused, whole, left_batch, refused_in_a_batch])
def test_a_cancelled_request_is_forgotten_when_it_ends(engine, ask, end):
    """However it ends: asked again under its id, it is answered."""
    request = ask(max_new_tokens=2)
    end(engine, request)
    assert engine.generate(request).finish == "length"
