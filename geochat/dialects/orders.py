"""Orders of numbers: the meaning of each number of a region, and the shape that they define.

A reader passes the numbers of one region; the order converts them to an `OrientedBox` (angles clockwise on screen), or
to a shapely `Point` or `Polygon` for other shapes. Writing is the inverse, with angles mapped into the written range.
If an order has no angle, a box is written as its upright bounding rectangle.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import shapely
from shapely.geometry.base import BaseGeometry

from geochat.dialects.shapes import Shape, bounds, box_about, box_around, clockwise, corners_of, turned_as_written
from geochat.geometry import AngleConvention, OrientedBox


class Order(Protocol):
    """A layout of the numbers of one region."""

    @property
    def expects(self) -> str:
        """The expected numbers in words: "4 coordinates"."""
        ...

    @property
    def turned(self) -> bool:
        """Return whether an angle is written; otherwise only corners or values derived from them are."""
        ...

    def takes(self, count: int) -> bool:
        """Return whether a region may have this many numbers."""
        ...

    def read(self, numbers: Sequence[float], angles: AngleConvention) -> Shape:
        """Return the shape of numbers whose count the order accepts."""
        ...

    def write(self, shape: Shape, angles: AngleConvention, decimals: int) -> list[float]:
        """Return the numbers of a shape, its angle rounded to `decimals`, the others unrounded."""
        ...


@dataclass(frozen=True, slots=True)
class Corners:
    """Two opposite corners of the box before rotation about its centre, x1 y1 x2 y2, and optionally its angle.

    Attributes:
        oriented: Whether an angle follows; it may be missing in what is read.
        transposed: Whether y comes before x.
    """

    oriented: bool = False
    transposed: bool = False

    @property
    def expects(self) -> str:
        """The count in words."""
        return "4 coordinates"

    @property
    def turned(self) -> bool:
        """True for oriented boxes only."""
        return self.oriented

    def takes(self, count: int) -> bool:
        """Accept four numbers, and the angle."""
        return count == 4 or (self.oriented and count == 5)

    def read(self, numbers: Sequence[float], angles: AngleConvention) -> OrientedBox:
        """Return the box of two corners."""
        x1, y1, x2, y2, angle = (*numbers, 0.0)[:5]
        if self.transposed:
            x1, y1, x2, y2 = y1, x1, y2, x2
        return OrientedBox(x1, y1, x2, y2, angles.sign * angle + 0.0)  # + 0.0: never -0.0

    def write(self, shape: Shape, angles: AngleConvention, decimals: int) -> list[float]:
        """Return the corners and, for oriented boxes, the angle."""
        if self.oriented:
            box = turned_as_written(box_around(shape), angles, decimals)
            return [box.x1, box.y1, box.x2, box.y2, box.angle]
        x1, y1, x2, y2 = bounds(shape)
        return [y1, x1, y2, x2] if self.transposed else [x1, y1, x2, y2]


@dataclass(frozen=True, slots=True)
class Centre:
    """Centre, width, height and angle: cx cy w h θ; in reading, the angle is optional.

    Attributes:
        long_side: Whether the width is the longer side, which needs a range of a half turn.
    """

    long_side: bool = False

    @property
    def expects(self) -> str:
        """The count in words."""
        return "4 numbers and an angle"

    @property
    def turned(self) -> bool:
        """Always true."""
        return True

    def takes(self, count: int) -> bool:
        """Accept four numbers, and the angle."""
        return count in (4, 5)

    def read(self, numbers: Sequence[float], angles: AngleConvention) -> OrientedBox:
        """Return the box about a centre."""
        x, y, width, height, angle = (*numbers, 0.0)[:5]
        return box_about(x, y, width, height, angles.sign * angle)

    def write(self, shape: Shape, angles: AngleConvention, decimals: int) -> list[float]:
        """Return centre, sides and angle."""
        box = box_around(shape)
        if self.long_side and box.height > box.width:
            box = box_about(*box.center, box.height, box.width, box.angle - 90)
        box = turned_as_written(box, angles, decimals)
        return [*box.center, box.width, box.height, box.angle]


@dataclass(frozen=True, slots=True)
class Diagonal:
    """The corners of a rotated box nearest to and farthest from the origin, and its longer side's angle (VRSBench v2).

    Width and height are the diagonal's components along and across the angle, which restores the written box.
    VRSBench's own scorer (`corner_to_obb`) uses the diagonal's length times cos θ and sin θ, which does not.
    """

    @property
    def expects(self) -> str:
        """The count in words."""
        return "4 coordinates and an angle"

    @property
    def turned(self) -> bool:
        """Always true."""
        return True

    def takes(self, count: int) -> bool:
        """Accept five numbers."""
        return count == 5

    def read(self, numbers: Sequence[float], angles: AngleConvention) -> OrientedBox:
        """Return the box of a rotated diagonal."""
        x1, y1, x2, y2, angle = numbers
        turn = math.radians(angles.sign * angle)
        across, down = x2 - x1, y2 - y1
        width = across * math.cos(turn) + down * math.sin(turn)
        height = down * math.cos(turn) - across * math.sin(turn)
        return box_about((x1 + x2) / 2, (y1 + y2) / 2, abs(width), abs(height), angles.sign * angle)

    def write(self, shape: Shape, angles: AngleConvention, decimals: int) -> list[float]:
        """Return the two corners and the angle of the longer side."""
        box = box_around(shape)
        if box.height > box.width:
            box = box_about(*box.center, box.height, box.width, box.angle - 90)
        box = turned_as_written(box, angles, decimals)
        corners = replace(box, angle=angles.sign * box.angle).corners()
        nearest = min(range(4), key=lambda index: math.hypot(*corners[index]))
        return [*corners[nearest], *corners[nearest - 2], box.angle]


@dataclass(frozen=True, slots=True)
class Outline:
    """Corners of a polygon, x1 y1 x2 y2 ..., clockwise on screen from the topmost (the leftmost of several).

    Attributes:
        corners: Number of corners, 4 for a quadrilateral; None for any number from 3.
    """

    corners: int | None = None

    @property
    def expects(self) -> str:
        """The count in words."""
        return f"{2 * self.corners} coordinates" if self.corners else "3 points or more"

    @property
    def turned(self) -> bool:
        """Always false."""
        return False

    def takes(self, count: int) -> bool:
        """Accept two numbers per corner."""
        return count % 2 == 0 and (count == 2 * self.corners if self.corners else count >= 6)

    def read(self, numbers: Sequence[float], _angles: AngleConvention) -> BaseGeometry:
        """Return the polygon with its corners as written."""
        return shapely.Polygon(list(zip(numbers[::2], numbers[1::2], strict=True)))

    def write(self, shape: Shape, _angles: AngleConvention, _decimals: int) -> list[float]:
        """Return the corners; for a shape with another number of corners, those of its enclosing box."""
        corners = corners_of(shape)
        if self.corners and len(corners) != self.corners:
            corners = box_around(shape).corners()
        return [number for corner in clockwise(corners) for number in corner]


@dataclass(frozen=True, slots=True)
class Spot:
    """A point: x y. For a box, its centre is written.

    Attributes:
        transposed: Whether y comes before x.
    """

    transposed: bool = False

    @property
    def expects(self) -> str:
        """The count in words."""
        return "2 coordinates"

    @property
    def turned(self) -> bool:
        """Always false."""
        return False

    def takes(self, count: int) -> bool:
        """Accept two numbers."""
        return count == 2

    def read(self, numbers: Sequence[float], _angles: AngleConvention) -> BaseGeometry:
        """Return the point."""
        x, y = reversed(numbers) if self.transposed else numbers
        return shapely.Point(x, y)

    def write(self, shape: Shape, _angles: AngleConvention, _decimals: int) -> list[float]:
        """Return the point, or the centre of another shape."""
        x, y = shape.center if isinstance(shape, OrientedBox) else shape.centroid.coords[0]
        return [y, x] if self.transposed else [x, y]


@dataclass(frozen=True, slots=True)
class Cells:
    """Row-major indices of the grid cells of the top left and the bottom right corner (Kosmos-2).

    A corner is at its cell's centre, or at the cells' outer edges if both cells share a row or a column, as in
    `patch_index_to_coordinate` of transformers' Kosmos-2 processor. Shapes are in units of a cell.

    Attributes:
        side: Cells in a row, and rows.
    """

    side: int

    @property
    def expects(self) -> str:
        """The count in words."""
        return "2 cells"

    @property
    def turned(self) -> bool:
        """Always false."""
        return False

    def takes(self, count: int) -> bool:
        """Accept two numbers."""
        return count == 2

    def read(self, numbers: Sequence[float], _angles: AngleConvention) -> OrientedBox:
        """Return the box between two cells."""
        (top, left), (bottom, right) = (divmod(index, self.side) for index in numbers)
        if top == bottom or left == right:
            return OrientedBox(left, top, right + 1, bottom + 1)
        return OrientedBox(left + 0.5, top + 0.5, right + 0.5, bottom + 0.5)

    def write(self, shape: Shape, _angles: AngleConvention, _decimals: int) -> list[float]:
        """Return the cells of the corners of the upright rectangle around a shape, clamped to the grid."""
        x1, y1, x2, y2 = bounds(shape)
        left, top = self._inside(math.floor(x1)), self._inside(math.floor(y1))
        right, bottom = self._inside(math.ceil(x2) - 1), self._inside(math.ceil(y2) - 1)
        return [top * self.side + left, bottom * self.side + right]

    def _inside(self, cell: int) -> int:
        return min(max(cell, 0), self.side - 1)
