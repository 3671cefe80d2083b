"""Items and batches for the stage that talks: views and packed questions about them."""

import random
from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor
from transformers import LlavaProcessor

from geochat.prompts import Message
from geochat.regions import Region, format_box, parse
from geochat_data.encoding import Example, encode
from geochat_data.questions import build_conversation
from geochat_data.records import LabelledImage
from geochat_train.mini.lessons import pixels
from geochat_train.mini.numbers import CONVENTION
from geochat_train.mini.packing import Packed, pack, pad

SHARES: Mapping[str, float] = MappingProxyType(
    {
        "scene": 1.5,
        "caption": 1.0,
        "presence": 1.0,
        "count": 1.2,
        "comparison": 0.7,
        "identify": 1.5,
        "refer": 3.5,
        "grounding": 1.2,
        "position": 0.4,
        "colour": 0.3,
        "negative": 0.3,
    }
)
_TURNS = 8
_RICH = 0.25  # share of views asked about colours and relations too, which costs time to work out
_CONVERSATIONS = 0.15  # share of rows whose questions see those before them, as in a chat
_TOGETHER = 4  # turns of such a row
_RESPELLED = 0.3  # share of questions whose boxes have angles in (0, 90]
_LONGEST = 2048
_WORDS = 260  # tokens of a row besides the image's
_PREAMBLE = 40  # of these, the system prompt's, which a row holds once

Item = tuple[Packed, Tensor]


class Talk:
    """Makes training items of square views that are `grid` x `grid` patches."""

    def __init__(self, processor: LlavaProcessor, scenes: tuple[str, ...], grid: int) -> None:
        self.processor = processor
        self.scenes = scenes
        self.grid = grid

    def make(self, view: LabelledImage, rng: random.Random, _: int | None = None) -> Item | None:
        """One row about `view`, or None if its labels offer no question."""
        turns = converse(view, rng, self.scenes)
        if not turns:
            return None
        together = rng.random() < _CONVERSATIONS
        conversations = (
            [[m for turn in turns[:_TOGETHER] for m in turn]] if together else [list(turn) for turn in turns]
        )
        encoded = [self._tokens(conversation) for conversation in conversations]
        return pack(self._fitting(encoded), self.processor.image_token_id), pixels(view)

    def collate(self, items: list[Item]) -> dict[str, Tensor]:
        """A batch: padded words and views (B, S, S, 3)."""
        words, views = zip(*items, strict=True)
        return {**pad(words, int(self.processor.tokenizer.pad_token_id)), "views": torch.stack(views)}

    def _fitting(self, examples: list[Example]) -> list[Example]:
        """Those that together stay within the budget of a row, in order: attention pays for a row's length squared."""
        kept: list[Example] = []
        left = _WORDS
        for example in examples:
            own = len(example.input_ids) - self.grid**2
            if own <= left or not kept:
                kept.append(example)
                left -= own - _PREAMBLE
        return kept

    def _tokens(self, messages: list[Message]) -> Example:
        return encode(messages, self.processor, image_tokens=self.grid**2, max_length=_LONGEST)


def converse(view: LabelledImage, rng: random.Random, scenes: tuple[str, ...]) -> list[tuple[Message, Message]]:
    """Independent questions about a view, each with its answer; none if its labels offer nothing."""
    talk = build_conversation(
        view,
        rng,
        turns=_TURNS,
        shares=SHARES,
        scenes=scenes,
        convention=CONVENTION,
        wording="varied",
        rich=rng.random() < _RICH,
    )
    asked = [_respelled(turn.question) if rng.random() < _RESPELLED else turn.question for turn in talk.turns]
    return [
        (Message("user", question), Message("assistant", turn.answer))
        for question, turn in zip(asked, talk.turns, strict=True)
    ]


def _respelled(question: str) -> str:
    """The question with its boxes spelled as the published data spells them: people bring such questions."""
    events = parse(question, CONVENTION).events
    return "".join(
        format_box(event.box) if isinstance(event, Region) else question[slice(*event.span)] for event in events
    )
