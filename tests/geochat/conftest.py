"""What tests of several rooms share: a tiny model, an engine that needs none, and a picture to ask about.

The tiny model is a random LLaVA, built in a second, with the published layout and a Llama-like tokenizer. The scripted
engine writes what the test says, so that everything around generation is tested without a model.
"""

import json
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedTokenizerFast,
)

from geochat import GeoChat
from geochat.checkpoints import Checkpoint
from geochat.engines import Chunk, Usage, complete, one_by_one
from geochat.models import Capabilities, ModelInfo, Settings
from geochat.prompts import chat_template
from geochat.vision import build_processor

CORPUS = [
    "USER: What is in the image? ASSISTANT: A large airplane and two small vehicles near the harbor.",
    "A chat between a curious human and an artificial intelligence assistant. helpful, detailed, polite",
] * 4
SPECIAL = ["<unk>", "<s>", "</s>", "<image>"]
MARKUP = ["<p>", "</p>", "<delim>", *(f"<{n}>" for n in range(101))]


def llama_like_tokenizer() -> PreTrainedTokenizerFast:
    """BPE with byte fallback, `▁` for spaces and a decoder that strips the first, as Llama-2's."""
    raw = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    raw.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    raw.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=500, special_tokens=SPECIAL + fallback))
    state = json.loads(raw.to_str())
    state["added_tokens"] = [token for token in state["added_tokens"] if token["content"] in SPECIAL]
    raw = Tokenizer.from_str(json.dumps(state))
    raw.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return wrapped(raw)


def byte_level_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE, as GPT-2's and SmolLM's, with the region markup as ordinary added tokens."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=500, special_tokens=SPECIAL, initial_alphabet=alphabet)
    )
    raw.add_tokens([AddedToken(text, normalized=False) for text in MARKUP])
    return wrapped(raw)


def wrapped(raw: Tokenizer) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<unk>",
        extra_special_tokens={"image_token": "<image>"},
    )


@pytest.fixture(scope="session", params=[llama_like_tokenizer, byte_level_tokenizer], ids=["llama", "bytes"])
def tokenizer(request):
    return request.param()


@pytest.fixture(scope="session")
def checkpoint() -> Checkpoint:
    torch.manual_seed(0)
    tokenizer = llama_like_tokenizer()
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=28,
            patch_size=14,
        ),
        text_config=LlamaConfig(
            vocab_size=len(tokenizer) + 20,  # padded, as the published weights are
            hidden_size=48,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=256,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=None,
        ),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=4,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    model = LlavaForConditionalGeneration(config).eval()
    for parameter in model.parameters():  # wider than the initialisation, so that greedy answers vary
        parameter.data.mul_(4)
    processor = build_processor(tokenizer, 28, 14, chat_template())
    return Checkpoint(model, processor, Settings(name="tiny"), Path("tiny"))


class ScriptedEngine:
    """Writes the given answers one after the other, in pieces of three characters; remembers what it was asked."""

    def __init__(self, *answers, settings, capabilities=None):
        self.answers = list(answers)
        self.info = ModelInfo(settings, 504, 14, capabilities=capabilities or Capabilities(), stated_sha256="0" * 64)
        self.requests = []
        self.cancelled = set()

    def stream(self, request):
        self.requests.append(request)
        return self._write(self.answers.pop(0), request.id)

    def generate(self, request):
        return complete(self.stream(request))

    def stream_batch(self, requests):
        return one_by_one(self, requests)

    def cancel(self, request_id):
        self.cancelled.add(request_id)

    def _write(self, text, request_id):
        for start in range(0, len(text), 3):
            if request_id in self.cancelled:
                yield Chunk("", "cancelled", Usage(7, start))
                return
            yield Chunk(text[start : start + 3])
        yield Chunk("", "stop", Usage(7, len(text)))

    @property
    def prompts(self):
        return [request.messages[-1].text for request in self.requests]


@pytest.fixture
def chat_with():
    """`chat_with("first answer", "second answer")` is a `GeoChat` that gives them."""

    def build(*answers, settings=None, **options):
        return GeoChat(ScriptedEngine(*answers, settings=settings or Settings(name="scripted"), **options))

    return build


@pytest.fixture
def picture():
    """200 x 100 pixels without a place on Earth; the model's square is 200 pixels, 50 above and below are padding."""
    return np.full((100, 200, 3), 90, np.uint8)


@pytest.fixture
def geotiff(tmp_path, picture):
    """The same picture in UTM 14N, 5 m pixels, north up."""
    path = tmp_path / "scene.tif"
    place = {"transform": Affine(5, 0, 500_000, 0, -5, 5_200_000), "crs": "EPSG:26914"}
    with rasterio.open(path, "w", driver="GTiff", width=200, height=100, count=3, dtype="uint8", **place) as target:
        target.write(picture.transpose(2, 0, 1))
    return path


class RangeServer:
    """A running `range_server.py`."""

    def __init__(self, address):
        self.address = address

    def asked(self):
        """The paths asked for since this was last called, and the bytes sent."""
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{self.address}/asked") as reply:
            told = json.load(reply)
        return told["asked"], told["sent"]


@pytest.fixture(scope="session")
def serve_ranges():
    """`with serve_ranges(folder) as server:` serves a folder from another process."""

    @contextmanager
    def serve(folder):
        script = Path(__file__).with_name("range_server.py")
        with subprocess.Popen([sys.executable, script, folder], stdout=subprocess.PIPE, text=True) as process:
            try:
                yield RangeServer(f"http://127.0.0.1:{process.stdout.readline().strip()}")
            finally:
                process.terminate()

    return serve
