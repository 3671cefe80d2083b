"""No code from a checkpoint is run, nobody is asked whether to, and the network is left alone, as `SECURITY.md` says.

The folders below attack plain transformers successfully, which the first test shows; ours are loaded with transformers'
own classes or refused.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest

from geochat.models import bundled_path


def change(folder, name, **values):
    file = folder / name
    before = json.loads(file.read_text()) if file.is_file() else {}
    file.unlink(missing_ok=True)
    file.write_text(json.dumps({key: value for key, value in (before | values).items() if value is not ...}))


def code(folder, names="Evil"):
    """A module that leaves a mark when it is imported, in the folder."""
    (folder / "evil.py").write_text(
        f"from pathlib import Path\nPath({str(folder / 'ran')!r}).touch()\nclass {names}: pass\n"
    )


EVERY = {f"Auto{kind}": "evil.Evil" for kind in ("Config", "Model", "Processor", "ImageProcessor", "FeatureExtractor")}
EVERY |= {"AutoModelForImageTextToText": "evil.Evil", "AutoTokenizer": ["evil.Evil", "evil.Evil"]}
UPSTREAM = {name: "someone/elsewhere--evil.Evil" for name in EVERY if name != "AutoTokenizer"}
TEXT = json.loads((bundled_path() / "config.json").read_text())["text_config"]
ATTACKS = {
    "config": [("config.json", {"auto_map": EVERY})],
    "config of an unknown kind": [("config.json", {"auto_map": EVERY, "model_type": "evil"})],
    "config without a kind": [("config.json", {"auto_map": EVERY, "model_type": ...})],
    "config that names another repository": [("config.json", {"auto_map": UPSTREAM, "model_type": "evil"})],
    "text config": [("config.json", {"text_config": TEXT | {"auto_map": EVERY}})],
    "text config of an unknown kind": [("config.json", {"text_config": {"auto_map": EVERY, "model_type": "evil"}})],
    "processor": [("processor_config.json", {"auto_map": EVERY})],
    "processor of an unknown kind": [("processor_config.json", {"auto_map": EVERY, "processor_class": "Evil"})],
    "processor without a kind": [
        ("processor_config.json", {"auto_map": EVERY, "processor_class": ...}),
        ("tokenizer_config.json", {"processor_class": ...}),
    ],
    "processor that names another repository": [
        ("processor_config.json", {"auto_map": UPSTREAM, "processor_class": "Evil"}),
        ("tokenizer_config.json", {"processor_class": "Evil"}),
    ],
    "tokenizer": [("tokenizer_config.json", {"auto_map": EVERY})],
    "tokenizer of an unknown kind": [("tokenizer_config.json", {"auto_map": EVERY, "tokenizer_class": "Evil"})],
    "tokenizer of the old form": [
        ("tokenizer_config.json", {"auto_map": ["evil.Evil", "evil.Evil"], "tokenizer_class": "Evil"})
    ],
    "image processor within": [
        ("processor_config.json", {"image_processor": {"auto_map": EVERY, "image_processor_type": "Evil"}})
    ],
    "image processor beside": [
        ("preprocessor_config.json", {"auto_map": EVERY, "image_processor_type": "Evil"}),
        ("processor_config.json", {"image_processor": ...}),
    ],
    "kernels of the hub": [
        ("config.json", {"attn_implementation": "someone/kernel", "_attn_implementation": "someone/kernel"})
    ],
    "weights elsewhere": [("config.json", {"transformers_weights": "../../evil.safetensors"})],
    "generation": [("generation_config.json", {"auto_map": EVERY, "custom_generate": "someone/generate"})],
    "template": [("processor_config.json", {"chat_template": "{{ ''.__class__.__mro__ }}"})],
}


ENCODER_ATTACKS = {
    "config": [("config.json", {"auto_map": EVERY})],
    "config of an unknown kind": [("config.json", {"auto_map": EVERY, "model_type": "evil"})],
    "tokenizer": [("tokenizer_config.json", {"auto_map": EVERY, "tokenizer_class": "Evil"})],
    "processor": [("preprocessor_config.json", {"auto_map": EVERY, "image_processor_type": "Evil"})],
    "weights elsewhere": [("config.json", {"transformers_weights": "../evil.safetensors"})],
}
SCRIPT = """
import json, socket, sys

import torch
from safetensors.torch import save_file
from transformers import AutoConfig

from geochat.checkpoints import describe, load
from geochat.checkpoints.auditing import audit
from geochat.clip import DualEncoder
from geochat.errors import GeoChatError


def refuse(*_args, **_kwargs):
    print("NETWORK", flush=True)
    raise OSError("no network")


def tell(use, folder):
    try:
        use(folder)
        print("LOADED", flush=True)
    except GeoChatError as error:
        print("REFUSED", " ".join(str(error).split()), flush=True)


def begin(part):
    print("PART", part, flush=True)


socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
folders = json.loads(sys.argv[1])
begin("checkpoints")
for folder in folders["checkpoints"]:
    for use in (audit, describe, lambda folder: load(folder, device="cpu")):
        tell(use, folder)
