"""Pictures of data, drawn with Pillow: a contact sheet of samples with their boxes, and bar charts of statistics."""

import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from geochat.dialects import Dialect
from geochat.errors import DataError, ImageError
from geochat.geometry import Frame
from geochat.imagery import open_image
from geochat.prompts import Task
from geochat_data.samples import Sample

CELL = 320  # pixels, the side of a picture on the sheet
TEXT = 96  # pixels below it
_ASKED, _ANSWERED, _INK, _PAPER, _BAR = (255, 200, 0), (0, 255, 120), (30, 30, 30), (255, 255, 255), (70, 110, 170)


def contact_sheet(samples: Iterable[Sample], images: Path, dialect: Dialect, columns: int = 5) -> Image.Image:
    """Samples side by side: boxes of answers green, of questions yellow, the first turns below.

    Args:
        samples: What is drawn.
        images: The folder their images are relative to.
        dialect: How their text is written.
        columns: Samples in a row.

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
    told = ((("A", "Q")[m.role == "user"], dialect.parse(m.text).plain_text) for m in sample.messages)
    template, _ = dialect.wordings.templates.get(Task.VQA, ("{}", ""))
    text = "  ".join(f"{who}: {words}" for who, words in told).replace(template.partition("{}")[2], "")
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
            corners = region.box.transform(to_view).corners()
            outline = [(2 + x * scale, 2 + y * scale) for x, y in (*corners, corners[0])]
            draw.line(outline, _ASKED if message.role == "user" else _ANSWERED, 2)


def bar_charts(charts: Mapping[str, Mapping[str, int]], width: int = 640) -> Image.Image:
    """Horizontal bar charts below one another, each with its title; values are counts."""
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
