"""The bundled model behind a real vLLM answers as the local engine does."""

import itertools
import os

import numpy as np
import pytest
from PIL import Image

from geochat import GeoChat, Question
from geochat.engines import EngineOptions, open_engine
from geochat.imagery import open_image
from geochat.models import bundled_path

SAMPLES = bundled_path().parents[1] / "samples"


@pytest.fixture(scope="module")
def served():
    """The bundled model behind a real vLLM in float32."""
    python = os.environ.get("GEOCHAT_VLLM_PYTHON")
    if not python:
        pytest.skip("set GEOCHAT_VLLM_PYTHON to the Python of an environment made by scripts/vllm-cpu")
    return GeoChat(open_engine("vllm", EngineOptions(dtype="float32")))


QUESTIONS = (
    "[grounding] Describe the image in detail with the positions of the objects.",
    Question("Describe the image.", task="caption"),
    Question("", task="scene"),
    Question("What is this?", choices=("harbor", "forest", "tennis court", "airport")),
    Question("What is the object?", task="identify", regions=((60, 60, 200, 180),)),
    *(f"[refer] Give me the location of <p> {name} </p>" for name in ("ship", "storage tank", "the leftmost building")),
    *(f"How many {name}s are there?" for name in ("ship", "tennis court")),
    *(f"Is there a {name} in the image?" for name in ("car", "airplane")),
    Question("Is the harbor to the left?", task="vqa"),
    Question("Tell me about this place.", task="chat", raw=True),
)


@pytest.mark.slow
def test_a_served_model_answers_as_the_local_one_does(served):
    scenes = sorted(SAMPLES.glob("*.png"))
    windows = ((0, 90, 500, 210), (90, 0, 210, 500))
    pictures = [open_image(path) for path in [*scenes, *SAMPLES.glob("*.tif")]]
    pictures += [open_image(path, window=window) for path in scenes for window in windows]
    pairs = list(itertools.product(pictures, QUESTIONS))
    assert len(pairs) >= 100
    here = GeoChat.from_pretrained(device="cpu", dtype="float32").ask_many(pairs)
    there = served.ask_many(pairs)
    unequal = [(one.text, other.text) for one, other in zip(here, there, strict=True) if one.text != other.text]
    assert unequal == []
    for one, other in zip(here, there, strict=True):
        assert one.finish == other.finish
        assert one.usage == other.usage
        assert (one.choice, one.choice_method) == (other.choice, other.choice_method)
        assert [region.pixels for region in one.regions] == [region.pixels for region in other.regions]
        assert spans(one) == spans(other)
        assert logprobs(one) == pytest.approx(logprobs(other), abs=0.02)


def spans(answer):
    return [(token.start, token.end) for token in answer.tokens]


def logprobs(answer):
    return [scored.logprob for scored in (*answer.tokens, *answer.completion.choices)]


@pytest.mark.slow
def test_a_real_server_says_that_a_prompt_is_too_long(served):
    noise = Image.fromarray(np.zeros((40, 40, 3), np.uint8))
    with pytest.raises(Exception, match="shorten the question") as caught:
        served.ask(noise, "why? " * 3000, raw=True)
    assert type(caught.value).__name__ == "ContextLengthError"


@pytest.mark.slow
def test_a_real_server_stops_computing_what_is_cancelled(served):
    question = Question("Describe the image.", raw=True)
    stream = served.stream(Image.new("RGB", (64, 64)), question)
    events = iter(stream)
    next(events)
    stream.cancel()
    assert stream.wait().finish in ("cancelled", "stop")  # a short answer may be whole by then
