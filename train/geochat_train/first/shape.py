"""The model's sizes, chosen to keep its half-precision weights under 8 MB."""

import math
import re
from collections.abc import Iterable

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, TokenizersBackend

from geochat.prompts import IMAGE_TOKEN, Task

PATCH = 16
PRETRAINING_SIZE = 144  # 9 x 9 patches
CHAT_SIZE = 224  # 14 x 14 patches
CONTEXT = 2048
SPECIAL = ["<unk>", "<s>", "</s>", IMAGE_TOKEN]
MARKUP = ["<p>", "</p>", "<delim>", *(task.token for task in Task if task.token)]
NUMBERS = [f"<{n}>" for n in range(101)]


def vision_config(image_size: int) -> CLIPVisionConfig:
    """A CLIP ViT of 6 layers, 192 wide, heads of 32."""
    return CLIPVisionConfig(
        hidden_size=192,
        intermediate_size=576,
        num_hidden_layers=6,
        num_attention_heads=6,
        image_size=image_size,
        patch_size=PATCH,
        hidden_act="gelu",
    )


def build_model(tokenizer: TokenizersBackend) -> LlavaForConditionalGeneration:
    """The whole model with random weights, its number tokens' embeddings smooth in the number they name.

    The features come from the tower's last layer: there is no contrastive head to need a layer of its own.
    """
    text = LlamaConfig(
        hidden_size=160,
        intermediate_size=400,
        num_hidden_layers=4,
        num_attention_heads=5,
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
    _order_numbers(model, tokenizer)
    return model


def _order_numbers(model: LlavaForConditionalGeneration, tokenizer: TokenizersBackend) -> None:
    """Give neighbouring number tokens similar embeddings, so that a near miss costs less from the first step."""
    embedding = model.get_input_embeddings()
    assert isinstance(embedding, nn.Embedding)
    table = embedding.weight  # (V, D)
    ids = tokenizer.convert_tokens_to_ids(NUMBERS)
    half = table.shape[1] // 2
    frequencies = torch.logspace(math.log10(0.5), math.log10(12), half) * math.pi / 100
    angles = torch.arange(len(NUMBERS))[:, None] * frequencies  # (101, D/2)
    with torch.no_grad():
        table[ids] = 0.03 * torch.cat([angles.sin(), angles.cos()], dim=1)


def train_tokenizer(texts: Iterable[str], vocabulary: int = 1200) -> TokenizersBackend:
    """A byte-level BPE in which each coordinate `<0>`..`<100>`, task token and markup tag is one token.

    Args:
        texts: What the model will read and write.
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
