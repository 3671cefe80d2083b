"""Predicted and true boxes of a line, converted to a common frame for comparison and drawing.

The common frame is the published GeoChat's: percent of the image padded to a square, angles clockwise in (0, 90].
Truths of benchmarks are in it, so that they are the same for every model; answers are in the numbers of the model that
gave them and are converted, so that rules, baselines and pictures mean the same for every model.

Truths are written as in the answers, or as lists, decoded or JSON in a text: boxes of four or five numbers, or polygons
in pixels of the image (GeoChat-Bench). A text without a box means that there is none to find, but one that holds
numbers is an error. A polygon becomes the smallest rectangle around it, which needs the image's size, as do the numbers
of a model that crops a square or writes pixels: `width` and `height`, or `image_size`, in the line, or a folder of
images in which `image_id` or `image` is looked up.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache, partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import shapely
from affine import Affine
from shapely.geometry.base import BaseGeometry

from geochat.dialects import GEOCHAT, Dialect
from geochat.errors import ImageError
from geochat.geometry import Frame, ModelFrame, OrientedBox, transform_geometry, transform_points
from geochat.imagery import image_size
from geochat_eval.formats import AnswerRecord, GroundedText, box_of, decoded

COMMON_FRAME = GEOCHAT.model_frame
_PERCENT = 100.0

Size = tuple[int, int]
"""(width, height) in pixels."""


def image_in_square(size: Size) -> tuple[float, float, float, float]:
    """Return the extent of an image of (width, height) in the square: x1, y1, x2, y2 in percent."""
    (x1, y1), (x2, y2) = transform_points([(0, 0), size], pixels_to_square(size)).tolist()
    return x1, y1, x2, y2


def pixels_to_square(size: Size) -> Affine:
    """Map from pixels of an image of (width, height) to the square."""
    return Frame(size, model=COMMON_FRAME).between("image", "model")


def to_square(frame: ModelFrame, size: Callable[[], Size]) -> Affine | None:
    """Map from a model's numbers to the square; None if they are the same.

    Args:
        frame: The model's.
        size: The image's size, computed only if it is needed.
    """
    if frame.fit == COMMON_FRAME.fit and frame.scale is not None and not frame.bins:
        return None if frame.scale == _PERCENT else Affine.scale(_PERCENT / frame.scale)
    known = size()
    return pixels_to_square(known) @ Frame(known, model=frame).model_to_view


def in_square(found: GroundedText, dialect: Dialect, size: Callable[[], Size]) -> GroundedText:
    """Convert the boxes of a text to the common frame.

    Args:
        found: As it was read, its boxes in the model's numbers.
        dialect: Its dialect.
        size: The image's size, computed only if it is needed.
    """
    if not found.boxes:
        return found
    moved = to_square(dialect.model_frame, size)
    boxes = found.boxes if moved is None else tuple(_moved(*pair, moved) for pair in _boxes_with_shapes(found))
    if dialect.angles != GEOCHAT.angles:
        boxes = tuple(box.normalized(GEOCHAT.angles.angle_range) for box in boxes)
    return replace(found, boxes=boxes)


def _boxes_with_shapes(found: GroundedText) -> Iterator[tuple[OrientedBox, BaseGeometry | None]]:
    return zip_longest(found.boxes, found.shapes)


def _moved(box: OrientedBox, shape: BaseGeometry | None, affine: Affine) -> OrientedBox:
    """Transform a box, or take the rectangle around a transformed point or polygon."""
    return box.transform(affine) if shape is None else OrientedBox.from_polygon(transform_geometry(shape, affine))


def rewrite_regions(text: str, dialect: Dialect, size: Callable[[], Size]) -> str:
    """Rewrite the regions of a text in the published dialect in another one; the rest is unchanged.

    Args:
        text: In the published dialect.
        dialect: The other one.
        size: The image's size, computed only if it is needed.
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
    """Return whether it writes regions as the published GeoChat does."""
    frame, own = dialect.model_frame, GEOCHAT.model_frame
    written = (dialect.syntax, dialect.angles, dialect.decimals, frame.fit, frame.scale)
    return written == (GEOCHAT.syntax, GEOCHAT.angles, GEOCHAT.decimals, own.fit, own.scale)


_DEEPEST = 5  # lists of lists of polygons, and one to spare
_FARTHEST = 1e9  # a coordinate beyond it is a mistake
_ENDINGS = ("", ".png", ".jpg", ".tif")
_IN_PIXELS = "its truth is in pixels, of an image of unknown size"
_UNSIZED = "its numbers depend on the size of its image, which is unknown"
_ANY_SQUARE = (1000, 1000)


def found_boxes(answer: AnswerRecord, images: Path | None = None) -> GroundedText:
    """Read the answer of a line.

    Args:
        answer: The line's answer.
        images: Folder of the images, for models whose numbers need the image's size.

    Raises:
        ValueError: It is needed and unknown.
    """
    return in_square(answer.grounded, answer.dialect, partial(_size_or_square, answer, images))


