"""Every form of the original's layout becomes the native one, whole, resumable and in little memory."""

import hashlib
import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from geochat.checkpoints import convert, load
from geochat.checkpoints.shards import split
from geochat.errors import CheckpointError, SettingsError
from geochat.vision import interpolate_positions

POSITIONS = "vision_tower.vision_model.embeddings.position_embedding.weight"
EMBEDDINGS = "language_model.model.embed_tokens.weight"


def tensors(folder):
    return {name: t for file in sorted(folder.glob("*.safetensors")) for name, t in load_file(file).items()}


def hashes(folder):
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}


def test_every_tensor_is_accounted_for(original, original_state, tmp_path):
    report = convert(original, tmp_path / "native")
    ours = tensors(tmp_path / "native")
    dropped = [name for name in original_state if name.endswith("inv_freq")]
    assert list(report.dropped) == dropped
    assert report.tensors == len(ours) == len(original_state) - len(dropped)
    same = {
        "language_model.model.layers.1.mlp.down_proj.weight": "model.layers.1.mlp.down_proj.weight",
        "multi_modal_projector.linear_1.weight": "model.mm_projector.0.weight",
        "multi_modal_projector.linear_2.bias": "model.mm_projector.2.bias",
        "vision_tower.vision_model.encoder.layers.0.mlp.fc1.bias": (
            "model.vision_tower.vision_tower.vision_model.encoder.layers.0.mlp.fc1.bias"
        ),
    }
    for hub, theirs in same.items():
        assert torch.equal(ours[hub], original_state[theirs])
    assert torch.equal(ours[EMBEDDINGS][:400], original_state["model.embed_tokens.weight"])
    assert ours[EMBEDDINGS].shape[0] == 448
    assert not ours[EMBEDDINGS][400:].any()


def test_positions_are_interpolated_in_full_precision(original, tower_state, tmp_path):
    convert(original, tmp_path / "native", dtype="float32")
    table = tower_state["vision_model.embeddings.position_embedding.weight"].float()
    assert torch.equal(tensors(tmp_path / "native")[POSITIONS], interpolate_positions(table, 36))


def test_the_image_size_may_be_another(original, tmp_path):
    convert(original, tmp_path / "native", image_size=56)
    assert tensors(tmp_path / "native")[POSITIONS].shape[0] == 17
    with pytest.raises(CheckpointError, match="500 px does not divide"):
        convert(original, tmp_path / "other", image_size=500)


def test_in_memory_and_on_disk_give_the_same(original, logits, tmp_path):
    convert(original, tmp_path / "native", dtype="float32", shard_size="100KB")
    direct, converted = (load(folder, device="cpu", dtype="float32") for folder in (original, tmp_path / "native"))
    expected = logits(direct.model, direct.processor)
    assert torch.equal(logits(converted.model, converted.processor), expected)
    plain = AutoModelForImageTextToText.from_pretrained(tmp_path / "native", dtype=torch.float32)
    assert torch.equal(logits(plain, AutoProcessor.from_pretrained(tmp_path / "native")), expected)
    assert direct.model.generation_config.suppress_tokens == converted.model.generation_config.suppress_tokens
    assert direct.name == converted.name == "original"


@pytest.mark.parametrize("form", ["one PyTorch file", "three PyTorch files", "safetensors", "tower elsewhere"])
def test_every_form_gives_the_same_tensors(form, original, write_original, original_state, tmp_path):
    convert(original, tmp_path / "expected")
    match form:
        case "three PyTorch files":
            source = write_original(shards=3, name="other")
        case "tower elsewhere":
            source = write_original(
                {name: t for name, t in original_state.items() if "vision_tower" not in name}, name="other"
            )
        case _:
            source = write_original(name="other")
    if form == "safetensors":
        (source / "pytorch_model.bin").unlink()
        save_file(original_state, source / "model.safetensors")
    convert(source, tmp_path / "native")
    expected, ours = tensors(tmp_path / "expected"), tensors(tmp_path / "native")
    assert expected.keys() == ours.keys()
    assert all(torch.equal(expected[name], ours[name]) for name in expected)


