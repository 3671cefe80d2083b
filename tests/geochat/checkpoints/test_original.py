"""A checkpoint in the original's layout that is wrong is an error that names the tensor, setting or file."""

import json
import os

import pytest
import torch
from PIL import Image

from geochat import GeoChat
from geochat.checkpoints import load
from geochat.checkpoints.layout import expected_shapes
from geochat.checkpoints.original import llava_config, tower_config
from geochat.checkpoints.tensors import Stored
from geochat.engines import GenerationSettings
from geochat.errors import CheckpointError

BIN = "pytorch_model.bin"
UP = "model.layers.1.mlp.up_proj.weight"


def refuses(folder, message):
    with pytest.raises(CheckpointError, match=message):
        load(folder, device="cpu")


@pytest.fixture
def state(original_state):
    return dict(original_state)


@pytest.fixture(autouse=True)
def _tower_beside(write_tower):
    write_tower()


def test_it_answers_like_any_other(write_original):
    chat = GeoChat.from_pretrained(write_original(), device="cpu")
    answer = chat.ask(Image.new("RGB", (60, 40)), "What is in the image?", generation=GenerationSettings(4))
    assert answer.usage.completion_tokens <= 4
    assert answer.usage.prompt_tokens > 1296


def test_the_published_tower_needs_no_download(original_config, tmp_path, monkeypatch):
    """Its config is known by the shape of its patches, which the checkpoint holds."""
    patches = Stored(tmp_path / "weights", "patches", (1024, 3, 14, 14), torch.float16)
    name = "vision_tower.vision_model.embeddings.patch_embedding.weight"
    config = tower_config("someone/clip-that-is-nowhere", tmp_path, {name: patches})
    layers = [name for name in expected_shapes(llava_config(original_config, config, 504)) if ".mlp.fc1.weight" in name]
    assert len(layers) == 24
    assert (config.hidden_act, config.patch_size, config.num_attention_heads) == ("quick_gelu", 14, 16)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        CheckpointError, match=r"local cache.*hf download someone/clip-that-is-nowhere.*--allow-download"
    ):
        tower_config("someone/clip-that-is-nowhere", tmp_path, {})


def test_missing_tensor_by_the_originals_name(write_original, state):
    del state[UP]
    refuses(write_original(state), rf"lacks the tensor {UP}")


@pytest.mark.parametrize(
    "name", ["model.layers.2.mlp.up_proj.weight", "model.mm_projector.4.weight", "model.image_newline"]
)
def test_unexpected_tensor(write_original, state, name):
    state[name] = torch.zeros(1)
    refuses(write_original(state), rf"unexpected tensor {name}")


def test_tensor_of_no_layout(write_original, state):
    state["transformer.h.0.weight"] = torch.zeros(1)
    refuses(write_original(state), r"transformer\.h\.0\.weight, which no GeoChat layout has")


def test_tensor_of_another_shape(write_original, state):
    state[UP] = state[UP].T.contiguous()
    refuses(write_original(state), rf"{UP} has shape \(48, 96\), config.json calls for \(96, 48\)")


def test_vocabulary_of_another_size(write_original, state):
    state["lm_head.weight"] = torch.zeros(401, 48)
    refuses(write_original(state), r"lm_head\.weight has shape \(401, 48\)")


def test_positions_that_are_no_square(write_original, state):
    name = "model.vision_tower.vision_tower.vision_model.embeddings.position_embedding.weight"
    state[name] = torch.zeros(19, 32)
    refuses(write_original(state), rf"{name} has 19 rows")


def test_an_incomplete_tower_is_not_filled_up_from_elsewhere(write_original, state):
    name = "model.vision_tower.vision_tower.vision_model.post_layernorm.bias"
    del state[name]
    refuses(write_original(state), rf"lacks the tensor {name}")


def test_quantised_tensor(write_original, state):
    state[UP] = state[UP].to(torch.int8)
    refuses(write_original(state), rf"{UP} is of torch.int8.*float32")


