import pytest

from geochat.engines import Chunk, Completion, GenerationSettings, Usage, complete
from geochat.errors import SettingsError


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
