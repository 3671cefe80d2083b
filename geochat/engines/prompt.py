"""Conversion of requests to model inputs.

The text is tokenised with one image placeholder, which is then repeated once per patch, so that an image that was read
before need not be preprocessed again to count its patches.

A choice is tokenised as in training: the whole conversation with the choice as the assistant's turn, because a
tokenizer may join its first characters with the preceding text.
"""

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image
from torch import Tensor

from geochat.checkpoints import Checkpoint
from geochat.checkpoints.guards import guarded
from geochat.engines.prefix import Key, common_length
from geochat.engines.protocol import Request
from geochat.errors import ContextLengthError, ImageError, PromptError
from geochat.models import ModelInfo
from geochat.prompts import Message, chat_messages

_TEMPLATE = "copy chat_template.jinja of the model's base again"


@dataclass(frozen=True, slots=True)
class Turn:
    """A choice as the assistant's turn.

    Attributes:
        ids: Tokens after the prompt, up to the end token.
        start: Index of the turn in `ids`; above 0 if the tokenizer joins it with the prompt's end.
    """

    ids: tuple[int, ...]
    start: int

    def __len__(self) -> int:
        return len(self.ids) - self.start


@dataclass(frozen=True, eq=False, slots=True)
class Prompt:
    """A conversation as token ids.

    Attributes:
        ids: Ids with one placeholder per patch.
        key: The same, with the image's hash in each placeholder's place.
        image: RGB, before letterboxing.
        image_end: Index of the first token after the image, 0 without one.
        turns: One for each of the request's choices; `ids` is what comes before all of them.
    """

    ids: tuple[int, ...]
    key: Key
    image: Image.Image | None
    image_end: int
    turns: tuple[Turn, ...] = ()

    @property
    def image_number(self) -> int:
        """Id number of the image; 0 without one."""
        return self.key[self.image_end - 1] if self.image_end else 0


