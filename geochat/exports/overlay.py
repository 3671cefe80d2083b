"""Images with regions drawn over the view of the question.

Each phrase has one colour, distinguishable with any colour vision. Each line is drawn on a dark one, and labels are
black on the colour, so both are legible on snow and on water. The number of a label is the region's position in the
answer; labels avoid overlapping each other.
"""

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import shapely
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from geochat.errors import ExportError
from geochat.exports.files import check_target, write_atomically
from geochat.exports.grounded import Point
from geochat.exports.layer import Feature, Layer
from geochat.geometry import Frame, transform_points

PALETTE = ("#E69F00", "#56B4E9", "#F0E442", "#CC79A7", "#D55E00", "#FFFFFF")
"""Okabe and Ito (2008) without black, dark blue and green, which vanish on water and on fields; and white."""

_DARK = "#101010"
_LONGEST_LABEL = 32
_SUFFIXES = (".png", ".jpg", ".jpeg")

Rectangle = tuple[float, float, float, float]


class Drawn(Protocol):
    """A region to draw."""

    @property
    def phrase(self) -> str | None:
        """The label; one phrase has one colour."""
        ...

    @property
    def pixels(self) -> Sequence[Point]:
        """Corners in pixels of the whole image."""
        ...


class Overlay:
    """Draws a layer over the view of its image; all features are held in memory."""

    suffixes = _SUFFIXES
    holds_second_table = False

    def write(
        self, path: Path, layer: Layer, features: Iterable[Feature], not_looked_at: Iterable[Feature] | None
    ) -> Path:
        """As `Exporter.write`."""
        if layer.view is None:
            raise ExportError(f"{path} needs the image it is drawn on; write .gpkg or .geojson")
        view = layer.view()
        return write_picture(path, draw(view.pil(), list(features), view.frame), layer.provenance)


OVERLAY = Overlay()