def test_the_same_tensor_twice(write_original, state):
    folder = write_original(state, shards=2)
    first, second = sorted(folder.glob("*.bin"))
    torch.save(torch.load(second) | {UP: state[UP]}, second)
    torch.save(torch.load(first) | {UP: state[UP]}, first)
    refuses(folder, rf"{UP}, which .* holds too")


class Bomb:
    def __reduce__(self):
        return os.system, ("echo geochat-was-here > /tmp/geochat-bomb",)


def test_code_is_refused(write_original, state, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    state[UP] = Bomb()
    refuses(write_original(state), rf"{BIN} holds Python objects besides tensors.*can run code")


def test_what_is_no_tensor_is_named(write_original, state):
    state["epoch"] = 3
    refuses(write_original(state), rf"{BIN} holds 'epoch', which is a int")


@pytest.mark.parametrize("kept", [0, 1000, -1], ids=["empty", "in the data", "last byte gone"])
def test_truncated_file(write_original, kept):
    folder = write_original()
    content = (folder / BIN).read_bytes()
    (folder / BIN).write_bytes(content[:kept])
    refuses(folder, rf"{BIN} (cannot be read|holds Python objects besides tensors, or is damaged).*copy")


def test_lfs_pointer(write_original):
    folder = write_original()
    (folder / BIN).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 13\n")
    refuses(folder, f"{BIN} is a git-LFS pointer")


def test_old_pytorch_format_is_read(write_original, state):
    folder = write_original()
    torch.save(state, folder / BIN, _use_new_zipfile_serialization=False)
    load(folder, device="cpu")


def test_missing_shard(write_original):
    folder = write_original(shards=3)
    (folder / "pytorch_model-00002-of-00003.bin").unlink()
    refuses(folder, "pytorch_model-00002-of-00003.bin is named by .* and missing")


def test_no_weights(write_original):
    folder = write_original()
    (folder / BIN).unlink()
    refuses(folder, "holds no model.safetensors or pytorch_model.bin")


def test_tower_that_is_nowhere(write_original, state):
    kept = {name: tensor for name, tensor in state.items() if "vision_tower" not in name}
    folder = write_original(kept)
    set_config(folder, mm_vision_tower="not/there/at/all")
    refuses(folder, "not/there/at/all")


def test_tower_of_another_kind(write_original, tmp_path):
    (tmp_path / "tower" / "config.json").write_text(json.dumps({"model_type": "bert"}))
    refuses(write_original(), "is a 'bert' model, expected CLIP")


def set_config(folder, **values):
    config = json.loads((folder / "config.json").read_text()) | values
    config = {name: value for name, value in config.items() if value is not ...}
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mm_projector_type": "linear"}, "mm_projector_type='linear'; only 'mlp2x_gelu'"),
        ({"mm_vision_select_feature": "cls_patch"}, "mm_vision_select_feature='cls_patch'"),
        ({"mm_use_im_start_end": True}, "mm_use_im_start_end=True"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling="),
        ({"vocab_size": ...}, "does not describe a GeoChat.*vocab_size"),
        ({"mm_vision_select_layer": ...}, "mm_vision_select_layer"),
        ({"hidden_size": "wide"}, "hidden_size"),
        ({"mm_vision_tower": ...}, "'geochat' model without a vision tower"),
    ],
)
def test_a_config_that_cannot_be_converted_is_named(write_original, values, message):
    folder = write_original()
    set_config(folder, **values)
    refuses(folder, message)


def test_tokenizer_of_another_model(write_original, state):
    state |= {name: torch.zeros(420, 48) for name in ("lm_head.weight", "model.embed_tokens.weight")}
    folder = write_original(state)
    set_config(folder, vocab_size=420)
    refuses(folder, r"tokenizer\.model has, with .*, 400 tokens and config\.json vocab_size=420; .*added_tokens\.json")


def test_missing_tokenizer(write_original):
    folder = write_original()
    (folder / "tokenizer.model").unlink()
    refuses(folder, r"tokenizer\.model is missing")


def test_a_plain_llama_is_no_checkpoint(write_original, llama_state):
    folder = write_original(llama_state)
    set_config(folder, mm_vision_tower=..., model_type="llama")
    refuses(folder, "'llama' model without a vision tower")