def true_boxes(answer: AnswerRecord, images: Path | None = None) -> GroundedText:
    """Read the truth of a line.

    Args:
        answer: The line's answer.
        images: Folder of the images, for truths that need the image's size where the line does not say it.

    Raises:
        ValueError: There is no truth, or it cannot be read.
    """
    if answer.truth is None:
        raise ValueError("it has no ground truth")
    size = partial(_size_or_square, answer, images)
    if isinstance(answer.truth, str):
        found = answer.read_text(answer.truth, answer.truth_dialect)
        shapes = decoded(answer.truth) if not found.boxes else None
        if shapes is None:
            _check_read(answer.truth, found, answer.truth_dialect)
            return in_square(found, answer.truth_dialect, size)
    else:
        shapes = answer.truth
    boxes = tuple(_box(shape, answer, images) for shape in _shapes(shapes))
    return GroundedText("", boxes, ("",) * len(boxes))


def _check_read(text: str, found: GroundedText, dialect: Dialect) -> None:
    """Check that a text without boxes states in words, or by being empty, that there is none.

    Raises:
        ValueError: It holds numbers, or regions that cannot be read, which are not "none".
    """
    if not found.boxes and (any(map(str.isdigit, text)) or dialect.parse(text).problems):
        raise ValueError("its ground truth is text in which no box can be read; write boxes as the answers do")


def clip_of(answer: AnswerRecord, images: Path | None = None) -> shapely.Polygon | None:
    """Return the line's `clip`, the rectangle inside which boxes are compared; None without one.

    Raises:
        ValueError: It is not four numbers.
    """
    clip = answer.fields.get("clip")
    if clip is None:
        return None
    if not (isinstance(clip, list) and len(clip) == 4 and all(isinstance(number, int | float) for number in clip)):
        raise ValueError("its clip is not [x1, y1, x2, y2]")
    moved = to_square(answer.truth_dialect.model_frame, partial(_size_or_square, answer, images))
    if moved is not None:
        (x1, y1), (x2, y2) = transform_points([clip[:2], clip[2:]], moved).tolist()
        clip = [x1, y1, x2, y2]
    return shapely.box(*clip)


def _shapes(value: Any, depth: int = 0) -> Iterator[list[Any]]:  # noqa: ANN401 - decoded JSON
    """Yield lists of numbers and lists of points from nested lists."""
    if not isinstance(value, list) or depth > _DEEPEST:
        raise ValueError("its ground truth is neither boxes nor polygons")
    if value and (all(map(_is_number, value)) or all(map(_is_point, value))):
        yield value
    else:
        for item in value:
            yield from _shapes(item, depth + 1)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _FARTHEST  # nor NaN


def _is_point(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))


def _box(shape: list[Any], answer: AnswerRecord, images: Path | None) -> OrientedBox:
    if _is_number(shape[0]) and len(shape) in (4, 5):
        found = GroundedText("", (box_of([float(number) for number in shape], answer.truth_dialect),), ("",))
        (box,) = in_square(found, answer.truth_dialect, partial(_size_or_square, answer, images)).boxes
        return box
    points = [(float(x), float(y)) for x, y in (shape if _is_point(shape[0]) else zip(shape[::2], shape[1::2]))]  # noqa: B905
    if len(points) < 3 or (_is_number(shape[0]) and len(shape) % 2):
        raise ValueError("its ground truth is neither boxes of 4 or 5 numbers nor polygons")
    return OrientedBox.from_polygon(points).transform(pixels_to_square(_size(answer, images, _IN_PIXELS)))


def _size_or_square(answer: AnswerRecord, images: Path | None) -> Size:
    """Return the size of the line's image, or of any square where it is unknown and irrelevant.

    Numbers over the whole image are stretched with it, found and true ones alike, which does not change their overlap.
    """
    frame = answer.dialect.model_frame
    try:
        return _size(answer, images, _UNSIZED)
    except ValueError:
        if frame.fit == "image" and frame == answer.truth_dialect.model_frame:
            return _ANY_SQUARE
        raise


def _size(answer: AnswerRecord, images: Path | None, unknown: str) -> Size:
    """Return the size of the line's image; `unknown` is the error's text if nothing states it."""
    fields = answer.fields
    size = fields.get("image_size") or [fields.get("width"), fields.get("height")]
    if isinstance(size, list) and len(size) == 2 and all(isinstance(side, int) and side > 0 for side in size):
        return size[0], size[1]
    name = answer.group("image_id", "image")
    if images is None or name is None:
        raise ValueError(f"{unknown}: give width and height, or --images")
    for ending in _ENDINGS:
        if (path := images / f"{name}{ending}").is_file():
            return _size_of(path)
    raise ValueError("its image is not in the folder of images")


@lru_cache(maxsize=4096)
def _size_of(path: Path) -> Size:
    try:
        return image_size(path)
    except ImageError as error:
        raise ValueError("its image cannot be read") from error
