"""Merging of a model's boxes from all windows into objects: each once, in one piece.

Two boxes of one phrase from two windows are compared on the ground that both windows saw, and there alone.

*Cut*: a box that reaches an edge of its window inside the scene, or comes near it by 2 % of the window's side, may be a
    piece of an object.
*Same*: a box inside the other's window was seen by that one too. The two are one object where their intersection over
    union reaches `iou`, or four fifths of the one inside are covered by the other, half of it where it is cut: a window
    that saw two things there would have drawn two. Where neither is inside the other's window and one is cut, each must
    cover half of the other. Boxes of one window are never the same.
*One*: of boxes that are the same, the best-scored one that is not cut stands for the object (non-maximum suppression:
    a chain of boxes that each overlap the next is not one object). Where all are cut, they are joined, the most alike
    first, and never two of one window, so neighbours that touch stay two: the smallest box around what the windows saw.

Boxes come in rows of windows from the top of the scene down; an object is settled once no later window reaches it, so
what is held does not grow with the scene.
"""

from itertools import groupby

import numpy as np
import shapely
from numpy.typing import NDArray

from geochat.find.grouping import Edge, Group, group
from geochat.geometry import OrientedBox
from geochat.geometry.overlap import (
    Array,
    Pairs,
    box_corners,
    crossing_pairs,
    rectangle_corners,
    shared_area,
)

IOU = 0.3
"""Intersection over union from which boxes of two windows are one object. Low, because boxes written in whole percents
are off by half of one at each edge, and two objects of one phrase rarely overlap at all."""

_FIELDS = [
    ("box", "f8", 5),  # x1, y1, x2, y2, θ in pixels of the scene
    ("score", "f8"),  # NaN where unknown
    ("phrase", "i4"),  # which of those asked for
    ("window", "f8", 4),  # left, top, right, bottom
    ("number", "i8"),  # of the window
]
BOX = np.dtype(_FIELDS)
"""Boxes a model drew in a window."""

OBJECT = np.dtype([*_FIELDS, ("boxes", "i4"), ("pieces", "i4")])
"""An object: as `BOX`, by how many boxes it was seen, and of how many of them it is joined. `window` is where it was
seen, of joined pieces the rectangle around their windows."""

Boxes = NDArray[np.void]

_NEAR = 0.02  # of a window's side
_INSIDE = 0.8  # of a box, in another's window
_COVERED = 0.5  # of a cut box
_NESTED = 0.8  # of any box
_EDGE = np.dtype(
    [
        *[("one", "i8"), ("other", "i8"), ("iou", "f8")],
        *[(name, "?") for name in ("one_inside", "other_inside", "one_within", "other_within")],
    ]
)


