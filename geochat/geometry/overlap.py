"""Overlap of boxes, and matching by overlap.

There are two implementations of areas: shapely's, for the few boxes of a scored answer, and `shared_area`, for millions
of pairs of convex shapes at once.

An intersection over union reaches a threshold with a tolerance of 1e-9: boxes are written in whole percents, so many
lie exactly on 0.5, and rounding must not decide about them.
"""

import math
from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from geochat.geometry.box import OrientedBox

Polygons = NDArray[np.object_]
Array = NDArray[np.float64]
Pairs = NDArray[np.int64]

SLACK = 1e-9
_GRID = 1e-10  # of a percent: without one, GEOS 3.14 finds nothing shared by some boxes equal but for rounding
_SHRINK = 1e-7  # of a shape's size, by which edges on one line are told apart


def rotated(boxes: Sequence[OrientedBox]) -> Polygons:
    """Return boxes as polygons, shape (N,)."""
    corners = np.array([box.corners() for box in boxes], float).reshape(-1, 4, 2)
    return np.asarray(shapely.polygons(corners), dtype=object).reshape(-1)


def clipped(polygons: Polygons, clip: shapely.Polygon | None) -> Polygons:
    """Return the parts of the polygons inside `clip`, if given, shape (N,)."""
    if clip is None:
        return polygons
    return np.asarray(shapely.intersection(polygons, clip, grid_size=_GRID), dtype=object).reshape(-1)


def aligned(polygons: Polygons) -> Polygons:
    """Return the upright rectangles around polygons, shape (N,)."""
    return np.asarray(shapely.envelope(polygons), dtype=object).reshape(-1)


def iou_matrix(found: Polygons, truth: Polygons) -> Array:
    """Return the intersection over union of every pair; 0 if neither has an area.

    Args:
        found: Shape (P,).
        truth: Shape (T,).

    Returns:
        Shape (P, T).
    """
    shared = shapely.area(shapely.intersection(found[:, None], truth[None, :], grid_size=_GRID))
    union = shapely.area(found)[:, None] + shapely.area(truth)[None, :] - shared
    iou: Array = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return iou


def greedy_matches(iou: Array) -> list[int]:
    """Match boxes one to one, greedily by highest overlap.

    Stopping at a threshold gives the matches at that threshold, so one pass serves all thresholds. The rule is that of
    GREC (He et al. 2023, "Generalized Referring Expression Comprehension").

    Args:
        iou: Shape (P, T).

    Returns:
        Flat indices into `iou`, best first, as many as the smaller side has boxes.
    """
    left = iou.copy()
    matches = []
    for _ in range(min(iou.shape)):
        best = int(left.argmax())
        row, column = divmod(best, iou.shape[1])
        left[row], left[:, column] = -1, -1
        matches.append(best)
    return matches


def reaches(iou: Array, threshold: float) -> NDArray[np.bool_]:
    """Return the mask of overlaps that reach a threshold."""
    return np.asarray(iou >= threshold - SLACK)


def box_corners(boxes: Array, margin: Array | float = 0.0) -> Array:
    """Return corners (N, 4, 2) of oriented boxes, in the order of `OrientedBox.corners`.

    Args:
        boxes: Rows of x1, y1, x2, y2 and θ, shape (N, 5).
        margin: By how much each side is moved outwards, one number or shape (N,).
    """
    low, high = boxes[:, 0:2], boxes[:, 2:4]
    center, half = (low + high) / 2, np.abs(high - low) / 2 + np.reshape(margin, (-1, 1))
    turn = np.radians(boxes[:, 4])
    cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]
    across, down = half[:, :1] * np.array([-1, 1, 1, -1]), half[:, 1:] * np.array([-1, -1, 1, 1])  # (N, 4)
    return np.stack([center[:, :1] + across * cos - down * sin, center[:, 1:] + across * sin + down * cos], axis=2)


def rectangle_corners(bounds: Array) -> Array:
    """Return corners (N, 4, 2) of upright rectangles given as left, top, right and bottom, shape (N, 4)."""
    return bounds[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]


def crossing_pairs(bounds: Array, others: Array) -> Pairs:
    """Return indices (2, M) of touching pairs of upright rectangles, given as rows of left, top, right and bottom."""
    tree = shapely.STRtree(shapely.box(*others.T))
    return np.asarray(tree.query(shapely.box(*bounds.T)), dtype=np.int64).reshape(2, -1)


def shared_area(*shapes: Array) -> Array:
    """Return the area that convex polygons have in common, row by row.

    The boundary of an intersection consists of the parts of each polygon's edges that lie in all others, so its area is
    the sum of their contributions (Green's theorem), without building a polygon. Each polygon is first shrunk by some
    ten-millionths, in irrational ratios, because coinciding edges would otherwise count twice or not at all.

    Args:
        shapes: Two or more arrays (N, K, 2) of polygons whose vertices run clockwise on screen, y down.

    Returns:
        Shape (N,), right to some millionths of the smallest polygon's area.
    """
    origin = shapes[0].mean(axis=1, keepdims=True)  # far from zero, areas would lose digits
    moved = []
    for number, shape in enumerate(shapes):
        center = shape.mean(axis=1, keepdims=True)
        moved.append((shape - center) * (1 - _SHRINK * math.sqrt(number + 2)) + (center - origin))
    area, smallest = np.zeros(len(origin)), np.full(len(origin), np.inf)
    for number, shape in enumerate(moved):
        step = np.roll(shape, -1, axis=1) - shape
        length = _length_inside(shape, step, moved[:number] + moved[number + 1 :])
        parts = _cross(shape, step) / 2
        area += (parts * length).sum(axis=1)
        smallest = np.minimum(smallest, parts.sum(axis=1))
    return np.clip(area, 0, np.maximum(smallest, 0))


def _length_inside(start: Array, step: Array, others: Sequence[Array]) -> Array:
    """Return the fraction (N, K) of each edge, from `start` by `step`, that lies in all of several convex polygons."""
    low, high = np.zeros(start.shape[:2]), np.ones(start.shape[:2])
    for other in others:
        sides = np.roll(other, -1, axis=1) - other
        for place in range(other.shape[1]):
            side = sides[:, place, None]
            depth, rate = _cross(side, start - other[:, place, None]), _cross(side, step)  # inside where depth >= 0
            with np.errstate(divide="ignore", invalid="ignore"):
                crossing = -depth / rate
            low = np.where(rate > 0, np.maximum(low, crossing), low)
            high = np.where(rate < 0, np.minimum(high, crossing), high)
            high = np.where((rate == 0) & (depth < 0), -1, high)
    return np.maximum(high - low, 0)


def _cross(one: Array, other: Array) -> Array:
    return np.asarray(one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0])
