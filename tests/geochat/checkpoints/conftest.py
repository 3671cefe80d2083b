"""Checkpoints on disk: the native one, and random ones in the original's layout, small enough to write in a second."""

import io
import json
import os
import shutil
import subprocess
import sys
import textwrap

import pytest
import torch
from PIL import Image
from sentencepiece import SentencePieceTrainer
from transformers import CLIPVisionConfig, CLIPVisionModel

from geochat.checkpoints import save_checkpoint

CORPUS = [
    "USER: What is in the image? ASSISTANT: A large airplane and two small vehicles near the harbor.",
    "A chat between a curious human and an artificial intelligence assistant.",
    "[grounding] {<8><26><22><37>|<90>} Qué hay en la imagen? 图像里有什么",
] * 4
PIECES = 400
CONFIG = {
    "model_type": "geochat",
    "architectures": ["GeoChatLlamaForCausalLM"],
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-5,
    "rope_scaling": None,
    "vocab_size": PIECES,
    "mm_vision_tower": "tower",
    "mm_vision_select_layer": -2,
    "mm_vision_select_feature": "patch",
    "mm_projector_type": "mlp2x_gelu",
    "mm_use_im_start_end": False,
}
TOWER = CLIPVisionConfig(
    hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=56, patch_size=14
)
TOWER_PREFIX = "model.vision_tower.vision_tower."


@pytest.fixture(scope="session")
def logits():
    """What a model says to one question about one image, (1, T, V)."""

    def compute(model, processor):
        content = [{"type": "image"}, {"type": "text", "text": "What is in the image?"}]
        prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        image = Image.linear_gradient("L").resize((60, 40)).convert("RGB")
        inputs = processor(text=prompt, images=image, add_special_tokens=False, return_tensors="pt")
        with torch.inference_mode():
            return model(**inputs.to(model.device, model.dtype)).logits

    return compute


@pytest.fixture(scope="session")
def run():
    """Run a script in a process of its own."""

    def run(script, **environment):
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"} | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


@pytest.fixture(scope="session")
def saved(checkpoint, tmp_path_factory):
    """The tiny random checkpoint on disk; not to be changed."""
    folder = tmp_path_factory.mktemp("saved") / "tiny"
    save_checkpoint(folder, checkpoint.model, checkpoint.processor, checkpoint.settings)
    return folder


@pytest.fixture
def copy(saved, tmp_path):
    """A copy of the saved checkpoint that a test may damage."""
    return shutil.copytree(saved, tmp_path / "copy")


@pytest.fixture(scope="session")
def original_config():
    """The config of the original checkpoints below."""
    return CONFIG


@pytest.fixture(scope="session")
def sentencepiece_file(tmp_path_factory):
    """A tokenizer made as Llama-2's was."""
    file = tmp_path_factory.mktemp("tokenizer") / "tokenizer.model"
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS),
        model_writer=model,
        vocab_size=PIECES,
        model_type="bpe",
        byte_fallback=True,
        split_digits=True,
        allow_whitespace_only_pieces=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
    )
    file.write_bytes(model.getvalue())
    return file


@pytest.fixture(scope="session")
def tower_state():
    """Tensors of a random CLIP tower of 4 x 4 patches, under the names of a CLIP checkpoint."""
    torch.manual_seed(1)
    state = CLIPVisionModel(TOWER).state_dict()
    return {
        (name if name.startswith("vision_model.") else f"vision_model.{name}"): tensor.half()
        for name, tensor in state.items()
        if "position_ids" not in name
    }


@pytest.fixture(scope="session")
def llama_state():
    """Tensors of a random Llama, under a plain Llama's names, with the buffers that old checkpoints hold."""
    torch.manual_seed(2)
    hidden, inner = CONFIG["hidden_size"], CONFIG["intermediate_size"]
    state = {"model.embed_tokens.weight": torch.randn(PIECES, hidden)}
    for layer in range(CONFIG["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        state |= {f"{prefix}self_attn.{part}_proj.weight": torch.randn(hidden, hidden) / 7 for part in "qkvo"}
        state |= {f"{prefix}mlp.{part}_proj.weight": torch.randn(inner, hidden) / 7 for part in ("gate", "up")}
        state[f"{prefix}mlp.down_proj.weight"] = torch.randn(hidden, inner) / 10
        state |= {f"{prefix}{part}_layernorm.weight": torch.ones(hidden) for part in ("input", "post_attention")}
        state[f"{prefix}self_attn.rotary_emb.inv_freq"] = torch.ones(6)
    state |= {"model.norm.weight": torch.ones(hidden), "lm_head.weight": torch.randn(PIECES, hidden) / 7}
    return {name: tensor.half() for name, tensor in state.items()}


@pytest.fixture(scope="session")
def projector_state():
    """Tensors of a random projector, under the original's names."""
    torch.manual_seed(3)
    hidden, width = CONFIG["hidden_size"], TOWER.hidden_size
    shapes = {"0.weight": (hidden, width), "0.bias": (hidden,), "2.weight": (hidden, hidden), "2.bias": (hidden,)}
    return {f"model.mm_projector.{name}": (torch.randn(shape) / 5).half() for name, shape in shapes.items()}


@pytest.fixture(scope="session")
def original_state(llama_state, projector_state, tower_state):
    """Everything an original checkpoint holds."""
    tower = {TOWER_PREFIX + name: tensor for name, tensor in tower_state.items()}
    return llama_state | tower | projector_state


@pytest.fixture
def write_original(tmp_path, sentencepiece_file, original_state):
    """Write a folder in the original's layout: `shards` says how many PyTorch files."""

    def write(state=None, *, name="original", shards=1, config=CONFIG):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(config))
        shutil.copy(sentencepiece_file, folder)
        state = original_state if state is None else state
        if shards == 1:
            torch.save(state, folder / "pytorch_model.bin")
            return folder
        places = {}
        for number in range(shards):
            file = f"pytorch_model-{number + 1:05}-of-{shards:05}.bin"
            part = dict(list(state.items())[number::shards])
            torch.save(part, folder / file)
            places |= dict.fromkeys(part, file)
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": places}))
        return folder

    return write


@pytest.fixture
def write_tower(tmp_path, tower_state):
    """Write the tower that `CONFIG` names, beside the checkpoint, as a whole CLIP's checkpoint is."""

    def write():
        folder = tmp_path / "tower"
        folder.mkdir()
        TOWER.save_pretrained(folder)
        text_half = {"text_model.final_layer_norm.weight": torch.ones(4), "logit_scale": torch.tensor(1.0)}
        buffer = {"vision_model.embeddings.position_ids": torch.arange(17)[None]}
        torch.save(tower_state | text_half | buffer, folder / "pytorch_model.bin")
        return folder

    return write


@pytest.fixture
def original(write_original, write_tower):
    """A whole checkpoint in the original's layout, with its tower's config beside it."""
    write_tower()
    return write_original()
