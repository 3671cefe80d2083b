"""Corrections: answers that a user has fixed, and the training data they become.

While it is edited, an answer has `[1]`, `[2]`, ... in place of its boxes, which are shapes on the image. A correction
has the boxes written out as the checkpoint writes them; on the page and in exports they stay where the user put them.
The training data is a ZIP of `corrections.json`, rows in the format of GeoChat_Instruct, and the images they name,
which `geochat data check` and `geochat train` read.
"""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field

from PIL import Image

from geochat.assistant import Answer
from geochat.assistant.regions import Numbering
from geochat.dialects import Dialect, ParsedText, Region
from geochat.errors import DataError
from geochat.geometry import Frame, OrientedBox
from geochat.prompts import IMAGE_TOKEN, Message
from geochat_serve.exchanges import Exchange
from geochat_serve.tasks import TASKS

_REFERENCE = re.compile(r"\[(\d{1,4})\]")
_MAX_LENGTH = 20_000


@dataclass(frozen=True)
class Correction:
    """A corrected answer.

    Attributes:
        parsed: The text, with boxes written as the checkpoint writes them.
        boxes: Where the user put the box of each region of the text, in pixels of the whole image.
    """

    parsed: ParsedText
    boxes: tuple[OrientedBox, ...]

    @property
    def text(self) -> str:
        """The text a model is trained to write."""
        return self.parsed.text


def editable_text(parsed: ParsedText) -> str:
    """Return the text of an answer with `[n]` in place of box n, as `write_correction` reads it."""
    pieces, numbering = [], Numbering()
    for event in parsed.events:
        if isinstance(event, Region):
            pieces.append(f"[{numbering.number(event)}]")
        else:
            pieces.append(parsed.text[slice(*event.span)])
    return "".join(pieces).removesuffix("</s>")


def write_correction(text: str, boxes: Sequence[OrientedBox], frame: Frame, dialect: Dialect) -> Correction:
    """Write out the boxes of a corrected answer.

    Args:
        text: Text with `[n]` for box n; it must name every box.
        boxes: Boxes in pixels of the whole image.
        frame: Frame of the view that was asked about, including the model's.
        dialect: Dialect of the checkpoint.

    Raises:
        DataError: The text names a box that does not exist or leaves one out, is empty or too long, or cannot be read
            back.
        RegionError: A box cannot be written.
        PromptError: The text contains a token reserved by the model.
    """
    text = text.strip()
    if not text or len(text) > _MAX_LENGTH:
        raise DataError(f"an answer must have 1 to {_MAX_LENGTH:,} characters, not {len(text):,}")
    _check_references(text, len(boxes))
    in_model = [box.transform(frame.between("image", "model")) for box in boxes]
    for number, box in enumerate(in_model, 1):
        if not dialect.keeps_area(box):
            raise DataError(f"box [{number}] is too small to be written in this view; zoom in and ask again")
    written, drawn, end = "", {}, 0
    for reference in _REFERENCE.finditer(text):
        index = int(reference.group(1)) - 1
        written += text[end : reference.start()]
        drawn[len(written)] = boxes[index]
        written += dialect.write_box(in_model[index])
        end = reference.end()
    written += text[end:]
    parsed = dialect.parse(written)
    if parsed.problems:
        raise DataError(f"{parsed.problems[0].text!r} cannot be read: {parsed.problems[0].reason}")
    Message("assistant", written)  # refuses reserved tokens
    to_image = frame.model_to_image
    return Correction(
        parsed, tuple(drawn.get(region.span[0]) or region.box.transform(to_image) for region in parsed.regions)
    )


def read_correction(text: str, boxes: Sequence[OrientedBox], frame: Frame, dialect: Dialect) -> Correction:
    """Read a saved correction.

    Args:
        text: The saved text.
        boxes: Where the user put its regions, in pixels of the whole image; derived from the text if their number
            differs from that of its regions.
        frame: Frame of the view that was asked about.
        dialect: Dialect of the checkpoint.
    """
    parsed = dialect.parse(text)
    if len(boxes) == len(parsed.regions):
        return Correction(parsed, tuple(boxes))
    return Correction(parsed, tuple(region.box.transform(frame.model_to_image) for region in parsed.regions))


