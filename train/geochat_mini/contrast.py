"""Pairs and phrases for the dual encoder, and its tokenizer.

Views of one scene class often share a text. This is harmless: for equal texts, the loss has the same optimum as a
target that is split equally between them. Six classes of UC Merced, and their equivalents in other sources, are never
paired with a text, so that they can serve as unseen classes; their names are learned from a sentence encoder alone.
"""

import random
from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import TokenizersBackend

from geochat.prompts.phrases import plural
from geochat_data.questions import Subject
from geochat_data.questions.builders import caption
from geochat_data.records import LabelledImage
from geochat_data.splits import UNSEEN_SCENES
from geochat_mini.classes import SCENES, classes_of
from geochat_mini.number_tokens import MINI
from geochat_mini.questions import OBJECT_NAMES

TEMPLATES = (
    "a satellite photo of {}.",
    "an aerial photo of {}.",
    "a satellite image of {}.",
    "an aerial view of {}.",
    "a remote sensing image of {}.",
    "a photo of {} from above.",
)
TEXT_LENGTH = 48
PHRASE_LENGTH = 20
UNSEEN = frozenset(scene for name in UNSEEN_SCENES for scene in classes_of(name))
"""Classes that are never paired with a text."""

_TEMPLATED = 0.6  # share of texts that name the scene class and nothing more
_SPECIAL = [
    "<|pad|>",
    "<|unk|>",
    "<|startoftext|>",
    "<|endoftext|>",
]  # an end token of 2 means something else to CLIP


def text_of(view: LabelledImage, rng: random.Random) -> str | None:
    """Return a text for a view; None if there is none, or its scene is excluded from contrastive training."""
    classes = classes_of(view.scene) if view.scene else ()
    if UNSEEN & set(classes):
        return None
    if len(classes) == 1 and rng.random() < _TEMPLATED:
        name = classes[0] if rng.random() < 0.5 else rng.choice(SCENES[classes[0]])
        return rng.choice(TEMPLATES).format(name)
    turn = caption(Subject(view, rng, MINI))
    return None if turn is None else turn.answer.lower()


def phrases(captions: Iterable[str], words: Sequence[str]) -> list[str]:
    """Return the phrases that the text tower learns from the sentence encoder: names, captions, common words."""
    scenes = [name for scene, names in SCENES.items() for name in (scene, *names)]
    things = [name for known, names in OBJECT_NAMES.items() for one in (known, *names) for name in (one, plural(one))]
    named = [template.format(name) for name in (*scenes, *things) for template in ("{}", *TEMPLATES)]
    return list(dict.fromkeys((*named, *(caption.strip(" .").lower() for caption in captions), *words)))


def train_text_tokenizer(texts: Iterable[str], vocabulary: int = 2000) -> TokenizersBackend:
    """Train a lower-case byte-level BPE that frames a text with start and end tokens, as CLIP's does."""
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


def text_tokens(tokenizer: TokenizersBackend, text: str, length: int = TEXT_LENGTH) -> dict[str, Tensor]:
    """Return token ids and mask of a text, (T,) each."""
    encoded = tokenizer(text, padding="max_length", truncation=True, max_length=length, return_tensors="pt")
    return {name: values[0] for name, values in encoded.items()}
