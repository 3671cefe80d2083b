"""A checkpoint that is not exactly what its config calls for is an error that names the tensor or file."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from geochat.checkpoints import load, save_checkpoint
from geochat.errors import CheckpointError

WEIGHTS = "model.safetensors"
NORM = "language_model.model.norm.weight"


def change(folder, change):
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


@pytest.fixture
def sharded(checkpoint, tmp_path):
    folder = tmp_path / "sharded"
    save_checkpoint(folder, checkpoint.model, checkpoint.processor, checkpoint.settings, shard_size="100KB")
    return folder


def refuses(folder, message):
    with pytest.raises(CheckpointError, match=message):
        load(folder, device="cpu")


def test_missing_tensor(copy):
    change(copy, lambda tensors: tensors.pop(NORM))
    refuses(copy, f"lacks the tensor {NORM}")


def test_several_missing_tensors_are_counted(copy):
    change(copy, lambda tensors: [tensors.pop(name) for name in list(tensors) if "multi_modal" in name])
    refuses(copy, r"lacks the tensor multi_modal_projector.linear_1.bias \(and 3 more\)")


def test_unexpected_tensor(copy):
    change(copy, lambda tensors: tensors.update({"language_model.model.extra": torch.zeros(1)}))
    refuses(copy, "unexpected tensor language_model.model.extra")


def test_tensor_of_another_shape(copy):
    change(copy, lambda tensors: tensors.update({NORM: torch.zeros(7)}))
    refuses(copy, rf"{NORM} has shape \(7,\).*\(48,\)")


def test_lfs_pointer(copy):
    (copy / WEIGHTS).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 13\n")
    refuses(copy, rf"{WEIGHTS} is a git-LFS pointer.*git lfs pull")


@pytest.mark.parametrize("kept", [0, 5, 300, -1], ids=["empty", "in the length", "in the header", "last byte gone"])
def test_truncated_file(copy, kept):
    content = (copy / WEIGHTS).read_bytes()
    (copy / WEIGHTS).write_bytes(content[:kept])
    refuses(copy, f"{WEIGHTS} cannot be read")


def test_missing_weights(copy):
    (copy / WEIGHTS).unlink()
    refuses(copy, "holds no model.safetensors")


def test_missing_shard(sharded):
    shard = sorted(sharded.glob("model-*.safetensors"))[1]
    shard.unlink()
    refuses(sharded, f"{shard.name} is named by .*index.json and missing")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"weight_map": 3}'])
def test_damaged_index(sharded, text):
    (sharded / "model.safetensors.index.json").write_text(text)
    refuses(sharded, "is not an index of weights")


def test_an_index_that_leads_out_of_the_folder(sharded):
    index = sharded / "model.safetensors.index.json"
    (sharded.parent / "elsewhere.safetensors").write_bytes(b"")
    index.write_text(json.dumps({"weight_map": {NORM: "../elsewhere.safetensors"}}))
    refuses(sharded, "not a file beside it")
