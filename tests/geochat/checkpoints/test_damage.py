"""Damaged and impossible files of a checkpoint end in an error that names them; what was left out is completed."""

import json
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from geochat.checkpoints import convert, describe, load
from geochat.errors import CheckpointError, GeoChatError


def change(folder, name, **values):
    file = folder / name
    values = (json.loads(file.read_text()) if file.is_file() else {}) | values
    file.write_text(json.dumps({key: value for key, value in values.items() if value is not ...}))


def change_part(folder, part, **values):
    config = json.loads((folder / "config.json").read_text())
    change(folder, "config.json", **{part: config[part] | values})


def refuses(folder, message):
    with pytest.raises(CheckpointError, match=message):
        load(folder, device="cpu")


@pytest.mark.parametrize(
    ("part", "values", "message"),
    [
        ("text_config", {"num_key_value_heads": 0}, "text_config.num_key_value_heads=0 is impossible; expected 1 to"),
        ("text_config", {"num_key_value_heads": 3}, "not divisible by num_key_value_heads=3"),
        ("text_config", {"num_attention_heads": 0}, "num_attention_heads=0 is impossible"),
        ("text_config", {"num_attention_heads": 5, "head_dim": None}, r"hidden size \(48\) is not a multiple"),
        ("text_config", {"num_hidden_layers": 10**9}, "num_hidden_layers=1000000000 is impossible"),
        ("text_config", {"num_hidden_layers": -1}, "num_hidden_layers=-1"),
        ("text_config", {"hidden_size": 10**12}, "hidden_size"),
        ("text_config", {"hidden_size": "48"}, "hidden_size=48 is impossible"),
        ("text_config", {"head_dim": 0}, "head_dim=0"),
        ("text_config", {"head_dim": 13}, "even rotary dimension"),
        ("text_config", {"vocab_size": 0}, "vocab_size=0"),
        ("text_config", {"max_position_embeddings": 0}, "max_position_embeddings=0"),
        ("text_config", {"rms_norm_eps": -1.0}, "rms_norm_eps=-1.0"),
        ("text_config", {"hidden_act": "nonsense"}, "config.json cannot be read"),
        ("text_config", {"model_type": "nonsense"}, "config.json cannot be read"),
        ("vision_config", {"patch_size": 0}, "vision_config.patch_size=0"),
        ("vision_config", {"patch_size": 29}, "patches of 29 px are larger than the image, 28 px"),
        ("vision_config", {"image_size": 10**6}, "image_size=1000000"),
        ("vision_config", {"num_channels": 4}, "num_channels=4"),
        ("vision_config", {"model_type": "siglip_vision_model"}, "'siglip_vision_model' model, expected CLIP's"),
    ],
)
def test_an_architecture_no_model_can_have(copy, part, values, message):
    change_part(copy, part, **values)
    refuses(copy, message)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"vision_feature_layer": 99}, "vision_feature_layer=99 is none of the tower's 2 layers"),
        ({"vision_feature_layer": []}, "names no layer"),
        ({"vision_feature_select_strategy": "some"}, "vision_feature_select_strategy"),
        ({"image_token_index": 10**6}, "the image token 1000000 is none of"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "quantised by gptq; .*--quantization 4bit"),
        ({"quantization_config": {"quant_method": "awq"}}, "quantised by awq"),
        ({"quantization_config": {"load_in_4bit": True}}, "quantised by an unnamed method"),
        ({"compression_config": "sparse"}, "quantised by sparse"),
        ({"model_type": "llava_next"}, "'llava_next' model, expected 'llava'"),
    ],
)
def test_a_config_that_cannot_be(copy, values, message):
    change(copy, "config.json", **values)
    refuses(copy, message)


def test_a_quantised_text_config(copy):
    change_part(copy, "text_config", quantization_config={"quant_method": "fp8"})
    refuses(copy, "quantised by fp8")


@pytest.mark.parametrize(
    ("file", "values", "message"),
    [
        ("processor_config.json", {"patch_size": 7}, "patch_size=7 and config.json 14"),
        ("processor_config.json", {"vision_feature_select_strategy": "full"}, "'full' and config.json 'default'"),
        ("processor_config.json", {"image_processor": {"size": {"shortest_edge": 10**9}}}, "image processor"),
        ("processor_config.json", {"processor_class": "ClvpProcessor"}, "processor"),
        ("tokenizer_config.json", {"model_max_length": "many"}, ""),
        ("generation_config.json", {"eos_token_id": 10**6}, "eos_token_id=1000000, expected ids below"),
        ("generation_config.json", {"suppress_tokens": ["a"]}, "suppress_tokens=a"),
        ("geochat.json", {"ground_resolution": [10**400, 1]}, "impossible value"),
        ("geochat.json", {"fit": "crop"}, "the settings say fit='crop' and the image processor would pad"),
    ],
)
def test_files_beside_the_weights(copy, file, values, message):
    change(copy, file, **values)
    try:
        load(copy, device="cpu")
    except GeoChatError as error:
        assert message in str(error)  # noqa: PT017 - one of them may load
    else:
        assert message == ""


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "processor_config.json", "generation_config.json"])
@pytest.mark.parametrize("text", ["", "{", "null", "[1]", "\xff", "[" * 100_000, '{"a":' * 100_000, "9" * 5000])
def test_a_file_that_is_no_json_object(copy, name, text):
    (copy / name).write_bytes(text.encode("latin-1"))
    refuses(copy, ".")


