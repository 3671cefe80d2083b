"""What a look through a folder finds, without loading or running anything of it."""

import json
import os
import pickle

import pytest
import torch

from geochat.checkpoints.auditing import audit
from geochat.checkpoints.guards import unsafe_names
from geochat.errors import CheckpointError
from geochat.models import bundled_path


class Evil:
    def __reduce__(self):
        return (os.system, ("touch /tmp/geochat-ran",))


def findings(folder):
    return {(finding.verdict, finding.file): finding.text for finding in audit(folder)}


@pytest.mark.parametrize("folder", [bundled_path(), bundled_path() / "clip"], ids=["model", "encoder"])
def test_what_is_bundled_is_sound(folder):
    assert audit(folder) == []


def test_an_original_of_tensors_alone_is_noted(original):
    assert {finding.verdict for finding in audit(original)} == {"note"}


@pytest.mark.parametrize(
    ("name", "text", "verdict", "message"),
    [
        ("modeling_evil.py", "import os", "ignored", "code, which is never run"),
        ("custom_generate/generate.py", "import os", "ignored", "code"),
        ("library.so", "", "ignored", "code"),
        ("state.pkl", "", "ignored", "never read"),
        ("chat_template.jinja", "{% for a in range(9) %}{% endfor %}", "refused", "'range'"),
        ("chat_template.json", '{"chat_template": "{{ 9**9 }}"}', "refused", "Pow"),
        ("generation_config.json", "{", "refused", "not valid JSON"),
        ("model-00007-of-00009.safetensors", "", "ignored", "no index lists"),
        (
            "model.safetensors.index.json",
            '{"weight_map": {"a": "../b.safetensors"}}',
            "refused",
            "not a file beside it",
        ),
        ("geochat.json", '{"licence": 3}', "refused", "impossible value"),
    ],
)
def test_a_file_is_found(copy, name, text, verdict, message):
    (copy / name).parent.mkdir(exist_ok=True)
    (copy / name).write_text(text)
    found = {file: text for (kind, file), text in findings(copy).items() if kind == verdict}
    assert any(message in text for text in found.values()), found


@pytest.mark.parametrize(
    ("name", "key", "value", "verdict"),
    [
        ("config.json", "auto_map", {"AutoConfig": "evil.Evil"}, "ignored"),
        ("config.json", "transformers_weights", "other.safetensors", "ignored"),
        ("config.json", "attn_implementation", "someone/kernel", "ignored"),
        ("config.json", "_attn_implementation", "someone/kernel", "ignored"),
        ("config.json", "quantization_config", {"quant_method": "gptq"}, "refused"),
        ("tokenizer_config.json", "auto_map", {"AutoTokenizer": ["evil.Evil", None]}, "ignored"),
        ("tokenizer_config.json", "chat_template", [{"name": "default", "template": "{{ 'a' * 9 }}"}], "refused"),
        ("processor_config.json", "image_processor", {"auto_map": {"AutoImageProcessor": "evil.Evil"}}, "ignored"),
    ],
)
def test_a_setting_is_found(copy, name, key, value, verdict):
    values = json.loads((copy / name).read_text())
    (copy / name).write_text(json.dumps(values | {key: value}))
    assert (verdict, name) in findings(copy)


@pytest.mark.parametrize("attention", [None, "eager", "sdpa"])
def test_attention_of_transformers_own_is_no_finding(copy, attention):
    values = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(values | {"attn_implementation": attention}))
    assert audit(copy) == []


def test_what_a_folder_names_is_found(copy, tmp_path):
    (copy / "adapter_config.json").write_text('{"base_model_name_or_path": "someone/base"}')
    assert "someone/base, which is not here" in findings(copy)["refused", "adapter_config.json"]
    (tmp_path / "base").mkdir()
    (copy / "adapter_config.json").write_text('{"base_model_name_or_path": "base"}')
    assert "taken from" in findings(copy)["note", "adapter_config.json"]
    (copy / "adapter_config.json").write_text('{"base_model_name_or_path": "geochat-mini"}')
    assert audit(copy) == []


def test_links_that_lead_outside_are_found(copy, tmp_path):
    (tmp_path / "outside").mkdir()
    (copy / "inside.txt").symlink_to(copy / "config.json")
    (copy / "outside.txt").symlink_to("/etc/hostname")
    (copy / "folder").symlink_to(tmp_path / "outside")
    assert {file for _, file in findings(copy)} == {"outside.txt", "folder"}


def test_the_hubs_cache_links_to_files_beside_its_snapshots(saved, tmp_path):
    snapshot = tmp_path / "models--someone--model" / "snapshots" / "0123abc"
    blobs = tmp_path / "models--someone--model" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for number, file in enumerate(saved.iterdir()):
        (blobs / str(number)).write_bytes(file.read_bytes())
        (snapshot / file.name).symlink_to(f"../../blobs/{number}")
    assert audit(snapshot) == []


STATE = {"a": torch.ones(2).half(), "b": torch.nn.Parameter(torch.ones(2, dtype=torch.bfloat16)), "c": torch.arange(3)}


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_of_tensors_asks_for_nothing(tmp_path, zipped):
    torch.save(STATE, tmp_path / "a.bin", _use_new_zipfile_serialization=zipped)
    assert unsafe_names(tmp_path / "a.bin") == []


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("form", ["zip", "old", "plain"])
def test_a_pickle_of_more_is_found_and_not_run(tmp_path, protocol, form):
    file = tmp_path / "a.bin"
    if form == "plain":
        file.write_bytes(pickle.dumps({"a": Evil()}, protocol=protocol))
    else:
        torch.save(
            STATE | {"d": Evil()}, file, pickle_protocol=max(protocol, 2), _use_new_zipfile_serialization=form == "zip"
        )
    assert any("system" in name for name in unsafe_names(file))
    (finding,) = audit(tmp_path)
    assert finding.verdict == "refused"


def test_a_name_hidden_behind_others_is_found(tmp_path):
    """Texts that a harmless name is made of do not hide the instruction that asks for another."""
    hidden = b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94\x8c\x0bcollections\x8c\x0bOrderedDict00h\x00h\x01\x93."
    (tmp_path / "a.bin").write_bytes(hidden)
    assert unsafe_names(tmp_path / "a.bin")


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04", b"\x80\x02"])
def test_what_is_no_pickle_is_refused(tmp_path, content):
    (tmp_path / "a.bin").write_bytes(content)
    (finding,) = audit(tmp_path)
    assert finding.verdict == "refused"


def test_a_folder_that_is_not_there():
    with pytest.raises(CheckpointError, match="no checkpoint directory"):
        audit("/nowhere/at/all")
    with pytest.raises(CheckpointError, match="local cache"):
        audit("someone/model-that-is-nowhere")
