"""Contrastive pairs: what is said of a view, and the tokenizer it is read with.

Views of one scene class often share a text. That does no harm: where texts are equal, the loss asks the images for
equal shares, as a target split between them would.
"""

import random
from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import TokenizersBackend

from geochat_data.questions import Subject
from geochat_data.questions.builders import caption
from geochat_data.records import LabelledImage
from geochat_data.splits import UNSEEN_SCENES
from geochat_mini.number_tokens import MINI

TEMPLATES = (
    "a satellite photo of {}.",
    "an aerial photo of {}.",
    "a satellite image of {}.",
    "an aerial view of {}.",
    "a remote sensing image of {}.",
    "a photo of {} from above.",
)
TEXT_LENGTH = 48
_TEMPLATED = 0.5  # share of texts that name the scene class and nothing more
_SPECIAL = [
    "<|pad|>",
    "<|unk|>",
    "<|startoftext|>",
    "<|endoftext|>",
]  # an end token of 2 means something else to CLIP


def text_of(view: LabelledImage, rng: random.Random) -> str | None:
    """A text for a view, None where there is none or its scene is one that contrastive training must not see."""
    if view.scene in UNSEEN_SCENES:
        return None
    if view.scene is not None and rng.random() < _TEMPLATED:
        return rng.choice(TEMPLATES).format(view.scene)
    turn = caption(Subject(view, rng, MINI))
    return None if turn is None else turn.answer.lower()


def train_text_tokenizer(texts: Iterable[str], vocabulary: int = 1000) -> TokenizersBackend:
    """A lower-case byte-level BPE that frames a text with start and end tokens, as CLIP's does."""
    bpe = Tokenizer(models.BPE())
    bpe.normalizer = normalizers.Lowercase()
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=_SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    start, end = ((token, bpe.token_to_id(token)) for token in _SPECIAL[2:])
    bpe.post_processor = processors.TemplateProcessing(
        single=f"{start[0]} $A {end[0]}", pair=f"{start[0]} $A $B {end[0]}", special_tokens=[start, end]
    )
    return TokenizersBackend(
        tokenizer_object=bpe,
        pad_token=_SPECIAL[0],
        unk_token=_SPECIAL[1],
        bos_token=_SPECIAL[2],
        eos_token=_SPECIAL[3],
        model_max_length=TEXT_LENGTH,
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
    )


def text_tokens(tokenizer: TokenizersBackend, text: str) -> dict[str, Tensor]:
    """Token ids and mask of a text, (T,) each."""
    encoded = tokenizer(text, padding="max_length", truncation=True, max_length=TEXT_LENGTH, return_tensors="pt")
    return {name: values[0] for name, values in encoded.items()}
