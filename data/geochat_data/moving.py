"""Augmentation of a conversation whose boxes are written in its text.

A training file holds words, not labels, so only views that keep the whole image are safe: the eight symmetries of the
square, small turns and margins. Boxes are rewritten through the same affine map as the pixels. A turn that speaks of
sides ("at the top left") is no longer true, and later turns may lean on it, so a conversation is cut before the first.
Cropping belongs where labels are known: `augment` changes a record before it is asked about.
"""

import math
import random
import re
from collections.abc import Sequence
from itertools import pairwise

from affine import Affine
from PIL import Image

from geochat.dialects import Dialect
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
    """A view of an image and what remains true of the conversation about it; None where nothing does.

    Args:
        image: The whole image.
        messages: Questions and answers in turn.
        settings: How far to go; its zoom counts above 1, where it adds a margin.
        rng: Source of randomness.
        dialect: How the text is written.

    Returns:
        A square image as large as the longer side of the source, and the messages with their boxes moved.
    """
    size = max(image.size)
    to_view = whole_view(image.width, image.height, size, settings, rng)
    moved = move_conversation(messages, image.size, to_view, size, dialect)
    if not moved:
        return None
    source = ~to_view
    pixels = image.convert("RGB").transform(
        (size, size),
        Image.Transform.AFFINE,
        (source.a, source.b, source.c, source.d, source.e, source.f),
        Image.Resampling.BICUBIC,
        fillcolor=CLIP_MEAN,
    )
    return recolour(pixels, settings.colour, rng), moved


def whole_view(width: int, height: int, size: int, settings: Augmentation, rng: random.Random) -> Affine:
    """A map from pixels of an image to pixels of a square view that holds all of it."""
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


def move_conversation(
    messages: Sequence[Message],
    image_size: tuple[int, int],
    to_view: Affine,
    view_size: int,
    dialect: Dialect,
) -> tuple[Message, ...]:
    """The turns before the first that speaks of sides, their boxes taken along.

    Args:
        messages: Questions and answers in turn.
        image_size: (width, height) of the image the boxes speak of.
        to_view: Pixels of the image to pixels of the view.
        view_size: Side of the square view, in pixels.
        dialect: How the text is written.
    """
    before = Frame(image_size, model=dialect.model_frame)
    after = Frame((view_size, view_size), model=dialect.model_frame)
    affine = after.between("view", "model") @ to_view @ before.model_to_view
    kept: list[Message] = []
    for question, answer in list(pairwise(messages))[::2]:
        if _SIDES.search(question.text) or _SIDES.search(answer.text):
            break
        upright = any(category in f"{question.text} {answer.text}" for category in UPRIGHT)
        kept += [Message(m.role, move_text(m.text, affine, dialect, upright=upright)) for m in (question, answer)]
    return tuple(kept)


def move_text(text: str, affine: Affine, dialect: Dialect, *, upright: bool = False) -> str:
    """The text with its boxes through an affine map from the model's numbers to its numbers; all else as it is.

    Args:
        text: A question or an answer.
        affine: Where a point of the old square is in the new one.
        dialect: How the text is written.
        upright: Whether its boxes are those of round objects, which stay upright however they are turned.
    """
    pieces, end = [], 0
    for region in dialect.parse(text).regions:
        box = region.box.transform(affine)
        if upright and _is_upright(region.box):
            box = upright_box(box)
        pieces += [text[end : region.span[0]], dialect.write_box(box)]
        end = region.span[1]
    return "".join((*pieces, text[end:]))


def _is_upright(box: OrientedBox) -> bool:
    return box.angle % 90 == 0
