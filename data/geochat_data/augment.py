"""Augmentation of labelled images: views whose boxes are transformed with the pixels, and mosaics.

Overhead images have no preferred orientation, so the eight symmetries of the square preserve a scene; crops and colour
changes imitate other flights and sensors. Every geometric change is one affine map of pixels and corners. One
exception: round objects have axis-aligned boxes by convention, and a rotated disc keeps its axis-aligned box.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from affine import Affine
from PIL import Image, ImageEnhance
from shapely import Polygon as ShapelyPolygon
from shapely import box

from geochat.geometry import OrientedBox
from geochat_data.records import LabelledImage, LabelledObject, Polygon, as_polygon

CLIP_MEAN = (122, 116, 104)  # the padding of letterboxing
UPRIGHT = frozenset({"storage tank", "roundabout", "chimney", "windmill"})
"""Categories of round objects, whose boxes stay axis-aligned when the image is turned by any angle."""
MOSAIC_TILES = 4  # two by two


@dataclass(frozen=True)
class Augmentation:
    """Ranges of an augmentation.

    Attributes:
        zoom: Smallest and largest side of the crop, as a share of the image's longer side; above 1 letterboxes.
        tilt: Largest extra rotation, degrees; boxes of round objects (`UPRIGHT`) stay axis-aligned.
        colour: Largest relative change of brightness, contrast and saturation.
        visible: Share of an object's box that must remain for it to count; objects with less become `ignore`.
    """

    zoom: tuple[float, float] = (0.65, 1.0)
    tilt: float = 0.0
    colour: float = 0.25
    visible: float = 0.5


def augment(image: LabelledImage, size: int, settings: Augmentation, rng: random.Random) -> LabelledImage:
    """Make a random view of `image`: one of the eight symmetries, a crop, a change of colour.

    Args:
        image: The record.
        size: Side of the square view, in pixels.
        settings: The ranges.
        rng: Source of randomness.

    Returns:
        A record of `size` x `size` pixels that carries them, its objects transformed with the image. Objects outside
        the view are dropped, those mostly outside it become `ignore`.
    """
    to_view = _random_view(image.width, image.height, size, settings, rng)
    source = ~to_view
    pixels = image.open().transform(
        (size, size),
        Image.Transform.AFFINE,
        (source.a, source.b, source.c, source.d, source.e, source.f),
        Image.Resampling.BICUBIC,
        fillcolor=CLIP_MEAN,
    )
    return transform_record(image, to_view, recolour(pixels, settings.colour, rng), settings.visible)


def transform_record(image: LabelledImage, to_view: Affine, pixels: Image.Image, visible: float) -> LabelledImage:
    """Make the record of `pixels`, a view of `image` by the map `to_view`, with its objects in pixels of the view."""
    frame = box(0, 0, pixels.width, pixels.height)
    kept: list[LabelledObject] = []
    ignored: list[LabelledObject] = []
    for item, clear in [(o, True) for o in image.objects] + [(o, False) for o in image.ignore]:
        found = replace(item, polygon=_transformed(item, to_view))
        shape = ShapelyPolygon(found.polygon)
        share = shape.intersection(frame).area / shape.area
        if share <= 0:
            continue
        found = replace(found, truncated=item.truncated or share < 0.98)
        (kept if clear and share >= visible else ignored).append(found)
    return replace(
        image,
        path=None,
        width=pixels.width,
        height=pixels.height,
        objects=tuple(kept),
        ignore=tuple(ignored),
        pixels=np.asarray(pixels),
    )


def _random_view(width: int, height: int, size: int, settings: Augmentation, rng: random.Random) -> Affine:
    """Draw a map from pixels of the image to pixels of the view."""
    side = max(width, height) * rng.uniform(*settings.zoom)
    slack_x, slack_y = (width - side) / 2, (height - side) / 2
    center_x = width / 2 + rng.uniform(-1, 1) * max(0.0, slack_x)
    center_y = height / 2 + rng.uniform(-1, 1) * max(0.0, slack_y)
    turn = 90 * rng.randrange(4) + rng.uniform(-settings.tilt, settings.tilt)
    mirror = rng.choice((1, -1))
    return (
        Affine.translation(size / 2, size / 2)
        @ Affine.rotation(turn)
        @ Affine.scale(mirror * size / side, size / side)
        @ Affine.translation(-center_x, -center_y)
    )


def upright_box(box: OrientedBox) -> OrientedBox:
    """Return the axis-aligned box of the ellipse inside a rotated box; for a disc, the disc's own box."""
    turn, (x, y) = math.radians(box.angle), box.center
    half_width = math.hypot(box.width * math.cos(turn), box.height * math.sin(turn)) / 2
    half_height = math.hypot(box.width * math.sin(turn), box.height * math.cos(turn)) / 2
    return OrientedBox(x - half_width, y - half_height, x + half_width, y + half_height)


def _transformed(item: LabelledObject, to_view: Affine) -> Polygon:
    corners = as_polygon([to_view @ corner for corner in item.polygon])
    tilted = bool(to_view.a and to_view.b)  # neither a multiple of a quarter turn nor a mirror image of one
    if tilted and item.category in UPRIGHT and _is_axis_aligned(item.polygon):
        return as_polygon(upright_box(OrientedBox.from_polygon(corners)).corners())
    return corners


def _is_axis_aligned(polygon: Polygon) -> bool:
    xs, ys = {round(x, 3) for x, _ in polygon}, {round(y, 3) for _, y in polygon}
    return len(xs) == len(ys) == 2


def recolour(image: Image.Image, amount: float, rng: random.Random) -> Image.Image:
    """Change the brightness, contrast and saturation of an image by up to `amount`, relative."""
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhance(image).enhance(math.exp(rng.uniform(-amount, amount)))
    return image


def mosaic(tiles: Sequence[LabelledImage], name: str) -> LabelledImage:
    """Join up to four images two by two; each keeps its size, in a square of the largest side.

    The categories labelled exhaustively are those of all tiles; the mosaic has neither scene class nor captions.
    """
    side = max(max(tile.width, tile.height) for tile in tiles)
    canvas = Image.new("RGB", (2 * side, 2 * side))
    objects: list[LabelledObject] = []
    ignored: list[LabelledObject] = []
    for place, tile in enumerate(tiles[:MOSAIC_TILES]):
        x, y = side * (place % 2), side * (place // 2)
        canvas.paste(tile.open(), (x, y))
        objects += [_shifted(item, x, y) for item in tile.objects]
        ignored += [_shifted(item, x, y) for item in tile.ignore]
    return LabelledImage(
        path=None,
        width=2 * side,
        height=2 * side,
        objects=tuple(objects),
        ignore=tuple(ignored),
        labelled=frozenset.intersection(*(tile.labelled for tile in tiles)),
        pixels=np.asarray(canvas, np.uint8),
        name=name,
    )


def _shifted(item: LabelledObject, x: int, y: int) -> LabelledObject:
    return replace(item, polygon=as_polygon([(px + x, py + y) for px, py in item.polygon]))
