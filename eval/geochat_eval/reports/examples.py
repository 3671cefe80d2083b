"""Examples of answers for a report, and images of them for documents, drawn with Pillow.

A report shows the answers with the lowest and the highest quality, ties broken at random, and some answers at random.
Boxes are in percent of the common frame (`geochat_eval.boxes`), so an example's image is that square with the image in
it.
"""

import base64
import heapq
import io
import random
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from geochat.dialects import GEOCHAT, Dialect
from geochat.errors import ImageError
from geochat.geometry import OrientedBox
from geochat.imagery import open_image
from geochat_eval.boxes import found_boxes, image_in_square, in_square, true_boxes
from geochat_eval.formats import AnswerRecord, GroundedText, read_markup

_SIDE = 448  # pixels of a picture in the report
_TRUTHS = 3  # captions shown of several


@dataclass(frozen=True)
class Example:
    """One answer in a report.

    Attributes:
        name: The `question_id`.
        quality: The scorer's value of this answer alone, from 0 to 1.
        question: The question.
        text: Text of the answer.
        truth: The true answer in words, empty where it is boxes alone.
        picture: The image as a data URI, None where it cannot be read.
        place: The image in the square: x, y, width, height in percent.
        asked: Corners of the question's boxes, in percent of that square.
        found: Corners of the answer's.
        true: Corners of the true ones.
        dialect: Dialect of question and answer; the truth is in the published one.
    """

    name: str
    quality: float
    question: str
    text: str
    truth: str
    picture: str | None
    place: tuple[float, float, float, float]
    asked: tuple[str, ...]
    found: tuple[str, ...]
    true: tuple[str, ...]
    dialect: Dialect


