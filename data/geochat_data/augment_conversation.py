"""Augmentation of a conversation with boxes in its text.

A training file holds text instead of labels, so only views that keep the whole image are safe: the eight symmetries of
the square, small rotations and margins. Boxes are rewritten by the affine map of the pixels. A turn that mentions a
side ("at the top left") may no longer be true, and later turns may depend on it, so the conversation is cut before it.
Crops need labels: `augment` changes a record before questions are built.
"""

import math
import random
import re
from collections.abc import Sequence
from itertools import pairwise

from affine import Affine
from PIL import Image

from geochat.dialects import Dialect, Region, Shape, convert
from geochat.geometry import Frame, OrientedBox
from geochat.prompts import Message
from geochat_data.augment import CLIP_MEAN, UPRIGHT, Augmentation, recolour, upright_box

_SIDES = re.compile(
    r"\b(left|right|top|bottom|upper|lower|above|below|cent(er|re)|middle|north|south|east|west|clockwise)"
    r"(most|ern|east|west|wards?)?\b",
    re.IGNORECASE,
)


def augment_conversation(
    image: Image.Image,
    messages: Sequence[Message],
    settings: Augmentation,
    rng: random.Random,
    dialect: Dialect,
) -> tuple[Image.Image, tuple[Message, ...]] | None:
    """Make a view of an image and the turns that remain true of it; None if none does.

    Args:
        image: The whole image.
        messages: Questions and answers in turn.
        settings: The ranges; zoom counts only above 1, where it adds a margin.
        rng: Source of randomness.
        dialect: The dialect of the text.

    Returns:
        A square image as large as the longer side of the image, and the messages with their boxes transformed.
    """
    size = max(image.size)
    to_view = random_whole_view(image.width, image.height, size, settings, rng)
    transformed = transform_messages(messages, image.size, to_view, size, dialect)
    if not transformed:
        return None
    source = ~to_view
    pixels = image.convert("RGB").transform(
        (size, size),
        Image.Transform.AFFINE,
        (source.a, source.b, source.c, source.d, source.e, source.f),
        Image.Resampling.BICUBIC,
        fillcolor=CLIP_MEAN,
    )
    return recolour(pixels, settings.colour, rng), transformed


def random_whole_view(width: int, height: int, size: int, settings: Augmentation, rng: random.Random) -> Affine:
    """Draw a map from pixels of an image to pixels of a square view that contains the whole image."""
    tilt = math.radians(rng.uniform(-settings.tilt, settings.tilt))
    cos, sin = math.cos(tilt), abs(math.sin(tilt))
    needed = max(width * cos + height * sin, width * sin + height * cos) if sin else max(width, height)
    scale = size / (needed * rng.uniform(1, max(1.0, settings.zoom[1])))
    return (
        Affine.translation(size / 2, size / 2)
        @ Affine.rotation(90 * rng.randrange(4) + math.degrees(tilt))
        @ Affine.scale(rng.choice((1, -1)) * scale, scale)
        @ Affine.translation(-width / 2, -height / 2)
    )


def transform_messages(
    messages: Sequence[Message],
    image_size: tuple[int, int],
    to_view: Affine,
    view_size: int,
    dialect: Dialect,
) -> tuple[Message, ...]:
    """Transform the boxes of the turns before the first that mentions a side.

    Args:
        messages: Questions and answers in turn.
        image_size: (width, height) of the image, in pixels.
        to_view: Pixels of the image to pixels of the view.
        view_size: Side of the square view, in pixels.
        dialect: The dialect of the text.
    """
    before = Frame(image_size, model=dialect.model_frame)
    after = Frame((view_size, view_size), model=dialect.model_frame)
    affine = after.between("view", "model") @ to_view @ before.model_to_view
    kept: list[Message] = []
    for question, answer in list(pairwise(messages))[::2]:
        if _SIDES.search(question.text) or _SIDES.search(answer.text):
            break
        upright = any(category in f"{question.text} {answer.text}" for category in UPRIGHT)
        kept += [Message(m.role, transform_text(m.text, affine, dialect, upright=upright)) for m in (question, answer)]
    return tuple(kept)


def transform_text(text: str, affine: Affine, dialect: Dialect, *, upright: bool = False) -> str:
    """Transform the boxes of a text by an affine map in the model's numbers; the rest stays unchanged.

    Args:
        text: A question or an answer.
        affine: Maps points of the old square to the new one.
        dialect: The dialect of the text.
        upright: Whether the boxes are those of round objects, which stay axis-aligned.
    """

    def moved(region: Region) -> Shape:
        if upright and region.geometry is None and _is_axis_aligned(region.box):
            return upright_box(region.box.transform(affine))
        return dialect.carried(region.shape, affine)

    return convert(text, dialect, dialect, moved).text


def _is_axis_aligned(box: OrientedBox) -> bool:
    return box.angle % 90 == 0
