"""How far boxes overlap, which boxes match, and which say the same twice.

An intersection over union counts as reaching a threshold when it does so within 1e-9: boxes are written in whole
percents, so many lie exactly on 0.5, and rounding must not decide about them.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray

from geochat.geometry.box import OrientedBox

Polygons = NDArray[np.object_]
Array = NDArray[np.float64]

SLACK = 1e-9
_GRID = 1e-10  # of a percent: without one, GEOS 3.14 finds nothing shared by some boxes equal but for rounding


def rotated(boxes: Sequence[OrientedBox]) -> Polygons:
    """Boxes as polygons, shape (N,)."""
    corners = np.array([box.corners() for box in boxes], float).reshape(-1, 4, 2)
    return np.asarray(shapely.polygons(corners), dtype=object).reshape(-1)


def clipped(polygons: Polygons, clip: shapely.Polygon | None) -> Polygons:
    """What of the polygons lies inside `clip`, where there is one, shape (N,)."""
    if clip is None:
        return polygons
    return np.asarray(shapely.intersection(polygons, clip, grid_size=_GRID), dtype=object).reshape(-1)


def aligned(polygons: Polygons) -> Polygons:
    """The upright rectangles around polygons, shape (N,)."""
    return np.asarray(shapely.envelope(polygons), dtype=object).reshape(-1)


def iou_matrix(found: Polygons, truth: Polygons) -> Array:
    """Intersection over union of every pair; 0 where neither has an area.

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
    """Pair boxes one to one, always the pair that overlaps most among those left.

    Stopping at a threshold gives the matches at that threshold, so one pass serves them all. The rule is that of GREC
    (He et al. 2023, "Generalized Referring Expression Comprehension").

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
    """Which overlaps reach a threshold."""
    return np.asarray(iou >= threshold - SLACK)


def merge_duplicates(
    boxes: Sequence[OrientedBox], threshold: float = 0.7, scores: Sequence[float] | None = None
) -> list[list[int]]:
    """Group boxes that say the same: each group holds a box and every later one that overlaps it by more than that.

    The rule is that of non-maximum suppression: the best box left opens a group and takes what overlaps it, so a chain
    of boxes that each overlap the next is not one group.

    Args:
        boxes: In any one frame with y down, pixels, percent or metres.
        threshold: Intersection over union above which two boxes are one.
        scores: How good each box is, the best first; None takes the order given.

    Returns:
        Indices into `boxes`, one list a group: its best box first, then the others; groups in the order of their best.
    """
    order = range(len(boxes)) if scores is None else sorted(range(len(boxes)), key=lambda index: -scores[index])
    ranked = _near_origin([boxes[index] for index in order])
    overlapping: list[list[int]] = [[] for _ in ranked]
    polygons = rotated(ranked)
    touching = shapely.STRtree(polygons).query(polygons, predicate="intersects")  # (2, M)
    for first, second in sorted((int(a), int(b)) for a, b in touching.T if a < b):
        if ranked[first].iou(ranked[second]) > threshold:
            overlapping[first].append(second)
    groups: list[list[int]] = []
    taken: set[int] = set()
    for first, others in enumerate(overlapping):
        if first in taken:
            continue
        group = [first, *(other for other in others if other not in taken)]
        taken.update(group)
        groups.append([order[rank] for rank in group])
    return groups


def _near_origin(boxes: Sequence[OrientedBox]) -> list[OrientedBox]:
    """The boxes shifted together to the origin: far from it, where map coordinates are, areas lose digits."""
    if not boxes:
        return []
    x, y = boxes[0].center
    return [replace(box, x1=box.x1 - x, y1=box.y1 - y, x2=box.x2 - x, y2=box.y2 - y) for box in boxes]
