"""Parity with the original GeoChat on what may not be committed: photographs, and the tokenizer (fp32 on CPU).

`test_parity.py` holds the rest.
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
IMAGE = 32000
CASES = [
    *(
        f"vqa_single@{image}.{fit}"
        for image in ("landscape_480x321", "portrait_260x416", "square_320x320")
        for fit in ("pad", "crop")
    ),
    "refer@landscape_480x321.crop",
]


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


def test_every_case_is_compared(generation, fixtures):
    committed = json.loads((fixtures / "original" / "recorded.json").read_text(encoding="utf-8"))["cases"]
    cases = {case for case, values in generation.items() if "seq_len_after_expansion" in values}
    assert {*CASES, *committed} == cases


@pytest.mark.parametrize("case", sorted({case.partition("@")[2] for case in CASES}))
def test_features_and_projection(original, recorded, pixels, case):
    with torch.inference_mode():
        tower = original.model.model.vision_tower(pixels(case), output_hidden_states=True)
        features = tower.hidden_states[-2][0, 1:]
        projected = original.model.model.multi_modal_projector(features)
    assert np.abs(features[::16].numpy() - recorded[f"features_rows_every16/{case}"]).max() < TOLERANCE
    assert np.abs(projected[::16].numpy() - recorded[f"projected_rows_every16/{case}"]).max() < TOLERANCE


@pytest.mark.parametrize("case", CASES)
def test_logits_and_greedy_answer(original, recorded, prompts, generation, pixels, case):
    """The greedy answer is read off one forward pass: each of its tokens is the likeliest after those before it."""
    prompt, _, image = case.partition("@")
    expected = generation[case]
    ids, answer = expanded(prompts[prompt]["input_ids"]), torch.tensor([expected["greedy_ids"]])
    asked = ids.shape[1]
    with torch.inference_mode():
        output = original.model(input_ids=torch.cat([ids, answer[:, :-1]], dim=1), pixel_values=pixels(image))
    logits = output.logits[0, :, :IMAGE]  # without the padding of the vocabulary
    assert asked == expected["seq_len_after_expansion"]
    assert np.abs(logits[asked - 1].numpy() - recorded[f"logits_last/{case}"]).max() < TOLERANCE
    strided = logits[:asked:37, ::499].numpy()
    assert np.abs(strided - recorded[f"logits_strided_pos37_voc499/{case}"]).max() < TOLERANCE
    assert np.array_equal(logits[:asked].argmax(-1).int().numpy(), recorded[f"argmax_all/{case}"])
    assert torch.equal(logits[asked - 1 :].argmax(-1), answer[0])


def test_generation_writes_the_greedy_answer(original, prompts, generation, pixels):
    expected = generation["refer@landscape_480x321.crop"]["greedy_ids"]
    ids = expanded(prompts["refer"]["input_ids"])
    answer = original.model.generate(
        input_ids=ids,
        pixel_values=pixels("landscape_480x321.crop"),
        attention_mask=torch.ones_like(ids),
        max_new_tokens=32,
        min_new_tokens=len(expected),
        do_sample=False,
    )
    assert answer[0, ids.shape[1] :].tolist() == expected


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


def test_vocabulary_padding_is_never_generated(original):
    suppressed = original.model.generation_config.suppress_tokens
    assert suppressed == list(range(IMAGE, 32064))
    embeddings = original.model.get_input_embeddings().weight
    assert embeddings.shape[0] == 32064
    assert not embeddings[IMAGE:].any()
    assert not original.model.lm_head.weight[IMAGE:].any()