begin("encoders")
for folder in folders["encoders"]:
    tell(lambda folder: DualEncoder.from_pretrained(folder, device="cpu"), folder)
begin("elsewhere")
adapter, original = folders["elsewhere"]
halves = {f"base_model.model.model.layers.0.self_attn.q_proj.lora_{half}.weight": torch.ones(4, 4) for half in "AB"}
save_file(halves, f"{adapter}/adapter_model.safetensors")
save_file({"model.embed_tokens.weight": torch.ones(4, 4)}, f"{original}/model.safetensors")
for allowed in (False, True):
    for folder in folders["elsewhere"]:
        tell(lambda folder: describe(folder, allow_download=allowed), folder)
begin("control")
try:
    AutoConfig.from_pretrained(folders["control"][0])
except Exception:
    pass
"""


def copied(parent, name, source=None):
    """A checkpoint whose small files may be changed; its weights are linked to."""
    folder = parent / name.replace(" ", "-")
    folder.mkdir(parents=True)
    for file in (source or bundled_path()).iterdir():
        if file.suffix == ".safetensors":
            (folder / file.name).symlink_to(file)
        elif file.is_file():
            shutil.copy(file, folder)
    return folder


def attacking(parent, attacks, source=None):
    """A checkpoint for each attack."""
    for name, changes in attacks.items():
        folder = copied(parent, name, source)
        code(folder)
        for file, values in changes:
            change(folder, file, **values)
        (folder / "custom_generate").mkdir()
        shutil.copy(folder / "evil.py", folder / "custom_generate" / "generate.py")
        yield folder


def leading_elsewhere(parent):
    """An adapter whose base, and an original whose tower, is a hub id; their weights are yet to be written."""
    adapter, original = parent / "adapter", parent / "original"
    for folder in (adapter, original):
        folder.mkdir(parents=True)
    change(adapter, "adapter_config.json", peft_type="LORA", r=4, lora_alpha=8, base_model_name_or_path="someone/base")
    change(original, "config.json", mm_vision_tower="someone/tower", vocab_size=32, mm_vision_select_layer=-2)
    return adapter, original


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    """Folders of each part, and what one process says of them that is asked, answers yes, and tells of the network."""
    parent = tmp_path_factory.mktemp("attacks")
    control = copied(parent, "control")
    code(control)
    change(control, "config.json", auto_map=EVERY, model_type="evil")
    folders = {
        "checkpoints": list(attacking(parent / "checkpoints", ATTACKS)),
        "encoders": list(attacking(parent / "encoders", ENCODER_ATTACKS, bundled_path() / "clip")),
        "elsewhere": leading_elsewhere(parent / "elsewhere"),
        "control": [control],
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(folders, default=str)],
        input="y\n" * 100,
        env=environment | {"HF_HOME": str(parent / "home"), "HF_MODULES_CACHE": str(parent / "home" / "modules")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout
    parts = (part.split("\n", 1) for part in done.stdout.split("PART ")[1:])
    return folders, dict(parts)


def ran(folders):
    return [folder.name for folder in folders if (folder / "ran").exists()]


def outcomes(told):
    return [line for line in told.splitlines() if line.startswith(("LOADED", "REFUSED", "NETWORK"))]


def test_the_attacks_are_real(attacked):
    """Plain transformers asks, is told yes, and runs the code."""
    folders, told = attacked
    assert "[y/N]" in told["control"]
    assert ran(folders["control"]) == ["control"]


def test_no_checkpoint_runs_code_or_asks(attacked):
    folders, told = attacked
    assert "[y/N]" not in told["checkpoints"]
    lines = outcomes(told["checkpoints"])
    assert "NETWORK" not in lines
    assert len(lines) == 3 * len(ATTACKS)
    assert ran(folders["checkpoints"]) == []
    loaded = {name for name, line in zip(ATTACKS, lines[2::3], strict=True) if line == "LOADED"}
    assert {"config", "processor", "tokenizer", "kernels of the hub", "weights elsewhere", "text config"} <= loaded
    assert "template" not in loaded


def test_no_dual_encoder_runs_code_or_asks(attacked):
    folders, told = attacked
    assert "[y/N]" not in told["encoders"]
    found = [line.split()[0] for line in outcomes(told["encoders"])]
    assert found == ["LOADED", "REFUSED", "LOADED", "REFUSED", "LOADED"], told["encoders"]
    assert ran(folders["encoders"]) == []


def test_a_local_folder_is_no_reason_to_ask_the_network(attacked):
    """An adapter whose base, and an original whose tower, is a hub id: refused, or asked for when that is allowed."""
    _, told = attacked
    lines = outcomes(told["elsewhere"])
    refused = [line for line in lines if line != "NETWORK"]
    assert lines[:2] == refused[:2], lines
    for line, name in zip(refused[:2], ("someone/base", "someone/tower"), strict=True):
        assert line.startswith("REFUSED")
        assert name in line
        assert f"hf download {name}" in line
        assert "--allow-download" in line
    assert "NETWORK" in lines
    assert "downloaded here" in refused[2]
    assert "downloaded here" in refused[3]
