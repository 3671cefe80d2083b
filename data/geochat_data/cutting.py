"""Images made of others before they are asked about, labels moved along: windows of large ones, views of rare ones."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from affine import Affine

from geochat_data.augment import Augmentation, augment, move
from geochat_data.records import LabelledImage

VISIBLE = 0.5  # of a box inside a window, for its object to count there
_VIEW = Augmentation(zoom=(0.7, 1.0), visible=VISIBLE)


def cut(records: Iterable[LabelledImage], side: int) -> Iterator[LabelledImage]:
    """The records, those with a side longer than `side` pixels as windows of about that size that share no pixel.

    All carry their pixels, so that what was cut and what was not are written to one place. A window has the labels it
    shows, and no captions or scene: those spoke of the whole.
    """
    for record in records:
        if max(record.width, record.height) <= side:
            yield _carried(record)
        else:
            yield from _windows(record, side)


def _windows(record: LabelledImage, side: int) -> Iterator[LabelledImage]:
    whole = record.open()
    columns, rows = -(-record.width // side), -(-record.height // side)
    bare = replace(record, captions=(), scene=None)
    for row in range(rows):
        top, bottom = record.height * row // rows, record.height * (row + 1) // rows
        for column in range(columns):
            left, right = record.width * column // columns, record.width * (column + 1) // columns
            view = whole.crop((left, top, right, bottom))
            yield replace(
                move(bare, Affine.translation(-left, -top), view, VISIBLE), name=f"{_name(record)}_{left}_{top}"
            )


def with_views(records: Iterable[LabelledImage], count: int, seed: int = 0) -> Iterator[LabelledImage]:
    """Each record and `count` views of it: squares mirrored, turned by quarters, cropped, in other colours.

    The views have the size of the record's longer side. All carry their pixels, so that all are written to one place.
    """
    for number, record in enumerate(records):
        yield _carried(record)
        for each in range(1, count + 1):
            rng = random.Random(f"{seed}/{number}/{each}")
            view = augment(record, max(record.width, record.height), _VIEW, rng)
            yield replace(view, name=f"{_name(record)}_v{seed}.{each}")


def _carried(record: LabelledImage) -> LabelledImage:
    return replace(record, path=None, name=_name(record), pixels=np.asarray(record.open()))


def _name(record: LabelledImage) -> str:
    return record.path.stem if record.path else record.name or "image"
