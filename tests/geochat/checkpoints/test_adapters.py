"""LoRA adapters of both kinds, merged into their bases."""

import json
import shutil

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from geochat.checkpoints import convert, load
from geochat.errors import CheckpointError
from geochat.models import SETTINGS_FILE

RANK, ALPHA = 4, 16
WRAP = "base_model.model.model."
Q = "layers.0.self_attn.q_proj"


@pytest.fixture
def write_adapter(tmp_path, write_tower, projector_state, tower_state):
    """Write an adapter as the original does: one of the tower that it never reads, the projector beside it."""
    write_tower()

    def write(name="lora", base="original", **config):
        folder = tmp_path / name
        folder.mkdir()
        generator = torch.Generator().manual_seed(5)
        halves = {
            f"{WRAP}{module}.lora_{half}.weight": torch.randn(shape, generator=generator)
            for module, sizes in {Q: (48, 48), "layers.1.mlp.down_proj": (48, 96)}.items()
            for half, shape in {"A": (RANK, sizes[1]), "B": (sizes[0], RANK)}.items()
        }
        tower = {
            f"{WRAP}vision_tower.vision_tower.vision_model.encoder.layers.0.mlp.fc1.lora_{half}.weight": torch.ones(1)
            for half in "AB"
        }
        torch.save(halves | tower, folder / "adapter_model.bin")
        beside = {f"base_model.model.{name}": tensor + 1 for name, tensor in projector_state.items()}
        positions = "vision_tower.vision_tower.vision_model.embeddings.position_embedding.weight"
        torch.save(beside | {f"{WRAP}{positions}": torch.zeros(17, 32)}, folder / "non_lora_trainables.bin")
        settings = {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "bias": "none"}
        settings |= {"base_model_name_or_path": base} | config
        (folder / "adapter_config.json").write_text(json.dumps(settings))
        return folder

    return write


def test_the_originals_adapter_is_merged(write_adapter, write_original, original_state, projector_state):
    write_original()
    adapter = write_adapter()
    merged = load(adapter, device="cpu", dtype="float32").model.state_dict()
    halves = torch.load(adapter / "adapter_model.bin")
    update = halves[f"{WRAP}{Q}.lora_B.weight"] @ halves[f"{WRAP}{Q}.lora_A.weight"] * (ALPHA / RANK)
    expected = original_state[f"model.{Q}.weight"].float() + update
    assert torch.allclose(merged[f"model.language_model.{Q}.weight"], expected, atol=1e-6)
    untouched = "layers.0.self_attn.k_proj.weight"
    assert torch.equal(merged[f"model.language_model.{untouched}"], original_state[f"model.{untouched}"].float())
    projector = merged["model.multi_modal_projector.linear_1.weight"]
    assert torch.equal(projector, (projector_state["model.mm_projector.0.weight"] + 1).float())
    fc1 = "encoder.layers.0.mlp.fc1.weight"
    assert torch.equal(
        merged[f"model.vision_tower.{fc1}"],
        original_state[f"model.vision_tower.vision_tower.vision_model.{fc1}"].float(),
    )
    assert merged["model.vision_tower.embeddings.position_embedding.weight"].any()  # the base's, not the dropped one


def test_a_plain_llama_is_completed_by_its_adapter(write_adapter, write_original, llama_state, original_state):
    """Vicuna has no projector, no tower and no word of either in its config."""
    base = write_original(llama_state, name="vicuna")
    adapter = write_adapter(base="vicuna")
    shutil.move(base / "config.json", adapter / "config.json")
    plain = json.loads((adapter / "config.json").read_text())
    plain = {name: value for name, value in plain.items() if not name.startswith("mm_")}
    (base / "config.json").write_text(json.dumps(plain))
    report = convert(adapter, adapter.parent / "merged")
    on_whole = convert(write_adapter(name="again", base=str(write_original())), adapter.parent / "expected")
    assert report.tensors == on_whole.tensors
    ours, expected = (load_file(r.folder / "model.safetensors") for r in (report, on_whole))
    assert all(torch.equal(ours[name], expected[name]) for name in expected)
    tower = [name for name in report.dropped if "vision_tower.vision_tower" in name]
    assert len(tower) == 3


