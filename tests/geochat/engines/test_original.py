"""Batches of the original's recorded prompts: each row as it is alone, which the original's own batches are not."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from PIL import Image

from geochat.checkpoints import load
from geochat.engines import GenerationSettings, LocalEngine, Request, complete_all
from geochat.engines.writing import Detokenizer
from geochat.prompts import Message, chat_template
from geochat.vision import build_processor


@pytest.fixture(scope="module")
def reference(shared):
    return shared / "reference/original"


@pytest.fixture(scope="module")
def engine(reference, tmp_path_factory):
    """The recorded model, its tower in float32 from the folder its config names; cropping, as its evaluation does."""
    root = tmp_path_factory.mktemp("original")
    folder = shutil.copytree(reference / "geochat-tiny", root / "geochat-tiny", copy_function=shutil.copyfile)
    shutil.copytree(reference / "clip-vit-tiny-patch14-336", root / "clip-vit-tiny-patch14-336")
    folder.chmod(0o755)
    state = torch.load(folder / "pytorch_model.bin", weights_only=True)
    torch.save({k: v for k, v in state.items() if "vision_tower" not in k}, folder / "pytorch_model.bin")
    checkpoint = load(folder, device="cpu", dtype="float32")
    processor = build_processor(checkpoint.processor.tokenizer, 504, 14, chat_template(), "crop")
    return LocalEngine(replace(checkpoint, processor=processor))


def test_a_padded_row_is_as_it_is_alone(engine, reference):
    recorded = json.loads((reference / "generation.json").read_text(encoding="utf-8"))["batch_eval_left_padded"]
    prompts = json.loads((reference / "prompts.json").read_text(encoding="utf-8"))
    generation = GenerationSettings(max_new_tokens=32)
    requests = []
    for name, image in zip(recorded["names"], recorded["image_keys"], strict=True):
        question = prompts[name]["prompt"].partition("<image>\n")[2].removesuffix(" ASSISTANT:")
        picture = Image.open(reference / "images" / f"{image.removesuffix('.crop')}.png").convert("RGB")
        requests.append(Request((Message("user", question),), (picture,), generation))
    rows = dict(complete_all(engine.stream_batch(requests)))

    def text(ids):
        detokenizer = Detokenizer(engine.checkpoint.processor.tokenizer)
        return ("".join(map(detokenizer.feed, ids)) + detokenizer.close()).lstrip()

    answers = [rows[number].text for number in range(3)]
    assert answers == [text(ids) for ids in recorded["single_greedy_ids"]]
    assert [a == text(ids) for a, ids in zip(answers, recorded["greedy_ids"], strict=True)] == [False, True, False]
