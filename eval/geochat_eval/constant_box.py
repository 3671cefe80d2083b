"""The best answer that does not look: one box, the same for every question.

Two boxes reach an IoU of 0.5 only where they share a third of the sum of their areas, and they share no more than their
upright bounds do, nor more than the smaller one holds: most pairs are ruled out before any polygon is cut.
"""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from geochat.geometry import OrientedBox
from geochat.geometry.overlap import SLACK, Array, Polygons, iou_matrix, reaches, rotated

_CANDIDATES = 500
_THRESHOLD = 0.5


class ConstantBox:
    """Collects true boxes and finds the one that serves most answers."""

    def __init__(self) -> None:
        self._boxes: list[tuple[float, ...]] = []
        self._rows: list[int] = []
        self._clips: list[shapely.Polygon | None] = []
        self._count = 0

    def add(self, truth: Sequence[OrientedBox], clip: shapely.Polygon | None = None) -> None:
        """Collect the true boxes of one answer, and where in them it is looked at."""
        self._boxes += [(box.x1, box.y1, box.x2, box.y2, box.angle) for box in truth]
        self._rows += [self._count] * len(truth)
        self._clips += [clip] * len(truth)
        self._count += 1

    def best(self) -> tuple[list[float] | None, int, int, int]:
        """The best box, the answers it hits at an IoU of 0.5, and the number of answers and of true boxes."""
        distinct = sorted(set(self._boxes))
        candidates = distinct[:: max(1, -(-len(distinct) // _CANDIDATES))]
        if not candidates:
            return None, 0, self._count, 0
        shapes, rows = self._shapes(), np.array(self._rows)
        bounds, areas = shapely.bounds(shapes), shapely.area(shapes)
        hits = []
        for shape in rotated([OrientedBox(*candidate) for candidate in candidates]):
            near = np.flatnonzero(_may_reach(shape, bounds, areas))
            reached = reaches(iou_matrix(np.array([shape]), shapes[near])[0], _THRESHOLD)
            hits.append(len(np.unique(rows[near[reached]])))
        best = int(np.argmax(hits))
        return list(candidates[best]), hits[best], self._count, len(shapes)

    def _shapes(self) -> Polygons:
        shapes = rotated([OrientedBox(*box) for box in self._boxes])
        if any(self._clips):
            whole = shapely.box(*shapely.total_bounds(shapes))
            clips = np.array([clip or whole for clip in self._clips], dtype=object)
            shapes = np.asarray(shapely.intersection(shapes, clips), dtype=object)
        return shapes


def _may_reach(shape: shapely.Polygon, bounds: Array, areas: Array) -> NDArray[np.bool_]:
    """Which polygons, by their bounds of shape (N, 4) and areas, may share a third of both areas with `shape`."""
    own = np.array(shape.bounds)
    sides = np.minimum(bounds[:, 2:], own[2:]) - np.maximum(bounds[:, :2], own[:2])
    most = np.minimum(np.clip(sides, 0, None).prod(axis=1), np.minimum(areas, shape.area))
    return np.asarray(most * (1 + 10 * SLACK) >= (areas + shape.area) / 3)
