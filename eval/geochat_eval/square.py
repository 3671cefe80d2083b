"""The one square in which boxes are compared and drawn, whoever wrote them.

It is the published GeoChat's: percent of the image padded to a square, angles clockwise in (0, 90]. Truths of
benchmarks are in it, so that they are the same for every model; answers are in the numbers of the model that gave them
and are brought into it, so that rules, baselines and pictures mean the same for every model too.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import zip_longest

from affine import Affine
from shapely.geometry.base import BaseGeometry

from geochat.dialects import GEOCHAT, Dialect
from geochat.geometry import Frame, ModelFrame, OrientedBox, transform_geometry, transform_points
from geochat_eval.grounded import GroundedText

SQUARE = GEOCHAT.model_frame
_PERCENT = 100.0

Size = tuple[int, int]
"""(width, height) in pixels."""


def image_in_square(size: Size) -> tuple[float, float, float, float]:
    """Where an image of (width, height) lies in the square: x1, y1, x2, y2 in percent."""
    (x1, y1), (x2, y2) = transform_points([(0, 0), size], pixels_to_square(size)).tolist()
    return x1, y1, x2, y2


def pixels_to_square(size: Size) -> Affine:
    """Pixels of an image of (width, height) to the square."""
    return Frame(size, model=SQUARE).between("image", "model")


def to_square(frame: ModelFrame, size: Callable[[], Size]) -> Affine | None:
    """A model's numbers to the square; None where they are the same.

    Args:
        frame: The model's.
        size: The image's size, which is asked for only where it matters.
    """
    if frame.fit == SQUARE.fit and frame.scale is not None and not frame.bins:
        return None if frame.scale == _PERCENT else Affine.scale(_PERCENT / frame.scale)
    known = size()
    return pixels_to_square(known) @ Frame(known, model=frame).model_to_view


def in_square(found: GroundedText, dialect: Dialect, size: Callable[[], Size]) -> GroundedText:
    """A text's boxes as the published GeoChat would have them.

    Args:
        found: As it was read, its boxes in the model's numbers.
        dialect: How it was written.
        size: The image's size, which is asked for only where it matters.
    """
    if not found.boxes:
        return found
    moved = to_square(dialect.model_frame, size)
    boxes = found.boxes if moved is None else tuple(_moved(*pair, moved) for pair in _shapes(found))
    if dialect.angles != GEOCHAT.angles:
        boxes = tuple(box.normalized(GEOCHAT.angles.angle_range) for box in boxes)
    return replace(found, boxes=boxes)


def _shapes(found: GroundedText) -> Iterator[tuple[OrientedBox, BaseGeometry | None]]:
    return zip_longest(found.boxes, found.shapes)


def _moved(box: OrientedBox, shape: BaseGeometry | None, affine: Affine) -> OrientedBox:
    """A box through a map, or the rectangle around what was not written as one."""
    return box.transform(affine) if shape is None else OrientedBox.from_polygon(transform_geometry(shape, affine))


def rewritten(text: str, dialect: Dialect, size: Callable[[], Size]) -> str:
    """A published text with its regions as another dialect writes them; all else stays as it is.

    Args:
        text: In the published dialect.
        dialect: The other one.
        size: The image's size, which is asked for only where it matters.
    """
    if _writes_alike(dialect):
        return text
    pieces, end = [], 0
    regions = GEOCHAT.parse(text).regions
    moved = to_square(dialect.model_frame, size) if regions else None
    for region in regions:
        shape = region.box if moved is None else dialect.carried(region.box, ~moved)
        pieces += [text[end : region.span[0]], dialect.write_box(shape)]
        end = region.span[1]
    return "".join((*pieces, text[end:]))


def _writes_alike(dialect: Dialect) -> bool:
    """Whether it writes regions as the published GeoChat does."""
    frame, own = dialect.model_frame, GEOCHAT.model_frame
    written = (dialect.syntax, dialect.angles, dialect.decimals, frame.fit, frame.scale)
    return written == (GEOCHAT.syntax, GEOCHAT.angles, GEOCHAT.decimals, own.fit, own.scale)
