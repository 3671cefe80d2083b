import pytest

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

    from geochat.checkpoints.describing import memory_needed
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
