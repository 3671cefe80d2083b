"""How far boxes overlap, and which boxes match.

An intersection over union counts as reaching a threshold when it does so within 1e-9: boxes are written in whole
percents, so many lie exactly on 0.5, and rounding must not decide about them.
"""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from geochat.regions import OrientedBox

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