class ExampleSelector:
    """Selects answers while they are scored; holds only candidates.

    Args:
        count: Number of each kind.
        images: The folder of the images.
        seed: Seed of the random ones.
    """

    def __init__(self, count: int, images: Path, seed: int = 0) -> None:
        self._count = count
        self._images = images
        self._rng = random.Random(seed)
        self._worst: list[tuple[float, float, AnswerRecord]] = []
        self._best: list[tuple[float, float, AnswerRecord]] = []
        self._drawn: list[tuple[float, AnswerRecord]] = []
        self._seen = 0

    def add(self, answer: AnswerRecord, quality: float) -> None:
        """Consider one answer."""
        self._seen += 1
        tie = self._rng.random()
        for heap, key in ((self._worst, -quality), (self._best, quality)):
            heapq.heappush(heap, (key, tie, answer))
            if len(heap) > self._count:
                heapq.heappop(heap)
        place = self._rng.randrange(self._seen)  # reservoir sampling
        if len(self._drawn) < self._count:
            self._drawn.append((quality, answer))
        elif place < self._count:
            self._drawn[place] = quality, answer

    def examples(self) -> dict[str, list[Example]]:
        """The examples by kind: at random, worst, best."""
        worst = [(-key, answer) for key, _, answer in sorted(self._worst, key=lambda item: -item[0])]
        best = [(key, answer) for key, _, answer in sorted(self._best, key=lambda item: -item[0])]
        chosen = {"at random": self._drawn, "worst": worst, "best": best}
        return {kind: [self._example(quality, answer) for quality, answer in some] for kind, some in chosen.items()}

    def _example(self, quality: float, answer: AnswerRecord) -> Example:
        fields = answer.fields
        picture, size = _picture(self._images / str(fields.get("image", "")))
        left, top, right, bottom = image_in_square(size)
        prompt = str(fields.get("prompt") or fields.get("question") or "")
        asked = in_square(read_markup(prompt, answer.dialect), answer.dialect, lambda: size)
        return Example(
            name=str(fields.get("question_id", "")),
            quality=quality,
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

    def _boxes(
        self, read: Callable[[AnswerRecord, Path], GroundedText], answer: AnswerRecord
    ) -> tuple[OrientedBox, ...]:
        try:
            return read(answer, self._images).boxes
        except ValueError:
            return ()  # the truth is words, or the image has gone


def _in_words(answer: AnswerRecord) -> str:
    truth = answer.truth
    if isinstance(truth, list) and truth and all(isinstance(item, str) for item in truth):
        return " / ".join(truth[:_TRUTHS])
    return str(truth) if isinstance(truth, str | int | float) else ""


def _picture(path: Path) -> tuple[str | None, tuple[int, int]]:
    """Return the image as a data URI, and its (width, height)."""
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


_INK, _PAPER, _GRID = (40, 40, 40), (255, 255, 255), (210, 210, 210)
_ASKED, _FOUND, _TRUE = (90, 150, 255), (255, 140, 0), (60, 220, 90)
_RIGHT, _WRONG = (40, 140, 70), (190, 50, 40)
_CELL_SIDE, _CELL_TEXT, _GAP, _COLUMNS = 216, 92, 8, 6  # of a cell, in pixels; cells in a row
_LETTERS, _LINES = 40, 7  # what fits below a picture
_MATRIX_CELL = 26  # of the matrix


def contact_sheet(examples: Sequence[Example]) -> Image.Image:
    """Draw answers on their images: question boxes blue, predicted orange, true green; a bar shows the quality."""
    rows = -(-len(examples) // _COLUMNS)
    sheet = Image.new(
        "RGB", (_COLUMNS * (_CELL_SIDE + _GAP) + _GAP, rows * (_CELL_SIDE + _CELL_TEXT + _GAP) + _GAP), _PAPER
    )
    for number, example in enumerate(examples):
        row, column = divmod(number, _COLUMNS)
        sheet.paste(
            _cell(example), (_GAP + column * (_CELL_SIDE + _GAP), _GAP + row * (_CELL_SIDE + _CELL_TEXT + _GAP))
        )
    return sheet


def _cell(example: Example) -> Image.Image:
    cell = Image.new("RGB", (_CELL_SIDE, _CELL_SIDE + _CELL_TEXT), _PAPER)
    draw = ImageDraw.Draw(cell)
    if example.picture is not None:
        left, top, width, height = (round(value * _CELL_SIDE / 100) for value in example.place)
        with Image.open(io.BytesIO(base64.b64decode(example.picture.partition(",")[2]))) as picture:
            cell.paste(picture.resize((max(1, width), max(1, height))), (left, top))
    for boxes, colour in ((example.true, _TRUE), (example.asked, _ASKED), (example.found, _FOUND)):
        for corners in boxes:
            points = [tuple(float(v) * _CELL_SIDE / 100 for v in point.split(",")) for point in corners.split()]
            draw.line([*points, points[0]], colour, 2)
    draw.rectangle((0, _CELL_SIDE, _CELL_SIDE, _CELL_SIDE + 3), _RIGHT if example.quality >= 0.5 else _WRONG)
    said, true = example.dialect, GEOCHAT
    parts = (
        ("Q: ", example.question, said, 3),
        ("A: ", example.text, said, 3),
        ("true: ", example.truth, true, 2),
    )
    words = [_shortened(name + how.parse(text).plain_text, lines) for name, text, how, lines in parts if text]
    lines = [line for part in words for line in part][:_LINES]
    draw.multiline_text((0, _CELL_SIDE + 5), "\n".join(lines), _INK, ImageFont.load_default(10), spacing=1)
    return cell


def _shortened(text: str, lines: int) -> list[str]:
    return textwrap.wrap(text, _LETTERS, max_lines=lines, placeholder=" ...", break_long_words=True)


def matrix(counts: Mapping[str, Mapping[str, int]]) -> Image.Image:
    """Draw a confusion matrix: a row for each true class, a column for each answer, shaded by its share of the row."""
    extra = sorted({answer for row in counts.values() for answer in row} - counts.keys())
    columns, font = [*counts, *extra], ImageFont.load_default(12)
    margin = 12 + max(round(font.getlength(name)) for name in columns)
    sheet = Image.new(
        "RGB", (margin + _MATRIX_CELL * len(columns) + 4, margin + _MATRIX_CELL * len(counts) + 4), _PAPER
    )
    draw = ImageDraw.Draw(sheet)
    for place, name in enumerate(columns):
        label = Image.new("RGB", (margin - 6, _MATRIX_CELL), _PAPER)
        ImageDraw.Draw(label).text((0, _MATRIX_CELL / 2), name, _INK, font, "lm")
        sheet.paste(label.rotate(90, expand=True), (margin + place * _MATRIX_CELL, 0))
    for line, (truth, row) in enumerate(counts.items()):
        top, total = margin + line * _MATRIX_CELL, max(1, sum(row.values()))
        draw.text((margin - 6, top + _MATRIX_CELL / 2), truth, _INK, font, "rm")
        for place, answer in enumerate(columns):
            count = row.get(answer, 0)
            share, right = count / total, answer == truth
            colour = tuple(round(255 - (255 - full) * share) for full in (_RIGHT if right else _WRONG))
            box = (margin + place * _MATRIX_CELL, top, margin + (place + 1) * _MATRIX_CELL, top + _MATRIX_CELL)
            draw.rectangle(box, colour, _GRID)
            if count:
                ink = _PAPER if share > 0.55 else _INK
                draw.text((box[0] + _MATRIX_CELL / 2, top + _MATRIX_CELL / 2), str(count), ink, font, "mm")
    return sheet
