"""Augmentation that takes the boxes along.

Overhead images have no up, so all eight symmetries of the square are the same scene; crops and colour change what a
different flight or sensor would. Every geometric change is one affine map, applied to pixels and corners alike. One
exception: round objects have upright boxes by convention, and a turned disc has the same upright box, not a turned one.
"""

import math
import random
from dataclasses import dataclass, replace

import numpy as np
from affine import Affine
from PIL import Image, ImageEnhance
from shapely import Polygon as ShapelyPolygon
from shapely import box

from geochat.geometry import OrientedBox
from geochat_data.records import LabelledImage, LabelledObject, Polygon, as_polygon

CLIP_MEAN = (122, 116, 104)  # what letterboxing pads with
UPRIGHT = frozenset({"storage tank", "roundabout", "chimney", "windmill"})
"""Categories of round objects, whose upright boxes stay upright when the image is turned by any angle."""


@dataclass(frozen=True)
class Augmentation:
    """How far an image may be changed.

    Attributes:
        zoom: Smallest and largest side of the crop, as a share of the image's longer side; above 1 letterboxes.
        tilt: Largest extra rotation, degrees; boxes of round objects (`UPRIGHT`) stay upright under it.
        colour: Largest relative change of brightness, contrast and saturation.
        visible: Share of an object's box that must remain for it to count; objects with less become `ignore`.
    """

    zoom: tuple[float, float] = (0.65, 1.0)
    tilt: float = 0.0
    colour: float = 0.25
    visible: float = 0.5


def augment(image: LabelledImage, size: int, settings: Augmentation, rng: random.Random) -> LabelledImage:
    """A random view of `image`: one of the eight symmetries, a crop, colour.

    Args:
        image: The source.
        size: Side of the square result, in pixels.
        settings: How far to go.
        rng: Source of randomness.

    Returns:
        A record of `size` x `size` pixels that carries them, its objects moved with the image. Objects that left the
        view are dropped, those mostly outside it move to `ignore`.
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
    return move(image, to_view, recolour(pixels, settings.colour, rng), settings.visible)


def move(image: LabelledImage, to_view: Affine, pixels: Image.Image, visible: float) -> LabelledImage:
    """The record of `pixels`, a view of `image` reached through `to_view`, with its objects in the view's pixels."""
    frame = box(0, 0, pixels.width, pixels.height)
    kept: list[LabelledObject] = []
    doubtful: list[LabelledObject] = []
    for thing, clear in [(o, True) for o in image.objects] + [(o, False) for o in image.ignore]:
        moved = replace(thing, polygon=_moved(thing, to_view))
        shape = ShapelyPolygon(moved.polygon)
        share = shape.intersection(frame).area / shape.area
        if share <= 0:
            continue
        moved = replace(moved, truncated=thing.truncated or share < 0.98)
        (kept if clear and share >= visible else doubtful).append(moved)
    return replace(
        image,
        path=None,
        width=pixels.width,
        height=pixels.height,
        objects=tuple(kept),
        ignore=tuple(doubtful),
        pixels=np.asarray(pixels),
    )


def _random_view(width: int, height: int, size: int, settings: Augmentation, rng: random.Random) -> Affine:
    """Maps image pixels to pixels of the view."""
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
    """The upright box of the ellipse that a turned box holds: of a disc, the disc's own box."""
    turn, (x, y) = math.radians(box.angle), box.center
    half_width = math.hypot(box.width * math.cos(turn), box.height * math.sin(turn)) / 2
    half_height = math.hypot(box.width * math.sin(turn), box.height * math.cos(turn)) / 2
    return OrientedBox(x - half_width, y - half_height, x + half_width, y + half_height)


def _moved(thing: LabelledObject, to_view: Affine) -> Polygon:
    corners = as_polygon([to_view @ corner for corner in thing.polygon])
    tilted = bool(to_view.a and to_view.b)  # neither a multiple of a quarter turn nor a mirror image of one
    if tilted and thing.category in UPRIGHT and _is_upright(thing.polygon):
        return as_polygon(upright_box(OrientedBox.from_polygon(corners)).corners())
    return corners


def _is_upright(polygon: Polygon) -> bool:
    xs, ys = {round(x, 3) for x, _ in polygon}, {round(y, 3) for _, y in polygon}
    return len(xs) == len(ys) == 2


def recolour(image: Image.Image, amount: float, rng: random.Random) -> Image.Image:
    """The image with its brightness, contrast and saturation changed by up to `amount`, relative."""
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhance(image).enhance(math.exp(rng.uniform(-amount, amount)))
    return image
