"""No code from a checkpoint is run, nobody is asked whether to, and the network is left alone, as `SECURITY.md` says.

The folders below attack plain transformers successfully, which the first test shows; ours are loaded with transformers'
own classes or refused.
"""

import ast
import inspect
import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from geochat import GeoChat
from geochat.clip import DualEncoder
from geochat.models import bundled_path

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    file
    for folder in ("geochat", "serve", "train", "eval", "data", "scripts")
    for file in (ROOT / folder).rglob("*.py")
)
LOADING = ("from_pretrained", "from_config")
OURS = {  # classes of this project, whose from_pretrained has no such argument and passes False on
    "GeoChat": GeoChat,
    "DualEncoder": DualEncoder,
}


def called(node):
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", None)


def is_false(call, name):
    return any(word.arg == name and getattr(word.value, "value", None) is False for word in call.keywords)


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_loading_call_says_that_code_is_not_trusted(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    functions = {id(call.func) for call in calls}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in LOADING:
            assert id(node) in functions, (
                f"line {node.lineno}: {node.attr} is handed on, so nobody sees how it is called"
            )
    for call in calls:
        if called(call) in LOADING and getattr(getattr(call.func, "value", None), "id", None) not in OURS:
            assert is_false(call, "trust_remote_code"), f"line {call.lineno}: say trust_remote_code=False"
        if called(call) == "getattr":
            assert not {getattr(argument, "value", None) for argument in call.args} & set(LOADING), (
                f"line {call.lineno}"
            )
        for word in call.keywords:
            if word.arg == "trust_remote_code":
                assert getattr(word.value, "value", None) is False, f"line {call.lineno}: trusts code"


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_pickle_is_read_with_code(file):
    for call in (node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)):
        owner = getattr(getattr(call.func, "value", None), "id", None)
        if (owner, called(call)) == ("torch", "load"):
            safe = [word for word in call.keywords if word.arg == "weights_only"]
            assert [getattr(word.value, "value", None) for word in safe] == [True], f"line {call.lineno}: weights_only"
        assert (owner, called(call)) not in {("pickle", "load"), ("pickle", "loads"), ("joblib", "load")}
        if (owner, called(call)) == ("np", "load"):
            assert not any(word.arg == "allow_pickle" and word.value.value for word in call.keywords)


@pytest.mark.parametrize("name", OURS)
def test_our_own_classes_cannot_be_told_to_trust(name):
    assert "trust_remote_code" not in inspect.signature(OURS[name].from_pretrained).parameters


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


@pytest.fixture(scope="module")
def run_attacks():
    """Run a script in a process that is asked, answers yes, and tells when the network is reached for."""

    def run(script, folders):
        prelude = """
            import socket, sys
            from geochat.errors import GeoChatError
            def refuse(*_args, **_kwargs):
                print("NETWORK", flush=True)
                raise OSError("no network")
            socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
            folders = sys.argv[1:]
        """
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        environment |= {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "OMP_NUM_THREADS": "1"}
        home = str(folders[0].parent / "home")
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(prelude) + textwrap.dedent(script), *map(str, folders)],
            input="y\n" * 100,
            env=environment | {"HF_HOME": home, "HF_MODULES_CACHE": f"{home}/modules"},
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
        assert done.returncode == 0, done.stderr
        return done

    return run


def copied(tmp_path, name, source=None):
    """A checkpoint whose small files may be changed; its weights are linked to."""
    folder = tmp_path / name.replace(" ", "-")
    folder.mkdir()
    for file in (source or bundled_path()).iterdir():
        if file.suffix == ".safetensors":
            (folder / file.name).symlink_to(file)
        elif file.is_file():
            shutil.copy(file, folder)
    return folder


def test_the_attacks_are_real(tmp_path, run_attacks):
    """Plain transformers asks, is told yes, and runs the code."""
    folder = copied(tmp_path, "control")
    code(folder)
    change(folder, "config.json", auto_map=EVERY, model_type="evil")
    script = """
        from transformers import AutoConfig
        try:
            AutoConfig.from_pretrained(folders[0])
        except Exception:
            pass
    """
    asked = run_attacks(script, [folder])
    assert "[y/N]" in asked.stdout + asked.stderr
    assert (folder / "ran").exists()


