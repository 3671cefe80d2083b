"""The true boxes of an answer, in percent of the square the model sees.

They are written as in the answers, or as decoded lists: boxes of four or five numbers in percent, or polygons in
pixels of the image (GeoChat-Bench). A polygon becomes the smallest rectangle around it, and needs the image's size:
`width` and `height`, or `image_size`, in the line, or a folder of images in which `image_id` or `image` is looked up.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import PIL.Image

from geochat.frames import Frame, transform_points
from geochat.regions import OrientedBox
from geochat_eval.formats import Answer
from geochat_eval.grounded import GroundedText

_DEEPEST = 5  # lists of lists of polygons, and one to spare
_FARTHEST = 1e9  # a coordinate beyond it is a mistake
_ENDINGS = ("", ".png", ".jpg", ".tif")


def true_boxes(answer: Answer, images: Path | None = None) -> GroundedText:
    """Read the truth of a line.

    Args:
        answer: What was read of the line.
        images: Folder of the images, for polygons whose line does not say how large its image is.

    Raises:
        ValueError: There is no truth, or it cannot be read.
    """
    if answer.truth is None:
        raise ValueError("it has no ground truth")
    if isinstance(answer.truth, str):
        return answer.read(answer.truth)
    boxes = tuple(_box(shape, answer, images) for shape in _shapes(answer.truth))
    return GroundedText("", boxes, ("",) * len(boxes))


def image_in_square(size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Where an image of (width, height) lies in the square the model sees: x1, y1, x2, y2 in percent."""
    (x1, y1), (x2, y2) = transform_points([(0, 0), size], Frame(size).between("image", "model")).tolist()
    return x1, y1, x2, y2


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
        return OrientedBox(*map(float, shape))
    points = [(float(x), float(y)) for x, y in (shape if _is_point(shape[0]) else zip(shape[::2], shape[1::2]))]  # noqa: B905
    if len(points) < 3 or (_is_number(shape[0]) and len(shape) % 2):
        raise ValueError("its ground truth is neither boxes of 4 or 5 numbers nor polygons")
    frame = Frame(_image_size(answer, images))
    return OrientedBox.from_polygon(points).transform(frame.between("image", "model"))


def _image_size(answer: Answer, images: Path | None) -> tuple[int, int]:
    """(width, height) in pixels."""
    fields = answer.fields
    size = fields.get("image_size") or [fields.get("width"), fields.get("height")]
    if isinstance(size, list) and len(size) == 2 and all(isinstance(side, int) and side > 0 for side in size):
        return size[0], size[1]
    name = answer.group("image_id", "image")
    if images is None or name is None:
        raise ValueError("its truth is in pixels, of an image of unknown size: give width and height, or --images")
    for ending in _ENDINGS:
        if (path := images / f"{name}{ending}").is_file():
            return _size_of(path)
    raise ValueError("its image is not in the folder of images")


@lru_cache(maxsize=4096)
def _size_of(path: Path) -> tuple[int, int]:
    try:
        with PIL.Image.open(path) as image:
            return image.size
    except (OSError, PIL.Image.DecompressionBombError) as error:
        raise ValueError("its image cannot be read") from error
