"""Pictures for documents: answers on their images, side by side, and a confusion matrix. Drawn with Pillow."""

import base64
import io
import textwrap
from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont

from geochat.dialects import GEOCHAT
from geochat_eval.reporting.examples import Example

_INK, _PAPER, _GRID = (40, 40, 40), (255, 255, 255), (210, 210, 210)
_ASKED, _FOUND, _TRUE = (90, 150, 255), (255, 140, 0), (60, 220, 90)
_RIGHT, _WRONG = (40, 140, 70), (190, 50, 40)
_SIDE, _TEXT, _GAP, _COLUMNS = 216, 92, 8, 6  # of a cell, in pixels; cells in a row
_LETTERS, _LINES = 40, 7  # what fits below a picture
_CELL = 26  # of the matrix


def contact_sheet(examples: Sequence[Example]) -> Image.Image:
    """Answers on their images: asked boxes blue, found ones orange, true ones green; a bar says how good each is."""
    rows = -(-len(examples) // _COLUMNS)
    sheet = Image.new("RGB", (_COLUMNS * (_SIDE + _GAP) + _GAP, rows * (_SIDE + _TEXT + _GAP) + _GAP), _PAPER)
    for number, example in enumerate(examples):
        row, column = divmod(number, _COLUMNS)
        sheet.paste(_cell(example), (_GAP + column * (_SIDE + _GAP), _GAP + row * (_SIDE + _TEXT + _GAP)))
    return sheet


def _cell(example: Example) -> Image.Image:
    cell = Image.new("RGB", (_SIDE, _SIDE + _TEXT), _PAPER)
    draw = ImageDraw.Draw(cell)
    if example.picture is not None:
        left, top, width, height = (round(value * _SIDE / 100) for value in example.place)
        with Image.open(io.BytesIO(base64.b64decode(example.picture.partition(",")[2]))) as picture:
            cell.paste(picture.resize((max(1, width), max(1, height))), (left, top))
    for boxes, colour in ((example.true, _TRUE), (example.asked, _ASKED), (example.found, _FOUND)):
        for corners in boxes:
            points = [tuple(float(v) * _SIDE / 100 for v in point.split(",")) for point in corners.split()]
            draw.line([*points, points[0]], colour, 2)
    draw.rectangle((0, _SIDE, _SIDE, _SIDE + 3), _RIGHT if example.worth >= 0.5 else _WRONG)
    said, true = example.dialect, GEOCHAT
    parts = (
        ("Q: ", example.question, said, 3),
        ("A: ", example.text, said, 3),
        ("true: ", example.truth, true, 2),
    )
    words = [_shortened(name + how.parse(text).plain_text, lines) for name, text, how, lines in parts if text]
    lines = [line for part in words for line in part][:_LINES]
    draw.multiline_text((0, _SIDE + 5), "\n".join(lines), _INK, ImageFont.load_default(10), spacing=1)
    return cell


def _shortened(text: str, lines: int) -> list[str]:
    return textwrap.wrap(text, _LETTERS, max_lines=lines, placeholder=" ...", break_long_words=True)


def matrix(counts: Mapping[str, Mapping[str, int]]) -> Image.Image:
    """A confusion matrix: a row a true class, a column an answer, darker where a larger share of the row lies."""
    extra = sorted({answer for row in counts.values() for answer in row} - counts.keys())
    columns, font = [*counts, *extra], ImageFont.load_default(12)
    margin = 12 + max(round(font.getlength(name)) for name in columns)
    sheet = Image.new("RGB", (margin + _CELL * len(columns) + 4, margin + _CELL * len(counts) + 4), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for place, name in enumerate(columns):
        label = Image.new("RGB", (margin - 6, _CELL), _PAPER)
        ImageDraw.Draw(label).text((0, _CELL / 2), name, _INK, font, "lm")
        sheet.paste(label.rotate(90, expand=True), (margin + place * _CELL, 0))
    for line, (truth, row) in enumerate(counts.items()):
        top, total = margin + line * _CELL, max(1, sum(row.values()))
        draw.text((margin - 6, top + _CELL / 2), truth, _INK, font, "rm")
        for place, answer in enumerate(columns):
            count = row.get(answer, 0)
            share, right = count / total, answer == truth
            colour = tuple(round(255 - (255 - full) * share) for full in (_RIGHT if right else _WRONG))
            box = (margin + place * _CELL, top, margin + (place + 1) * _CELL, top + _CELL)
            draw.rectangle(box, colour, _GRID)
            if count:
                ink = _PAPER if share > 0.55 else _INK
                draw.text((box[0] + _CELL / 2, top + _CELL / 2), str(count), ink, font, "mm")
    return sheet
