"""Corrected pairs of question and answer, and the training data they become.

While a user corrects an answer, its boxes stand as `[1]`, `[2]`, ... in the text and as shapes on the image; what is
kept has them written out in the model's frame. The export is a ZIP of `kept.json`, rows of the form GeoChat_Instruct
has, and the images they name: what `geochat data check` and `geochat train` read.
"""

import io
import json
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field

from PIL import Image

from geochat.errors import DataError
from geochat.frames import Frame
from geochat.prompts import IMAGE_TOKEN, Message, compose
from geochat.regions import DEFAULT_CONVENTION, OrientedBox, ParsedText, Region, format_box, parse
from geochat_serve.tasks import CHOICES
from geochat_serve.turns import Turn

_REFERENCE = re.compile(r"\[(\d{1,4})\]")
_LONGEST = 20_000


@dataclass(frozen=True)
class Pair:
    """One corrected question and answer.

    Attributes:
        turn: The turn it corrects.
        image: The view's picture, by name.
        prompt: The question, task token and regions written as training data has them.
        text: The answer with its boxes.
    """

    turn: int
    image: str
    prompt: str
    text: str


@dataclass
class Collection:
    """The pairs of one user.

    Attributes:
        most: How many may be kept.
    """

    most: int
    pairs: list[Pair] = field(default_factory=list)
    _images: dict[str, Image.Image] = field(default_factory=dict, repr=False)

    def keep(self, turn: Turn, words: str, text: str, boxes: Sequence[OrientedBox]) -> ParsedText:
        """Keep a corrected answer; a second correction of a turn takes the first one's place.

        Args:
            turn: What is corrected.
            words: The question its prompt was composed from.
            text: The answer, with `[n]` for box n.
            boxes: The boxes, in pixels of the whole image.

        Returns:
            The answer as it was kept.

        Raises:
            DataError: The text does not fit the boxes, is empty or holds what cannot be read back, or there are too
                many pairs.
        """
        view = turn.conversation.image
        prompt = compose(
            words, CHOICES[turn.task].task, [_in_model(box, view.frame) for box in turn.regions], DEFAULT_CONVENTION
        )
        parsed = write_answer(text, boxes, view.frame)
        others = [pair for pair in self.pairs if pair.turn != turn.id]
        if len(others) >= self.most:
            raise DataError(f"{self.most} pairs are kept already; export them and start a new collection")
        name = f"{view.sha256[:16]}-{'-'.join(map(str, view.window))}.png"
        self._images.setdefault(name, view.pil())
        self.pairs = [*others, Pair(turn.id, name, prompt, parsed.text)]
        return parsed

    def clear(self) -> None:
        """Begin a new collection."""
        self.pairs.clear()
        self._images.clear()

    def archive(self) -> bytes:
        """The collection as a ZIP of `kept.json` and `images/`.

        Raises:
            DataError: It is empty.
        """
        if not self.pairs:
            raise DataError("nothing is kept yet; correct an answer first")
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            rows = [self._row(number, pair) for number, pair in enumerate(self.pairs, 1)]
            archive.writestr("kept.json", json.dumps(rows, ensure_ascii=False, indent=2))
            for name in dict.fromkeys(pair.image for pair in self.pairs):
                picture = io.BytesIO()
                self._images[name].save(picture, "PNG")
                archive.writestr(zipfile.ZipInfo(f"images/{name}"), picture.getvalue())
        return content.getvalue()

    def _row(self, number: int, pair: Pair) -> dict[str, object]:
        return {
            "id": f"kept-{number}",
            "image": pair.image,
            "conversations": [
                {"from": "human", "value": f"{IMAGE_TOKEN}\n{pair.prompt}"},
                {"from": "gpt", "value": pair.text},
            ],
        }


def editable(parsed: ParsedText) -> str:
    """An answer's text with `[n]` for its nth box, as `write_answer` reads it."""
    pieces, count = [], 0
    for event in parsed.events:
        if isinstance(event, Region):
            count += 1
            pieces.append(f"[{count}]")
        else:
            pieces.append(parsed.text[slice(*event.span)])
    return "".join(pieces).removesuffix("</s>")


def write_answer(text: str, boxes: Sequence[OrientedBox], frame: Frame) -> ParsedText:
    """The answer with its boxes written out, percent of the model's square.

    Args:
        text: With `[n]` for box n; every box must be named.
        boxes: In pixels of the whole image.
        frame: Of the view that was asked about.

    Raises:
        DataError: The text names a box there is not or leaves one out, is empty, too long, or cannot be read back.
    """
    text = text.strip()
    if not text or len(text) > _LONGEST:
        raise DataError(f"an answer has 1 to {_LONGEST:,} characters, this one {len(text):,}")
    named = {int(number) for number in _REFERENCE.findall(text)}
    if missing := sorted(named - set(range(1, len(boxes) + 1))):
        raise DataError(f"the text names box [{missing[0]}] and there are {len(boxes)}; draw it or take it out")
    if unnamed := sorted(set(range(1, len(boxes) + 1)) - named):
        raise DataError(f"the text does not name box [{unnamed[0]}]; write [{unnamed[0]}] where it belongs")
    placed = [_in_model(box, frame) for box in boxes]
    for number, box in enumerate(placed, 1):
        if parse(format_box(box)).regions[0].box.area == 0:
            raise DataError(f"box [{number}] is too small: less than a percent of the view; zoom in and ask again")
    written = _REFERENCE.sub(lambda found: format_box(placed[int(found.group(1)) - 1]), text)
    parsed = parse(written)
    if parsed.problems:
        raise DataError(f"{parsed.problems[0].text!r} cannot be read: {parsed.problems[0].reason}")
    Message("assistant", written)  # refuses what the model reserves
    return parsed


def _in_model(box: OrientedBox, frame: Frame) -> OrientedBox:
    return box.transform(frame.between("image", "model"))
