"""Large images cut into windows, their labels moved into each: what a model sees at a few hundred pixels a side."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from affine import Affine

from geochat_data.augment import move
from geochat_data.records import LabelledImage

VISIBLE = 0.5  # of a box inside a window, for its object to count there


def cut(records: Iterable[LabelledImage], side: int) -> Iterator[LabelledImage]:
    """The records, those with a side longer than `side` pixels as windows of about that size that share no pixel.

    All carry their pixels, so that what was cut and what was not are written to one place. A window has the labels it
    shows, and no captions or scene: those spoke of the whole.
    """
    for record in records:
        if max(record.width, record.height) <= side:
            yield replace(record, path=None, name=_name(record), pixels=np.asarray(record.open()))
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


def _name(record: LabelledImage) -> str:
    return record.path.stem if record.path else record.name or "image"
