"""Inspection of training files: counts, bar charts and contact sheets, drawn with Pillow."""

import math
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from geochat.dialects import Dialect
from geochat.dialects.shapes import corners_of
from geochat.errors import DataError, ImageError
from geochat.geometry import Frame
from geochat.imagery import open_image
from geochat.prompts import Message, Task
from geochat_data.samples import Sample

CELL = 320  # pixels, the side of an image on the sheet
TEXT = 96  # pixels for the text below it
_QUESTION, _ANSWER, _INK, _PAPER, _BAR = (255, 200, 0), (0, 255, 120), (30, 30, 30), (255, 255, 255), (70, 110, 170)
_SIZES = ((1, "under 1 %"), (4, "1-4 %"), (16, "4-16 %"), (1e9, "over 16 %"))
_UNKNOWN = "unknown"
Charts = dict[str, dict[str, int]]


def statistics(samples: Iterable[Sample], dialect: Dialect) -> Charts:
    """Count kinds of questions, lengths, answers and boxes of samples, which are read once; returns JSON-ready counts.

    Args:
        samples: The samples.
        dialect: The dialect of their text. Angles are counted clockwise and in (0, 90] in any dialect, so that files in
            different dialects can be compared.
    """
    counts: dict[str, Counter[str]] = {
        name: Counter()
        for name in ("samples", "turns", "task", "answer words", "short answers", "boxes", "angle", "box area")
    }
    images = set()
    for sample in samples:
        counts["samples"]["with image" if sample.image else "text only"] += 1
        images.add(sample.image)
        counts["turns"][f"{len(sample.messages) // 2}"] += 1
        for question, answer in zip(sample.messages[::2], sample.messages[1::2], strict=False):
            _turn(question, answer, counts, dialect)
    counts["samples"]["distinct images"] = len(images - {None})
    return {name: _ordered(name, bars) for name, bars in counts.items()}


def _task_name(question: str, dialect: Dialect) -> str:
    """The kind of a question, by its token and wording."""
    if task := dialect.task_of(question):
        return task.value
    _, short = dialect.wordings.templates.get(Task.VQA, ("", ""))
    if short and short in question:
        return Task.VQA.value
    if question.startswith("Classify") or "Answer with one word or short phrase" in question:
        return Task.SCENE.value
    return Task.CHAT.value


def _turn(question: Message, answer: Message, counts: dict[str, Counter[str]], dialect: Dialect) -> None:
    task = _task_name(question.text, dialect)
    counts["task"][task] += 1
    words = len(answer.text.split())
    counts["answer words"]["1" if words == 1 else f"under {1 << words.bit_length()}"] += 1
    if task == Task.VQA:
        counts["short answers"][answer.text.lower()] += 1
    regions = dialect.parse(answer.text).regions
    counts["boxes"][f"{len(regions)}" if len(regions) < 10 else "10 or more"] += 1
    scale = dialect.model_frame.scale  # None if numbers are pixels, which are no share of the image
    for region in regions:
        box = region.box if 0 <= region.box.angle <= 90 else region.box.normalized("(0,90]")
        low = max(0, math.ceil(box.angle / 15) - 1) * 15  # the range is open at its lower end
        counts["angle"][f"{low} to {low + 15}"] += 1
        share = None if scale is None else 100 * box.area / scale**2
        counts["box area"][_UNKNOWN if share is None else next(name for most, name in _SIZES if share < most)] += 1


def _ordered(name: str, bars: Counter[str]) -> dict[str, int]:
    if name in ("task", "short answers", "samples"):
        return dict(bars.most_common(20))
    if name == "box area":
        return {size: bars[size] for size in (*(name for _, name in _SIZES), _UNKNOWN) if size in bars}
    return dict(sorted(bars.items(), key=lambda bar: int("".join(filter(str.isdigit, bar[0].split(" to ")[0])) or 0)))


def contact_sheet(samples: Iterable[Sample], images: Path, dialect: Dialect, columns: int = 5) -> Image.Image:
    """Draw samples in a grid: boxes of answers green, of questions yellow, the first turns below each image.

    Args:
        samples: The samples.
        images: The folder their images are relative to.
        dialect: The dialect of their text.
        columns: Samples per row.

    Raises:
        DataError: None of the samples' images is in `images`.
    """
    drawn = list(samples)
    names = [sample.image for sample in drawn if sample.image is not None]
    if names and not any((images / name).is_file() for name in names):
        raise DataError(f"none of the images, such as {names[0]}, is in {images}; give the folder they are relative to")
    cells = [_cell(sample, images, dialect) for sample in drawn]
    rows = max(1, -(-len(cells) // columns))
    sheet = Image.new("RGB", (columns * CELL, rows * (CELL + TEXT)), _PAPER)
    for index, cell in enumerate(cells):
        sheet.paste(cell, (index % columns * CELL, index // columns * (CELL + TEXT)))
    return sheet


def _cell(sample: Sample, images: Path, dialect: Dialect) -> Image.Image:
    cell = Image.new("RGB", (CELL, CELL + TEXT), _PAPER)
    draw = ImageDraw.Draw(cell)
    if sample.image is not None:
        _paste(cell, draw, images / sample.image, sample, dialect)
    turns = ((("A", "Q")[m.role == "user"], dialect.parse(m.text).plain_text) for m in sample.messages)
    template, _ = dialect.wordings.templates.get(Task.VQA, ("{}", ""))
    text = "  ".join(f"{who}: {words}" for who, words in turns).replace(template.partition("{}")[2], "")
    lines = textwrap.wrap(text, 52)
    draw.multiline_text((4, CELL + 2), "\n".join(lines[:7]), _INK, ImageFont.load_default(11), spacing=1)
    return cell


def _paste(cell: Image.Image, draw: ImageDraw.ImageDraw, path: Path, sample: Sample, dialect: Dialect) -> None:
    try:
        image = open_image(path).pil()
    except ImageError:
        draw.text((4, CELL // 2), f"{sample.image} cannot be read", _INK)
        return
    to_view, scale = Frame(image.size, model=dialect.model_frame).model_to_view, (CELL - 4) / max(image.size)
    cell.paste(image.resize((round(image.width * scale), round(image.height * scale))), (2, 2))
    for message in sample.messages:
        for region in dialect.parse(message.text).regions:
            colour = _QUESTION if message.role == "user" else _ANSWER
            corners = [to_view @ corner for corner in corners_of(region.shape)]
            outline = [(2 + x * scale, 2 + y * scale) for x, y in (*corners, corners[0])]
            draw.line(outline, colour, 2)
            if len(corners) == 1:
                draw.circle(outline[0], 4, colour)


def bar_charts(charts: Mapping[str, Mapping[str, int]], width: int = 640) -> Image.Image:
    """Draw horizontal bar charts of counts below one another, each with its title."""
    row, font = 18, ImageFont.load_default(13)
    height = sum(row * (len(bars) + 3) for bars in charts.values())
    sheet = Image.new("RGB", (width, max(row, height)), _PAPER)
    draw, y = ImageDraw.Draw(sheet), row // 2
    for title, bars in charts.items():
        draw.text((8, y), title, _INK, ImageFont.load_default(15))
        y += row + 6
        top = max([1, *bars.values()])
        for name, count in bars.items():
            draw.text((8, y), name[:24], _INK, font)
            long = round((width - 300) * count / top)
            draw.rectangle((190, y + 2, 190 + long, y + row - 4), fill=_BAR)
            draw.text((198 + long, y), f"{count:,}", _INK, font)
            y += row
        y += 2 * row - 6
    return sheet
