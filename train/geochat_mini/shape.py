"""The model's architecture: 14 million parameters with the dual encoder's text tower, 29 MB in bfloat16."""

import copy
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPVisionConfig,
    CLIPVisionModel,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    TokenizersBackend,
)

from geochat.prompts import IMAGE_TOKEN
from geochat.vision import build_image_processor
from geochat_mini.contrast import TEXT_LENGTH
from geochat_mini.number_tokens import MINI, NUMBERS, curve

PATCH = 16
PRETRAINING_SIZE = 144  # 9 x 9 patches
CHAT_SIZE = 288  # 18 x 18 patches
CONTEXT = 2048
WIDTH = 256
LAYERS = 8  # of the chat's tower
DUAL_LAYERS = 6  # of the dual encoder's
SPECIAL = ["<unk>", "<s>", "</s>", IMAGE_TOKEN]
MARKUP = ["<p>", "</p>", "<delim>", *MINI.wordings.tokens.values()]
_PLACE = 0.5  # amplitude of the place in the position embeddings, about that of a patch's own embedding


def vision_config(image_size: int, layers: int = LAYERS) -> CLIPVisionConfig:
    """Return a CLIP ViT config, 256 wide, heads of 64."""
    return CLIPVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=768,
        num_hidden_layers=layers,
        num_attention_heads=4,
        image_size=image_size,
        patch_size=PATCH,
        hidden_act="gelu",
        projection_dim=WIDTH,
    )


def deepened(weights: dict[str, torch.Tensor], layers: int) -> dict[str, torch.Tensor]:
    """Insert layers that initially change nothing into a tower's weights, up to `layers` in total.

    Each is a copy of the layer before with the outputs of its two branches at zero.
    """
    pattern = re.compile(r"(.*encoder\.layers\.)(\d+)(\..*)")
    have = 1 + max(int(parts[2]) for name in weights if (parts := pattern.match(name)))
    places = sorted(range(have), key=lambda place: abs(place - have / 2 + 0.25))[: layers - have]  # the middle ones
    found: dict[str, torch.Tensor] = {}
    for name, value in weights.items():
        if not (parts := pattern.match(name)):
            found[name] = value
            continue
        place = int(parts[2])
        new = place + sum(other < place for other in places)
        found[f"{parts[1]}{new}{parts[3]}"] = value
        if place in places:
            ends = parts[3].startswith((".self_attn.out_proj", ".mlp.fc2"))
            found[f"{parts[1]}{new + 1}{parts[3]}"] = torch.zeros_like(value) if ends else value.clone()
    return found


