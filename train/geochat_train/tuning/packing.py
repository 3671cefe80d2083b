"""Packing of samples into rows, and of rows into batches.

A row of one sample is handled by the collator of `geochat_data`. A row of several samples has one image, whose tokens
are most of the row: samples attend to the common prefix and to themselves, never to each other, and their positions
continue from the end of the prefix, so the loss is that of separate conversations at the cost of one image (the mask of
Krell et al. 2021, with a shared prefix).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from geochat.errors import DataError
from geochat_data.encoding import IGNORED, Collator, Example, encode_sample
from geochat_train.tuning.rows import Row


@dataclass(frozen=True)
class Packed:
    """One row of T tokens.

    Attributes:
        input_ids: (T,).
        labels: (T,), -100 where nothing is supervised.
        position_ids: (T,).
        segments: (T,), 0 for the common prefix, then 1, 2, ... for the questions.
    """

    input_ids: Tensor
    labels: Tensor
    position_ids: Tensor
    segments: Tensor


def pack(examples: Sequence[Example], image_token: int) -> Packed:
    """Join conversations about one image; their common prefix (to the last image token) occurs once."""
    first = examples[0].input_ids
    return join(examples, len(first) - first[::-1].index(image_token))


def join(examples: Sequence[Example], shared: int) -> Packed:
    """Join conversations with the same first `shared` tokens, which are unsupervised and occur once.

    So must be the next token of each, because what precedes it in the row is another conversation.
    """
    ids, labels = list(examples[0].input_ids[:shared]), [IGNORED] * shared
    positions, segments = list(range(shared)), [0] * shared
    for number, example in enumerate(examples, start=1):
        own = len(example.input_ids) - shared
        ids += example.input_ids[shared:]
        labels += example.labels[shared:]
        positions += range(shared, shared + own)
        segments += [number] * own
    return Packed(*(torch.tensor(row) for row in (ids, labels, positions, segments)))


def pad(rows: Sequence[Packed], pad_token: int, *, additive: bool = False) -> dict[str, Tensor]:
    """Stack rows, padded on the right, with the mask (B, 1, T, T) that separates questions.

    Args:
        rows: The rows.
        pad_token: Token to pad with.
        additive: Whether the mask is added to the scores, 0 or very low, as eager attention takes it; transformers
            passes a mask of four dimensions on as it is.
    """

    def stack(name: str, fill: int) -> Tensor:
        columns = [getattr(row, name) for row in rows]
        return torch.nn.utils.rnn.pad_sequence(columns, batch_first=True, padding_value=fill)

    segments = stack("segments", -1)
    length = segments.shape[1]
    query, key = segments[:, :, None], segments[:, None, :]
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    mask = causal & ((key == 0) | (key == query))  # (B, T, T); padding sees padding
    if additive:
        mask = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.bfloat16).min)
    return {
        "input_ids": stack("input_ids", pad_token),
        "labels": stack("labels", IGNORED),
        "position_ids": stack("position_ids", 0),
        "attention_mask": mask[:, None],
    }


@dataclass(frozen=True)
class RowCollator:
    """Makes batches of rows; a `data_collator` for transformers' `Trainer`.

    Attributes:
        inner: Collator of samples.
        additive: Whether the mask is added to the scores; see `pad`.
    """

    inner: Collator
    additive: bool = False

    def __call__(self, rows: Sequence[Row]) -> dict[str, Tensor]:
        """Return one batch: as `Collator`'s, with `position_ids` and a mask (B, 1, T, T) if a row joins samples.

        Raises:
            DataError: A sample cannot be trained on; the message names it.
            ImageError: An image is missing or unreadable.
        """
        if all(len(row) == 1 for row in rows):
            return self.inner([row[0] for row in rows])
        token = self.inner.processor.tokenizer.pad_token_id
        batch = pad([self._packed(row) for row in rows], 0 if token is None else token, additive=self.additive)
        return batch | self.inner.images_of([row[0] for row in rows])

    def _packed(self, row: Row) -> Packed:
        processor = self.inner.processor
        try:
            examples = [encode_sample(sample, processor, self.inner.max_length) for sample in row]
        except DataError as error:
            raise DataError(f"sample {row[0].id}: {error}") from error
        if row[0].image is None:  # nothing to share, and such rows hold one sample
            ids, labels = torch.tensor(examples[0].input_ids), torch.tensor(examples[0].labels)
            return Packed(ids, labels, torch.arange(len(ids)), torch.ones_like(ids))
        return pack(examples, processor.image_token_id)
