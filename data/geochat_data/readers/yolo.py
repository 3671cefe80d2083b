"""YOLO, YOLO-OBB and YOLO segmentation: a text file an image, numbers as shares of the sides of the image as shown.

A line is the number of a class and then centre, width and height (4 numbers), or the corners of a box that is turned,
or the points of an outline (6 numbers and more): the box is the smallest rectangle around them. An empty file says that
there is nothing; an image without a file was not labelled, so nothing is known of it.
Source of the formats: Ultralytics' documentation, "Object detection", "OBB" and "Instance segmentation" datasets.
"""

from collections.abc import Iterator
from functools import partial

from geochat_data.readers.source import Label, Source, Unread, labelled_image, line_labels, pairs, rectangle_points
from geochat_data.readers.yolo_layout import read_layout
from geochat_data.records import LabelledImage, Point

_MALFORMED = "malformed line: neither `class x y width height` nor `class x1 y1 x2 y2 x3 y3 ...` in shares of the sides"
_LARGEST = 10  # shares of a side beyond which a number is none


def read_yolo(source: Source) -> Iterator[LabelledImage]:
    """The images of a folder, or of the folder of a `data.yaml`; see `yolo_layout` for where it looks.

    Raises:
        DataError: A folder, the split or the names of the classes are missing, or no image has a label file.
    """
    classes, found = read_layout(source)
    names = frozenset(classes.values())
    for image, text in found:
        labels = list(line_labels(text, partial(_label, classes))) if text else []
        if text is None:
            source.report.note("image without a label file: nothing is known of it", str(image))
        yield from labelled_image(source, image, labels, categories=names, unknown=() if text else (None,), shares=True)


def _label(classes: dict[int, str], words: list[str], where: str) -> Label | Unread:
    category = None
    try:
        if not (index := float(words[0])).is_integer():
            return Unread("line whose class is no whole number", where)
        category = classes.get(int(index))
        numbers = [float(word) for word in words[1:]]
    except (ValueError, OverflowError):
        return Unread(_MALFORMED, where, category)
    if category is None:
        return Unread("class that has no name", where)
    points = _points(numbers)
    if points is None:
        return Unread(_MALFORMED, where, category)
    return Label(category, points, where)


def _points(values: list[float]) -> list[Point] | None:
    if len(values) % 2 or len(values) < 4 or any(abs(value) > _LARGEST for value in values):
        return None
    if len(values) == 4:
        return rectangle_points(*values) if min(values[2:]) >= 0 else None
    return pairs(values)
