"""The turn that an image's EXIF orientation asks for."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from geochat.imagery.windows import Window

# EXIF tag 274: whether rows and columns are swapped, then whether columns, then rows, run backwards.
_TURNS = {
    1: (False, False, False),
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}


@dataclass(frozen=True)
class Orientation:
    """Orientation of the stored raster, from EXIF tag 274; an unknown value turns nothing.

    Attributes:
        tag: 1 to 8 as in EXIF, 1 being upright.
        stored_size: (width, height) of the raster as stored.
    """

    tag: int
    stored_size: tuple[int, int]

    @property
    def _turn(self) -> tuple[bool, bool, bool]:
        return _TURNS.get(self.tag, _TURNS[1])

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) after the turn."""
        return self.swapped(self.stored_size)

    def swapped(self, size: tuple[int, int]) -> tuple[int, int]:
        """A (width, height) of the turned image as stored, or the other way about."""
        return (size[1], size[0]) if self._turn[0] else size

    @property
    def to_stored(self) -> Affine:
        """Pixels of the turned image to pixels as stored."""
        swap, mirror_columns, mirror_rows = self._turn
        width, height = self.size
        x = (-1, width) if mirror_columns else (1, 0)
        y = (-1, height) if mirror_rows else (1, 0)
        unmirror = Affine(x[0], 0, x[1], 0, y[0], y[1])
        return Affine.permutation() @ unmirror if swap else unmirror

    def window_to_stored(self, window: Window) -> Window:
        """The stored pixels that a window of the turned image shows."""
        if not any(self._turn):
            return window
        first = self.to_stored @ (float(window.column), float(window.row))
        last = self.to_stored @ (float(window.column + window.width), float(window.row + window.height))
        column, row = round(min(first[0], last[0])), round(min(first[1], last[1]))
        return Window(column, row, *self.swapped(window.size))

    def turn(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Turn an array of (..., height, width) as stored."""
        swap, mirror_columns, mirror_rows = self._turn
        turned = np.swapaxes(stored, -1, -2) if swap else stored
        return turned[..., :: -1 if mirror_rows else 1, :: -1 if mirror_columns else 1]
