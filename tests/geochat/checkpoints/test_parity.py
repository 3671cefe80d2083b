"""Parity with the original GeoChat on what is committed of its recorded numbers (fp32 on CPU).

The recorded random checkpoint is put together again in the original's own layout; rows of the vocabulary that no
recorded prompt or compared logit touches are zero. `test_parity_recorded.py` compares the rest, where ../shared is.
"""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from geochat.checkpoints import load
from geochat.vision import build_image_processor

TOLERANCE = 1e-4
VOCABULARY = 32_000
IMAGE = 32_000
CASES = [
    "vqa_single@synthetic_333x201.pad",
    "vqa_single@synthetic_333x201.crop",
    "scene@synthetic_333x201.pad",
    "multi_turn@synthetic_333x201.pad",
    "identify@synthetic_333x201.pad",
    "refer@synthetic_333x201.pad",
    "grounding@synthetic_333x201.pad",
    "grounding_multi_turn@synthetic_333x201.pad",
    "demo_turn1@synthetic_333x201.pad",
    "demo_turn2@synthetic_333x201.pad",
    "text_only@None",
]


@pytest.fixture(scope="module")
def reference(fixtures):
    return json.loads((fixtures / "original" / "recorded.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def recorded(fixtures):
    return np.load(fixtures / "original" / "recorded.npz")


@pytest.fixture(scope="module")
def columns(fixtures):
    return np.load(fixtures / "original" / "weights.npz")["columns"]


def filled(rows, values):
    """A table (V, D) with `values` in `rows` and zeros elsewhere."""
    table = torch.zeros(VOCABULARY, values.shape[1], dtype=torch.float16)
    table[torch.from_numpy(rows)] = torch.from_numpy(values)
    return table


@pytest.fixture(scope="module")
def folder(fixtures, reference, sentencepiece_file, tmp_path_factory):
    """The recorded checkpoint and the tower its config names, in the original's layout."""
    root = tmp_path_factory.mktemp("parity")
    arrays = dict(np.load(fixtures / "original" / "weights.npz"))
    state = {
        "model.embed_tokens.weight": filled(arrays.pop("tokens"), arrays.pop("embeddings")),
        "lm_head.weight": filled(arrays.pop("columns"), arrays.pop("output")),
    }
    tower = {name.removeprefix("tower/"): arrays.pop(name) for name in list(arrays) if name.startswith("tower/")}
    state |= {name: torch.from_numpy(values) for name, values in arrays.items()}
    for name, tensors, config in (
        ("geochat-tiny", state, reference["config"]),
        (
            "clip-vit-tiny-patch14-336",
            {name: torch.from_numpy(values) for name, values in tower.items()},
            reference["tower_config"],
        ),
    ):
        (root / name).mkdir()
        torch.save(tensors, root / name / "pytorch_model.bin")
        (root / name / "config.json").write_text(json.dumps(config))
    write_tokenizer(root / "geochat-tiny", sentencepiece_file)
    return root / "geochat-tiny"


def write_tokenizer(folder, sentencepiece_file):
    """A tokenizer of as many tokens; the prompts' ids are recorded, so its pieces do not matter."""
    shutil.copy(sentencepiece_file, folder)
    added = {f"<unused_{number}>": number for number in range(400, VOCABULARY)}
    (folder / "added_tokens.json").write_text(json.dumps(added))


@pytest.fixture(scope="module")
def original(folder):
    return load(folder, device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def inputs_of(fixtures, reference):
    def build(case):
        prompt, _, image = case.partition("@")
        ids = [i for id_ in reference["prompts"][prompt] for i in ([IMAGE] * 1296 if id_ == -200 else [id_])]
        inputs = {"input_ids": torch.tensor([ids])}
        return inputs if image == "None" else inputs | {"pixel_values": pixels(fixtures, image)}

    return build


def pixels(fixtures, image):
    name, fit = image.rsplit(".", 1)
    with Image.open(fixtures / f"{name}.png") as picture:
        return build_image_processor(504, fit)(picture.convert("RGB"), return_tensors="pt")["pixel_values"]


def test_every_committed_case_is_compared(reference):
    assert set(CASES) == set(reference["cases"])


@pytest.mark.parametrize("image", ["synthetic_333x201.pad", "synthetic_333x201.crop"])
def test_features_and_projection(original, fixtures, recorded, image):
    with torch.inference_mode():
        tower = original.model.model.vision_tower(pixels(fixtures, image), output_hidden_states=True)
        features = tower.hidden_states[-2][0, 1:]  # (1296, 32)
        projected = original.model.model.multi_modal_projector(features)  # (1296, 64)
    assert np.abs(features[::16].numpy() - recorded[f"features_rows_every16/{image}"]).max() < TOLERANCE
    assert np.abs(projected[::16].numpy() - recorded[f"projected_rows_every16/{image}"]).max() < TOLERANCE


@pytest.mark.parametrize("case", CASES)
def test_logits_and_greedy_answer(original, recorded, reference, columns, inputs_of, case):
    """The greedy answer is read off one forward pass: each of its tokens is the likeliest after those before it."""
    inputs = inputs_of(case)
    expected = reference["cases"][case]
    answer = torch.tensor([expected["greedy_ids"]])
    asked = inputs["input_ids"].shape[1]
    inputs["input_ids"] = torch.cat([inputs["input_ids"], answer[:, :-1]], dim=1)
    with torch.inference_mode():
        logits = original.model(**inputs).logits[0, :, :VOCABULARY]
    prompt = logits[:asked]
    assert asked == expected["seq_len"]
    assert np.abs(prompt[-1][columns].numpy() - recorded[f"logits_last/{case}"]).max() < TOLERANCE
    assert np.abs(prompt[::37, ::499].numpy() - recorded[f"logits_strided/{case}"]).max() < TOLERANCE
    assert torch.equal(logits[asked - 1 :].argmax(-1), answer[0])


@pytest.fixture(scope="module")
def merged(folder, fixtures, reference):
    """The recorded LoRA adapter, in the original's layout, merged into the checkpoint."""
    arrays = dict(np.load(fixtures / "original" / "lora.npz"))
    adapter = folder.parent / "geochat-lora-tiny"
    adapter.mkdir()
    for prefix, file in (("adapter/", "adapter_model.bin"), ("rest/", "non_lora_trainables.bin")):
        tensors = {
            name.removeprefix(prefix): torch.from_numpy(arrays[name]) for name in arrays if name.startswith(prefix)
        }
        torch.save(tensors, adapter / file)
    (adapter / "config.json").write_text(json.dumps(reference["lora_config"]))
    (adapter / "adapter_config.json").write_text(json.dumps(reference["adapter_config"]))
    return load(adapter, device="cpu", dtype="float16").model


def test_lora_merge_is_bit_equal(merged, fixtures):
    arrays = np.load(fixtures / "original" / "lora.npz")
    ours = merged.state_dict()
    names = [name for name in arrays if name.startswith("merged/")]
    assert len(names) == 13
    for name in names:
        theirs = name.removeprefix("merged/").replace("mm_projector.0", "multi_modal_projector.linear_1")
        theirs = theirs.replace("mm_projector.2", "multi_modal_projector.linear_2")
        if "layers" in theirs:
            theirs = theirs.replace("model.", "model.language_model.", 1)
        assert np.array_equal(ours[theirs].numpy(), arrays[name]), name


def test_the_merged_model_answers_as_recorded(merged, reference, inputs_of):
    """Greedy ids, computed by the original in half precision."""
    inputs = inputs_of("vqa_single@synthetic_333x201.pad")
    inputs["pixel_values"] = inputs["pixel_values"].half()
    answer = torch.tensor([reference["merged_greedy_ids"]])
    inputs["input_ids"] = torch.cat([inputs["input_ids"], answer[:, :-1]], dim=1)
    with torch.inference_mode():
        logits = merged(**inputs).logits[0, -answer.shape[1] :, :VOCABULARY]
    assert torch.equal(logits.argmax(-1), answer[0])