def draw(
    view: Image.Image, regions: Sequence[Drawn], frame: Frame, numbers: Sequence[int] | None = None
) -> Image.Image:
    """Draw regions over a copy of the view, at the view's size.

    Args:
        view: The picture that was asked about.
        regions: Regions to draw.
        frame: The view's frame.
        numbers: Number of each region; None numbers them from 1 in this order.
    """
    canvas = view.convert("RGB")
    pen = ImageDraw.Draw(canvas)
    size = max(11, min(canvas.size) // 45)
    colours = _colours(regions)
    to_view = frame.between("image", "view")
    outlines = [transform_points(region.pixels, to_view).tolist() for region in regions]
    for region, outline in zip(regions, outlines, strict=True):
        _stroke(pen, outline, canvas.size, colours[region.phrase], width=max(2, size // 5))
    labels = _Labels(pen, size)
    for number, region, outline in zip(numbers or range(1, len(regions) + 1), regions, outlines, strict=True):
        texts = [f"[{number}] {_shortened(region.phrase)}"] if region.phrase else []
        texts.append(f"[{number}]")
        labels.write(texts, outline, canvas.size, colours[region.phrase])
    return canvas


def write_picture(path: str | Path, picture: Image.Image, provenance: Mapping[str, Any]) -> Path:
    """Write a picture as PNG (provenance in the text chunk "geochat") or JPEG (provenance as its comment).

    Raises:
        ExportError: The name ends in neither, or the file cannot be written.
    """
    target = check_target(path, _SUFFIXES)
    note = json.dumps(provenance, ensure_ascii=False)
    content = io.BytesIO()
    if target.suffix.lower() == ".png":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("geochat", note)
        picture.save(content, "PNG", pnginfo=info, compress_level=3)  # half the time of the default
    else:
        picture.convert("RGB").save(content, "JPEG", quality=92, comment=note.encode()[:65_000])
    return write_atomically(target, content.getvalue())


def _colours(regions: Sequence[Drawn]) -> dict[str | None, str]:
    phrases = dict.fromkeys(region.phrase for region in regions)
    return {phrase: PALETTE[index % len(PALETTE)] for index, phrase in enumerate(phrases)}


def _shortened(phrase: str) -> str:
    phrase = " ".join(phrase.split())
    return phrase if len(phrase) <= _LONGEST_LABEL else phrase[: _LONGEST_LABEL - 1] + "…"


def _stroke(pen: ImageDraw.ImageDraw, outline: Sequence[Point], size: tuple[int, int], colour: str, width: int) -> None:
    """Draw a closed outline, clipped to the canvas, because Pillow would trace boxes far outside."""
    if len(outline) == 1:
        _dot(pen, outline[0], size, colour, width)
        return
    margin = 4 * width
    canvas = shapely.box(-margin, -margin, size[0] + margin, size[1] + margin)
    ring = [*outline, outline[0]]
    sides = [shapely.LineString(side).intersection(canvas) for side in pairwise(ring)]
    lines = [list(side.coords) for side in sides if side.geom_type == "LineString" and not side.is_empty]
    for fill, thickness in ((_DARK, width + 2), (colour, width)):
        for line in lines:
            pen.line(line, fill=fill, width=thickness)
        for x, y in (line[0] for line in lines):  # round joints
            radius = (thickness - 1) / 2
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)


def _dot(pen: ImageDraw.ImageDraw, point: Point, size: tuple[int, int], colour: str, width: int) -> None:
    """Draw a point as a disc with a dark rim, clipped to the canvas."""
    x, y = point
    if not (0 <= x <= size[0] and 0 <= y <= size[1]):
        return
    for fill, radius in ((_DARK, 2.5 * width + 1), (colour, 2.5 * width)):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)


class _Labels:
    """Draws labels at outlines, black on a colour, and remembers their positions."""

    def __init__(self, pen: ImageDraw.ImageDraw, size: int) -> None:
        self._pen = pen
        self._font = ImageFont.load_default(size)
        self._taken: list[Rectangle] = []

    def write(self, texts: Sequence[str], outline: Sequence[Point], canvas: tuple[int, int], colour: str) -> None:
        """Draw the first of `texts` that finds a free position at the outline; otherwise the last one.

        Nothing is written for an outline outside the canvas.
        """
        left, top, right, bottom = _bounds(outline)
        if right < 0 or bottom < 0 or left >= canvas[0] or top >= canvas[1]:
            return
        places = [(text, place) for text in texts for place in self._places(text, outline, canvas)]
        crowded = next(pair for pair in places if pair[0] == texts[-1])
        text, place = next((pair for pair in places if self._is_free(pair[1])), crowded)
        self._taken.append(place)
        self._pen.rectangle(place, fill=colour, outline=_DARK)
        self._pen.text((place[0] + 3, place[1] + 2), text, fill="black", font=self._font)

    def _places(self, text: str, outline: Sequence[Point], canvas: tuple[int, int]) -> Iterator[Rectangle]:
        """Yield rectangles above the topmost corner, below the lowest, next to it and inside, moved onto the canvas."""
        left, top, right, bottom = _bounds(outline)
        _, _, text_right, text_bottom = self._pen.textbbox((0, 0), text, font=self._font)
        width, height = text_right + 6, text_bottom + 5
        highest, lowest = min(outline, key=lambda point: point[1]), max(outline, key=lambda point: point[1])
        for x, y in (
            (highest[0], top - height - 1),
            (lowest[0], bottom + 2),
            (right + 2, top),
            (left - width - 2, top),
            (left + 2, (top + bottom - height) / 2),
        ):
            x_inside = min(max(x, 0), max(canvas[0] - width - 1, 0))
            y_inside = min(max(y, 0), max(canvas[1] - height - 1, 0))
            yield x_inside, y_inside, x_inside + width, y_inside + height

    def _is_free(self, place: Rectangle) -> bool:
        return not any(
            place[0] < other[2] and other[0] < place[2] and place[1] < other[3] and other[1] < place[3]
            for other in self._taken
        )


def _bounds(outline: Sequence[Point]) -> Rectangle:
    xs, ys = zip(*outline, strict=True)
    return min(xs), min(ys), max(xs), max(ys)
