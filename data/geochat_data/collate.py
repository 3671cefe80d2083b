"""Samples to a batch: token ids, labels, mask and pixels, padded on the right.

Nothing is truncated: a sample that is too long is refused when it is indexed, with its length. Packing several samples
into one row is left to those who need it; batches of similar length, by the index's `lengths`, waste little.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import LlavaProcessor

from geochat.errors import DataError
from geochat.imagery import open_image
from geochat_data.encoding import IGNORED, encode_sample
from geochat_data.samples import Sample


@dataclass(frozen=True)
class Collator:
    """Makes batches for `LlavaForConditionalGeneration`; a `data_collator` for transformers' `Trainer`.

    Attributes:
        processor: Whose tokenizer, chat template and image processor to use.
        images: The folder the samples' image paths are relative to.
        max_length: Longest sample allowed, in tokens, image included.
    """

    processor: LlavaProcessor
    images: Path
    max_length: int

    def __call__(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """One batch.

        Returns:
            `input_ids`, `labels` (-100 where nothing is supervised) and `attention_mask`, each (B, T), and
            `pixel_values` (N, 3, S, S) of the N samples that have an image, in their order; left out when none has.

        Raises:
            DataError: A sample cannot be trained on or is too long; the message names it.
            ImageError: An image is missing or unreadable.
        """
        examples = []
        for sample in samples:
            try:
                examples.append(encode_sample(sample, self.processor, self.max_length))
            except DataError as error:
                raise DataError(f"sample {sample.id}: {error}") from error
        ids = [torch.tensor(example.input_ids) for example in examples]
        pad = self.processor.tokenizer.pad_token_id
        batch = {
            "input_ids": pad_sequence(ids, batch_first=True, padding_value=0 if pad is None else pad),
            "labels": pad_sequence([torch.tensor(e.labels) for e in examples], batch_first=True, padding_value=IGNORED),
            "attention_mask": pad_sequence([torch.ones_like(row) for row in ids], batch_first=True),
        }
        pixels = [self.pixels(sample.image) for sample in samples if sample.image is not None]
        return {**batch, "pixel_values": torch.cat(pixels)} if pixels else batch

    def pixels(self, name: str) -> Tensor:
        """The image as the model sees it when it is asked about it, (1, 3, S, S).

        Raises:
            ImageError: It is missing or unreadable.
        """
        view = open_image(self.images / name).pil()
        values: Tensor = self.processor.image_processor(view, return_tensors="pt")["pixel_values"]
        return values