class Merger:
    """Takes boxes row by row, and returns objects as they are settled.

    Args:
        size: (width, height) of the scene in pixels.
        iou: From which two boxes are one object.
    """

    def __init__(self, size: tuple[int, int], iou: float = IOU) -> None:
        self._size = np.array(size, float)
        self._iou = iou
        self._boxes: Boxes = np.empty(0, BOX)
        self._order: NDArray[np.int64] = np.empty(0, np.int64)  # in which they came
        self._area: Array = np.empty(0)  # in their windows
        self._bounds: Array = np.empty((0, 4))  # left, top, right, bottom in their windows
        self._edges: NDArray[np.void] = np.empty(0, _EDGE)  # boxes that are the same
        self._count = 0

    def __len__(self) -> int:
        """Number of boxes that are not settled yet."""
        return len(self._boxes)

    def add(self, boxes: Boxes) -> None:
        """Add the boxes of a row of windows.

        Boxes without area in their window are dropped, and boxes within 2 % of an edge inside the scene, which the next
        window shows better.

        Args:
            boxes: Shape (N,) of `BOX`.
        """
        corners, window = box_corners(boxes["box"]), boxes["window"]
        area = shared_area(corners, rectangle_corners(window))
        bounds = np.hstack(
            [np.maximum(corners.min(axis=1), window[:, :2]), np.minimum(corners.max(axis=1), window[:, 2:])]
        )
        seen = (area > 0) & ~self._at_edge(bounds[:, [2, 3, 0, 1]], window)
        before = len(self._boxes)
        self._order = np.concatenate([self._order, self._count + np.flatnonzero(seen)])
        self._boxes = np.concatenate([self._boxes, boxes[seen]])
        self._area = np.concatenate([self._area, area[seen]])
        self._bounds = np.concatenate([self._bounds, bounds[seen]])
        self._count += len(boxes)
        if seen.any():
            one, other = crossing_pairs(self._bounds[before:], self._bounds)
            self._edges = np.concatenate([self._edges, self._same(np.stack([one + before, other]))])

    def settled(self, top: float = np.inf) -> Boxes:
        """Return the objects that no window starting at pixel row `top` or below can change; by default all.

        Returns:
            Shape (N,) of `OBJECT`, in the order in which their first boxes came.
        """
        parts = _components(len(self._boxes), self._edges)
        bottom = np.full(len(parts), -np.inf)
        np.maximum.at(bottom, parts, self._bounds[:, 3])
        ready = bottom[parts] <= top
        alone = ready.copy()
        alone[self._edges["one"]] = alone[self._edges["other"]] = False
        objects, order = self._alone(alone), [self._order[alone]]
        resolved = [(self._object(found), self._order[found.members].min()) for found in self._groups(ready, parts)]
        if resolved:
            objects = np.concatenate([objects, np.array([each for each, _ in resolved], OBJECT)])
            order.append(np.array([first for _, first in resolved]))
        self._forget(ready)
        return objects[np.argsort(np.concatenate(order), kind="stable")]

    def _at_edge(self, bounds: Array, windows: Array) -> NDArray[np.bool_]:
        """Return masks of boxes whose left, top, right or bottom is near that edge of their window, inside the scene.

        Args:
            bounds: Bounds of the boxes, (N, 4).
            windows: Their windows', (N, 4).
        """
        near = _near(windows)[:, None]
        starts = (bounds[:, :2] <= windows[:, :2] + near) & (windows[:, :2] > 0)
        ends = (bounds[:, 2:] >= windows[:, 2:] - near) & (windows[:, 2:] < self._size)
        return np.asarray((starts | ends).any(axis=1))

    def _same(self, pairs: Pairs) -> NDArray[np.void]:
        """Return the pairs (2, M) of boxes that are the same object."""
        boxes = self._boxes
        one, other = boxes[pairs[0]], boxes[pairs[1]]
        kept = (one["phrase"] == other["phrase"]) & (one["number"] != other["number"])
        pairs = pairs[:, kept & (pairs[0] > pairs[1])]  # each once
        windows = boxes["window"][pairs]  # (2, M, 4)
        common = np.concatenate([windows[..., :2].max(axis=0), windows[..., 2:].min(axis=0)], axis=1)
        ground = rectangle_corners(common)
        shape = box_corners(boxes["box"])[pairs]  # (2, M, 4, 2)
        shared = shared_area(*shape, ground)
        kept = (shared > 0) & (common[:, :2] < common[:, 2:]).all(axis=1)
        pairs, shared, ground, shape, windows = (
            pairs[:, kept],
            shared[kept],
            ground[kept],
            shape[:, kept],
            windows[:, kept],
        )
        there = np.stack([shared_area(each, ground) for each in shape])  # (2, M)
        cut = self._at_edge(self._bounds, boxes["window"])[pairs]
        inside = there >= _INSIDE * self._area[pairs]
        iou = shared / (there.sum(axis=0) - shared)
        margin = np.minimum(*_near(windows))
        wide = [box_corners(boxes["box"][places], margin) for places in pairs]
        reached = np.stack([shared_area(shape[0], wide[1], ground), shared_area(wide[0], shape[1], ground)])
        covered = reached >= _COVERED * there
        same = (
            ((iou >= self._iou) & inside.any(axis=0))
            | (inside & (shared >= _NESTED * there)).any(axis=0)
            | (cut & inside & covered).any(axis=0)
            | (cut.any(axis=0) & ~inside.any(axis=0) & covered.all(axis=0))
        )
        within = np.stack(
            [
                _reach(self._bounds[places], window) <= _near(window)
                for places, window in zip(pairs, windows[::-1], strict=True)
            ]
        )
        edges = np.empty(int(same.sum()), _EDGE)
        for name, values in zip(_EDGE.names or (), (*pairs, iou, *inside, *within), strict=True):
            edges[name] = values[same]
        return edges

    def _groups(self, ready: NDArray[np.bool_], parts: NDArray[np.int64]) -> "list[Group]":
        """Group the settled boxes that have a match into objects."""
        edges = self._edges[ready[self._edges["one"]]]
        edges = edges[np.argsort(parts[edges["one"]], kind="stable")]
        score = np.where(np.isnan(self._boxes["score"]), -np.inf, self._boxes["score"])
        cut = self._at_edge(self._bounds, self._boxes["window"])
        groups: list[Group] = []
        labels = parts[edges["one"]].tolist()
        for _, together in groupby(zip(labels, edges.tolist(), strict=True), key=lambda each: each[0]):
            found = [Edge(*edge) for _, edge in together]
            members = {box for edge in found for box in (edge.one, edge.other)}
            ranked = sorted(members, key=lambda box: (-score[box], box))
            windows = {box: int(self._boxes["number"][box]) for box in ranked}
            groups += group(ranked, found, {box for box in ranked if cut[box]}, windows)
        return groups

    def _alone(self, chosen: NDArray[np.bool_]) -> Boxes:
        """Return the objects of boxes without a match."""
        objects = np.ones(int(chosen.sum()), OBJECT)
        for name in BOX.names or ():
            objects[name] = self._boxes[name][chosen]
        return objects

    def _object(self, found: Group) -> tuple[object, ...]:
        """Return the object of a group, as a row of `OBJECT`."""
        if found.best is not None:
            return (*self._boxes[found.best].tolist(), len(found.members), 1)
        pieces = self._needed(found.members)
        boxes = self._boxes[[place for place, _ in pieces]]
        best = boxes[0]
        if len(pieces) == 1:
            return (*best.tolist(), len(found.members), 1)
        joined = OrientedBox.from_polygon(shapely.union_all([shape for _, shape in pieces]))
        area = np.array([shape.area for _, shape in pieces])
        score = float((boxes["score"] * area).sum() / area.sum())
        window = (*boxes["window"][:, :2].min(axis=0).tolist(), *boxes["window"][:, 2:].max(axis=0).tolist())
        numbers = (joined.x1, joined.y1, joined.x2, joined.y2, joined.angle)
        return (numbers, score, int(best["phrase"]), window, int(best["number"]), len(found.members), len(pieces))

    def _needed(self, members: list[int]) -> list[tuple[int, shapely.Geometry]]:
        """Return the pieces that extend beyond the windows of all larger ones; largest first."""
        kept: list[int] = []
        windows = self._boxes["window"]
        for place in sorted(members, key=lambda box: -self._area[box]):
            if not (_reach(self._bounds[place], windows[kept]) <= _near(windows[kept])).any():
                kept.append(place)
        shapes = shapely.polygons(box_corners(self._boxes["box"][kept]))
        return list(zip(kept, shapely.intersection(shapes, shapely.box(*windows[kept].T)), strict=True))

    def _forget(self, gone: NDArray[np.bool_]) -> None:
        left = ~gone
        edges = self._edges[left[self._edges["one"]]]
        moved = np.cumsum(left) - 1
        edges["one"], edges["other"] = moved[edges["one"]], moved[edges["other"]]
        self._edges = edges
        self._boxes, self._order, self._area = self._boxes[left], self._order[left], self._area[left]
        self._bounds = self._bounds[left]


def _reach(bounds: Array, windows: Array) -> Array:
    """Return the largest number of pixels by which boxes (..., 4) extend beyond an edge of windows (..., 4)."""
    before, behind = windows[..., :2] - bounds[..., :2], bounds[..., 2:] - windows[..., 2:]
    return np.asarray(np.maximum(before, behind).max(axis=-1))


def _near(windows: Array) -> Array:
    """Return the distance in pixels from an edge of windows (..., 4) within which a box counts as cut."""
    return np.asarray(np.maximum(1, _NEAR * (windows[..., 2:] - windows[..., :2]).max(axis=-1)))


def _components(count: int, edges: NDArray[np.void]) -> NDArray[np.int64]:
    """Return the lowest box of each box's connected component, shape (count,)."""
    labels = np.arange(count)
    one, other = edges["one"], edges["other"]
    while len(edges):
        lowest = np.minimum(labels[one], labels[other])
        before = labels.copy()
        np.minimum.at(labels, one, lowest)
        np.minimum.at(labels, other, lowest)
        labels = labels[labels]
        if (labels == before).all():
            break
    return labels
