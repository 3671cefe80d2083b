"""Shapes of regions: boxes, points and polygons."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TypeAlias

import shapely
from shapely.geometry.base import BaseGeometry

from geochat.geometry import AngleConvention, OrientedBox

Shape: TypeAlias = OrientedBox | BaseGeometry
"""A region in a model's numbers, or in pixels: a box, or a point or polygon where that is what was written."""


def box_around(shape: Shape) -> OrientedBox:
    """Return a box, or the smallest rectangle around another shape; that of a point has no area."""
    return shape if isinstance(shape, OrientedBox) else OrientedBox.from_polygon(shape)


def bounds(shape: Shape) -> tuple[float, float, float, float]:
    """The upright rectangle around a shape: left, top, right, bottom."""
    if isinstance(shape, OrientedBox) and shape.angle == 0:
        (x1, x2), (y1, y2) = sorted((shape.x1, shape.x2)), sorted((shape.y1, shape.y2))
        return x1, y1, x2, y2
    xs, ys = zip(*corners_of(shape), strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def corners_of(shape: Shape) -> tuple[tuple[float, float], ...]:
    """Return the corners of a box or a polygon, each once; for a point, itself."""
    if isinstance(shape, OrientedBox):
        return shape.corners()
    points = [(float(x), float(y)) for x, y in shapely.get_coordinates(shape)]
    return tuple(points[:-1] if isinstance(shape, shapely.Polygon) and len(points) > 1 else points)


def turned_as_written(box: OrientedBox, angles: AngleConvention, decimals: int) -> OrientedBox:
    """Return a box with its angle as written: in range and rounded, with sides swapped about the centre as needed."""
    written = replace(box, angle=angles.sign * box.angle).normalized(angles.angle_range)
    # Rounding may carry the angle out of the range, 0.3 to 0 in (0, 90]; the sides are then swapped before they too
    # are rounded.
    return replace(written, angle=round(written.angle, decimals)).normalized(angles.angle_range)


def box_about(x: float, y: float, width: float, height: float, angle: float) -> OrientedBox:
    """Return the box of a centre, sides and an angle; never of the angle -0.0."""
    return OrientedBox(x - width / 2, y - height / 2, x + width / 2, y + height / 2, angle + 0.0)


def clockwise(corners: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return corners clockwise on screen, reversed if needed, starting with the topmost and leftmost."""
    closed = [*corners, corners[0]]
    area = sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairwise(closed))
    ordered = list(corners) if area >= 0 else list(corners)[::-1]
    first = min(range(len(ordered)), key=lambda index: (ordered[index][1], ordered[index][0]))
    return ordered[first:] + ordered[:first]
