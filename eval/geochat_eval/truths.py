"""The boxes of a line, found and true, in the square in which they are compared (`geochat_eval.square`).

Truths are written as in the answers, or as lists, decoded or JSON in a text: boxes of four or five numbers, or polygons
in pixels of the image (GeoChat-Bench). A text without a box means that there is none to find, but one that holds
numbers is an error. A polygon becomes the smallest rectangle around it, and needs the image's size, as the numbers of
a model do that cuts a square from the middle or writes pixels: `width` and `height`, or `image_size`, in the line, or a
folder of images in which `image_id` or `image` is looked up.
"""

from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import shapely

from geochat.dialects import Dialect
from geochat.errors import ImageError
from geochat.geometry import OrientedBox, transform_points
from geochat.imagery import image_size
from geochat_eval.formats import Answer, decoded
from geochat_eval.grounded import GroundedText, box_of
from geochat_eval.square import Size, in_square, pixels_to_square, to_square

_DEEPEST = 5  # lists of lists of polygons, and one to spare
_FARTHEST = 1e9  # a coordinate beyond it is a mistake
_ENDINGS = ("", ".png", ".jpg", ".tif")
_IN_PIXELS = "its truth is in pixels, of an image of unknown size"
_UNSIZED = "its numbers depend on the size of its image, which is unknown"
_SQUARE = (1000, 1000)


def found_boxes(answer: Answer, images: Path | None = None) -> GroundedText:
    """Read the answer of a line.

    Args:
        answer: What was read of the line.
        images: Folder of the images, for models whose numbers need the image's size.

    Raises:
        ValueError: It is needed and unknown.
    """
    return in_square(answer.grounded, answer.dialect, partial(_size_or_square, answer, images))


def true_boxes(answer: Answer, images: Path | None = None) -> GroundedText:
    """Read the truth of a line.

    Args:
        answer: What was read of the line.
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
    """See that a text without boxes says in words, or by saying nothing, that there is none.

    Raises:
        ValueError: It holds numbers, or regions that cannot be read, which are not "none".
    """
    if not found.boxes and (any(map(str.isdigit, text)) or dialect.parse(text).problems):
        raise ValueError("its ground truth is text in which no box can be read; write boxes as the answers do")


def clip_of(answer: Answer, images: Path | None = None) -> shapely.Polygon | None:
    """The line's `clip`, where there is one: the rectangle inside which boxes are compared.

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
    """Lists of numbers, and lists of points, however deep they are nested."""
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


def _box(shape: list[Any], answer: Answer, images: Path | None) -> OrientedBox:
    if _is_number(shape[0]) and len(shape) in (4, 5):
        found = GroundedText("", (box_of([float(number) for number in shape], answer.truth_dialect),), ("",))
        (box,) = in_square(found, answer.truth_dialect, partial(_size_or_square, answer, images)).boxes
        return box
    points = [(float(x), float(y)) for x, y in (shape if _is_point(shape[0]) else zip(shape[::2], shape[1::2]))]  # noqa: B905
    if len(points) < 3 or (_is_number(shape[0]) and len(shape) % 2):
        raise ValueError("its ground truth is neither boxes of 4 or 5 numbers nor polygons")
    return OrientedBox.from_polygon(points).transform(pixels_to_square(_size(answer, images, _IN_PIXELS)))


def _size_or_square(answer: Answer, images: Path | None) -> Size:
    """The size of the line's image, or any square where it is unknown and changes nothing.

    Numbers over the whole image are stretched with it, found and true ones alike, which leaves their overlap as it is.
    """
    frame = answer.dialect.model_frame
    try:
        return _size(answer, images, _UNSIZED)
    except ValueError:
        if frame.fit == "image" and frame == answer.truth_dialect.model_frame:
            return _SQUARE
        raise


def _size(answer: Answer, images: Path | None, unknown: str) -> Size:
    """The size of the line's image; `unknown` is what is wrong where nobody says it."""
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
