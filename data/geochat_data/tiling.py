"""Tiling: large images as windows, crops around objects, and augmented views of rare images, with their labels."""

import math
import random
from collections.abc import Container, Iterable, Iterator
from dataclasses import replace

import numpy as np
from affine import Affine

from geochat.imagery import Window
from geochat_data.augment import Augmentation, augment, transform_record
from geochat_data.readers.report import Report, images_may_fail
from geochat_data.records import LabelledImage, WindowReader

VISIBLE = 0.5  # share of a box inside a window for its object to count
_VIEW = Augmentation(zoom=(0.7, 1.0), visible=VISIBLE)


def tile_images(records: Iterable[LabelledImage], side: int, report: Report | None = None) -> Iterator[LabelledImage]:
    """Cut records with a side longer than `side` pixels into windows of about that size that do not overlap.

    All records carry their pixels, so that they are written to one place. A window has the labels inside it, and no
    captions or scene class, which describe the whole image. Windows are read one at a time, so an image may be larger
    than memory. An image that cannot be read is counted in `report`, or is an error without one.
    """
    for record in records:
        with images_may_fail(report):
            if max(record.width, record.height) <= side:
                yield _with_pixels(record)
            else:
                yield from _windows(record, side)


def _windows(record: LabelledImage, side: int) -> Iterator[LabelledImage]:
    columns, rows = -(-record.width // side), -(-record.height // side)
    with record.open_scene() as scene:
        reader = WindowReader(scene)
        for row in range(rows):
            top, bottom = record.height * row // rows, record.height * (row + 1) // rows
            for column in range(columns):
                left, right = record.width * column // columns, record.width * (column + 1) // columns
                yield _window(record, reader, Window(left, top, right - left, bottom - top), f"{left}_{top}")


def crop_around_objects(
    records: Iterable[LabelledImage],
    side: int,
    categories: Container[str] | None = None,
    report: Report | None = None,
) -> Iterator[LabelledImage]:
    """Cut a window of `side` pixels around each object of `categories`, or of any; the object comes first in it.

    A window that would extend beyond its image is moved into it. An object too large to be half visible in its window
    has none. Windows have no captions or scene class. An image that cannot be read is counted in `report`, or is an
    error without one.
    """
    for record in records:
        with images_may_fail(report):
            yield from _crops(record, side, categories, report)


def _crops(
    record: LabelledImage, side: int, categories: Container[str] | None, report: Report | None
) -> Iterator[LabelledImage]:
    chosen = [
        (number, item)
        for number, item in enumerate(record.objects)
        if categories is None or item.category in categories
    ]
    if not chosen:
        if report is not None:
            report.note("image without an object to crop around", str(record.path or record.name))
        return
    with record.open_scene() as scene:
        reader = WindowReader(scene)
        for number, item in chosen:
            frame = Window.around(item.center, side).move_into(scene.size)
            foremost = replace(record, objects=(item, *(other for other in record.objects if other is not item)))
            window = _window(foremost, reader, frame, f"around_{number}")
            place = item.center[0] - frame.column, item.center[1] - frame.row
            if window.objects and math.dist(window.objects[0].center, place) < 1:
                yield window


def _window(record: LabelledImage, reader: WindowReader, frame: Window, name: str) -> LabelledImage:
    """The part of a record inside a window."""
    bare = replace(record, captions=(), scene=None)
    view = transform_record(bare, Affine.translation(-frame.column, -frame.row), reader.read(frame), VISIBLE)
    return replace(view, name=f"{_name(record)}_{name}")


def add_views(
    records: Iterable[LabelledImage], count: int, seed: int = 0, report: Report | None = None
) -> Iterator[LabelledImage]:
    """Add `count` views to each record: squares mirrored, turned by quarters, cropped, with changed colours.

    A view is a square as large as the record's longer side. All records carry their pixels, so that they are written to
    one place. An image that cannot be read is counted in `report`, or is an error without one.
    """
    for number, record in enumerate(records):
        with images_may_fail(report):
            yield _with_pixels(record)
            for each in range(1, count + 1):
                rng = random.Random(f"{seed}/{number}/{each}")
                view = augment(record, max(record.width, record.height), _VIEW, rng)
                yield replace(view, name=f"{_name(record)}_v{seed}.{each}")


def _with_pixels(record: LabelledImage) -> LabelledImage:
    return replace(record, path=None, name=_name(record), pixels=np.asarray(record.open()))


def _name(record: LabelledImage) -> str:
    return record.path.stem if record.path else record.name or "image"