def test_a_base_given_goes_before_the_one_named(write_adapter, write_original):
    folder = write_original(name="elsewhere")
    adapter = write_adapter(base="/not/here")
    with pytest.raises(CheckpointError, match=r"adapts '/not/here', which is not found.*give its base"):
        load(adapter, device="cpu")
    assert load(adapter, base=folder, device="cpu").name == "lora"


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # PEFT asks a model the old way
def test_our_adapter_equals_peft(saved, checkpoint, logits, tmp_path):
    torch.manual_seed(0)
    base = load(saved, device="cpu", dtype="float32")
    config = LoraConfig(
        r=RANK,
        lora_alpha=ALPHA,
        target_modules=r".*language_model.*\.(q_proj|v_proj|down_proj)",
        modules_to_save=["multi_modal_projector"],
        init_lora_weights=False,
        use_rslora=True,
    )
    tuned = get_peft_model(base.model, config).eval()
    tuned.save_pretrained(tmp_path / "tuned")
    expected = logits(tuned, base.processor)
    loaded = load(tmp_path / "tuned", base=saved, device="cpu", dtype="float32")
    assert torch.allclose(logits(loaded.model, loaded.processor), expected, atol=1e-3)
    assert not torch.allclose(logits(checkpoint.model, checkpoint.processor), expected, atol=1e-2)
    assert loaded.settings.tasks == checkpoint.settings.tasks
    assert loaded.name == "tuned"
    assert loaded.sha256 != load(saved, device="cpu").sha256
    (tmp_path / "tuned" / SETTINGS_FILE).write_text('{"name": "renamed"}')
    assert load(tmp_path / "tuned", base=saved, device="cpu").name == "renamed"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, r"trainable_token_indices=None, which does not say whose rows model.embed_tokens holds"),
        ({"trainable_token_indices": {"embed_tokens": [3, "5"]}}, r"trainable_token_indices=\[3, '5'\]"),
        ({"trainable_token_indices": [3]}, r"\(2, 48\) replaces the rows of 1 tokens in a table that the base has as"),
        ({"trainable_token_indices": [3, 10**6]}, "of 2 tokens in a table that the base has as"),
    ],
)
def test_trained_tokens_that_do_not_fit_are_named(write_adapter, write_original, config, message):
    write_original()
    adapter = write_adapter(**config)
    change(adapter, **{"embed_tokens.token_adapter.trainable_tokens_delta": torch.zeros(2, 48)})
    with pytest.raises(CheckpointError, match=message):
        load(adapter, device="cpu")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"peft_type": "IA3"}, "is a IA3 adapter; only LoRA"),
        ({"use_dora": True}, "use_dora=True, which cannot be merged"),
        ({"bias": "all"}, "bias='all'"),
        ({"rank_pattern": {"q_proj": 8}}, "rank_pattern="),
        ({"init_lora_weights": "pissa"}, "init_lora_weights='pissa'"),
        ({"r": 0}, "no usable r and lora_alpha"),
        ({"lora_alpha": None}, "no usable r and lora_alpha"),
        ({"base_model_name_or_path": None}, "names no base; give one"),
    ],
)
def test_an_adapter_that_cannot_be_merged_is_named(write_adapter, write_original, config, message):
    write_original()
    with pytest.raises(CheckpointError, match=message):
        load(write_adapter(**config), device="cpu")


def change(folder, **tensors):
    state = torch.load(folder / "adapter_model.bin") | {WRAP + name: tensor for name, tensor in tensors.items()}
    torch.save({n: t for n, t in state.items() if t is not None}, folder / "adapter_model.bin")


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({f"{Q}.lora_B.weight": None}, rf"{Q}.lora_A.weight without its other half"),
        ({f"{Q}.lora_B.weight": torch.zeros(48, 3)}, rf"{Q}.lora_A.weight .* adapt a matrix that the base has as"),
        (
            {f"layers.7.mlp.up_proj.lora_{half}.weight": torch.zeros(1, 1) for half in "AB"},
            r"layers\.7.* adapt a matrix that the base does not have",
        ),
        ({f"{Q}.lora_magnitude_vector": torch.zeros(1)}, "lora_magnitude_vector; it is not a plain LoRA"),
        ({"layers.9.norm.weight": torch.zeros(1)}, r"unexpected tensor .*layers\.9\.norm"),
    ],
)
def test_an_adapter_that_does_not_fit_is_named(write_adapter, write_original, tensors, message):
    write_original()
    adapter = write_adapter()
    change(adapter, **tensors)
    with pytest.raises(CheckpointError, match=message):
        load(adapter, device="cpu")


def test_an_adapter_without_weights_is_named(write_adapter, write_original):
    write_original()
    adapter = write_adapter()
    (adapter / "adapter_model.bin").unlink()
    with pytest.raises(CheckpointError, match=r"holds no adapter_model\.safetensors or adapter_model\.bin"):
        load(adapter, device="cpu")


def test_a_truncated_adapter_is_named(saved, tmp_path):
    save_file({"a": torch.zeros(3)}, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 1, "lora_alpha": 1}))
    file = tmp_path / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"adapter_model\.safetensors cannot be read"):
        load(tmp_path, base=saved, device="cpu")


def test_a_base_for_a_whole_checkpoint_is_refused(saved):
    with pytest.raises(CheckpointError, match="is not an adapter and takes no base"):
        load(saved, base=saved, device="cpu")
