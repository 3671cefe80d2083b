"""What the engine's tests ask, and how they watch it compute."""

import pytest
from PIL import Image

from geochat.engines import GenerationSettings, LocalEngine, Request, complete_all
from geochat.prompts import Message


@pytest.fixture(scope="session")
def engine(checkpoint):
    return LocalEngine(checkpoint)


@pytest.fixture(scope="session")
def picture():
    """`picture(1)` and `picture(2)` are different images."""

    def draw(number=0):
        return Image.linear_gradient("L").resize((60, 40)).convert("RGB").rotate(40 * number)

    return draw


@pytest.fixture(scope="session")
def ask():
    """`ask("near", "the harbor", "why?", image=...)` is a request whose turns are the user's and the assistant's."""

    def build(*turns, image=None, choices=(), **generation):
        roles = ("user", "assistant")
        messages = tuple(Message(roles[i % 2], turn) for i, turn in enumerate(turns or ("What is in the image?",)))
        images = () if image is None else (image,)
        return Request(messages, images, GenerationSettings(**{"max_new_tokens": 24, **generation}), tuple(choices))

    return build


@pytest.fixture(scope="session")
def finished():
    """Completions and errors of a batch, in the requests' order."""

    def run(engine, requests):
        results = dict(complete_all(engine.stream_batch(requests)))
        return [results[number] for number in range(len(results))]

    return run


@pytest.fixture
def passes(checkpoint):
    """The shape (rows, tokens) of each forward pass that predicts tokens, as they are run."""
    shapes = []

    def note(_model, _args, inputs):
        shapes.append(tuple(inputs["input_ids"].shape))

    hook = checkpoint.model.register_forward_pre_hook(note, with_kwargs=True)
    yield shapes
    hook.remove()


@pytest.fixture
def images_read(checkpoint):
    """One entry for each time the vision tower runs: how many images it was given."""
    counts = []
    tower = checkpoint.model.model.vision_tower
    hook = tower.register_forward_pre_hook(lambda _tower, args: counts.append(len(args[0])))
    yield counts
    hook.remove()
