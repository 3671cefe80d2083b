"""Checkpoints whose matrices are packed integers: loaded, converted, described, and refused where they are damaged."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from geochat.checkpoints import convert, describe, load
from geochat.checkpoints.auditing import audit
from geochat.errors import CheckpointError

STATED = {"quantization_config": {"quant_method": "compressed-tensors", "format": "pack-quantized"}}
FOUR, EIGHT = "language_model.model.layers.0.mlp.up_proj.weight", "multi_modal_projector.linear_1.weight"


def pack(matrix, bits, group):
    """The three stored tensors of a matrix, written number by number, and the matrix that they stand for."""
    rows, columns = matrix.shape
    scale = (matrix.unflatten(1, (-1, group)).abs().amax(-1) / (2 ** (bits - 1) - 1)).to(torch.bfloat16)
    integers = (matrix.unflatten(1, (-1, group)) / scale.float().unsqueeze(-1)).round().flatten(1).int().tolist()
    each, words = 32 // bits, []
    for row in integers:
        raised = [number + 2 ** (bits - 1) for number in row]
        raised += [0] * (-columns % each)
        parts = [raised[start : start + each] for start in range(0, len(raised), each)]
        words.append([sum(number << (bits * place) for place, number in enumerate(part)) for part in parts])
    packed = torch.tensor(words, dtype=torch.int64)
    packed = torch.where(packed >= 2**31, packed - 2**32, packed).to(torch.int32)
    meant = torch.tensor(integers).bfloat16() * scale.repeat_interleave(group, 1)
    return {"_packed": packed, "_scale": scale, "_shape": torch.tensor([rows, columns])}, meant


@pytest.fixture(scope="module")
def packed(saved, tmp_path_factory):
    """A checkpoint with a matrix of 4 bits in groups and one of 8 bits with a scale a row, and what they stand for."""
    folder = shutil.copytree(saved, tmp_path_factory.mktemp("packed") / "packed")
    (file,) = folder.glob("*.safetensors")
    state, meant = load_file(file), {}
    for name, bits, group in ((FOUR, 4, 12), (EIGHT, 8, state[EIGHT].shape[1])):
        parts, meant[name] = pack(state.pop(name).float(), bits, group)
        state |= {name + end: part for end, part in parts.items()}
    save_file(state, file, {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | STATED))
    return folder, meant


@pytest.fixture
def damaged(packed, tmp_path):
    """`damaged(change)` is a copy whose tensors `change` has changed."""

    def damage(change):
        folder = shutil.copytree(packed[0], tmp_path / "damaged")
        (file,) = folder.glob("*.safetensors")
        state = load_file(file)
        change(state)
        save_file(state, file, {"format": "pt"})
        return folder

    return damage


def test_the_matrices_are_those_that_the_integers_stand_for(packed, saved):
    folder, meant = packed
    loaded = load(folder, device="cpu", dtype="bfloat16").model
    plain = load(saved, device="cpu", dtype="bfloat16").model
    matrices = {
        FOUR: loaded.model.language_model.layers[0].mlp.up_proj.weight,
        EIGHT: loaded.model.multi_modal_projector.linear_1.weight,
    }
    for name, matrix in matrices.items():
        assert torch.equal(matrix, meant[name])
    kept = loaded.model.language_model.layers[0].mlp.down_proj.weight
    assert torch.equal(kept, plain.model.language_model.layers[0].mlp.down_proj.weight)


def test_it_is_converted_to_a_plain_checkpoint_that_says_the_same(packed, tmp_path, logits):
    folder, _ = packed
    convert(folder, tmp_path / "plain", dtype="float32")
    assert "quantization_config" not in json.loads((tmp_path / "plain" / "config.json").read_text())
    before, after = (load(each, device="cpu", dtype="float32") for each in (folder, tmp_path / "plain"))
    assert torch.equal(*(logits(each.model, each.processor) for each in (before, after)))


def test_it_is_described_and_audited(packed, saved):
    folder, _ = packed
    whole, small = describe(saved), describe(folder)
    assert small.parameters == whole.parameters
    stored = sum(tensor.nbytes for tensor in load_file(next(folder.glob("*.safetensors"))).values())
    shapes = 2 * 16  # the numbers of rows and columns are no weights
    assert small.tower.size + small.projector.size + small.language_model.size == stored - shapes
    assert [finding.verdict for finding in audit(folder) if "quantization_config" in finding.text] == ["note"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop(f"{FOUR}_scale"), "lies there without .*_scale; the copy is incomplete"),
        (lambda state: state.pop(f"{FOUR}_shape"), "lies there without .*_shape"),
        (lambda state: state.pop(f"{FOUR}_packed"), "lacks the tensor .*up_proj.weight"),
        (lambda state: state.update({f"{FOUR}_zero_point": torch.zeros(1)}), "zero points are not read"),
        (lambda state: state.update({f"{FOUR}_g_idx": torch.zeros(1)}), "groups in another order are not read"),
        (lambda state: state.update({f"{FOUR}_shape": torch.tensor([96, 40])}), "do not make a matrix of 4 or 8 bits"),
        (lambda state: state.update({f"{FOUR}_shape": torch.tensor([-1, 2**62])}), "do not make a matrix"),
        (lambda state: state.update({f"{FOUR}_shape": torch.tensor([96.0, 48.0])}), "do not make a matrix"),
        (lambda state: state.update({f"{FOUR}_shape": torch.tensor(96)}), "do not make a matrix"),
        (lambda state: state.update({f"{FOUR}_packed": torch.zeros(96, 6)}), "do not make a matrix"),
        (lambda state: state.update({f"{FOUR}_scale": torch.zeros(96, 5)}), "do not make a matrix"),
        (lambda state: state.update({f"{FOUR}_scale": torch.zeros(96, 4, dtype=torch.int64)}), "is of torch.int64"),
        (lambda state: state.update({FOUR: torch.zeros(96, 48)}), "holds both"),
    ],
)
def test_damaged_matrices_are_refused(damaged, change, message):
    with pytest.raises(CheckpointError, match=message):
        load(damaged(change), device="cpu")
