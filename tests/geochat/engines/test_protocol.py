import threading

import pytest

from geochat.engines import Chunk, Completion, GenerationSettings, Usage, complete, complete_all, one_by_one
from geochat.errors import PromptError, SettingsError


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens=0"),
        ({"temperature": -1.0}, "temperature=-1.0"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"temperature": 1.0, "top_p": 0.0}, "top_p=0.0"),
        ({"top_p": 0.9}, "set a temperature"),
        ({"seed": -1}, "seed=-1"),
        ({"stop": "END"}, "stop='END'"),
        ({"stop": ("",)}, "non-empty"),
    ],
)
def test_impossible_settings_are_refused(values, named):
    with pytest.raises(SettingsError, match=named):
        GenerationSettings(**values)


def test_chunks_join():
    usage = Usage(3, 2)
    chunks = [Chunk("a "), Chunk("b"), Chunk("", "stop", usage)]
    assert complete(chunks) == Completion("a b", "stop", usage)


def test_a_stream_without_an_end_is_an_error():
    with pytest.raises(ValueError, match="last chunk"):
        complete([Chunk("a")])


def test_pieces_of_a_batch_join_by_request():
    usage, error = Usage(3, 2), PromptError("no")
    events = [(1, Chunk("b")), (0, Chunk("a")), (2, Chunk("c")), (2, error), (1, Chunk("!", "stop", usage))]
    results = complete_all([*events, (0, Chunk("?", "length", usage))])
    assert list(results) == [(2, error), (1, Completion("b!", "stop", usage)), (0, Completion("a?", "length", usage))]


def test_a_batch_without_all_ends_is_an_error():
    with pytest.raises(ValueError, match="last chunk"):
        list(complete_all([(0, Chunk("a"))]))


def test_an_engine_of_one_answer_at_a_time_takes_batches(chat_with):
    engine = chat_with("first", "second").engine
    error = PromptError("no")

    class Failing:
        def stream(self, request, cancel):
            if request is None:
                raise error
            return engine.stream(request, cancel)

    cancelled = threading.Event()
    cancelled.set()
    results = dict(complete_all(one_by_one(Failing(), ["a", None, "b"], [None, None, cancelled])))
    assert (results[0].text, results[1], results[2].finish) == ("first", error, "cancelled")
