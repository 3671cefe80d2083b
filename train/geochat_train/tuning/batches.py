"""Rows to a batch.

A row of one sample goes through `geochat_data`'s collator; the samples of a row of several, which are about one image,
are packed so that the image is read once (`geochat_train.packing`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from geochat.errors import DataError
from geochat_data.encoding import Collator
from geochat_data.encoding import encode_sample
from geochat_train.packing import Packed, pack, pad
from geochat_train.tuning.material import Row


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
        token = self.inner.processor.tokenizer.pad_token_id
        batch = pad([self._packed(row) for row in rows], 0 if token is None else token)
        pixels = [self.inner.pixels(row[0].image) for row in rows if row[0].image is not None]
        return {**batch, "pixel_values": torch.cat(pixels)} if pixels else batch

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
