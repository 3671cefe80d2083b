"""Images made of others before they are asked about, labels moved along: windows of large ones, views of rare ones."""

import math
import random
from collections.abc import Container, Iterable, Iterator
from dataclasses import replace

import numpy as np
from affine import Affine

from geochat.imagery import Window
from geochat_data.augment import Augmentation, augment, move
from geochat_data.readers.report import Report, images_may_fail
from geochat_data.records import FullSize, LabelledImage

VISIBLE = 0.5  # of a box inside a window, for its object to count there
_VIEW = Augmentation(zoom=(0.7, 1.0), visible=VISIBLE)


def cut(records: Iterable[LabelledImage], side: int, report: Report | None = None) -> Iterator[LabelledImage]:
    """The records, those with a side longer than `side` pixels as windows of about that size that share no pixel.

    All carry their pixels, so that what was cut and what was not are written to one place. A window has the labels it
    shows, and no captions or scene: those spoke of the whole. Windows are read one at a time, so an image may be larger
    than memory. An image that cannot be read is counted in `report`, or is an error where there is none.
    """
    for record in records:
        with images_may_fail(report):
            if max(record.width, record.height) <= side:
                yield _carried(record)
            else:
                yield from _windows(record, side)


def _windows(record: LabelledImage, side: int) -> Iterator[LabelledImage]:
    columns, rows = -(-record.width // side), -(-record.height // side)
    with record.opened() as scene:
        whole = FullSize(scene)
        for row in range(rows):
            top, bottom = record.height * row // rows, record.height * (row + 1) // rows
            for column in range(columns):
                left, right = record.width * column // columns, record.width * (column + 1) // columns
                yield _window(record, whole, Window(left, top, right - left, bottom - top), f"{left}_{top}")


def around(
    records: Iterable[LabelledImage],
    side: int,
    categories: Container[str] | None = None,
    report: Report | None = None,
) -> Iterator[LabelledImage]:
    """A window of `side` pixels around each object of `categories`, or of any, which comes first among its objects.

    A window that would reach beyond its image is moved into it; what is not visible by half in its own window, being
    larger, has none. Windows have no captions or scene. An image that cannot be read is counted in `report`, or is an
    error where there is none.
    """
    for record in records:
        with images_may_fail(report):
            yield from _around(record, side, categories, report)


def _around(
    record: LabelledImage, side: int, categories: Container[str] | None, report: Report | None
) -> Iterator[LabelledImage]:
    chosen = [
        (number, thing)
        for number, thing in enumerate(record.objects)
        if categories is None or thing.category in categories
    ]
    if not chosen:
        if report is not None:
            report.note("image without an object to show", str(record.path or record.name))
        return
    with record.opened() as scene:
        whole = FullSize(scene)
        for number, thing in chosen:
            frame = Window.around(thing.center, side).move_into(scene.size)
            foremost = replace(record, objects=(thing, *(other for other in record.objects if other is not thing)))
            window = _window(foremost, whole, frame, f"around_{number}")
            place = thing.center[0] - frame.column, thing.center[1] - frame.row
            if window.objects and math.dist(window.objects[0].center, place) < 1:
                yield window


def _window(record: LabelledImage, whole: FullSize, frame: Window, name: str) -> LabelledImage:
    """The part of a record in a window."""
    bare = replace(record, captions=(), scene=None)
    view = move(bare, Affine.translation(-frame.column, -frame.row), whole.read(frame), VISIBLE)
    return replace(view, name=f"{_name(record)}_{name}")


def with_views(
    records: Iterable[LabelledImage], count: int, seed: int = 0, report: Report | None = None
) -> Iterator[LabelledImage]:
    """Each record and `count` views of it: squares mirrored, turned by quarters, cropped, in other colours.

    The views have the size of the record's longer side. All carry their pixels, so that all are written to one place.
    An image that cannot be read is counted in `report`, or is an error where there is none.
    """
    for number, record in enumerate(records):
        with images_may_fail(report):
            yield _carried(record)
            for each in range(1, count + 1):
                rng = random.Random(f"{seed}/{number}/{each}")
                view = augment(record, max(record.width, record.height), _VIEW, rng)
                yield replace(view, name=f"{_name(record)}_v{seed}.{each}")


def _carried(record: LabelledImage) -> LabelledImage:
    return replace(record, path=None, name=_name(record), pixels=np.asarray(record.open()))


def _name(record: LabelledImage) -> str:
    return record.path.stem if record.path else record.name or "image"
