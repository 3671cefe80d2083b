"""Models with random weights and a tokenizer of a few hundred tokens; speed depends on shapes, not on weights."""

from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedTokenizerFast,
)

from geochat.checkpoints import Checkpoint
from geochat.checkpoints.loading import quantization_config, quiet
from geochat.models import Settings
from geochat.prompts import SYSTEM_PROMPT, chat_template
from geochat.vision import build_processor

SPECIAL = ["<unk>", "<s>", "</s>", "<image>"]
VOCABULARY = 32_064
_SPREAD = 0.02  # standard deviation of transformers' own beginnings


@dataclass(frozen=True)
class Shape:
    """Sizes of the language model and the vision tower; (width, layers, heads, hidden width of the MLP) each."""

    language: tuple[int, int, int, int]
    vision: tuple[int, int, int, int]
    image_size: int = 504

    @property
    def config(self) -> LlavaConfig:
        """The configuration, with the published model's layout."""
        return LlavaConfig(
            vision_config=CLIPVisionConfig(**_sizes(self.vision), image_size=self.image_size, patch_size=14),
            text_config=LlamaConfig(
                **_sizes(self.language),
                num_key_value_heads=self.language[2],
                vocab_size=VOCABULARY,
                max_position_embeddings=4096,
                bos_token_id=SPECIAL.index("<s>"),
                eos_token_id=SPECIAL.index("</s>"),
                pad_token_id=None,
            ),
            image_token_id=SPECIAL.index("<image>"),
            image_seq_length=(self.image_size // 14) ** 2,
            vision_feature_layer=-2,
            vision_feature_select_strategy="default",
        )


def _sizes(sizes: tuple[int, int, int, int]) -> dict[str, int]:
    names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    return dict(zip(names, sizes, strict=True))


SHAPES = {
    "tiny": Shape((64, 2, 4, 128), (32, 2, 2, 64), 56),
    "150m": Shape((768, 12, 12, 2048), (384, 8, 6, 1536)),
    "7b": Shape((4096, 32, 32, 11008), (1024, 24, 16, 4096)),
}


def random_checkpoint(name: str, device: torch.device, dtype: torch.dtype, quantization: str | None) -> Checkpoint:
    """Make a checkpoint of a shape, on its device."""
    shape = SHAPES[name]
    torch.manual_seed(0)
    default = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with device if quantization is None else torch.device("meta"):
            model = LlavaForConditionalGeneration(shape.config).eval()
    finally:
        torch.set_default_dtype(default)
    if quantization is not None:
        with quiet():
            model = LlavaForConditionalGeneration.from_pretrained(
                None,
                config=shape.config,
                state_dict=_random_state(model, device),
                dtype=dtype,
                quantization_config=quantization_config(quantization, device, dtype),
                device_map={"": device},
                trust_remote_code=False,
            ).eval()
    processor = build_processor(_tokenizer(), shape.image_size, 14, chat_template())
    return Checkpoint(model, processor, Settings(name=name), Path(name))


def _random_state(model: LlavaForConditionalGeneration, device: torch.device) -> dict[str, Tensor]:
    """Return CPU weights for a meta model; equal shapes share a tensor, or 7B would take minutes and 14 GB."""
    made: dict[tuple[torch.Size, bool], Tensor] = {}
    state = {}
    for name, parameter in model.state_dict().items():
        is_scale = parameter.ndim == 1 and name.endswith("weight")
        kind = (parameter.shape, is_scale)
        if kind not in made:
            drawn = torch.randn(parameter.shape, device=device, dtype=parameter.dtype)
            made[kind] = torch.ones_like(drawn, device="cpu") if is_scale else (_SPREAD * drawn).cpu()
        state[name] = made[kind]
    return state


def _tokenizer() -> PreTrainedTokenizerFast:
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator([f"{SYSTEM_PROMPT} USER: Is there an airplane in the image? ASSISTANT:"] * 2, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<unk>",
        extra_special_tokens={"image_token": "<image>"},
    )
