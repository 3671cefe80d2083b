"""From conversations to the tokens and labels a model is trained on.

The chat template renders the conversation and marks the assistant's words with `{% generation %}`; only those, with the
end token, are supervised (`preprocess_v1` in the original's `train.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers import LlavaProcessor

from geochat.checkpoints.guarding import guarded
from geochat.errors import DataError
from geochat.prompts import IMAGE_TOKEN, Message, chat_messages
from geochat_data.samples import Sample, check_messages

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
    if image_tokens > 1:  # repeated here and not in the text, where a thousand of them would have to be found again
        place = ids.index(processor.image_token_id)
        ids[place : place + 1] = [processor.image_token_id] * image_tokens
        mask[place : place + 1] = [0] * image_tokens
    if len(ids) > max_length:
        raise DataError(f"a training conversation has {len(ids)} tokens, {max_length} are allowed; shorten it")
    return Example(ids, [token if spoken else IGNORED for token, spoken in zip(ids, mask, strict=True)])


def encode_sample(sample: Sample, processor: LlavaProcessor, max_length: int) -> Example:
    """Tokenise a sample with the placeholders its image takes in the processor's model.

    Raises:
        DataError: See `encode`.
    """
    image_tokens = image_token_count(processor) if sample.image else 0
    return encode(sample.messages, processor, image_tokens=image_tokens, max_length=max_length)


def image_token_count(processor: LlavaProcessor) -> int:
    """Patch tokens of one image: (side / patch size) squared, the class token left out."""
    side = processor.image_processor.crop_size["height"]
    return int(side // processor.patch_size) ** 2


def _with_placeholder(messages: Sequence[Message], *, with_image: bool) -> list[dict[str, Any]]:
    """Plain-string messages with one placeholder for the image."""
    chat = chat_messages(messages, with_image=with_image)
    for turn in chat:
        parts = [f"{IMAGE_TOKEN}\n" if p["type"] == "image" else p["text"] for p in turn["content"]]
        turn["content"] = "".join(parts)
    return chat
