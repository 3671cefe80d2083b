"""Items and batches for the stages that talk: views, packed questions, the tutor heads' targets."""

import random
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers import LlavaProcessor

from geochat.prompts import Message
from geochat_data.encoding import Example, encode
from geochat_data.records import LabelledImage
from geochat_train.first.dense import tutor_targets
from geochat_train.first.packing import Packed, pack, pad

_CONVERSATIONS = 0.2  # share of rows whose questions see those before them, as in a chat
_LONGEST = 2048

Ask = Callable[[LabelledImage, random.Random], list[tuple[Message, Message]]]
Item = tuple[Packed, Tensor, dict[str, Tensor]]


class Talk:
    """Makes training items of square views that are `grid` x `grid` patches; `ask` makes the questions."""

    def __init__(self, processor: LlavaProcessor, scenes: tuple[str, ...], grid: int, ask: Ask) -> None:
        self.processor = processor
        self.scenes = scenes
        self.grid = grid
        self.ask = ask

    def make(self, image: LabelledImage, rng: random.Random) -> Item | None:
        """One row about `image`, or None if its labels offer no question."""
        turns = self.ask(image, rng)
        if not turns:
            return None
        together = rng.random() < _CONVERSATIONS
        conversations = [[m for turn in turns for m in turn]] if together else [list(turn) for turn in turns]
        packed = pack([self._tokens(c) for c in conversations], self.processor.image_token_id)
        pixels = self.processor.image_processor(image.open(), return_tensors="pt")["pixel_values"][0]
        return packed, pixels, tutor_targets(image, self.scenes, self.grid)

    def collate(self, items: list[Item]) -> dict[str, Tensor]:
        """A batch: padded words, pixel values (B, 3, S, S) and the heads' targets."""
        words, pixels, targets = zip(*items, strict=True)
        stacked = {name: torch.stack([target[name] for target in targets]) for name in targets[0]}
        padding: Any = self.processor.tokenizer.pad_token_id
        return {**pad(words, padding), "pixel_values": torch.stack(pixels), **stacked}

    def _tokens(self, messages: list[Message]) -> Example:
        return encode(messages, self.processor, image_tokens=self.grid**2, max_length=_LONGEST)
