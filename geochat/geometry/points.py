"""Points and shapely geometries under affine maps."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from geochat.errors import RegionError

Points = NDArray[np.float64]
PointsLike = Points | Iterable[Sequence[float]]
Geometry = TypeVar("Geometry", bound=BaseGeometry)


def transform_points(points: PointsLike, affine: Affine) -> Points:
    """Apply an affine map to (N, 2) points; returns (N, 2) float64."""
    xy = as_points(points)
    a, b, c, d, e, f = affine[:6]
    x, y = xy[:, 0], xy[:, 1]
    return np.stack([a * x + b * y + c, d * x + e * y + f], axis=1)


def transform_geometry(geometry: Geometry, affine: Affine) -> Geometry:
    """Apply an affine map to any shapely geometry."""
    moved: Geometry = shapely.transform(geometry, lambda points: transform_points(points, affine))
    return moved


def as_points(points: PointsLike) -> Points:
    """Convert any sequence of (x, y) to an (N, 2) float64 array.

    Raises:
        RegionError: The points are not pairs.
    """
    listed = points if isinstance(points, np.ndarray) else list(points)
    xy = np.asarray(listed, dtype=np.float64)
    if xy.size == 0:
        return xy.reshape(0, 2)
    if xy.ndim != 2 or xy.shape[1] != 2:
        raise RegionError(f"points of shape {xy.shape} are not (N, 2); give a sequence of (x, y)")
    return xy
