import json

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForImageTextToText, AutoProcessor

from geochat.checkpoints import load, save_checkpoint
from geochat.errors import CheckpointError, SettingsError


def test_what_is_saved_loads_with_equal_logits(checkpoint, saved, logits):
    loaded = load(saved, device="cpu", dtype="float32")
    assert loaded.settings == checkpoint.settings
    assert loaded.name == "tiny"
    assert not loaded.model.training
    assert torch.equal(logits(loaded.model, loaded.processor), logits(checkpoint.model, checkpoint.processor))


def test_what_is_saved_loads_in_plain_transformers(checkpoint, saved, logits):
    model = AutoModelForImageTextToText.from_pretrained(saved, dtype=torch.float32)
    processor = AutoProcessor.from_pretrained(saved)
    assert torch.equal(logits(model, processor), logits(checkpoint.model, checkpoint.processor))


def test_tensors_have_the_names_of_the_hub(saved):
    with safe_open(saved / "model.safetensors", framework="pt") as tensors:
        names = set(tensors.keys())
    assert {
        "vision_tower.vision_model.embeddings.position_embedding.weight",
        "vision_tower.vision_model.encoder.layers.1.self_attn.q_proj.weight",
        "multi_modal_projector.linear_1.weight",
        "multi_modal_projector.linear_2.bias",
        "language_model.model.embed_tokens.weight",
        "language_model.model.layers.0.mlp.up_proj.weight",
        "language_model.lm_head.weight",
    } <= names
    prefixes = (
        "vision_tower.vision_model.",
        "multi_modal_projector.",
        "language_model.model.",
        "language_model.lm_head.",
    )
    assert all(name.startswith(prefixes) for name in names)


def test_shards_and_precision(checkpoint, tmp_path):
    folder = tmp_path / "sharded"
    save_checkpoint(
        folder, checkpoint.model, checkpoint.processor, checkpoint.settings, dtype=torch.bfloat16, shard_size="100KB"
    )
    assert len(list(folder.glob("model-*-of-*.safetensors"))) > 2
    loaded = load(folder, device="cpu", dtype="float32")
    expected = checkpoint.model.state_dict()
    for name, tensor in loaded.model.state_dict().items():
        assert torch.equal(tensor, expected[name].bfloat16().float()), name


def test_ids_that_are_not_text_are_suppressed(checkpoint, saved):
    suppressed = json.loads((saved / "generation_config.json").read_text())["suppress_tokens"]
    image = checkpoint.processor.image_token_id
    rows = checkpoint.model.config.text_config.vocab_size
    assert suppressed == sorted({image, *range(len(checkpoint.processor.tokenizer), rows)})


def test_the_hash_is_of_the_weights(saved, copy):
    expected = load(saved, device="cpu").sha256
    assert load(copy, device="cpu").sha256 == expected
    (copy / "README.md").write_text("not weights")
    assert load(copy, device="cpu").sha256 == expected


def test_a_failure_while_saving_leaves_the_old_checkpoint(checkpoint, copy, monkeypatch):
    before = {path.name: path.read_bytes() for path in copy.iterdir()}

    def full_disk(*_args, **_kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr(type(checkpoint.processor), "save_pretrained", full_disk)
    with pytest.raises(CheckpointError, match="No space left"):
        save_checkpoint(copy, checkpoint.model, checkpoint.processor, checkpoint.settings)
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]


def test_saving_again_replaces(checkpoint, copy):
    (copy / "leftover.txt").write_text("old")
    save_checkpoint(copy, checkpoint.model, checkpoint.processor, checkpoint.settings)
    assert not (copy / "leftover.txt").exists()
    assert load(copy, device="cpu").settings == checkpoint.settings


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "abacus"}, "device 'abacus'"),
        ({"device": "cuda:77"}, "device 'cuda:77'"),
        ({"dtype": "int3"}, "unknown dtype 'int3'.*float32"),
    ],
)
def test_an_impossible_device_or_dtype_is_named(saved, options, message):
    with pytest.raises(SettingsError, match=message):
        load(saved, **options)


@pytest.mark.parametrize("source", ["no/such/folder", "./nowhere", "nowhere", "/nowhere/at/all"])
def test_a_folder_that_is_not_there_is_named(source):
    with pytest.raises(CheckpointError, match=source):
        load(source)


def test_a_folder_without_config_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        load(tmp_path)


def test_another_architecture_is_named(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(CheckpointError, match="'bert' model"):
        load(tmp_path)


def test_a_damaged_config_is_named(copy):
    (copy / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load(copy)
