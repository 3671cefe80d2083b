"""Rows to a batch.

A row of one sample goes through `geochat_data`'s collator. A row of several samples about one image holds their common
beginning, up to the image's last token, once. Behind it each question sees that beginning and itself, and counts its
positions from where the beginning ends, so the loss is that of separate rows and the image, which is most of a row, is
read once (the mask of Krell et al. 2021, with a shared prefix).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from geochat.errors import DataError
from geochat_data.collate import Collator
from geochat_data.encoding import IGNORED, Example, encode_sample
from geochat_train.tuning.material import Row


@dataclass(frozen=True)
class Joined:
    """Samples about one image as one row of T tokens.

    Attributes:
        input_ids: (T,).
        labels: (T,).
        position_ids: (T,).
        owners: (T,), 0 in the common beginning, then the number of the sample.
    """

    input_ids: Tensor
    labels: Tensor
    position_ids: Tensor
    owners: Tensor


def join(examples: Sequence[Example], image_token: int) -> Joined:
    """Join examples whose beginnings, up to the last image token, are equal."""
    ids = examples[0].input_ids
    shared = len(ids) - ids[::-1].index(image_token)
    rows = [(ids[:shared], [IGNORED] * shared, range(shared), [0] * shared)]
    for number, example in enumerate(examples, start=1):
        own = len(example.input_ids) - shared
        rows.append((example.input_ids[shared:], example.labels[shared:], range(shared, shared + own), [number] * own))
    return Joined(*(torch.tensor([value for part in column for value in part]) for column in zip(*rows, strict=True)))


@dataclass(frozen=True)
class RowCollator:
    """Makes batches of rows; a `data_collator` for transformers' `Trainer`.

    Attributes:
        inner: Makes batches of samples.
    """

    inner: Collator

    def __call__(self, rows: Sequence[Row]) -> dict[str, Tensor]:
        """One batch: as `Collator`'s, with `position_ids` and a mask (B, 1, T, T) where a row joins samples.

        Raises:
            DataError: A sample cannot be trained on; the message names it.
            ImageError: An image is missing or unreadable.
        """
        if all(len(row) == 1 for row in rows):
            return self.inner([row[0] for row in rows])
        joined = [self._joined(row) for row in rows]
        pad = self.inner.processor.tokenizer.pad_token_id
        owners = _stacked([row.owners for row in joined], -1)  # (B, T)
        sees = (owners[:, None, :] == 0) | (owners[:, None, :] == owners[:, :, None])  # (B, T, T); padding sees padding
        batch = {
            "input_ids": _stacked([row.input_ids for row in joined], 0 if pad is None else pad),
            "labels": _stacked([row.labels for row in joined], IGNORED),
            "position_ids": _stacked([row.position_ids for row in joined], 0),
            "attention_mask": (sees & torch.ones_like(sees[0]).tril())[:, None],
        }
        pixels = [self.inner.pixels(row[0].image) for row in rows if row[0].image is not None]
        return {**batch, "pixel_values": torch.cat(pixels)} if pixels else batch

    def _joined(self, row: Row) -> Joined:
        processor = self.inner.processor
        try:
            examples = [encode_sample(sample, processor, self.inner.max_length) for sample in row]
        except DataError as error:
            raise DataError(f"sample {row[0].id}: {error}") from error
        if row[0].image is None:  # nothing to share, and such rows hold one sample
            ids, labels = torch.tensor(examples[0].input_ids), torch.tensor(examples[0].labels)
            return Joined(ids, labels, torch.arange(len(ids)), torch.ones_like(ids))
        return join(examples, processor.image_token_id)


def _stacked(rows: Sequence[Tensor], fill: int) -> Tensor:
    return pad_sequence(list(rows), batch_first=True, padding_value=fill)
