"""Several questions about one image in one row, each as if it were asked alone.

The image's tokens are most of a row. Questions that share them attend to the common beginning and to themselves, never
to each other, and count their positions from where that beginning ends, so the loss is that of separate conversations
at the price of one image (the mask of Krell et al. 2021, with a shared prefix).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from geochat_data.encoding import IGNORED, Example


@dataclass(frozen=True)
class Packed:
    """One row of T tokens.

    Attributes:
        input_ids: (T,).
        labels: (T,), -100 where nothing is supervised.
        position_ids: (T,).
        segments: (T,), 0 for the common beginning, then 1, 2, ... a question.
    """

    input_ids: Tensor
    labels: Tensor
    position_ids: Tensor
    segments: Tensor


def pack(examples: Sequence[Example], image_token: int) -> Packed:
    """Join conversations about the same image, their common beginning (to the last image token) once."""
    first = examples[0].input_ids
    shared = len(first) - first[::-1].index(image_token)
    ids, labels = list(first[:shared]), [IGNORED] * shared
    positions, segments = list(range(shared)), [0] * shared
    for number, example in enumerate(examples, start=1):
        own = len(example.input_ids) - shared
        ids += example.input_ids[shared:]
        labels += example.labels[shared:]  # a question opens unsupervised, so none is predicted from the one before
        positions += range(shared, shared + own)
        segments += [number] * own
    return Packed(*(torch.tensor(row) for row in (ids, labels, positions, segments)))


def pad(rows: Sequence[Packed], pad_token: int) -> dict[str, Tensor]:
    """Stack rows, padded on the right, with the mask (B, 1, T, T) that keeps questions apart."""

    def stack(name: str, fill: int) -> Tensor:
        columns = [getattr(row, name) for row in rows]
        return torch.nn.utils.rnn.pad_sequence(columns, batch_first=True, padding_value=fill)

    segments = stack("segments", -1)
    length = segments.shape[1]
    query, key = segments[:, :, None], segments[:, None, :]
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    mask = causal & ((key == 0) | (key == query))  # (B, T, T); padding sees padding
    return {
        "input_ids": stack("input_ids", pad_token),
        "labels": stack("labels", IGNORED),
        "position_ids": stack("position_ids", 0),
        "attention_mask": mask[:, None],
    }