@pytest.mark.slow
def test_the_hub_is_asked_through_its_local_cache(write_original, write_tower, original_state, run, tmp_path):
    """For a checkpoint, under whose name there it goes, and for the tower that it names."""
    state = {name: tensor for name, tensor in original_state.items() if "vision_tower" not in name}
    checkpoint = write_original(state)
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps(config | {"mm_vision_tower": "someone/tower"}))
    for name, folder in {"someone/tower": write_tower(), "someone/geochat-x": checkpoint}.items():
        entry = tmp_path / "hub" / f"models--{name.replace('/', '--')}"
        shutil.copytree(folder, entry / "snapshots" / "0123abc")
        (entry / "refs").mkdir()
        (entry / "refs" / "main").write_text("0123abc")
    script = """
        from geochat.checkpoints import load
        checkpoint = load("someone/geochat-x", device="cpu")
        print(checkpoint.name, checkpoint.model.config.vision_config.image_size)
        import sys
        assert "bitsandbytes" not in sys.modules  # nobody asked for quantised weights
    """
    result = run(script, HF_HUB_CACHE=str(tmp_path / "hub"), HF_HUB_OFFLINE="1")
    assert result.stdout.split() == ["geochat-x", "504"], result.stderr


@pytest.mark.parametrize(("dtype", "expected"), [(None, torch.float16), ("bfloat16", torch.bfloat16)])
def test_precision(original, tmp_path, dtype, expected):
    report = convert(original, tmp_path / "native", dtype=dtype)
    assert {t.dtype for t in tensors(tmp_path / "native").values()} == {expected}
    assert report.dtype == str(expected).removeprefix("torch.")
    assert json.loads((tmp_path / "native/config.json").read_text())["dtype"] == report.dtype


def test_a_native_checkpoint_can_be_written_anew(saved, checkpoint, tmp_path):
    convert(saved, tmp_path / "native", dtype="bfloat16", shard_size="100KB")
    again = load(tmp_path / "native", device="cpu", dtype="float32")
    assert again.settings == checkpoint.settings
    expected = checkpoint.model.state_dict()
    assert all(torch.equal(t, expected[name].bfloat16().float()) for name, t in again.model.state_dict().items())


def test_interrupted_it_goes_on_after_what_is_finished(original, tmp_path):
    expected = convert(original, tmp_path / "expected", shard_size="50KB")
    assert expected.shards > 3

    def interrupt(done, _total):
        if done > expected.size // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(original, tmp_path / "native", shard_size="50KB", progress=interrupt)
    assert not (tmp_path / "native").exists()
    finished = len(list((tmp_path / ".native.partial").glob("*.safetensors")))
    steps = []
    report = convert(original, tmp_path / "native", shard_size="50KB", progress=lambda *step: steps.append(step))
    assert 0 < report.resumed == finished < report.shards
    assert len(steps) == report.shards - report.resumed
    assert steps[-1] == (expected.size, expected.size)
    assert hashes(tmp_path / "native") == hashes(tmp_path / "expected") | {
        name: digest for name, digest in hashes(tmp_path / "native").items() if name == "geochat.json"
    }
    assert not (tmp_path / ".native.partial").exists()


@pytest.mark.slow
def test_killed_it_goes_on_too(original, run, tmp_path):
    script = f"""
        import os, signal
        from pathlib import Path
        from geochat.checkpoints import convert
        kill = lambda done, total: os.kill(os.getpid(), signal.SIGKILL)
        convert(Path({str(original)!r}), Path({str(tmp_path / "native")!r}), shard_size="50KB", progress=kill)
    """
    assert run(script).returncode == -9
    assert convert(original, tmp_path / "native", shard_size="50KB").resumed == 1
    load(tmp_path / "native", device="cpu")


@pytest.mark.parametrize("damage", ["finished file", "manifest", "source", "options"])
def test_what_is_no_longer_right_is_written_again(original, tmp_path, damage):
    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(original, tmp_path / "native", shard_size="50KB", progress=interrupt)
    partial = tmp_path / ".native.partial"
    size = "50KB"
    match damage:
        case "finished file":
            file = next(partial.glob("*.safetensors"))
            file.write_bytes(file.read_bytes()[:-1] + b"x")
        case "manifest":
            (partial / "conversion.json").write_text("{")
        case "source":
            os.utime(original / "pytorch_model.bin", (1, 1))
        case "options":
            size = "60KB"
    assert convert(original, tmp_path / "native", shard_size=size).resumed == 0
    convert(original, tmp_path / "expected", shard_size=size)
    expected, ours = hashes(tmp_path / "expected"), hashes(tmp_path / "native")
    assert {name for name in expected if expected[name] != ours.get(name)} <= {"geochat.json"}
    assert expected.keys() == ours.keys()


