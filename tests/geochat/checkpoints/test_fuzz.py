"""Every mutation of a checkpoint's files ends in a model that answers, or in an error of the hierarchy. Slow.

The mutations are those that found a quarter of files leaking a TypeError or a panic: a value of JSON of another kind
or size or left out, and bytes changed, put in or cut off. What still loads is asked a question. They are the
same each time; GEOCHAT_FUZZ_SEED=anything gives others.
"""

import json
import os
import random
import shutil
from collections import Counter

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from geochat import GeoChat
from geochat.checkpoints import convert, load
from geochat.clip import DualEncoder
from geochat.engines import GenerationSettings, LocalEngine
from geochat.errors import GeoChatError
from geochat.models import bundled_path

EVIL = [0, -1, 1, 10**9, 10**30, 2**63, 1.5, -0.0, float("nan"), float("inf"), "", "x" * 50, "../x", "\u0000", None]
EVIL += [True, False, [], {}, [0], [None], {"a": 1}]
SEED = os.environ.get("GEOCHAT_FUZZ_SEED", "")
HEAD = 20_000  # bytes at the beginning of a file, where headers are
PICTURE = np.zeros((30, 40, 3), np.uint8)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # what libraries warn of in damaged files
]


def places(value, before=()):
    """The path of every value in a JSON value; of lists the first few."""
    items = value.items() if isinstance(value, dict) else enumerate(value[:5]) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*before, key)
        yield from places(inner, (*before, key))


def change_json(file, chance):
    value = json.loads(file.read_text())
    for path in chance.choices(list(places(value)), k=chance.choice([1, 1, 1, 2])):
        parent = value
        try:
            for key in path[:-1]:
                parent = parent[key]
            if chance.random() < 0.15:
                del parent[path[-1]]
            else:
                parent[path[-1]] = chance.choice(EVIL)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    file.write_text(json.dumps(value))
    return path


def change_bytes(file, chance):
    content = bytearray(file.read_bytes())
    head = min(len(content), HEAD)
    how = chance.random()
    if how < 0.3:
        del content[chance.randrange(len(content)) :]
    elif how < 0.8:
        for _ in range(chance.choice([1, 3, 10])):
            content[chance.randrange(head)] = chance.randrange(256)
    else:
        place = chance.randrange(head)
        content[place:place] = chance.randbytes(chance.choice([1, 8, 100]))
    file.write_bytes(content)
    return how


def outcomes(source, name, use, folder, count):
    """Mutate one file of a copy `count` times; a file that is not mutated is linked to."""
    told = Counter()
    for number in range(count):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for file in source.iterdir():
            if file.name == name:
                shutil.copy(file, folder)
            elif file.is_file():
                (folder / file.name).symlink_to(file)
        chance = random.Random(f"{name} {number} {SEED}")
        how = change_json if name.endswith(".json") and chance.random() < 0.7 else change_bytes
        changed = how(folder / name, chance)
        try:
            use(folder)
            told["used"] += 1
        except GeoChatError:
            told["refused"] += 1
        except BaseException as error:
            raise AssertionError(f"{name}, mutation {number}, {changed}: {error!r}") from error
    return told


def ask(folder):
    engine = LocalEngine(load(folder, device="cpu"))
    GeoChat(engine).ask(PICTURE, "[grounding] Describe the image.", generation=GenerationSettings(4), raw=True)


def encode(folder):
    encoder = DualEncoder.from_pretrained(folder, device="cpu")
    encoder.encode_texts(["a photo of a harbor"])
    encoder.encode_images([PICTURE])


NATIVE = ("config.json", "generation_config.json", "processor_config.json", "tokenizer_config.json", "tokenizer.json")
NATIVE += ("chat_template.jinja", "geochat.json")
SHARDED = ("model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


@pytest.mark.parametrize("name", [*NATIVE, "model.safetensors"])
def test_the_tiny_checkpoint(saved, tmp_path, name):
    told = outcomes(saved, name, ask, tmp_path / "mutated", 60)
    assert told["refused"]


@pytest.mark.parametrize("name", [*NATIVE, *SHARDED])
def test_the_bundled_checkpoint(tmp_path, name):
    told = outcomes(bundled_path(), name, ask, tmp_path / "mutated", 30)
    assert told["refused"]


@pytest.mark.parametrize("name", ["config.json", "tokenizer.model", "pytorch_model.bin"])
def test_an_original_checkpoint(original, tmp_path, name):
    def look(folder):
        load(folder, device="cpu").processor.tokenizer("USER: where?")

    told = outcomes(original, name, look, tmp_path / "mutated", 40)
    assert told["refused"]


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_an_adapter(saved, tmp_path, name):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    module = "base_model.model.model.language_model.layers.0.self_attn.q_proj"
    halves = {f"{module}.lora_{half}.weight": torch.ones(shape) for half, shape in {"A": (4, 48), "B": (48, 4)}.items()}
    save_file(halves, adapter / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 4, "bias": "none", "base_model_name_or_path": str(saved)}
    config |= {"target_modules": ["q_proj"], "use_rslora": False, "trainable_token_indices": None}
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    told = outcomes(adapter, name, lambda folder: load(folder, device="cpu"), tmp_path / "mutated", 40)
    assert told["refused"]


@pytest.mark.parametrize(
    "name", ["config.json", "preprocessor_config.json", "tokenizer_config.json", "tokenizer.json", "model.safetensors"]
)
def test_a_dual_encoder(tmp_path, name):
    told = outcomes(bundled_path() / "clip", name, encode, tmp_path / "mutated", 30)
    assert told["refused"]


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_a_conversion(saved, tmp_path, name):
    def write(folder):
        shutil.rmtree(tmp_path / "native", ignore_errors=True)
        shutil.rmtree(tmp_path / ".native.partial", ignore_errors=True)
        load(convert(folder, tmp_path / "native").folder, device="cpu")

    told = outcomes(saved, name, write, tmp_path / "mutated", 30)
    assert told["refused"]
