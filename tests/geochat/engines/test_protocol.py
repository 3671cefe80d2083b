import pickle
import subprocess
import sys

import pytest
from PIL import Image

from geochat.engines import (
    ChoiceScore,
    Chunk,
    Completion,
    GenerationSettings,
    Request,
    TokenScore,
    Usage,
    complete,
    complete_all,
    one_by_one,
)
from geochat.errors import PromptError, SettingsError
from geochat.geometry import AngleConvention
from geochat.models import Capabilities, ModelInfo, Settings
from geochat.prompts import Message


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
    requests = [Request((Message("user", text),)) for text in "abc"]

    class Failing:
        def stream(self, request):
            if request is requests[1]:
                raise error
            return engine.stream(request)

    engine.cancel(requests[2].id)
    results = dict(complete_all(one_by_one(Failing(), requests)))
    assert (results[0].text, results[1], results[2].finish) == ("first", error, "cancelled")


def crossed(value):
    return pickle.loads(pickle.dumps(value))


def test_all_that_an_engine_is_given_and_gives_crosses_to_another_process():
    """And means the same there; a request keeps its id."""
    image = Image.effect_noise((9, 7), 50).convert("RGB")
    generation = GenerationSettings(5, temperature=0.5, top_p=0.9, seed=3, stop=("x",))
    request = Request((Message("user", "ship?"),), (image,), generation, ("yes", "no"))
    assert crossed(request) == request
    assert crossed(request).id == request.id
    usage, tokens = Usage(3, 2), (TokenScore(0, 2, -0.5),)
    choices = (ChoiceScore("yes", -0.5, 0.6), ChoiceScore("no", -0.9, 0.4))
    for value in (Chunk("yes", "stop", usage, tokens, choices), Completion("yes", "stop", usage, tokens, choices)):
        assert crossed(value) == value


def test_the_facts_of_a_model_cross_to_another_process(tmp_path):
    file = tmp_path / "weights"
    file.write_bytes(b"weights")
    settings = Settings(name="far", convention=AngleConvention("counterclockwise"), scene_classes=("harbor",))
    info = ModelInfo(settings, 504, 14, 4096, Capabilities(logprobs=True, choices=True, images=2), (file,))
    for known in (crossed(info), crossed((info.dialect, info.sha256, info)[-1])):
        assert known == info
        assert (known.sha256, known.dialect, known.frame) == (info.sha256, info.dialect, info.frame)


def test_a_request_has_an_id_of_its_own():
    first, second = Request((Message("user", "a"),)), Request((Message("user", "a"),))
    assert first == second
    assert first.id != second.id


@pytest.mark.parametrize("module", ["geochat.engines", "geochat.engines.second_look", "geochat.models"])
def test_the_protocol_needs_no_torch(module):
    code = f"import sys, {module}; print(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "transformers", "peft"} & set(loaded)
