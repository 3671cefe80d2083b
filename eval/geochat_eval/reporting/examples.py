"""Which answers a report shows, and what is drawn of each.

The worst and the best by how good an answer is by itself, ties broken at random, and some at random from all. Boxes are
in percent of the square in which they are compared, so a picture is that square with the image in it.
"""

import base64
import heapq
import io
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from geochat.dialects import Dialect
from geochat.errors import ImageError
from geochat.geometry import OrientedBox
from geochat.imagery import open_image
from geochat_eval.formats import Answer
from geochat_eval.grounded import GroundedText, read_markup
from geochat_eval.square import image_in_square, in_square
from geochat_eval.truths import found_boxes, true_boxes

_SIDE = 448  # pixels of a picture in the report
_TRUTHS = 3  # captions shown of several


@dataclass(frozen=True)
class Example:
    """One answer as a report shows it.

    Attributes:
        name: The `question_id`.
        worth: How good it is by itself, from 0 to 1.
        question: What was asked.
        text: What was answered.
        truth: The true answer in words, empty where it is boxes alone.
        picture: The image as a data URI, None where it cannot be read.
        place: The image in the square: x, y, width, height in percent.
        asked: Corners of the question's boxes, in percent of that square.
        found: Corners of the answer's.
        true: Corners of the true ones.
        dialect: How question and answer are written; the truth is in the published one.
    """

    name: str
    worth: float
    question: str
    text: str
    truth: str
    picture: str | None
    place: tuple[float, float, float, float]
    asked: tuple[str, ...]
    found: tuple[str, ...]
    true: tuple[str, ...]
    dialect: Dialect


class Gallery:
    """Chooses answers as they are scored; holds only those it may show.

    Args:
        count: How many of each kind.
        images: The folder of the images.
        seed: Of the random ones.
    """

    def __init__(self, count: int, images: Path, seed: int = 0) -> None:
        self._count = count
        self._images = images
        self._rng = random.Random(seed)
        self._worst: list[tuple[float, float, Answer]] = []
        self._best: list[tuple[float, float, Answer]] = []
        self._drawn: list[tuple[float, Answer]] = []
        self._seen = 0

    def add(self, answer: Answer, worth: float) -> None:
        """See one answer."""
        self._seen += 1
        tie = self._rng.random()
        for heap, key in ((self._worst, -worth), (self._best, worth)):
            heapq.heappush(heap, (key, tie, answer))
            if len(heap) > self._count:
                heapq.heappop(heap)
        place = self._rng.randrange(self._seen)  # reservoir sampling
        if len(self._drawn) < self._count:
            self._drawn.append((worth, answer))
        elif place < self._count:
            self._drawn[place] = worth, answer

    def examples(self) -> dict[str, list[Example]]:
        """Examples by what they are examples of."""
        worst = [(-key, answer) for key, _, answer in sorted(self._worst, key=lambda item: -item[0])]
        best = [(key, answer) for key, _, answer in sorted(self._best, key=lambda item: -item[0])]
        chosen = {"at random": self._drawn, "worst": worst, "best": best}
        return {kind: [self._example(worth, answer) for worth, answer in some] for kind, some in chosen.items()}

    def _example(self, worth: float, answer: Answer) -> Example:
        fields = answer.fields
        picture, size = _picture(self._images / str(fields.get("image", "")))
        left, top, right, bottom = image_in_square(size)
        prompt = str(fields.get("prompt") or fields.get("question") or "")
        asked = in_square(read_markup(prompt, answer.dialect), answer.dialect, lambda: size)
        return Example(
            name=str(fields.get("question_id", "")),
            worth=worth,
            question=prompt,
            text=answer.text,
            truth=_in_words(answer),
            picture=picture,
            place=(left, top, right - left, bottom - top),
            asked=tuple(map(_corners, asked.boxes)),
            found=tuple(map(_corners, self._boxes(found_boxes, answer))),
            true=tuple(map(_corners, self._boxes(true_boxes, answer))),
            dialect=answer.dialect,
        )

    def _boxes(self, read: Callable[[Answer, Path], GroundedText], answer: Answer) -> tuple[OrientedBox, ...]:
        try:
            return read(answer, self._images).boxes
        except ValueError:
            return ()  # the truth is words, or the image has gone


def _in_words(answer: Answer) -> str:
    truth = answer.truth
    if isinstance(truth, list) and truth and all(isinstance(item, str) for item in truth):
        return " / ".join(truth[:_TRUTHS])
    return str(truth) if isinstance(truth, str | int | float) else ""


def _picture(path: Path) -> tuple[str | None, tuple[int, int]]:
    """The image as a data URI, and its (width, height)."""
    try:
        opened = open_image(path)
        picture = opened.pil()
    except ImageError:
        return None, (1, 1)
    size = picture.size
    picture.thumbnail((_SIDE, _SIDE))
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}", size


def _corners(box: OrientedBox) -> str:
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in box.corners())
