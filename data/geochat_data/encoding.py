"""Samples as token ids, labels and batches.

The chat template renders the conversation and marks the assistant's text with `{% generation %}`; only this text, with
the end token, is supervised (`preprocess_v1` in the original's `train.py`). Rows are padded on the right. Nothing is
truncated: a sample that is too long is refused at indexing, with its length. Samples are not packed into one row;
batches of similar length, by the index's `lengths`, waste little.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import LlavaProcessor

from geochat.checkpoints.guards import guarded
from geochat.errors import DataError
from geochat.imagery import open_image
from geochat.prompts import IMAGE_TOKEN, Message, chat_messages
from geochat_data.samples import Sample, check_messages

IGNORED = -100


@dataclass(frozen=True)
class Example:
    """One conversation, tokenised.

    Attributes:
        input_ids: Token ids, the image placeholder repeated once per patch token.
        labels: The same in the assistant's turns, -100 elsewhere.
    """

    input_ids: list[int]
    labels: list[int]


def encode(messages: Sequence[Message], processor: LlavaProcessor, *, image_tokens: int, max_length: int) -> Example:
    """Tokenise a conversation and label the assistant's text.

    Args:
        messages: The conversation, ending with the assistant.
        processor: Provides the tokenizer and the chat template.
        image_tokens: Patch tokens of the image, 0 for a conversation without one.
        max_length: Greatest number of tokens allowed, image included.

    Raises:
        DataError: The conversation cannot be trained on (see `check_messages`) or is too long.
    """
    check_messages(messages)
    tokenizer = processor.tokenizer
    with guarded("the chat template", remedy="copy chat_template.jinja of the model's base again"):
        rendered = tokenizer.apply_chat_template(
            _with_placeholder(messages, with_image=image_tokens > 0),
            chat_template=processor.chat_template,
            tokenize=True,
            return_dict=True,
            return_assistant_tokens_mask=True,
        )
    ids, mask = rendered["input_ids"], rendered["assistant_masks"]
    if image_tokens > 1:  # repeated here rather than in the text, where a thousand would have to be tokenised
        place = ids.index(processor.image_token_id)
        ids[place : place + 1] = [processor.image_token_id] * image_tokens
        mask[place : place + 1] = [0] * image_tokens
    if len(ids) > max_length:
        raise DataError(f"a training conversation has {len(ids)} tokens, {max_length} are allowed; shorten it")
    return Example(ids, [token if spoken else IGNORED for token, spoken in zip(ids, mask, strict=True)])


def encode_sample(sample: Sample, processor: LlavaProcessor, max_length: int) -> Example:
    """Tokenise a sample with as many placeholders as its image has tokens in the processor's model.

    Raises:
        DataError: See `encode`.
    """
    image_tokens = image_token_count(processor) if sample.image else 0
    return encode(sample.messages, processor, image_tokens=image_tokens, max_length=max_length)


def image_token_count(processor: LlavaProcessor) -> int:
    """Number of patch tokens of one image: (side / patch size) squared, without the class token."""
    side = processor.image_processor.crop_size["height"]
    return int(side // processor.patch_size) ** 2


def _with_placeholder(messages: Sequence[Message], *, with_image: bool) -> list[dict[str, Any]]:
    """Messages as plain strings, with one placeholder for the image."""
    chat = chat_messages(messages, with_image=with_image)
    for turn in chat:
        parts = [f"{IMAGE_TOKEN}\n" if p["type"] == "image" else p["text"] for p in turn["content"]]
        turn["content"] = "".join(parts)
    return chat


@dataclass(frozen=True)
class Collator:
    """Collator of samples for `LlavaForConditionalGeneration`; a `data_collator` for transformers' `Trainer`.

    Attributes:
        processor: Provides the tokenizer, the chat template and the image processor.
        images: The folder the samples' image paths are relative to.
        max_length: Greatest number of tokens of a sample, image included.
    """

    processor: LlavaProcessor
    images: Path
    max_length: int

    def __call__(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """Make one batch.

        Returns:
            `input_ids`, `labels` (-100 where nothing is supervised) and `attention_mask`, each (B, T), and
            `pixel_values` (N, 3, S, S) of the N samples with an image, in their order; left out if N is 0.

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
        return batch | self.images_of(samples)

    def images_of(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """Return `pixel_values` (N, 3, S, S) of the N samples with an image, in their order; nothing if N is 0.

        Raises:
            ImageError: An image is missing or unreadable.
        """
        pixels = [self.pixels(sample.image) for sample in samples if sample.image is not None]
        return {"pixel_values": torch.cat(pixels)} if pixels else {}

    def pixels(self, name: str) -> Tensor:
        """Preprocess an image as for inference, (1, 3, S, S).

        Raises:
            ImageError: It is missing or unreadable.
        """
        view = open_image(self.images / name).pil()
        values: Tensor = self.processor.image_processor(view, return_tensors="pt")["pixel_values"]
        return values
