"""Weights in open_clip's format, held against what open_clip computed with them."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import CLIPModel

from geochat.clip import DualEncoder, save_encoder
from geochat.clip.tokenizer import MERGES, read_merges
from geochat.errors import CheckpointError, SettingsError

SEEDS = {"gelu": 0, "quick_gelu": 1}


@pytest.fixture
def weights(tmp_path, open_clip_folder, open_clip_state):
    """`weights("gelu")` writes a state dict as RemoteCLIP's, with the merges beside it; options change its tensors."""

    def write(kind="gelu", change=lambda state: state, name="remote.pt"):
        shutil.copy(open_clip_folder / "merges.txt.gz", tmp_path / MERGES)
        torch.save(change(open_clip_state(SEEDS[kind])), tmp_path / name)
        return tmp_path / name

    return write


@pytest.mark.parametrize("kind", SEEDS)
def test_features_are_open_clips(kind, weights, recorded, make):
    encoder = DualEncoder.from_pretrained(weights(kind), activation=kind, device="cpu")
    picture = recorded["picture"]
    images = [picture, np.ascontiguousarray(picture[:20, ::-1])]
    np.testing.assert_allclose(encoder.pixels(images).numpy(), recorded["pixels"], atol=1e-5)
    image, text = encoder.encode_images(images), encoder.encode_texts(make.TEXTS)
    np.testing.assert_allclose(image.numpy(), recorded[f"{kind}_image"], atol=1e-4)
    np.testing.assert_allclose(text.numpy(), recorded[f"{kind}_text"], atol=1e-4)
    probabilities = (encoder.scale * image @ text.T).softmax(-1)
    np.testing.assert_allclose(probabilities.numpy(), recorded[f"{kind}_probabilities"], atol=1e-4)


def test_the_activations_differ(weights, recorded):
    encoder = DualEncoder.from_pretrained(weights("gelu"), activation="quick_gelu", device="cpu")
    image = encoder.encode_pixels(torch.from_numpy(recorded["pixels"]))
    assert np.abs(image.numpy() - recorded["gelu_image"]).max() > 1e-3


def test_tokens_are_open_clips(open_clip_folder, recorded, make):
    tokenizer = read_merges(open_clip_folder / "merges.txt.gz")
    for text, expected in zip(make.TEXTS, recorded["tokens"].tolist(), strict=True):
        ids = tokenizer(text)["input_ids"]
        assert ids == expected[: len(ids)]
        assert not any(expected[len(ids) :])


def prefixed(state):
    return {f"module.{name}": tensor for name, tensor in state.items()}


def custom_text(state):
    visual = ("visual.", "logit_scale")
    return {name if name.startswith(visual) else f"text.{name}": tensor for name, tensor in state.items()}


def in_training(state):
    return {"epoch": 3, "name": "run", "state_dict": prefixed(state)}


def with_mask(state):
    return state | {"attn_mask": torch.zeros(48, 48), "input_resolution": torch.tensor(32)}


@pytest.mark.parametrize("change", [prefixed, custom_text, in_training, with_mask])
def test_other_forms_of_the_file(change, weights, recorded):
    encoder = DualEncoder.from_pretrained(weights(change=change), activation="gelu", device="cpu")
    image = encoder.encode_pixels(torch.from_numpy(recorded["pixels"]))
    np.testing.assert_allclose(image.numpy(), recorded["gelu_image"], atol=1e-4)


def test_safetensors(tmp_path, weights, open_clip_state, recorded):
    weights()
    save_file(open_clip_state(0), tmp_path / "open_clip_model.safetensors")
    encoder = DualEncoder.from_pretrained(tmp_path, activation="gelu", device="cpu")
    image = encoder.encode_pixels(torch.from_numpy(recorded["pixels"]))
    np.testing.assert_allclose(image.numpy(), recorded["gelu_image"], atol=1e-4)


def without(name):
    return lambda state: {key: tensor for key, tensor in state.items() if key != name}