def test_no_checkpoint_runs_code_or_asks(tmp_path, run_attacks):
    folders = []
    for name, changes in ATTACKS.items():
        folders.append(copied(tmp_path, name))
        code(folders[-1])
        for file, values in changes:
            change(folders[-1], file, **values)
        (folders[-1] / "custom_generate").mkdir()
        shutil.copy(folders[-1] / "evil.py", folders[-1] / "custom_generate" / "generate.py")
    script = """
        from geochat.checkpoints import describe, load
        from geochat.checkpoints.auditing import audit
        for folder in folders:
            for use in (audit, describe, lambda folder: load(folder, device="cpu")):
                try:
                    use(folder)
                    print("LOADED", flush=True)
                except GeoChatError as error:
                    print("REFUSED", " ".join(str(error).split()), flush=True)
    """
    done = run_attacks(script, folders)
    told = done.stdout.splitlines()
    assert len(told) == 3 * len(folders), done.stdout  # nobody was asked, and the network was left alone
    assert all(line.startswith(("LOADED", "REFUSED")) for line in told), done.stdout
    assert "[y/N]" not in done.stdout + done.stderr
    assert not [folder.name for folder in folders if (folder / "ran").exists()]
    loaded = {name for name, line in zip(ATTACKS, told[2::3], strict=True) if line == "LOADED"}
    assert {"config", "processor", "tokenizer", "kernels of the hub", "weights elsewhere", "text config"} <= loaded
    assert "template" not in loaded


def test_no_dual_encoder_runs_code_or_asks(tmp_path, run_attacks):
    changes = {
        "config": [("config.json", {"auto_map": EVERY})],
        "config of an unknown kind": [("config.json", {"auto_map": EVERY, "model_type": "evil"})],
        "tokenizer": [("tokenizer_config.json", {"auto_map": EVERY, "tokenizer_class": "Evil"})],
        "processor": [("preprocessor_config.json", {"auto_map": EVERY, "image_processor_type": "Evil"})],
        "weights elsewhere": [("config.json", {"transformers_weights": "../evil.safetensors"})],
    }
    folders = []
    for name, each in changes.items():
        folders.append(copied(tmp_path, name, bundled_path() / "clip"))
        code(folders[-1])
        for file, values in each:
            change(folders[-1], file, **values)
    script = """
        from geochat.clip import DualEncoder
        for folder in folders:
            try:
                DualEncoder.from_pretrained(folder, device="cpu")
                print("LOADED", flush=True)
            except GeoChatError as error:
                print("REFUSED", " ".join(str(error).split()), flush=True)
    """
    done = run_attacks(script, folders)
    told = [line.split()[0] for line in done.stdout.splitlines()]
    assert told == ["LOADED", "REFUSED", "LOADED", "REFUSED", "LOADED"], done.stdout
    assert not [folder.name for folder in folders if (folder / "ran").exists()]


def test_a_local_folder_is_no_reason_to_ask_the_network(tmp_path, run_attacks):
    """An adapter whose base, and an original whose tower, is a hub id: refused, or asked for when that is allowed."""
    adapter, original = tmp_path / "adapter", tmp_path / "original"
    for folder in (adapter, original):
        folder.mkdir()
    change(adapter, "adapter_config.json", peft_type="LORA", r=4, lora_alpha=8, base_model_name_or_path="someone/base")
    script = """
        import torch
        from safetensors.torch import save_file
        from geochat.checkpoints import describe
        save_file(
            {f"base_model.model.model.layers.0.self_attn.q_proj.lora_{half}.weight": torch.ones(4, 4) for half in "AB"},
            f"{folders[0]}/adapter_model.safetensors",
        )
        save_file({"model.embed_tokens.weight": torch.ones(4, 4)}, f"{folders[1]}/model.safetensors")
        for allowed in (False, True):
            for folder in folders:
                try:
                    describe(folder, allow_download=allowed)
                except GeoChatError as error:
                    print("REFUSED", " ".join(str(error).split()), flush=True)
    """
    change(original, "config.json", mm_vision_tower="someone/tower", vocab_size=32, mm_vision_select_layer=-2)
    told = run_attacks(script, [adapter, original]).stdout.splitlines()
    asked = [line for line in told if line == "NETWORK"]
    refused = [line for line in told if line.startswith("REFUSED")]
    assert told[:2] == refused[:2], told
    for line, name in zip(refused[:2], ("someone/base", "someone/tower"), strict=True):
        assert name in line
        assert f"hf download {name}" in line
        assert "--allow-download" in line
    assert asked
    assert "downloaded here" in refused[2]
    assert "downloaded here" in refused[3]