class Encoder:
    """Makes prompts for one checkpoint. Thread-safe.

    Args:
        checkpoint: The model and its processor.
        info: The facts about it, and how many images a request may hold.

    Attributes:
        ends: Every id that ends an answer.
        patches: Tokens an image takes in a prompt.
    """

    def __init__(self, checkpoint: Checkpoint, info: ModelInfo) -> None:
        config: Any = checkpoint.model.config
        self.ends = _end_tokens(checkpoint)
        self._info = info
        self._processor = checkpoint.processor
        self._placeholder = int(config.image_token_id)
        self.patches = _patches(checkpoint)
        self._context = int(config.get_text_config().max_position_embeddings)
        self._tokenizing = threading.Lock()  # fast tokenizers may not be used from two threads at once

    def encode(self, request: Request, numbers: dict[int, int] | None = None) -> Prompt:
        """The prompt of a request.

        Args:
            request: The conversation and the image.
            numbers: What the image objects of requests before were hashed to, by their `id`; is added to. The images
                must be alive and unchanged.

        Raises:
            PromptError: There are too many images, an image and no user turn, or choices that are not a set.
            ContextLengthError: Prompt and answer budget, or the longest choice, exceed the model's context.
            ImageError: The image cannot be decoded.
        """
        if len(request.images) > self._info.capabilities.images:
            raise PromptError(
                f"{len(request.images)} images are given and {self._info.name} takes "
                f"{self._info.capabilities.images} a question; ask about each alone"
            )
        chat = chat_messages(request.messages, with_image=bool(request.images))
        with guarded("the chat template", remedy=_TEMPLATE):
            text: str = self._processor.apply_chat_template(chat, add_generation_prompt=True)
        ids = self._tokenize(text)
        turns: tuple[Turn, ...] = ()
        if request.choices:
            ids, turns = self._turns(request, text, ids)
        if not request.images:
            self._check_length(len(ids), request, turns)
            return Prompt(ids, ids, None, 0, turns)
        start = ids.index(self._placeholder)
        before, after, end = ids[:start], ids[start + 1 :], start + self.patches
        shown = (*before, *[self._placeholder] * self.patches, *after)
        self._check_length(len(shown), request, turns)
        image = _decoded(request.images[0])
        numbers = {} if numbers is None else numbers
        if id(request.images[0]) not in numbers:
            numbers[id(request.images[0])] = _number(image)
        number = numbers[id(request.images[0])]
        return Prompt(shown, (*before, *[number] * self.patches, *after), image, end, turns)

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

    def _turns(self, request: Request, text: str, ids: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[Turn, ...]]:
        """Split conversations that end with each choice into their common prefix and the rest of each.

        Args:
            request: The conversation and its choices.
            text: The prompt, up to where the assistant's turn begins.
            ids: Its tokens.
        """
        request.check_choices()
        image = bool(request.images)
        chats = [chat_messages([*request.messages, Message("assistant", c)], with_image=image) for c in request.choices]
        with guarded("the chat template", remedy=_TEMPLATE):
            texts: Any = self._processor.apply_chat_template(chats)  # one for each
        with self._tokenizing:
            read = self._processor.tokenizer(texts, add_special_tokens=not self._brings_bos(texts[0]))
        wholes = [(tuple(row), _spoken(read, n, text, texts[n])) for n, row in enumerate(read["input_ids"])]
        shared = min(common_length(ids, whole[:spoken]) for whole, spoken in wholes)
        turns = (Turn(self._ended(whole, spoken)[shared:], spoken - shared) for whole, spoken in wholes)
        return ids[:shared], tuple(turns)

    def _ended(self, ids: tuple[int, ...], spoken: int) -> tuple[int, ...]:
        """Return the conversation up to the end token of its last turn, which begins at `spoken`."""
        ends = [place for place in range(spoken, len(ids)) if ids[place] in self.ends]
        return ids[: ends[-1] + 1] if ends else (*ids, *sorted(self.ends)[:1])

    def _tokenize(self, text: str) -> tuple[int, ...]:
        with self._tokenizing:
            return tuple(self._processor.tokenizer(text, add_special_tokens=not self._brings_bos(text))["input_ids"])

    def _brings_bos(self, text: str) -> bool:
        """Return whether a text begins with the token that the tokenizer would add; a second one changes the answer."""
        bos = self._processor.tokenizer.bos_token
        return bool(bos and text.startswith(bos))

    def _check_length(self, prompt: int, request: Request, turns: Sequence[Turn]) -> None:
        budget = max((len(turn.ids) for turn in turns), default=request.generation.max_new_tokens)
        excess = prompt + budget - self._context
        if excess > 0:
            raise ContextLengthError(
                f"the prompt has {prompt} tokens and the answer may take {budget}, {excess} more than the model's "
                f"context of {self._context}; shorten the question, start a new conversation or "
                f"{'shorten the choices' if turns else 'lower max_new_tokens'}"
            )


def _patches(checkpoint: Checkpoint) -> int:
    """Return the number of tokens of an image in a prompt."""
    vision: Any = checkpoint.model.config.vision_config
    strategy: str = checkpoint.processor.vision_feature_select_strategy
    side = int(vision.image_size) // int(vision.patch_size)
    return side * side + (strategy != "default")  # "default" drops the class token


def _end_tokens(checkpoint: Checkpoint) -> frozenset[int]:
    """Return every id that ends an answer, by the tokenizer and by the generation config."""
    configured = getattr(checkpoint.model.generation_config, "eos_token_id", None)
    listed = configured if isinstance(configured, list) else [configured]
    return frozenset(i for i in [*listed, checkpoint.processor.tokenizer.eos_token_id] if i is not None)


def _spoken(read: Any, number: int, prompt: str, text: str) -> int:  # noqa: ANN401 - transformers' BatchEncoding
    """Return the first token of one of several tokenised texts that holds anything beyond the prompt."""
    begin = len(prompt) if text.startswith(prompt) else common_length(prompt, text)
    found = (read.char_to_token(number, place) for place in range(begin, len(text)))
    return next((token for token in found if token is not None), len(read["input_ids"][number]))


def _decoded(image: Image.Image) -> Image.Image:
    try:
        image.load()
        return image if image.mode == "RGB" else image.convert("RGB")
    except (OSError, ValueError) as error:
        raise ImageError(f"the image cannot be decoded ({error}); open it again") from error


def _number(image: Image.Image) -> int:
    """Return a number for an image's size and pixels; negative, so it is not a token id."""
    digest = hashlib.sha256(repr(image.size).encode() + b" " + image.tobytes())
    return -1 - int.from_bytes(digest.digest())
