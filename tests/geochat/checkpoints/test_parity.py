"""What a converted checkpoint computes, held against what the original code computed (fp32 on CPU)."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from geochat.checkpoints import load
from geochat.vision import build_image_processor

TOLERANCE = 1e-4
IMAGE = 32000
CASES = [
    *(
        f"vqa_single@{image}.{fit}"
        for image in ("landscape_480x321", "portrait_260x416", "square_320x320", "synthetic_333x201")
        for fit in ("pad", "crop")
    ),
    *(
        f"{prompt}@synthetic_333x201.pad"
        for prompt in (
            "scene", "multi_turn", "identify", "refer", "grounding", "grounding_multi_turn", "demo_turn1", "demo_turn2",
        )
    ),
    "text_only@None",
    "refer@landscape_480x321.crop",
]  # fmt: skip


@pytest.fixture(scope="module")
def reference(shared):
    return shared / "reference/original"


@pytest.fixture(scope="module")
def recorded(reference):
    return np.load(reference / "vectors.npz")


@pytest.fixture(scope="module")
def prompts(reference):
    return json.loads((reference / "prompts.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def generation(reference):
    return json.loads((reference / "generation.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def original(reference, tmp_path_factory):
    """The recorded model, its tower taken in float32 from the folder its config names, as the original does."""
    root = tmp_path_factory.mktemp("original")
    folder = shutil.copytree(reference / "geochat-tiny", root / "geochat-tiny", copy_function=shutil.copyfile)
    shutil.copytree(reference / "clip-vit-tiny-patch14-336", root / "clip-vit-tiny-patch14-336")
    state = torch.load(folder / "pytorch_model.bin", weights_only=True)
    kept = {name: tensor for name, tensor in state.items() if "vision_tower" not in name}
    folder.chmod(0o755)
    torch.save(kept, folder / "pytorch_model.bin")
    return load(folder, device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def pixels(reference):
    def read(case):
        name, fit = case.rsplit(".", 1)
        with Image.open(reference / "images" / f"{name}.png") as image:
            return build_image_processor(504, fit)(image.convert("RGB"), return_tensors="pt")["pixel_values"]

    return read


def expanded(ids):
    """Recorded ids (1, T) with the image's placeholder repeated, one for each patch."""
    return torch.tensor([[i for id_ in ids for i in ([IMAGE] * 1296 if id_ == -200 else [id_])]])


def test_the_list_of_cases_is_complete(generation):
    assert set(CASES) == {case for case, values in generation.items() if "seq_len_after_expansion" in values}


@pytest.mark.parametrize("case", sorted({case.partition("@")[2] for case in CASES} - {"None"}))
def test_features_and_projection(original, recorded, pixels, case):
    every = 1 if f"features_rows_every1/{case}" in recorded else 16
    with torch.inference_mode():
        tower = original.model.model.vision_tower(pixels(case), output_hidden_states=True)
        features = tower.hidden_states[-2][0, 1:]
        projected = original.model.model.multi_modal_projector(features)
    assert np.abs(features[::every].numpy() - recorded[f"features_rows_every{every}/{case}"]).max() < TOLERANCE
    assert np.abs(projected[::every].numpy() - recorded[f"projected_rows_every{every}/{case}"]).max() < TOLERANCE


@pytest.fixture(scope="module")
def inputs_of(prompts, pixels):
    def build(case):
        prompt, _, image = case.partition("@")
        ids = expanded(prompts[prompt]["input_ids"])
        return {"input_ids": ids} | ({} if image == "None" else {"pixel_values": pixels(image)})

    return build


@pytest.mark.parametrize("case", CASES)
def test_logits_and_greedy_answer(original, recorded, generation, inputs_of, case):
    inputs = inputs_of(case)
    with torch.inference_mode():
        logits = original.model(**inputs).logits[0, :, :IMAGE]  # without the padding of the vocabulary
        answer = original.model.generate(
            **inputs,
            attention_mask=torch.ones_like(inputs["input_ids"]),
            max_new_tokens=32,
            min_new_tokens=len(generation[case]["greedy_ids"]),
            do_sample=False,
        )
    expected = generation[case]
    assert logits.shape[0] == expected["seq_len_after_expansion"]
    assert np.abs(logits[-1].numpy() - recorded[f"logits_last/{case}"]).max() < TOLERANCE
    assert np.abs(logits[::37, ::499].numpy() - recorded[f"logits_strided_pos37_voc499/{case}"]).max() < TOLERANCE
    assert np.array_equal(logits.argmax(-1).int().numpy(), recorded[f"argmax_all/{case}"])
    assert answer[0, inputs["input_ids"].shape[1] :].tolist() == expected["greedy_ids"]


def test_the_processor_gives_the_recorded_ids(original, prompts):
    tokenizer = original.processor.tokenizer
    for name, recorded in prompts.items():
        ids = tokenizer(recorded["prompt"])["input_ids"]
        assert [-200 if i == IMAGE else i for i in ids] == recorded["input_ids"], name
        behind_bos = tokenizer("<s>" + recorded["prompt"], add_special_tokens=False)["input_ids"]
        assert behind_bos == ids, name  # as a chat template writes it


def test_the_tower_inside_the_checkpoint_gives_nearly_the_same(reference, original, pixels):
    """It is stored in half precision, which moves a feature by as much as its rounding does."""
    inside = load(reference / "geochat-tiny", device="cpu", dtype="float32")
    with torch.inference_mode():
        values = pixels("synthetic_333x201.pad")
        ours, theirs = (
            c.model.model.vision_tower(values, output_hidden_states=True).hidden_states[-2] for c in (inside, original)
        )
    assert (ours - theirs).abs().max() < 1e-2


def test_lora_merge(reference):
    merged = load(reference / "geochat-lora-tiny", device="cpu", dtype="float16").model.state_dict()
    recorded = np.load(reference / "lora_merged.npz")
    projector = {"0": "linear_1", "2": "linear_2"}
    for name, expected in recorded.items():
        if name.startswith("model.mm_projector."):
            _, _, number, kind = name.split(".")
            ours = f"model.multi_modal_projector.{projector[number]}.{kind}"
        else:
            ours = name.replace("model.", "model.language_model.", 1)
        assert np.array_equal(merged[ours].float().numpy(), expected), name


def test_what_was_recorded_of_the_merged_model(reference, inputs_of):
    """Greedy ids, which the original computed in half precision."""
    recorded = json.loads((reference / "lora.json").read_text())["fp16_greedy_ids"]
    model = load(reference / "geochat-lora-tiny", device="cpu", dtype="float16").model
    inputs = inputs_of("vqa_single@synthetic_333x201.pad")
    inputs["pixel_values"] = inputs["pixel_values"].half()
    mask = torch.ones_like(inputs["input_ids"])
    answer = model.generate(**inputs, attention_mask=mask, max_new_tokens=len(recorded), do_sample=False)
    assert answer[0, inputs["input_ids"].shape[1] :].tolist() == recorded


def test_vocabulary_padding_is_never_generated(original):
    suppressed = original.model.generation_config.suppress_tokens
    assert suppressed == list(range(IMAGE, 32064))
    embeddings = original.model.get_input_embeddings().weight
    assert embeddings.shape[0] == 32064
    assert not embeddings[IMAGE:].any()
    assert not original.model.lm_head.weight[IMAGE:].any()


def test_pixels(reference, pixels):
    for case, values in json.loads((reference / "pixel_values.json").read_text()).items():
        assert hashlib.sha256(pixels(case)[0].contiguous().numpy().tobytes()).hexdigest() == values["sha256_f32"], case
