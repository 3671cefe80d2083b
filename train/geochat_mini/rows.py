"""Items and batches for the stage that talks: views and packed questions about them."""

import random
from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import LlavaProcessor

from geochat.dialects import GEOCHAT, Region
from geochat.geometry import OrientedBox
from geochat.prompts import Message
from geochat_data.encoding import IGNORED, Example, encode
from geochat_data.questions import build_conversation, clean_caption
from geochat_data.records import LabelledImage
from geochat_mini.number_tokens import MINI, NUMBERS
from geochat_mini.pointing import Pointing, join, pointing
from geochat_mini.teacher_cache import pixels
from geochat_train.packing import Packed, pack, pad

SHARES: Mapping[str, float] = MappingProxyType(
    {
        "scene": 1.2,
        "caption": 1.6,
        "presence": 0.7,
        "count": 1.0,
        "comparison": 0.7,
        "identify": 0.5,
        "refer": 4.5,
        "grounding": 1.0,
        "position": 0.4,
        "colour": 0.3,
        "negative": 0.3,
    }
)
_CROWDED = 8.0  # times more questions about regions where there are several categories, and looking is needed
_POINTED = 3.0  # times more questions for places in images that were made: all they teach is where things are
_TURNS = 12  # at most, of which a row keeps those that fit
_RICH = 0.25  # share of views asked about colours and relations too, which costs time to work out
_CONVERSATIONS = 0.15  # share of rows whose questions see those before them, as in a chat
_TOGETHER = 4  # turns of such a row
_RESPELLED = 0.3  # share of questions whose boxes have angles in (0, 90]
_LONGEST = 2048
_WORDS = 360  # tokens of a row besides the image's
_PREAMBLE = 40  # of these, the system prompt's, which a row holds once

Item = tuple[Packed, Pointing, Tensor, Tensor]


class Talk:
    """Makes training items of square views that are `grid` x `grid` patches."""

    def __init__(self, processor: LlavaProcessor, scenes: tuple[str, ...], grid: int) -> None:
        self.processor = processor
        self.scenes = scenes
        self.grid = grid
        vocabulary = processor.tokenizer.get_vocab()
        self.numbers = range(vocabulary[NUMBERS[0]], vocabulary[NUMBERS[-1]] + 1)

    def make(self, view: LabelledImage, rng: random.Random, _: int | None = None) -> Item | None:
        """One row about `view`, or None if its labels offer no question."""
        turns = converse(view, rng, self.scenes)
        if not turns:
            return None
        together = rng.random() < _CONVERSATIONS
        conversations = (
            [[m for turn in turns[:_TOGETHER] for m in turn]] if together else [list(turn) for turn in turns]
        )
        kept = self._fitting(conversations)
        row = pack([example for _, example in kept], self.processor.image_token_id)
        boxes = [box for talk, _ in kept for box in _boxes(talk)]
        described = self._described(view, [talk for talk, _ in kept], row)
        return row, pointing(row, boxes, self.numbers, self.grid), described, pixels(view)

    def collate(self, items: list[Item]) -> dict[str, Tensor]:
        """A batch: padded words, what is known of them, and views (B, S, S, 3)."""
        words, points, described, views = zip(*items, strict=True)
        padded = pad(words, int(self.processor.tokenizer.pad_token_id))
        known = {
            "weights": pad_sequence([balanced(row) for row in words], batch_first=True),
            "described": pad_sequence(list(described), batch_first=True, padding_value=IGNORED),
        }
        return {**padded, **known, **join(points), "views": torch.stack(views)}

    def _fitting(self, talks: list[list[Message]]) -> list[tuple[list[Message], Example]]:
        """Those that together stay within the budget of a row, in order: attention pays for a row's length squared."""
        kept: list[tuple[list[Message], Example]] = []
        left = _WORDS
        for talk in talks:
            example = self._tokens(talk)
            own = len(example.input_ids) - self.grid**2
            if own <= left or not kept:
                kept.append((talk, example))
                left -= own - _PREAMBLE
        return kept

    def _described(self, view: LabelledImage, talks: list[list[Message]], row: Packed) -> Tensor:
        """The scene class (T,) at the words of the view's caption, -100 elsewhere."""
        found = torch.full_like(row.labels, IGNORED)
        if view.scene not in self.scenes:
            return found
        told = {clean_caption(caption) for caption in view.captions}
        for number, talk in enumerate(talks, start=1):
            if talk[-1].text in told:
                found[(row.segments == number) & (row.labels != IGNORED)] = self.scenes.index(view.scene)
        return found

    def _tokens(self, messages: list[Message]) -> Example:
        return encode(messages, self.processor, image_tokens=self.grid**2, max_length=_LONGEST)


def converse(view: LabelledImage, rng: random.Random, scenes: tuple[str, ...]) -> list[tuple[Message, Message]]:
    """Independent questions about a view, each with its answer; none if its labels offer nothing."""
    pairs = build_conversation(
        view,
        rng,
        dialect=MINI,
        turns=_TURNS,
        shares=_shares(view),
        scenes=scenes,
        wording="varied",
        rich=rng.random() < _RICH,
    )
    asked = [_respelled(turn.question) if rng.random() < _RESPELLED else turn.question for turn in pairs]
    return [
        (Message("user", question), Message("assistant", turn.answer))
        for question, turn in zip(asked, pairs, strict=True)
    ]


def balanced(row: Packed) -> Tensor:
    """Weights (T,) of the supervised tokens: a turn counts by the square root of its length.

    A list of twelve boxes is a hundred tokens and the name of what is in a region two; alike for each token, the loss
    would hardly ask for the name.
    """
    spoken = row.labels != IGNORED
    lengths = torch.bincount(row.segments[spoken], minlength=int(row.segments.max()) + 1)
    return torch.where(spoken, lengths.clamp(min=1)[row.segments] ** -0.5, 0.0)


def _shares(view: LabelledImage) -> dict[str, float]:
    crowded = len({item.category for item in view.objects}) > 1
    return {
        **SHARES,
        "identify": SHARES["identify"] * (_CROWDED if crowded else 1),
        "refer": SHARES["refer"] * (1 if view.captions else _POINTED),
        "caption": SHARES["caption"] if view.captions else 0.0,
    }


def _boxes(messages: list[Message]) -> list[OrientedBox]:
    """The boxes of a conversation's text, in order."""
    return [region.box for message in messages for region in MINI.parse(message.text).regions]


def _respelled(question: str) -> str:
    """The question with its boxes spelled as the published data spells them: people bring such questions."""
    events = MINI.parse(question).events
    return "".join(
        GEOCHAT.write_box(event.box) if isinstance(event, Region) else question[slice(*event.span)] for event in events
    )
