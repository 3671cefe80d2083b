"""Conversion of rings on a map to shapes in longitude and latitude.

A straight edge on the map is a curve in longitude and latitude. It gets extra vertices where a chord would deviate from
it, so that a reader that draws chords (RFC 7946, 3.1.1) draws the edge. The vertices lie on the edge, so the rectangle
around the shape reads back unchanged.

A shape around a pole becomes the form required by RFC 7946 and drawn by GDAL and QGIS: a polygon as wide as the globe
whose ring runs along its outline from one side of the antimeridian to the other and back along the pole's latitude.
"""

from typing import NamedTuple, TypeAlias

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from geochat.geometry.antimeridian import cut, polygons
from geochat.geometry.geographic import from_geographic, to_geographic, to_running_geographic, turn
from geochat.geometry.place import geocentric
from geochat.geometry.points import Points, PointsLike, as_points, transform_points

Area: TypeAlias = shapely.Polygon | shapely.MultiPolygon

_PIXELS = 0.1  # how far a chord may lie from an edge of an outline
_SHARE = 1e-3  # the same for any other shape, of the edge's length
_AT_SEAM = 0.02  # of either, where an edge crosses the antimeridian: the shape is cut there
_HALVINGS = 16
_POLE = 90 - 1e-9  # degrees
_OPPOSITE = 179  # degrees between the ends of an edge, too short to be halved, that goes through a pole
_PRECISION = 1e-6  # metres


class Path(NamedTuple):
    """A closed ring in longitude and latitude (N, 2) with continuous longitudes; the last point closes it.

    Attributes:
        points: The vertices.
        winding: Winding number around a pole, 1 eastward and -1 westward.
    """

    points: Points
    winding: int


def outline_to_geographic(outline: PointsLike, image_to_map: Affine, crs: str) -> Area | None:
    """Convert the outline of a region in pixels to a shape in longitude and latitude within ±180.

    Args:
        outline: Corners (N, 2) in pixels of the whole image.
        image_to_map: The image's geotransform.
        crs: CRS of the map coordinates.

    Returns:
        None where the projection does not reach, or nothing of it lies between the poles.
    """
    pixel = abs(image_to_map.determinant) ** 0.5
    return _area(shapely.Polygon(transform_points(outline, image_to_map)), crs, _PIXELS * pixel)


def geometry_to_geographic(geometry: shapely.Geometry, crs: str | None) -> shapely.Geometry | None:
    """Convert a geometry on a map to longitude and latitude within ±180.

    Polygons are cut at the antimeridian and closed around a pole; of points and lines, each vertex is taken.

    Returns:
        None where the projection does not reach a vertex.

    Raises:
        ImageError: `crs` is None or unreadable.
    """
    points = to_geographic(shapely.get_coordinates(geometry), crs)
    if not np.isfinite(points).all():
        return None
    if crs is not None and polygons(geometry):
        return _area(geometry, crs, None)
    return shapely.transform(geometry, lambda _: points)


def trace(ring: PointsLike, crs: str, tolerance: float | None = None) -> Path | None:
    """Convert a closed ring on the map to longitude and latitude, with extra vertices where a chord leaves an edge.

    Args:
        ring: Vertices (N, 2), the first again at the end.
        crs: Their CRS.
        tolerance: Maximum distance of a chord from an edge, in map units; None for a thousandth of the edge.

    Returns:
        None where the projection does not reach a point of it.
    """
    on_map = as_points(ring)
    repeats = turn(crs) is not None
    lonlat = to_running_geographic(on_map, crs)
    for _ in range(_HALVINGS):
        if not np.isfinite(lonlat).all():
            return None
        middle = (on_map[:-1] + on_map[1:]) / 2
        true = to_running_geographic(middle, crs)
        if not np.isfinite(true).all():
            return None
        far = _leaves(on_map, lonlat, true, repeats, tolerance)
        if not far.any():
            break
        places = np.flatnonzero(far) + 1
        on_map = np.insert(on_map, places, middle[far], axis=0)
        lonlat = np.insert(lonlat, places, true[far], axis=0)
    return Path(lonlat, 0) if repeats else _running(lonlat)


