import json
import shutil

import pytest
import torch
from safetensors.torch import save_file

from geochat.checkpoints import describe, load
from geochat.errors import CheckpointError


def test_parts_add_up_to_the_model(saved):
    described = describe(saved)
    checkpoint = load(saved, device="cpu")
    model = checkpoint.model
    count = lambda module: sum(parameter.numel() for parameter in module.parameters())  # noqa: E731
    assert described.parameters == count(model)
    assert described.tower.parameters == count(model.model.vision_tower)
    assert described.projector.parameters == count(model.model.multi_modal_projector)
    assert described.language_model.parameters == count(model.model.language_model) + count(model.lm_head)
    assert described.tower.size == 4 * described.tower.parameters  # saved in float32
    assert described.settings == checkpoint.settings
    assert described.sha256 == checkpoint.sha256
    assert described.kind == "native"


def test_an_original_checkpoint_is_described_as_what_it_becomes(original):
    described = describe(original)
    model = load(original, device="cpu").model
    assert described.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert described.kind == "converted on load"
    assert described.source.config.vision_config.image_size == 504
    assert described.language_model.size == 2 * (described.language_model.parameters - 2 * 48 * 48)  # without padding


def test_memory_of_the_published_size():
    """GeoChat-7B's figures, from its architecture alone."""
    from transformers import CLIPVisionConfig

    from geochat.checkpoints.inspection import memory_needed
    from geochat.checkpoints.layout import expected_shapes
    from geochat.checkpoints.original import llava_config

    raw = {
        "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32,
        "vocab_size": 32000, "mm_vision_select_layer": -2,
    }  # fmt: skip
    tower = CLIPVisionConfig(
        hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, patch_size=14
    )
    memory = memory_needed(expected_shapes(llava_config(raw, tower, 504)))
    gigabytes = {precision: round(size / 1e9, 1) for precision, size in memory.items()}
    assert gigabytes == {"float32": 28.3, "bfloat16": 14.1, "8bit": 7.7, "4bit": 4.8}


def test_nothing_is_read_but_headers(copy):
    """Weights that are noise from the header on change nothing but the hash."""
    before = describe(copy)
    file = copy / "model.safetensors"
    content = file.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    first = before.sha256
    file.write_bytes(content[:header] + b"\xff" * (len(content) - header))
    after = describe(copy)
    assert (after.tower, after.language_model, after.memory) == (before.tower, before.language_model, before.memory)
    assert after.sha256 != first


def test_a_damaged_checkpoint_is_not_described(copy):
    (copy / "model.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match="cannot be read"):
        describe(copy)


@pytest.fixture
def adapter(saved, tmp_path):
    """A LoRA over the tiny checkpoint."""
    folder = tmp_path / "lora"
    folder.mkdir()
    module = "base_model.model.model.language_model.layers.0.self_attn"
    halves = {
        f"{module}.{part}.lora_{half}.weight": torch.ones(shape)
        for part in ("q_proj", "o_proj")
        for half, shape in {"A": (4, 48), "B": (48, 4)}.items()
    }
    save_file(halves, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 16, "base_model_name_or_path": str(saved)}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def test_an_adapter_is_described_apart_from_its_base(adapter, saved):
    described = describe(adapter)
    found = described.source.adapter
    assert (found.rank, found.alpha, found.targets, found.base) == (4, 16.0, ("o_proj", "q_proj"), str(saved))
    assert found.parameters == 2 * 2 * 4 * 48
    assert described.source.base.folder == saved
    assert described.parameters == describe(saved).parameters
    assert describe(saved).source.adapter is None


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (None, "unstated; base: Apache-2.0; of UC Merced"),
        ("unstated", "unstated; base: Apache-2.0; of UC Merced"),
        ("Apache-2.0; of UC Merced", "unstated; base: Apache-2.0; of UC Merced"),
        ("CC-BY-4.0", "CC-BY-4.0"),
    ],
)
def test_the_licence_of_a_base_is_not_said_to_be_its_adapters(adapter, saved, tmp_path, own, expected):
    """Nor where training copied the base's settings."""
    base = shutil.copytree(saved, tmp_path / "licensed")
    settings = json.loads((base / "geochat.json").read_text()) | {"licence": "Apache-2.0; of UC Merced"}
    (base / "geochat.json").write_text(json.dumps(settings))
    if own is not None:
        (adapter / "geochat.json").write_text(json.dumps(settings | {"name": "tuned", "licence": own}))
    assert describe(adapter, base=base).licence == expected
    assert describe(base).licence == "Apache-2.0; of UC Merced"
