"""From a request to what the model reads.

The text is tokenised with one image placeholder, which is then repeated once a patch, so that an image which has been
read before need not be resized and normalised again to learn how many patches it has.
"""

import hashlib
import threading
from dataclasses import dataclass
from typing import Any

from PIL import Image
from torch import Tensor

from geochat.checkpoints import Checkpoint
from geochat.engines.prefix import Key
from geochat.engines.protocol import Request
from geochat.errors import ContextLengthError, ImageError
from geochat.prompts import chat_messages


@dataclass(frozen=True, eq=False, slots=True)
class Prompt:
    """A conversation as token ids.

    Attributes:
        ids: With one placeholder a patch.
        key: The same, with the image's hash in each placeholder's place.
        image: RGB, before letterboxing.
        image_end: Where the tokens after the image begin, 0 without one.
    """

    ids: tuple[int, ...]
    key: Key
    image: Image.Image | None
    image_end: int


class Encoder:
    """Makes prompts for one checkpoint. May be used from several threads."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        config: Any = checkpoint.model.config
        self._processor = checkpoint.processor
        self._placeholder = int(config.image_token_id)
        self._patches = _patches(checkpoint)
        self._context = int(config.get_text_config().max_position_embeddings)
        self._tokenizing = threading.Lock()  # fast tokenizers may not be used from two threads at once

    def encode(self, request: Request, numbers: dict[int, int] | None = None) -> Prompt:
        """The prompt of a request.

        Args:
            request: The conversation and the image.
            numbers: What the image objects of requests before were hashed to, by their `id`; is added to. The images
                must be alive and unchanged.

        Raises:
            PromptError: There is an image and no user turn.
            ContextLengthError: Prompt and answer budget exceed the model's context.
            ImageError: The image cannot be decoded.
        """
        messages = chat_messages(request.messages, with_image=request.image is not None)
        text = self._processor.apply_chat_template(messages, add_generation_prompt=True)
        ids = self._tokenize(text)
        if request.image is None:
            self._check_length(len(ids), request.generation.max_new_tokens)
            return Prompt(ids, ids, None, 0)
        start = ids.index(self._placeholder)
        before, after, end = ids[:start], ids[start + 1 :], start + self._patches
        shown = (*before, *[self._placeholder] * self._patches, *after)
        self._check_length(len(shown), request.generation.max_new_tokens)
        image = _decoded(request.image)
        numbers = {} if numbers is None else numbers
        if id(request.image) not in numbers:
            numbers[id(request.image)] = _number(image)
        number = numbers[id(request.image)]
        return Prompt(shown, (*before, *[number] * self._patches, *after), image, end)

    def pixels(self, prompt: Prompt) -> Tensor:
        """The pixel values (1, 3, S, S) of a prompt's image, letterboxed and normalised.

        Raises:
            ImageError: The image has a shape that cannot be letterboxed.
        """
        try:
            values: Tensor = self._processor.image_processor(prompt.image, return_tensors="pt")["pixel_values"]
        except ValueError as error:
            raise ImageError(f"the image cannot be letterboxed ({error}); crop it") from error
        return values

    def _tokenize(self, text: str) -> tuple[int, ...]:
        tokenizer = self._processor.tokenizer
        bos = tokenizer.bos_token
        doubled = bool(bos and text.startswith(bos))  # a second one changes the answer
        with self._tokenizing:
            return tuple(tokenizer(text, add_special_tokens=not doubled)["input_ids"])

    def _check_length(self, prompt: int, budget: int) -> None:
        excess = prompt + budget - self._context
        if excess > 0:
            raise ContextLengthError(
                f"the prompt has {prompt} tokens and the answer may take {budget}, {excess} more than the model's "
                f"context of {self._context}; shorten the question, start a new conversation or lower max_new_tokens"
            )


def _patches(checkpoint: Checkpoint) -> int:
    """Tokens an image takes in a prompt."""
    vision: Any = checkpoint.model.config.vision_config
    strategy: str = checkpoint.processor.vision_feature_select_strategy
    side = int(vision.image_size) // int(vision.patch_size)
    return side * side + (strategy != "default")  # "default" drops the class token


def _decoded(image: Image.Image) -> Image.Image:
    try:
        image.load()
        return image if image.mode == "RGB" else image.convert("RGB")
    except (OSError, ValueError) as error:
        raise ImageError(f"the image cannot be decoded ({error}); open it again") from error


def _number(image: Image.Image) -> int:
    """A number for an image's size and pixels, below zero and so no token id."""
    digest = hashlib.sha256(repr(image.size).encode() + b" " + image.tobytes())
    return -1 - int.from_bytes(digest.digest())
