"""Shapes that cross the antimeridian: split for GeoJSON (RFC 7946, 3.1.9), and joined again.

A *running* shape has continuous longitudes, which may exceed ±180.
"""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.affinity import translate

_GRID = 1e-9  # degrees, a tenth of a millimetre
_SLIVER = 2e-8  # degrees: a narrower part would be lost where eight digits are written
_SEAM = 1e-7  # of a turn of 360: how far apart two parts may be drawn that meet


def cut(shape: shapely.Polygon | shapely.MultiPolygon) -> shapely.Polygon | shapely.MultiPolygon:
    """Split a shape with continuous longitudes at the antimeridian, so that all longitudes are within ±180."""
    shape = shapely.transform(shape, _snapped)
    west, _, east, _ = shape.bounds
    if shape.is_empty or (west >= -180 and east <= 180):
        return shape
    turns = range(int(np.floor((west + 180) / 360)), int(np.floor((east + 180) / 360)) + 1)
    globe = shapely.box(-180, -90, 180, 90)
    turned = [translate(shape, xoff=-360.0 * turn).intersection(globe) for turn in turns]
    parts = [part for piece in turned for part in polygons(piece) if part.bounds[2] - part.bounds[0] > _SLIVER]
    if east - west >= 360 - _GRID:  # it meets itself
        parts = polygons(shapely.union_all(parts, grid_size=_GRID))
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def joined(shapes: Sequence[shapely.Polygon], turn: float = 360.0) -> list[shapely.Polygon | shapely.MultiPolygon]:
    """Join polygons that were split where x wraps around; the result has continuous longitudes.

    Two parts belong together if an edge of one lies on an edge of the other, shifted by one period.

    Args:
        shapes: Longitudes within any turn.
        turn: Length of the period: 360 degrees, or its equivalent in units of a CRS.
    """
    bounds = shapely.bounds(list(shapes))
    slack = _SEAM * turn / 360
    if not len(bounds) or bounds[:, 2].max() - bounds[:, 0].min() < turn - slack:
        return list(shapes)
    waiting, pieces = list(shapes), []
    while waiting:
        group = [waiting.pop(0)]
        for piece in group:  # grows meanwhile
            for other in tuple(waiting):
                for offset in (turn, -turn):
                    moved = translate(other, xoff=offset)
                    if _meet(piece, moved, slack):
                        waiting = [each for each in waiting if each is not other]
                        group.append(moved)
                        break
        pieces.append(group[0] if len(group) == 1 else shapely.union_all(group))
    return pieces


def polygons(geometry: shapely.Geometry) -> list[shapely.Polygon]:
    """Return the polygons with an area among the parts of a geometry."""
    parts = shapely.get_parts(shapely.get_parts(geometry))
    return [part for part in parts if isinstance(part, shapely.Polygon) and part.area > 0]


def _meet(one: shapely.Polygon, other: shapely.Polygon, slack: float) -> bool:
    """Return whether two polygons share a part of a vertical edge."""
    if abs(one.bounds[0] - other.bounds[2]) < slack:
        one, other = other, one
    seam = one.bounds[2]
    if abs(seam - other.bounds[0]) >= slack:
        return False
    sides = [shapely.get_coordinates(each) for each in (one, other)]
    spans = [side[np.abs(side[:, 0] - seam) < slack, 1] for side in sides]
    low, high = max(span.min() for span in spans), min(span.max() for span in spans)
    return bool(high - low > slack)


def _snapped(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Snap longitudes to the antimeridian if they differ only by rounding."""
    seam = np.round((points[:, 0] - 180) / 360) * 360 + 180
    points[:, 0] = np.where(np.abs(points[:, 0] - seam) < _GRID, seam, points[:, 0])
    return points