def build_dual_encoder(tokenizer: TokenizersBackend) -> CLIPModel:
    """Build the dual encoder with random weights; position embeddings encode each patch's position as waves.

    A tower that starts from random position embeddings and is trained on classes alone never learns positions well.
    """
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=512,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=TEXT_LENGTH,
        hidden_act="gelu",
        projection_dim=WIDTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    vision = vision_config(PRETRAINING_SIZE, DUAL_LAYERS)
    model = CLIPModel(CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=WIDTH))
    _write_places(model.vision_model, PRETRAINING_SIZE // PATCH)
    return model


@torch.no_grad()
def take_over_dual(model: CLIPModel, tokenizer: TokenizersBackend, folder: Path) -> None:
    """Initialise both towers from the dual encoder in `folder`, which has another vocabulary."""
    old = CLIPModel.from_pretrained(folder, dtype=torch.float32, local_files_only=True, trust_remote_code=False)
    old_tokenizer = TokenizersBackend.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    table = model.text_model.embeddings.token_embedding.weight
    _take_rows(table, tokenizer, old.text_model.embeddings.token_embedding.weight, old_tokenizer)
    mine = model.state_dict()
    for name, value in old.state_dict().items():
        if name in mine and mine[name].shape == value.shape:
            mine[name].copy_(value)


def save_dual_encoder(model: CLIPModel, tokenizer: TokenizersBackend, folder: Path) -> None:
    """Save the dual encoder as transformers' `CLIPModel`, in bfloat16."""
    written: Any = copy.deepcopy(model)
    written.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    build_image_processor(PRETRAINING_SIZE).save_pretrained(folder)


def build_tower(image_size: int) -> CLIPVisionModel:
    """Build the chat's tower with random weights; position embeddings encode each patch's position as waves."""
    tower = CLIPVisionModel(vision_config(image_size))
    _write_places(tower, image_size // PATCH)
    return tower


def _write_places(tower: Any, grid: int) -> None:  # noqa: ANN401 - modules within modules
    """Write each patch's position into its position embedding."""
    table = next(value for name, value in tower.named_parameters() if name.endswith("position_embedding.weight"))
    with torch.no_grad():
        table[1:] = _PLACE * _places(grid)  # (N, D)


def _places(grid: int) -> torch.Tensor:
    """Return sines and cosines of each patch's column and row, (grid², D)."""
    ticks = ((torch.arange(grid) + 0.5) / grid)[:, None]
    angles = ticks * torch.logspace(math.log10(0.5), math.log10(grid / 2), WIDTH // 4) * math.pi  # (grid, D / 4)
    waves = torch.cat([angles.sin(), angles.cos()], dim=1)  # (grid, D / 2)
    columns, rows = waves.expand(grid, -1, -1), waves[:, None].expand(-1, grid, -1)
    return torch.cat([columns, rows], dim=-1).flatten(0, 1)


def build_model(tokenizer: TokenizersBackend) -> LlavaForConditionalGeneration:
    """Build the whole model with random weights; number embeddings lie on the curve of the numbers.

    The other embeddings start at length 1, the length that training gives to tokens in use. Unused tokens keep theirs;
    if it were shorter, fine-tuning could not make them win the softmax (Llama's own 0.02 gives 0.3).

    The features come from the tower's last layer, which the auxiliary heads trained and no contrastive head shares.
    """
    text = LlamaConfig(
        hidden_size=WIDTH,
        intermediate_size=704,
        num_hidden_layers=4,
        num_attention_heads=4,
        vocab_size=len(tokenizer),
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    config = LlavaConfig(
        vision_config=vision_config(CHAT_SIZE),
        text_config=text,
        image_token_index=tokenizer.get_vocab()[IMAGE_TOKEN],
        image_seq_length=(CHAT_SIZE // PATCH) ** 2,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        tie_word_embeddings=True,
    )
    model = LlavaForConditionalGeneration(config)
    embedding = model.get_input_embeddings()
    assert isinstance(embedding, nn.Embedding)
    with torch.no_grad():
        embedding.weight.normal_(std=WIDTH**-0.5)
        embedding.weight[tokenizer.convert_tokens_to_ids(NUMBERS)] = 0.03 * curve(WIDTH)
    return model


@torch.no_grad()
def take_over(
    model: LlavaForConditionalGeneration,
    tokenizer: TokenizersBackend,
    old: Any,  # noqa: ANN401 - as loaded, whatever its classes
    old_tokenizer: Any,  # noqa: ANN401
) -> None:
    """Initialise projector and language model from an older model with another vocabulary.

    A new token starts as the mean of the tokens with which it was written before.
    """
    mine, theirs = model.state_dict(), old.state_dict()
    embedding = model.get_input_embeddings()
    assert isinstance(embedding, nn.Embedding)
    _take_rows(embedding.weight, tokenizer, old.get_input_embeddings().weight, old_tokenizer)
    for name, value in theirs.items():
        if "vision_tower" not in name and name in mine and mine[name].shape == value.shape:
            mine[name].copy_(value)


def _take_rows(
    table: torch.Tensor,
    tokenizer: TokenizersBackend,
    old_table: torch.Tensor,
    old_tokenizer: Any,  # noqa: ANN401 - as loaded
) -> None:
    """Fill an embedding table from one with another vocabulary."""
    known = old_tokenizer.get_vocab()
    for token, number in tokenizer.get_vocab().items():
        if token in known:
            table[number] = old_table[known[token]]
        elif parts := old_tokenizer(tokenizer.decode([number]), add_special_tokens=False)["input_ids"]:
            table[number] = old_table[parts].mean(0)


def train_tokenizer(texts: Iterable[str], vocabulary: int = 1500) -> TokenizersBackend:
    """Train a byte-level BPE in which each number `<-45>`..`<120>`, task token and markup tag is one token.

    Args:
        texts: Texts that the model will read and write.
        vocabulary: Number of tokens, those included.
    """
    single = MARKUP + NUMBERS
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(single),
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    markup = re.compile("|".join(re.escape(token) for token in single))
    bpe.train_from_iterator((markup.sub("", text) for text in texts), trainer)
    bpe.add_tokens([AddedToken(token, normalized=False) for token in single])
    return TokenizersBackend(
        tokenizer_object=bpe,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<unk>",
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
        additional_special_tokens=[IMAGE_TOKEN],
    )
