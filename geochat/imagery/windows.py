"""Windows: rectangles of whole-image pixels, with construction, clipping, moving and shrinking."""

import math
from collections.abc import Sequence
from operator import index
from typing import NamedTuple

from affine import Affine

from geochat.errors import ImageError


class Window(NamedTuple):
    """A rectangle of whole-image pixels; (column, row) is its top-left pixel."""

    column: int
    row: int
    width: int
    height: int

    @classmethod
    def whole(cls, size: tuple[int, int]) -> "Window":
        """Return all pixels of an image of (width, height)."""
        return cls(0, 0, *size)

    @classmethod
    def of(cls, values: Sequence[int], name: str = "the image") -> "Window":
        """Return a window from four whole numbers (column, row, width, height).

        Raises:
            ImageError: They are something else.
        """
        try:
            return cls(*(index(value) for value in values))
        except TypeError as error:
            raise ImageError(
                f"{name}: window {values!r} is not four whole numbers (column, row, width, height)"
            ) from error

    @classmethod
    def covering(cls, bounds: Sequence[float], margin: float = 0.0) -> "Window":
        """Return the smallest window that covers a rectangle (left, top, right, bottom) and `margin` pixels around it.

        Raises:
            ImageError: The rectangle is turned inside out, or a number is not finite.
        """
        left, top, right, bottom = map(float, bounds)
        if not all(map(math.isfinite, (left, top, right, bottom, margin))) or right < left or bottom < top:
            raise ImageError(f"{tuple(bounds)} is no rectangle; give left, top, right, bottom in pixels")
        column, row = math.floor(left - margin), math.floor(top - margin)
        width, height = math.ceil(right + margin) - column, math.ceil(bottom + margin) - row
        return cls(column, row, max(1, width), max(1, height))

    @classmethod
    def around(cls, center: Sequence[float], size: int | tuple[int, int]) -> "Window":
        """Return the window of a side, or of (width, height), centred within half a pixel of a point (x, y)."""
        width, height = (size, size) if isinstance(size, int) else size
        return cls(round(center[0] - width / 2), round(center[1] - height / 2), width, height)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.width, self.height

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) in pixels of the whole image; `PIL.Image.crop` takes them so."""
        return self.column, self.row, self.column + self.width, self.row + self.height

    def intersect(self, other: "Window") -> "Window | None":
        """Return the pixels that two windows share; None if there are none."""
        left, top = max(self.column, other.column), max(self.row, other.row)
        right, bottom = min(self.bounds[2], other.bounds[2]), min(self.bounds[3], other.bounds[3])
        return Window(left, top, right - left, bottom - top) if left < right and top < bottom else None

    def clip(self, size: tuple[int, int]) -> "Window | None":
        """Return the part inside an image of (width, height); None if there is none."""
        return self.intersect(Window.whole(size))

    def move_into(self, size: tuple[int, int]) -> "Window":
        """Move the window into an image of (width, height), shrinking it if needed."""
        width, height = min(self.width, size[0]), min(self.height, size[1])
        column, row = min(max(self.column, 0), size[0] - width), min(max(self.row, 0), size[1] - height)
        return Window(column, row, width, height)

    def shrink_towards(self, point: Sequence[float], share: float) -> "Window":
        """Return the part of the window, `share` of each side, in which a point (x, y) keeps its relative position.

        Objects at the window's left are at the part's left too. A point outside counts as the nearest one inside.
        """
        shown = max(1, round(share * self.width)), max(1, round(share * self.height))
        column, row = (
            start + round((full - part) * min(max((at - start) / full, 0), 1))
            for start, at, full, part in zip(self[:2], point, self.size, shown, strict=True)
        )
        return Window(column, row, *shown)

    def patches(self, side: int = 64, along: int = 5) -> "list[Window]":
        """Return small windows spread over this one, row by row, its corners included."""
        width, height = min(side, self.width), min(side, self.height)
        columns, rows = (
            sorted({start + round(number * (full - part) / (along - 1)) for number in range(along)})
            for start, full, part in zip(self[:2], self.size, (width, height), strict=True)
        )
        return [Window(column, row, width, height) for row in rows for column in columns]

    def require_within(self, size: tuple[int, int], name: str) -> "Window":
        """Return the window if it holds pixels and lies in an image of (width, height).

        Raises:
            ImageError: It does not.
        """
        if min(self.size) >= 1 and self.clip(size) == self:
            return self
        raise ImageError(
            f"{name}: window {tuple(self)} (column, row, width, height) is not within the image of"
            f" {size[0]} x {size[1]} pixels; choose one that is"
        )

    def view_size(self, max_side: int) -> tuple[int, int]:
        """Return (width, height) of the window shrunk, never enlarged, to a longer side of at most `max_side`."""
        shrink = max(1.0, max(self.size) / max_side)
        return max(1, round(self.width / shrink)), max(1, round(self.height / shrink))

    def view_to_image(self, view_size: tuple[int, int]) -> Affine:
        """Return the map from pixels of the window read at `view_size` to pixels of the whole image."""
        scale = Affine.scale(self.width / view_size[0], self.height / view_size[1])
        return Affine.translation(self.column, self.row) @ scale