def _leaves(
    on_map: Points, lonlat: Points, middle: Points, repeats: bool, tolerance: float | None
) -> NDArray[np.bool_]:
    """Return for each edge (N - 1,) whether the midpoint of its chord lies too far from `middle`, that of the edge."""
    start, end = _ends(lonlat, repeats)
    places = geocentric(middle)
    off = np.linalg.norm(geocentric((start + end) / 2) - places, axis=1)
    length = np.linalg.norm(geocentric(start) - places, axis=1) + np.linalg.norm(geocentric(end) - places, axis=1)
    drawn = np.maximum(np.linalg.norm(np.diff(on_map, axis=0), axis=1), 1e-300)
    share = np.full(len(drawn), _SHARE) if tolerance is None else tolerance / drawn
    crosses = np.floor((start[:, 0] - 180) / 360) != np.floor((end[:, 0] - 180) / 360)
    return np.asarray(off > length * share * np.where(crosses, _AT_SEAM, 1) + _PRECISION)


def _ends(lonlat: Points, repeats: bool) -> tuple[Points, Points]:
    """Return both ends (N - 1, 2) of each edge in one period; a pole takes the longitude of the other end."""
    start, end = lonlat[:-1].copy(), lonlat[1:].copy()
    if repeats:
        return start, end
    start_polar, end_polar = np.abs(start[:, 1]) > _POLE, np.abs(end[:, 1]) > _POLE
    start[start_polar, 0] = end[start_polar, 0]
    end[end_polar, 0] = start[end_polar, 0]
    end[:, 0] = start[:, 0] + (end[:, 0] - start[:, 0] + 180) % 360 - 180
    return start, end


def _running(lonlat: Points) -> Path:
    """Return the path of a closed ring with longitudes within ±180, in which each edge goes the short way around."""
    start, end = _ends(lonlat, repeats=False)
    steps = end[:, 0] - start[:, 0]
    through = np.flatnonzero(np.abs(steps) > _OPPOSITE)
    if len(through):  # so short an edge passes through the pole itself
        poles = np.stack([lonlat[through, 0], np.copysign(90.0, lonlat[through, 1])], axis=1)
        return _running(np.insert(lonlat, through + 1, poles, axis=0))
    polar = np.flatnonzero(np.abs(lonlat[:-1, 1]) > _POLE)
    if len(polar):  # from the pole to the pole: the ring then runs along its latitude
        ring = np.roll(lonlat[:-1], -polar[0], axis=0)
        ring = np.concatenate([ring, ring[:1]])
        start, end = _ends(ring, repeats=False)
        ring[:, 0] = np.concatenate([start[:1, 0], start[0, 0] + np.cumsum(end[:, 0] - start[:, 0])])
        return Path(np.concatenate([ring, ring[:1]]), 0)
    points = lonlat.copy()
    winding = round(float(steps.sum()) / 360)
    points[1:, 0] = points[0, 0] + np.cumsum(steps)
    points[-1, 0] = points[0, 0] + 360 * winding  # without what the sum has rounded
    return Path(points, winding)


def _area(shape: shapely.Geometry, crs: str, tolerance: float | None) -> Area | None:
    repeat = turn(crs)
    west, south, east, north = shape.bounds
    if repeat is not None and max(-south, north) > repeat.pole:  # half a pixel, on grids of points
        shape = shape.intersection(shapely.box(west, -repeat.pole, east, repeat.pole))
    parts: list[shapely.Polygon] = []
    for polygon in polygons(shape):
        rings = [polygon.exterior, *polygon.interiors]
        paths = [path for ring in rings if (path := trace(shapely.get_coordinates(ring), crs, tolerance)) is not None]
        if len(paths) < len(rings):
            return None
        if not any(path.winding or np.abs(path.points[:, 0]).max() > 180 for path in paths):
            parts.append(shapely.Polygon(paths[0].points, [path.points for path in paths[1:]]))
            continue
        outer, *holes = (_enclosed(path, ring, crs) for path, ring in zip(paths, rings, strict=True))
        parts += polygons(outer.difference(shapely.union_all(holes)))
    return None if not parts else parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def _enclosed(path: Path, ring: shapely.LinearRing, crs: str) -> shapely.Geometry:
    """Return the area that a ring on the map encloses, within ±180."""
    points = path.points
    if path.winding:
        pole = _pole(ring, crs, float(points[:, 1].mean()))
        points = np.concatenate([points, [(points[-1, 0], pole), (points[0, 0], pole)]])
    area = shapely.Polygon(points)
    return cut(area if area.is_valid else shapely.MultiPolygon(polygons(shapely.make_valid(area))))


def _pole(ring: shapely.LinearRing, crs: str, latitude: float) -> float:
    """Return the latitude of the pole that a ring encloses; from the ring's own latitudes if the map shows neither."""
    inside = shapely.Polygon(ring)
    for pole in (90.0, -90.0):
        (place,) = from_geographic([(0, pole)], crs)
        if np.isfinite(place).all() and inside.intersects(shapely.Point(place)):
            return pole
    return float(np.copysign(90, latitude))