def test_a_folder_in_the_place_of_a_file(copy):
    (copy / "tokenizer.json").unlink()
    (copy / "tokenizer.json").mkdir()
    refuses(copy, "processor")


def test_what_older_processors_leave_out_is_taken_from_the_config(copy, checkpoint, logits):
    change(
        copy,
        "processor_config.json",
        vision_feature_select_strategy=...,
        patch_size=...,
        num_additional_image_tokens=...,
    )
    loaded = load(copy, device="cpu")
    assert loaded.processor.vision_feature_select_strategy == "default"
    assert loaded.processor.patch_size == 14
    assert torch.equal(logits(loaded.model, loaded.processor), logits(checkpoint.model, checkpoint.processor))


def test_a_checkpoint_without_settings_is_fitted_as_its_processor_says(copy):
    """One that crops is not said to pad, which would shift its boxes."""
    (copy / "geochat.json").unlink()
    assert load(copy, device="cpu").settings.fit == "pad"
    stated = json.loads((copy / "processor_config.json").read_text())["image_processor"]
    crops = stated | {"image_processor_type": "CLIPImageProcessor"}
    crops.pop("do_pad")
    change(copy, "processor_config.json", image_processor=crops)
    assert load(copy, device="cpu").settings.fit == "crop"


@pytest.fixture
def two_lists(saved, tmp_path):
    """Shards with their index, and a whole file of other weights beside them."""
    folder = convert(saved, tmp_path / "two", shard_size="100KB").folder
    tensors = {name: torch.zeros_like(tensor) for name, tensor in load_file(saved / "model.safetensors").items()}
    save_file(tensors, folder / "model.safetensors")
    return folder


def test_two_lists_of_weights_are_refused(two_lists):
    for use in (lambda folder: load(folder, device="cpu"), describe):
        with pytest.raises(CheckpointError, match=r"model\.safetensors and shards that .* lists.*remove"):
            use(two_lists)


def test_a_shard_no_index_lists_is_in_neither_model_nor_hash(two_lists, saved):
    (two_lists / "model.safetensors").rename(two_lists / "model-00099-of-00099.safetensors")
    loaded = load(two_lists, device="cpu")
    assert describe(two_lists).sha256 == loaded.sha256
    assert loaded.weights == tuple(sorted(two_lists.glob("model-000[0-8]*.safetensors")))
    expected = load(saved, device="cpu").model.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in loaded.model.state_dict().items())


def test_weights_that_run_code_are_refused(copy, tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    (copy / "model.safetensors").unlink()
    (copy / "pytorch_model.bin").write_bytes(pickle.dumps(Evil(), protocol=2))
    refuses(copy, "Python objects besides tensors")
    assert not (tmp_path / "ran").exists()


def added(folder, **tokens):
    """Have the original in `folder` know tokens that fine-tuning added: rows of its tables and a larger vocabulary."""
    state = torch.load(folder / "pytorch_model.bin")
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        state[name] = torch.cat([state[name], torch.full((len(tokens), state[name].shape[1]), 0.5).half()])
    torch.save(state, folder / "pytorch_model.bin")
    change(folder, "config.json", vocab_size=400 + len(tokens))
    (folder / "added_tokens.json").write_text(json.dumps(tokens))


@pytest.mark.parametrize("file", ["added_tokens.json", "tokenizer_config.json"])
def test_tokens_that_fine_tuning_added_are_known(original, file):
    added(original, **{"[PAD]": 400})
    change(original, "tokenizer_config.json", pad_token="[PAD]")
    if file == "tokenizer_config.json":
        (original / "added_tokens.json").unlink()
        change(original, file, added_tokens_decoder={"0": {"content": "<unk>"}, "400": {"content": "[PAD]"}})
    loaded = load(original, device="cpu")
    tokenizer = loaded.processor.tokenizer
    assert tokenizer.convert_tokens_to_ids(["[PAD]", "<image>"]) == [400, 401]
    assert tokenizer.pad_token == "[PAD]"
    assert loaded.model.config.image_token_id == 401
    assert loaded.model.get_input_embeddings().weight.shape[0] == 448
    assert loaded.model.get_input_embeddings().weight[400].eq(0.5).all()


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (None, r"400 tokens and config.json vocab_size=401; .*added_tokens\.json"),
        ({"[PAD]": 402}, "expected all from 400 on"),
        ({"[PAD]": 400, "[X]": 400}, r"have the ids|vocab_size=401"),
        ({"<image>": 400}, "adds <image> itself"),
        ([], "expected an object"),
    ],
)
def test_added_tokens_that_leave_ids_out(original, tokens, message):
    added(original, **{"[PAD]": 400})
    (original / "added_tokens.json").unlink()
    if tokens is not None:
        (original / "added_tokens.json").write_text(json.dumps(tokens))
    refuses(original, message)


def test_an_original_that_cannot_be(original):
    change(original, "config.json", num_hidden_layers=10**9)
    refuses(original, "num_hidden_layers=1000000000 is impossible")
    change(original, "config.json", num_hidden_layers=2, num_key_value_heads=0)
    refuses(original, "num_key_value_heads=0")


def test_a_sentencepiece_file_that_is_none(original):
    content = (original / "tokenizer.model").read_bytes()
    for damaged in (b"", b"text", content[: len(content) // 2], content[100:]):
        (original / "tokenizer.model").write_bytes(damaged)
        refuses(original, "tokenizer.model")
