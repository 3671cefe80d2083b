"""From conversations to the tensors a model is trained on.

The chat template renders the conversation and marks the assistant's words with `{% generation %}`; only those, with the
end token, are supervised (`preprocess_v1` in the original's `train.py`). Rows are padded on the right.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import LlavaProcessor

from geochat.errors import DataError
from geochat.prompts import IMAGE_TOKEN, Message, chat_messages

IGNORED = -100


@dataclass(frozen=True)
class Example:
    """One conversation, tokenised.

    Attributes:
        input_ids: Token ids, the image placeholder repeated once a patch token.
        labels: The same where the assistant speaks, -100 elsewhere.
    """

    input_ids: list[int]
    labels: list[int]


def encode(messages: Sequence[Message], processor: LlavaProcessor, *, image_tokens: int, max_length: int) -> Example:
    """Tokenise a conversation and label the assistant's words.

    Args:
        messages: The conversation, ending with the assistant.
        processor: Whose tokenizer and chat template to use.
        image_tokens: Patch tokens of the image, 0 for a conversation without one.
        max_length: Longest allowed, in tokens, image included.

    Raises:
        DataError: The conversation does not end with an answer, an answer is empty, or it is too long.
    """
    if not messages or messages[-1].role != "assistant":
        raise DataError("a training conversation must end with the assistant's answer; this one does not")
    if any(m.role == "assistant" and not m.text.strip() for m in messages):
        raise DataError("an answer in a training conversation is empty; remove the turn or fill it")
    tokenizer = processor.tokenizer
    rendered = tokenizer.apply_chat_template(
        _with_placeholders(messages, image_tokens),
        chat_template=processor.chat_template,
        tokenize=True,
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    ids, mask = rendered["input_ids"], rendered["assistant_masks"]
    if len(ids) > max_length:
        raise DataError(f"a training conversation has {len(ids)} tokens, {max_length} are allowed; shorten it")
    return Example(ids, [token if spoken else IGNORED for token, spoken in zip(ids, mask, strict=True)])


def _with_placeholders(messages: Sequence[Message], image_tokens: int) -> list[dict[str, Any]]:
    """Plain-string messages with the image's placeholders already repeated."""
    chat = chat_messages(messages, with_image=image_tokens > 0)
    for turn in chat:
        parts = [f"{IMAGE_TOKEN * image_tokens}\n" if p["type"] == "image" else p["text"] for p in turn["content"]]
        turn["content"] = "".join(parts)
    return chat


class Collator:
    """Pads examples into a batch and letterboxes their images.

    Calling it with a list of (Example, image) gives `input_ids`, `attention_mask`, `labels` (B, T) and
    `pixel_values` (B, 3, S, S).
    """

    def __init__(self, processor: LlavaProcessor) -> None:
        self.processor = processor
        self.pad = processor.tokenizer.pad_token_id

    def __call__(self, batch: Sequence[tuple[Example, Image.Image]]) -> dict[str, Tensor]:
        """Collate `batch`."""
        length = max(len(example.input_ids) for example, _ in batch)
        ids = torch.full((len(batch), length), self.pad)
        labels = torch.full((len(batch), length), IGNORED)
        mask = torch.zeros((len(batch), length), dtype=torch.long)
        for row, (example, _) in enumerate(batch):
            n = len(example.input_ids)
            ids[row, :n] = torch.tensor(example.input_ids)
            labels[row, :n] = torch.tensor(example.labels)
            mask[row, :n] = 1
        pixels = self.processor.image_processor([image for _, image in batch], return_tensors="pt")["pixel_values"]
        return {"input_ids": ids, "attention_mask": mask, "labels": labels, "pixel_values": pixels}