def with_(name, tensor):
    return lambda state: state | {name: tensor}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("visual.proj"), "tensor visual.proj is missing"),
        (without("transformer.resblocks.1.mlp.c_fc.bias"), "transformer.resblocks.1.mlp.c_fc.bias is missing"),
        (without("visual.conv1.weight"), "visual.conv1.weight is missing"),
        (with_("visual.extra", torch.zeros(2)), "tensor visual.extra has no place"),
        (with_("ln_final.bias", torch.zeros(3)), r"ln_final.bias has shape \(3,\), expected \(64,\)"),
        (with_("visual.positional_embedding", torch.zeros(16, 128)), "16 rows, which is not 1 \\+ a square"),
        (with_("visual.layer1.0.conv1.weight", torch.zeros(1)), "ResNet"),
        (with_("visual.trunk.patch_embed.proj.weight", torch.zeros(1)), "timm"),
        (with_("optimizer", {"lr": 1}), "'optimizer', which is a dict"),
        (lambda _state: [1, 2], "holds a list"),
    ],
)
def test_what_is_wrong_is_named(change, message, weights):
    with pytest.raises(CheckpointError, match=message):
        DualEncoder.from_pretrained(weights(change=change), activation="gelu")


def test_the_activation_has_to_be_said(weights, tmp_path):
    file = weights()
    with pytest.raises(CheckpointError, match="does not say its activation"):
        DualEncoder.from_pretrained(file)
    with pytest.raises(SettingsError, match="unknown activation 'relu'"):
        DualEncoder.from_pretrained(file, activation="relu")
    config = {
        "model_cfg": {"quick_gelu": True, "vision_cfg": {"width": 128, "head_width": 64}, "text_cfg": {"heads": 1}}
    }
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    assert DualEncoder.from_pretrained(file).model.config.vision_config.hidden_act == "quick_gelu"
    with pytest.raises(SettingsError, match="says 'quick_gelu'"):
        DualEncoder.from_pretrained(file, activation="gelu")
    (tmp_path / "open_clip_config.json").write_text("{")
    with pytest.raises(CheckpointError, match="not open_clip's description"):
        DualEncoder.from_pretrained(file)


def test_code_in_the_file_is_not_run(weights, tmp_path):
    class Evil:
        def __reduce__(self):
            return print, ("run",)

    with pytest.raises(CheckpointError, match="Python objects besides tensors"):
        DualEncoder.from_pretrained(weights(change=lambda state: state | {"evil": Evil()}), activation="gelu")


def test_a_missing_tokenizer_says_where_to_get_one(weights, tmp_path, monkeypatch):
    file = weights()
    (tmp_path / MERGES).unlink()
    monkeypatch.setattr("geochat.clip.tokenizer.HUB", "./nowhere")
    monkeypatch.setattr("geochat.clip.tokenizer._installed_merges", lambda: None)
    with pytest.raises(CheckpointError, match="pip install --no-deps open_clip_torch"):
        DualEncoder.from_pretrained(file, activation="gelu")
    (tmp_path / MERGES).write_bytes(b"not a list")
    with pytest.raises(CheckpointError, match="is not a list of merges"):
        DualEncoder.from_pretrained(file, activation="gelu")


def test_saved_it_is_transformers(weights, tmp_path, recorded):
    encoder = DualEncoder.from_pretrained(weights("quick_gelu"), activation="quick_gelu", device="cpu")
    save_encoder(encoder, tmp_path / "saved")
    model = CLIPModel.from_pretrained(tmp_path / "saved")
    assert torch.equal(model.visual_projection.weight, encoder.model.visual_projection.weight)
    again = DualEncoder.from_pretrained(tmp_path / "saved", device="cpu")
    text = again.encode_texts(["a satellite photo of airport."])
    np.testing.assert_allclose(text.numpy(), recorded["quick_gelu_text"][:1], atol=1e-4)