@dataclass(frozen=True)
class CorrectedPair:
    """A question and its corrected answer, as training data.

    Attributes:
        exchange: Id of the corrected exchange.
        image: File name of the view.
        prompt: The question, with task token and regions as in training data.
        text: The answer with its boxes.
    """

    exchange: int
    image: str
    prompt: str
    text: str


@dataclass
class CorrectionSet:
    """The corrections of one session.

    Attributes:
        limit: Largest number of pairs.
        pairs: The pairs, in the order they were corrected.
    """

    limit: int
    pairs: list[CorrectedPair] = field(default_factory=list)
    _images: dict[str, Image.Image] = field(default_factory=dict, repr=False)

    def add(self, exchange: Exchange, text: str, boxes: Sequence[OrientedBox]) -> Correction:
        """Add a corrected answer, replacing an earlier correction of the same exchange.

        Args:
            exchange: The exchange to correct.
            text: The answer, with `[n]` for box n.
            boxes: The boxes, in pixels of the whole image.

        Returns:
            The correction.

        Raises:
            DataError: There is no answer yet, the text is invalid (see `write_correction`), or there are too many
                pairs.
            RegionError: A box cannot be written.
            PromptError: The question or the text contains a token reserved by the model.
        """
        answer = exchange.answer
        if answer is None:
            raise DataError("there is no answer to correct; ask again")
        view = answer.image
        prompt = _prompt(exchange, answer)
        correction = write_correction(text, boxes, view.frame, answer.info.dialect)
        others = [pair for pair in self.pairs if pair.exchange != exchange.id]
        if len(others) >= self.limit:
            raise DataError(f"there are {self.limit} corrections already; export and discard them first")
        name = f"{hashlib.sha256(view.pixels.tobytes()).hexdigest()[:24]}.png"  # differs with bands and stretch
        self._images.setdefault(name, view.pil())
        self.pairs = [*others, CorrectedPair(exchange.id, name, prompt, correction.text)]
        return correction

    def withdraw(self, exchange: Exchange) -> None:
        """Discard the correction of an exchange, if there is one."""
        self.pairs = [pair for pair in self.pairs if pair.exchange != exchange.id]

    def clear(self) -> None:
        """Discard all corrections."""
        self.pairs.clear()
        self._images.clear()

    def archive(self) -> bytes:
        """Return a ZIP of `corrections.json` and `images/`.

        Raises:
            DataError: There are no corrections.
        """
        if not self.pairs:
            raise DataError("there are no corrections; correct an answer first")
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            rows = [_row(number, pair) for number, pair in enumerate(self.pairs, 1)]
            archive.writestr("corrections.json", json.dumps(rows, ensure_ascii=False, indent=2))
            for name in dict.fromkeys(pair.image for pair in self.pairs):
                picture = io.BytesIO()
                self._images[name].save(picture, "PNG")
                archive.writestr(zipfile.ZipInfo(f"images/{name}"), picture.getvalue())
        return content.getvalue()


def _row(number: int, pair: CorrectedPair) -> dict[str, object]:
    return {
        "id": f"correction-{number}",
        "image": pair.image,
        "conversations": [
            {"from": "human", "value": f"{IMAGE_TOKEN}\n{pair.prompt}"},
            {"from": "gpt", "value": pair.text},
        ],
    }


def _prompt(exchange: Exchange, answer: Answer) -> str:
    """Return the prompt the model read; for a question answered without the model, the one it would have read.

    Raises:
        PromptError: The question cannot be asked.
    """
    prompt = answer.prompt
    if answer.interpretation.reply is not None:
        to_model = answer.image.frame.between("image", "model")
        boxes = [box.transform(to_model) for box in exchange.regions]
        prompt = answer.info.dialect.compose(exchange.question, TASKS[exchange.task].task, boxes)
    Message("user", prompt)  # refuses reserved tokens
    return prompt


def _check_references(text: str, count: int) -> None:
    """Check that a text names every box, and no others.

    Raises:
        DataError: It does not; the message names the box.
    """
    named = {int(number) for number in _REFERENCE.findall(text)}
    if unknown := sorted(named - set(range(1, count + 1))):
        raise DataError(f"the text names box [{unknown[0]}], but there are {count}; draw the box or remove the number")
    if missing := sorted(set(range(1, count + 1)) - named):
        raise DataError(f"the text does not name box [{missing[0]}]; write [{missing[0]}] where it belongs")
