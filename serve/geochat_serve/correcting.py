"""An answer as its user corrects it: its boxes stand as `[1]`, `[2]`, ... in the text and as shapes on the image.

What is kept has the boxes written out as the checkpoint writes them; on the page and in exports they stay where the
user put them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from geochat.assistant.numbering import Numbering
from geochat.dialects import Dialect, ParsedText, Region
from geochat.errors import DataError
from geochat.geometry import Frame, OrientedBox
from geochat.prompts import Message

_REFERENCE = re.compile(r"\[(\d{1,4})\]")
_LONGEST = 20_000


@dataclass(frozen=True)
class Correction:
    """A corrected answer.

    Attributes:
        parsed: The text, its boxes written as the checkpoint writes them.
        boxes: Where its user put the box of each of its regions, in pixels of the whole image.
    """

    parsed: ParsedText
    boxes: tuple[OrientedBox, ...]

    @property
    def text(self) -> str:
        """What a model is trained to answer."""
        return self.parsed.text


def editable(parsed: ParsedText) -> str:
    """An answer's text with the number of each box in its place, as `write_answer` reads it."""
    pieces, numbering = [], Numbering()
    for event in parsed.events:
        if isinstance(event, Region):
            pieces.append(f"[{numbering.number(event)}]")
        else:
            pieces.append(parsed.text[slice(*event.span)])
    return "".join(pieces).removesuffix("</s>")


def write_answer(text: str, boxes: Sequence[OrientedBox], frame: Frame, dialect: Dialect) -> Correction:
    """The answer with its boxes written out in the model's numbers.

    Args:
        text: With `[n]` for box n; every box must be named.
        boxes: In pixels of the whole image.
        frame: Of the view that was asked about, with the model's frame.
        dialect: How the checkpoint writes regions.

    Raises:
        DataError: The text names a box there is not or leaves one out, is empty, too long, or cannot be read back.
        RegionError: A box cannot be written.
        PromptError: The text holds what the model reserves.
    """
    text = text.strip()
    if not text or len(text) > _LONGEST:
        raise DataError(f"an answer has 1 to {_LONGEST:,} characters, this one {len(text):,}")
    _require_named(text, len(boxes))
    placed = [box.transform(frame.between("image", "model")) for box in boxes]
    for number, box in enumerate(placed, 1):
        if not dialect.keeps_area(box):
            raise DataError(f"box [{number}] is too small to be written in this view; zoom in and ask again")
    written, drawn, end = "", {}, 0
    for found in _REFERENCE.finditer(text):
        index = int(found.group(1)) - 1
        written += text[end : found.start()]
        drawn[len(written)] = boxes[index]
        written += dialect.write_box(placed[index])
        end = found.end()
    written += text[end:]
    parsed = dialect.parse(written)
    if parsed.problems:
        raise DataError(f"{parsed.problems[0].text!r} cannot be read: {parsed.problems[0].reason}")
    Message("assistant", written)  # refuses what the model reserves
    to_image = frame.model_to_image
    return Correction(
        parsed, tuple(drawn.get(region.span[0]) or region.box.transform(to_image) for region in parsed.regions)
    )


def read_correction(text: str, boxes: Sequence[OrientedBox], frame: Frame, dialect: Dialect) -> Correction:
    """A correction that was saved.

    Args:
        text: What was kept.
        boxes: Where its regions were put, in pixels of the whole image; as many as it has, or they follow from the
            text.
        frame: Of the view that was asked about.
        dialect: How the checkpoint writes regions.
    """
    parsed = dialect.parse(text)
    if len(boxes) == len(parsed.regions):
        return Correction(parsed, tuple(boxes))
    return Correction(parsed, tuple(region.box.transform(frame.model_to_image) for region in parsed.regions))


def _require_named(text: str, count: int) -> None:
    """Refuse a text that names other boxes than there are.

    Raises:
        DataError: It does; the message says which.
    """
    named = {int(number) for number in _REFERENCE.findall(text)}
    if missing := sorted(named - set(range(1, count + 1))):
        raise DataError(f"the text names box [{missing[0]}] and there are {count}; draw it or take it out")
    if unnamed := sorted(set(range(1, count + 1)) - named):
        raise DataError(f"the text does not name box [{unnamed[0]}]; write [{unnamed[0]}] where it belongs")
