"""Items and batches for instruction tuning: views and packed questions about them."""

import random
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import LlavaProcessor

from geochat.dialects import GEOCHAT, Region
from geochat.geometry import OrientedBox
from geochat.prompts import Message
from geochat_data.encoding import IGNORED, Example, encode
from geochat_data.questions import clean_caption
from geochat_data.records import LabelledImage
from geochat_mini.classes import NAMES, classes_of
from geochat_mini.number_tokens import MINI, NUMBERS
from geochat_mini.pointing import Pointing, join, pointing
from geochat_mini.questions import ask
from geochat_mini.teacher_cache import pixels
from geochat_train.tuning.packing import Packed, pack, pad

_CONVERSATIONS = 0.15  # share of rows whose questions see those before them, as in a chat
_TOGETHER = 4  # turns of such a row
_RESPELLED = 0.3  # share of questions whose boxes have angles in (0, 90]
_LONGEST = 2048
_WORDS = 360  # tokens of a row besides the image's
_PREAMBLE = 40  # of these, the system prompt's, which a row holds once

Item = tuple[Packed, Pointing, Tensor, Tensor]


class RowMaker:
    """Makes training items of square views that are `grid` x `grid` patches."""

    def __init__(self, processor: LlavaProcessor, grid: int, present: Mapping[str, frozenset[str]]) -> None:
        self.processor = processor
        self.grid = grid
        self.present = present  # by the photograph's name
        vocabulary = processor.tokenizer.get_vocab()
        self.numbers = range(vocabulary[NUMBERS[0]], vocabulary[NUMBERS[-1]] + 1)

    def make(self, view: LabelledImage, rng: random.Random, _: int | None = None) -> Item | None:
        """Make one row about `view`, or None if its labels support no question."""
        turns = ask(view, rng, self.present.get(view.name or "", frozenset()))
        if not turns:
            return None
        together = rng.random() < _CONVERSATIONS
        conversations = (
            [[m for turn in turns[:_TOGETHER] for m in turn]] if together else [list(turn) for turn in turns]
        )
        conversations = [[_respelled(m) if rng.random() < _RESPELLED else m for m in talk] for talk in conversations]
        kept = self._fitting(conversations)
        row = pack([example for _, example in kept], self.processor.image_token_id)
        boxes = [box for talk, _ in kept for box in _boxes(talk)]
        described = self._described(view, [talk for talk, _ in kept], row)
        return row, pointing(row, boxes, self.numbers, self.grid), described, pixels(view)

    def collate(self, items: list[Item]) -> dict[str, Tensor]:
        """Return a batch: padded tokens, their targets, and views (B, S, S, 3)."""
        words, points, described, views = zip(*items, strict=True)
        padded = pad(words, int(self.processor.tokenizer.pad_token_id))
        known = {
            "weights": pad_sequence([balanced(row) for row in words], batch_first=True),
            "described": pad_sequence(list(described), batch_first=True, padding_value=IGNORED),
        }
        return {**padded, **known, **join(points), "views": torch.stack(views)}

    def _fitting(self, talks: list[list[Message]]) -> list[tuple[list[Message], Example]]:
        """Return the conversations that fit a row's budget, in order: attention cost is quadratic in the length."""
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
        """Return the scene class (T,) at the tokens of the view's caption, -100 elsewhere."""
        found = torch.full_like(row.labels, IGNORED)
        classes = classes_of(view.scene) if view.scene else ()
        if len(classes) != 1:
            return found
        told = {clean_caption(caption) for caption in view.captions}
        for number, talk in enumerate(talks, start=1):
            if len(talk) == 2 and talk[-1].text in told:
                found[(row.segments == number) & (row.labels != IGNORED)] = NAMES.index(classes[0])
        return found

    def _tokens(self, messages: list[Message]) -> Example:
        return encode(messages, self.processor, image_tokens=self.grid**2, max_length=_LONGEST)


def balanced(row: Packed) -> Tensor:
    """Return weights (T,) of the supervised tokens: a turn counts by the square root of its length.

    A list of twelve boxes has a hundred tokens and the name of a region two; with equal weights per token, the loss
    would hardly depend on the name.
    """
    spoken = row.labels != IGNORED
    lengths = torch.bincount(row.segments[spoken], minlength=int(row.segments.max()) + 1)
    return torch.where(spoken, lengths.clamp(min=1)[row.segments] ** -0.5, 0.0)


def _boxes(messages: list[Message]) -> list[OrientedBox]:
    """Return the boxes of a conversation's text, in order."""
    return [region.box for message in messages for region in MINI.parse(message.text).regions]


def _respelled(message: Message) -> Message:
    """Rewrite a question's boxes in the spelling of the published data, which users may bring."""
    if message.role != "user":
        return message
    events = MINI.parse(message.text).events
    text = "".join(
        GEOCHAT.write_box(event.box) if isinstance(event, Region) else message.text[slice(*event.span)]
        for event in events
    )
    return Message("user", text)
