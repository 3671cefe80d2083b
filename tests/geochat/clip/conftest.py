"""Tiny random dual encoders, each in a directory or a file as one would get it from elsewhere."""

import importlib.util
import json

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast, SiglipConfig, SiglipModel
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from geochat.clip import DualEncoder

TOWER = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "attention_dropout": 0.0,
}
VISION = TOWER | {"image_size": 32, "patch_size": 8}


@pytest.fixture(scope="session")
def open_clip_folder(fixtures):
    return fixtures / "open_clip"


@pytest.fixture(scope="session")
def recorded(open_clip_folder):
    """What open_clip computed; see the fixtures' README."""
    with np.load(open_clip_folder / "features.npz") as file:
        return dict(file)


@pytest.fixture(scope="session")
def make(open_clip_folder):
    """The module that recorded it."""
    spec = importlib.util.spec_from_file_location("make", open_clip_folder / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def open_clip_state(recorded, make):
    """`open_clip_state(0)` is the state dict of the GELU model, 1 of the quick-GELU one."""
    shapes = json.loads(str(recorded["shapes"]))
    return lambda seed: {name: torch.from_numpy(array) for name, array in make.random_state(shapes, seed).items()}


@pytest.fixture(scope="session")
def siglip_path(tmp_path_factory):
    """A directory with a tiny SigLIP, whose texts have no beginning token."""
    folder = tmp_path_factory.mktemp("siglip")
    words = "<pad> </s> <unk> a of photo satellite aerial view an airport harbor forest image . imagery remote sensing"
    raw = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words.split())}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, unk_token="<unk>", eos_token="</s>", pad_token="<pad>", bos_token=None
    )
    torch.manual_seed(1)
    text = TOWER | {"vocab_size": len(tokenizer), "max_position_embeddings": 16, "projection_size": 64}
    text |= {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 0}
    model = SiglipModel(SiglipConfig(vision_config=VISION, text_config=text))
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.mul_(3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    SiglipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def siglip(siglip_path):
    return DualEncoder.from_pretrained(siglip_path, device="cpu")


@pytest.fixture
def pictures():
    """Five random pictures of different shapes."""
    draw = np.random.default_rng(0)
    return [draw.integers(0, 256, (40 + 7 * number, 64, 3), np.uint8) for number in range(5)]
