"""Corrected pairs of question and answer, and the training data they become.

The export is a ZIP of `kept.json`, rows of the form GeoChat_Instruct has, and the images they name: what
`geochat data check` and `geochat train` read. Questions and answers are written as the checkpoint writes them.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field

from PIL import Image

from geochat.assistant import Answer
from geochat.errors import DataError
from geochat.geometry import OrientedBox
from geochat.prompts import IMAGE_TOKEN, Message
from geochat_serve.correcting import Correction, write_answer
from geochat_serve.tasks import CHOICES
from geochat_serve.turns import Turn


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

    def keep(self, turn: Turn, text: str, boxes: Sequence[OrientedBox]) -> Correction:
        """Keep a corrected answer; a second correction of a turn takes the first one's place.

        Args:
            turn: What is corrected.
            text: The answer, with `[n]` for box n.
            boxes: The boxes, in pixels of the whole image.

        Returns:
            The answer as it was kept.

        Raises:
            DataError: There is no answer yet, the text does not fit the boxes, is empty or holds what cannot be read
                back, or there are too many pairs.
            RegionError: A box cannot be written.
            PromptError: The question or the text holds what the model reserves.
        """
        answer = turn.answer
        if answer is None:
            raise DataError("there is no answer to correct; ask again")
        view = answer.image
        prompt = _prompt(turn, answer)
        correction = write_answer(text, boxes, view.frame, answer.info.dialect)
        others = [pair for pair in self.pairs if pair.turn != turn.id]
        if len(others) >= self.most:
            raise DataError(f"{self.most} pairs are kept already; export them and start a new collection")
        name = f"{hashlib.sha256(view.pixels.tobytes()).hexdigest()[:24]}.png"  # another stretch is another picture
        self._images.setdefault(name, view.pil())
        self.pairs = [*others, Pair(turn.id, name, prompt, correction.text)]
        return correction

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


def _prompt(turn: Turn, answer: Answer) -> str:
    """The question as the model read it; one that was answered without the model, as it would read it.

    Raises:
        PromptError: It cannot be asked.
    """
    prompt = answer.prompt
    if answer.interpretation.reply is not None:
        to_model = answer.image.frame.between("image", "model")
        boxes = [box.transform(to_model) for box in turn.regions]
        prompt = answer.info.dialect.compose(turn.question, CHOICES[turn.task].task, boxes)
    Message("user", prompt)  # refuses what the model reserves
    return prompt
