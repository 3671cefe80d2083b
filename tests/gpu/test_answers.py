"""The bundled model on a GPU says what it says on the CPU."""

import pytest
import torch
from PIL import Image

from geochat import GeoChat, Task
from geochat.clip import Classifier, DualEncoder
from geochat.engines import Request
from geochat.prompts import Message
from geochat_data.readers import UCM_SCENES

ASKED = [
    ("harbour.png", ", ".join(UCM_SCENES), Task.SCENE),
    ("tennis.png", "", Task.GROUNDING),
    ("tanks.png", "the leftmost storage tank", Task.REFER),
    ("tennis.png", "all tennis courts", Task.REFER),
]


@pytest.fixture(scope="module")
def on_cpu():
    return GeoChat.from_pretrained(device="cpu")


@pytest.fixture(scope="module")
def on_gpu(device):
    return GeoChat.from_pretrained(device=device, dtype="float32")


@pytest.mark.parametrize(("image", "question", "task"), ASKED)
def test_it_answers_as_the_cpu_does(image, question, task, on_cpu, on_gpu, samples, device):
    assert on_gpu.engine.engine.checkpoint.model.device.type == device
    ours = on_gpu.ask(samples / image, question, task=task)
    assert ours.text == on_cpu.ask(samples / image, question, task=task).text
    assert ours.finish == "stop"


def test_a_batch_answers_as_each_alone(on_gpu, samples):
    questions = ["Is there a ship in the image?", "Is there a storage tank in the image?", "How many tanks are there?"]
    together = on_gpu.ask_many(samples / "tanks.png", questions, task=Task.VQA)
    alone = [on_gpu.ask(samples / "tanks.png", question, task=Task.VQA) for question in questions]
    assert [answer.text for answer in together] == [answer.text for answer in alone]


def test_it_scores_choices_as_the_cpu_does(on_gpu, on_cpu, samples):
    choices = (*UCM_SCENES, "volcano", "a harbor with many boats")
    with Image.open(samples / "harbour.png") as opened:
        image = opened.convert("RGB")
    asked = Request((Message("user", "What is this?"),), (image,), choices=choices)
    ours, expected = (chat.engine.generate(asked) for chat in (on_gpu, on_cpu))
    assert ours.text == expected.text
    assert [c.logprob for c in ours.choices] == pytest.approx([c.logprob for c in expected.choices], abs=1e-3)
    ((_, together),) = on_gpu.engine.stream_batch([asked])
    assert [c.logprob for c in together.choices] == pytest.approx([c.logprob for c in ours.choices], abs=1e-4)


def test_it_takes_the_gpu_and_bfloat16_where_nothing_is_said(samples, device):
    chat = GeoChat.from_pretrained()
    model = chat.engine.engine.checkpoint.model
    assert (model.device.type, model.dtype) == (device, torch.bfloat16)
    check_answers(chat, samples)


@pytest.mark.parametrize("quantization", ["4bit", "8bit"])
def test_it_answers_with_quantised_weights(quantization, samples, device):
    pytest.importorskip("bitsandbytes")
    chat = GeoChat.from_pretrained(device=device, quantization=quantization)
    layer = chat.engine.engine.checkpoint.model.model.language_model.layers[0].mlp.up_proj.weight
    assert layer.dtype == {"4bit": torch.uint8, "8bit": torch.int8}[quantization]
    assert layer.device.type == device
    check_answers(chat, samples)


def check_answers(chat, samples):
    """A class of those asked about, and boxes that can be read."""
    scene = chat.ask(samples / "harbour.png", ", ".join(UCM_SCENES), task=Task.SCENE)
    assert scene.text in UCM_SCENES
    found = chat.ask(samples / "tennis.png", "all tennis courts", task=Task.REFER)
    assert found.finish == "stop"
    assert found.regions
    assert not found.problems


def test_it_classifies_as_the_cpu_does(samples, device):
    images = sorted(samples.glob("*.png"))
    here, there = (
        Classifier.zero_shot(DualEncoder.from_pretrained(device=name), UCM_SCENES) for name in (device, "cpu")
    )
    ours, expected = list(here.classify_many(images, batch_size=2)), list(there.classify_many(images))
    assert [each.label for each in ours] == [each.label for each in expected]
    assert [each.probability for each in ours] == pytest.approx([each.probability for each in expected], abs=1e-4)
    assert here.classify(images[0]).label == expected[0].label
