"""Copy-paste augmentation: labelled objects cut out of photographs and pasted into others.

A detector trained on a few hundred labelled objects in as many surroundings learns the surroundings. Objects that are
cut out along their boxes and pasted at any place, size and direction, often next to objects of other categories, are
independent of their surroundings. Pieces of bare ground are pasted in the same way, so that a soft-edged rectangle
alone carries no information.
"""

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from shapely import Polygon, box

from geochat.errors import DataError
from geochat.geometry import OrientedBox
from geochat_data.augment import UPRIGHT, upright_box
from geochat_data.records import LabelledImage, LabelledObject, as_polygon

_MARGIN = 0.08  # width of the ground around an object, as a share of its sides
_SHORTEST = 12.0  # pixels of the longer side of a pasted object
_ATTEMPTS = 12


@dataclass(frozen=True)
class Cutout:
    """An object cut out along its box and turned upright.

    Attributes:
        category: Its category, None for bare ground.
        pixels: uint8 (height, width, 4), transparent towards the edge.
        size: Width and height of the object itself, in pixels.
    """

    category: str | None
    pixels: NDArray[np.uint8]
    size: tuple[float, float]


def cut_objects(images: Iterable[LabelledImage]) -> list[Cutout]:
    """Cut out every labelled object that is wholly inside its image."""
    found = []
    for image in images:
        frame = box(0, 0, image.width, image.height)
        whole = [item for item in image.objects if not item.truncated and frame.contains(Polygon(item.polygon))]
        if whole:
            pixels = image.open()
            found += [_cut(pixels, item.box, item.category) for item in whole]
    return found


def cut_background(images: Sequence[LabelledImage], count: int, rng: random.Random) -> list[Cutout]:
    """Cut `count` pieces out of images without objects, in sizes and shapes of objects."""
    found = []
    for _ in range(count):
        image = rng.choice(images)
        width, height = (rng.uniform(0.08, 0.35) * image.width for _ in range(2))
        x, y = rng.uniform(0, image.width - width), rng.uniform(0, image.height - height)
        found.append(_cut(image.open(), OrientedBox(x, y, x + width, y + height), None))
    return found


def paste_cutouts(
    background: LabelledImage,
    objects: Sequence[Cutout],
    ground: Sequence[Cutout],
    rng: random.Random,
    labelled: frozenset[str],
) -> LabelledImage:
    """Paste objects and pieces of ground into a photograph.

    Args:
        background: A photograph without objects of the categories in `labelled`.
        objects: Pasted in this order; one without a free place is left out.
        ground: Pasted first, unlabelled.
        rng: Source of places, sizes and directions.
        labelled: The exhaustively labelled categories of the result.

    Returns:
        A record that carries its pixels; scene class and captions no longer hold and are dropped.

    Raises:
        DataError: The background is labelled with objects of its own.
    """
    if background.objects:
        raise DataError(f"{background.path} has labelled objects; paste into images without any")
    canvas = background.open()
    occupied: list[Polygon] = []
    pasted: list[LabelledObject] = []
    for piece in (*ground, *objects):
        put = _paste(canvas, piece, occupied, rng)
        if put is not None and piece.category is not None:
            pasted.append(LabelledObject(piece.category, as_polygon(put.corners())))
    return LabelledImage(
        path=None,
        width=canvas.width,
        height=canvas.height,
        objects=tuple(pasted),
        split=background.split,
        labelled=labelled,
        pixels=np.asarray(canvas),
        name=background.path.stem if background.path else background.name,
    )


def _cut(image: Image.Image, item: OrientedBox, category: str | None) -> Cutout:
    width, height = max(item.width, 2.0), max(item.height, 2.0)
    outer = math.ceil(width * (1 + 2 * _MARGIN)) + 2, math.ceil(height * (1 + 2 * _MARGIN)) + 2
    source = (
        Affine.translation(*item.center)
        @ Affine.rotation(item.angle)
        @ Affine.translation(-outer[0] / 2, -outer[1] / 2)
    )
    coefficients = (source.a, source.b, source.c, source.d, source.e, source.f)
    cut = image.transform(outer, Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC)
    soft = max(1.0, _MARGIN * min(width, height) / 2)
    opacity = Image.new("L", outer)
    draw = ImageDraw.Draw(opacity).ellipse if category in UPRIGHT else ImageDraw.Draw(opacity).rectangle
    draw((soft, soft, outer[0] - 1 - soft, outer[1] - 1 - soft), fill=255)
    cut.putalpha(opacity.filter(ImageFilter.GaussianBlur(soft / 2)))
    return Cutout(category, np.asarray(cut), (width, height))


def _paste(canvas: Image.Image, piece: Cutout, occupied: list[Polygon], rng: random.Random) -> OrientedBox | None:
    """Paste a piece at a free place; returns its box, or None if no place was found."""
    side, longest = min(canvas.size), max(piece.size)
    for _ in range(_ATTEMPTS):
        scale = math.exp(rng.uniform(math.log(0.7), math.log(1.5)))
        scale = min(max(scale, _SHORTEST / longest), 0.6 * side / longest)
        height, width = piece.pixels.shape[:2]
        to_canvas = (
            Affine.translation(rng.uniform(0, canvas.width), rng.uniform(0, canvas.height))
            @ Affine.rotation(90 * rng.randrange(4) if rng.random() < 0.3 else rng.uniform(0, 360))
            @ Affine.scale(scale * rng.choice((1, -1)), scale)
            @ Affine.translation(-width / 2, -height / 2)
        )
        left, top = (width - piece.size[0]) / 2, (height - piece.size[1]) / 2
        corners = [(left, top), (width - left, top), (width - left, height - top), (left, height - top)]
        found = OrientedBox.from_polygon([to_canvas @ corner for corner in corners])
        if piece.category in UPRIGHT:
            found = upright_box(found)
        shape = Polygon(found.corners())
        if not box(0, 0, *canvas.size).contains(shape) or any(shape.intersects(other) for other in occupied):
            continue
        occupied.append(shape)
        back = ~to_canvas
        coefficients = (back.a, back.b, back.c, back.d, back.e, back.f)
        layer = Image.fromarray(piece.pixels).transform(
            canvas.size, Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC
        )
        canvas.paste(layer, mask=layer.getchannel("A"))
        return found
    return None
