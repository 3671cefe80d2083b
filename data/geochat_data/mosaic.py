"""Several photographs put together as one, so that an image holds objects of several categories."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from geochat_data.records import LabelledImage, LabelledObject, as_polygon

TILES = 4  # two by two


def mosaic(tiles: Sequence[LabelledImage], name: str) -> LabelledImage:
    """Up to four photographs side by side, two by two; each keeps its size and place in a square of the largest's side.

    The mosaic labels exhaustively what all its tiles do, and has neither scene nor captions.
    """
    side = max(max(tile.width, tile.height) for tile in tiles)
    canvas = Image.new("RGB", (2 * side, 2 * side))
    objects: list[LabelledObject] = []
    doubtful: list[LabelledObject] = []
    for place, tile in enumerate(tiles[:TILES]):
        x, y = side * (place % 2), side * (place // 2)
        canvas.paste(tile.open(), (x, y))
        objects += [_moved(item, x, y) for item in tile.objects]
        doubtful += [_moved(item, x, y) for item in tile.ignore]
    return LabelledImage(
        path=None,
        width=2 * side,
        height=2 * side,
        objects=tuple(objects),
        ignore=tuple(doubtful),
        labelled=frozenset.intersection(*(tile.labelled for tile in tiles)),
        pixels=np.asarray(canvas, np.uint8),
        name=name,
    )


def _moved(item: LabelledObject, x: int, y: int) -> LabelledObject:
    return replace(item, polygon=as_polygon([(px + x, py + y) for px, py in item.polygon]))