def test_an_existing_destination_is_not_touched(original, tmp_path):
    (tmp_path / "native").mkdir()
    (tmp_path / "native" / "precious").write_text("data")
    with pytest.raises(CheckpointError, match="exists already"):
        convert(original, tmp_path / "native")
    (tmp_path / "native" / "precious").unlink()
    convert(original, tmp_path / "native")  # an empty one is as good as none


def test_a_full_disk_is_said_before_anything_is_written(original, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(CheckpointError, match="GB free; free space"):
        convert(original, tmp_path / "native")


def test_two_conversions_to_one_place_are_refused(original, tmp_path):
    def other(*_):
        convert(original, tmp_path / "native")

    with pytest.raises(CheckpointError, match="another process is converting"):
        convert(original, tmp_path / "native", progress=other)


@pytest.mark.parametrize("size", ["", "5", "0GB", "5 TB", "-1GB"])
def test_a_bad_shard_size_is_named(size):
    with pytest.raises(SettingsError, match=f"shard size '{size}'"):
        split([], torch.float32, size)


def test_a_bad_dtype_is_named(original, tmp_path):
    with pytest.raises(SettingsError, match="unknown dtype 'int4'"):
        convert(original, tmp_path / "native", dtype="int4")


def interrupted(source, folder, **options):
    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(source, folder, progress=interrupt, **options)


def test_a_draft_of_other_settings_is_emptied(saved, logits, checkpoint, tmp_path):
    """Shards and an index left beside one whole file would be the weights that are loaded."""
    interrupted(saved, tmp_path / "native", shard_size="100KB", dtype="bfloat16")
    draft = tmp_path / ".native.partial"
    (draft / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-00001-of-00099.safetensors"}}')
    (draft / "stray").mkdir()
    (draft / "stray" / "evil.py").write_text("")
    convert(saved, tmp_path / "native")
    convert(saved, tmp_path / "expected")
    assert sorted(hashes(tmp_path / "native")) == sorted(hashes(tmp_path / "expected"))
    loaded = load(tmp_path / "native", device="cpu", dtype="float32")
    assert torch.equal(logits(loaded.model, loaded.processor), logits(checkpoint.model, checkpoint.processor))


def test_what_is_no_file_of_this_conversion_is_not_published(original, tmp_path):
    interrupted(original, tmp_path / "native", shard_size="50KB")
    (tmp_path / ".native.partial" / "model-00002-of-00099.safetensors").write_bytes(b"stray")
    (tmp_path / ".native.partial" / "evil.py").write_text("")
    assert convert(original, tmp_path / "native", shard_size="50KB").resumed == 1
    assert not {"evil.py", "model-00002-of-00099.safetensors"} & hashes(tmp_path / "native").keys()


def test_an_adapter_of_another_scale_is_merged_anew(saved, tmp_path):
    """The scale is in no weights file, so it must be part of what a draft is of."""
    adapter = tmp_path / "lora"
    adapter.mkdir()
    name = "base_model.model.model.language_model.layers.0.self_attn.q_proj"
    halves = {f"{name}.lora_{half}.weight": torch.ones(shape) for half, shape in {"A": (4, 48), "B": (48, 4)}.items()}
    save_file(halves, adapter / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 4, "base_model_name_or_path": str(saved)}
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    interrupted(adapter, tmp_path / "merged")
    (adapter / "adapter_config.json").write_text(json.dumps(config | {"lora_alpha": 400}))
    assert convert(adapter, tmp_path / "merged").resumed == 0
    q = "language_model.model.layers.0.self_attn.q_proj.weight"
    base = load_file(saved / "model.safetensors")[q]
    assert torch.allclose(load_file(tmp_path / "merged" / "model.safetensors")[q], base + 400, atol=1e-3)
