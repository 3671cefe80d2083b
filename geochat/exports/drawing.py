"""Boxes over the picture the question was asked about.

The colours are told apart with any colour vision; there is one a phrase. Each line lies on a
dark one, and labels are black on the colour, so both are read on snow and on water alike. The number of a label is
the region's place in the answer.
"""

import io
import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import shapely
from PIL import Image, ImageDraw, PngImagePlugin

from geochat.exports.files import check_target, write_atomically
from geochat.exports.grounded import GroundedRegion, Point
from geochat.exports.labels import DARK, Labels
from geochat.geometry import Frame, transform_points

PALETTE = ("#E69F00", "#56B4E9", "#F0E442", "#CC79A7", "#D55E00", "#FFFFFF")
"""Okabe and Ito (2008) without black, dark blue and green, which vanish on water and on fields; and white."""

_LONGEST_LABEL = 32


def draw(
    view: Image.Image, regions: Sequence[GroundedRegion], frame: Frame, numbers: Sequence[int] | None = None
) -> Image.Image:
    """Draw regions over a copy of the view, at the view's size.

    Args:
        view: The picture that was asked about.
        regions: What to draw.
        frame: The view's frame.
        numbers: What each region is numbered; None numbers them from 1 in this order.
    """
    canvas = view.convert("RGB")
    pen = ImageDraw.Draw(canvas)
    size = max(11, min(canvas.size) // 45)
    colours = _colours(regions)
    to_view = frame.between("image", "view")
    outlines = [transform_points(region.pixels, to_view).tolist() for region in regions]
    for region, outline in zip(regions, outlines, strict=True):
        _stroke(pen, outline, canvas.size, colours[region.phrase], width=max(2, size // 5))
    labels = Labels(pen, size)
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
    target = check_target(path, (".png", ".jpg", ".jpeg"))
    note = json.dumps(provenance, ensure_ascii=False)
    content = io.BytesIO()
    if target.suffix.lower() == ".png":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("geochat", note)
        picture.save(content, "PNG", pnginfo=info)
    else:
        picture.convert("RGB").save(content, "JPEG", quality=92, comment=note.encode()[:65_000])
    return write_atomically(target, content.getvalue())


def _colours(regions: Sequence[GroundedRegion]) -> dict[str | None, str]:
    phrases = dict.fromkeys(region.phrase for region in regions)
    return {phrase: PALETTE[index % len(PALETTE)] for index, phrase in enumerate(phrases)}


def _shortened(phrase: str) -> str:
    phrase = " ".join(phrase.split())
    return phrase if len(phrase) <= _LONGEST_LABEL else phrase[: _LONGEST_LABEL - 1] + "…"


def _stroke(pen: ImageDraw.ImageDraw, outline: Sequence[Point], size: tuple[int, int], colour: str, width: int) -> None:
    """Draw a closed outline, cut at the canvas: a model may write boxes far outside, which Pillow would trace."""
    margin = 4 * width
    canvas = shapely.box(-margin, -margin, size[0] + margin, size[1] + margin)
    ring = [*outline, outline[0]]
    sides = [shapely.LineString(side).intersection(canvas) for side in pairwise(ring)]
    lines = [list(side.coords) for side in sides if side.geom_type == "LineString" and not side.is_empty]
    for fill, thickness in ((DARK, width + 2), (colour, width)):
        for line in lines:
            pen.line(line, fill=fill, width=thickness)
        for x, y in (line[0] for line in lines):  # round joints
            radius = (thickness - 1) / 2
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)
