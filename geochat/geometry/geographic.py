"""Map coordinates to WGS 84 longitude and latitude, and metres on the ground."""

import math

import numpy as np
import rasterio.warp
import shapely
from affine import Affine
from rasterio._err import CPLE_BaseError  # what PROJ's failures arrive as; rasterio has no public name for it
from rasterio.errors import CRSError

from geochat.errors import ImageError
from geochat.geometry.points import Geometry, Points, PointsLike, as_points, transform_points

WGS84 = "EPSG:4326"

_WGS84_SEMI_MAJOR = 6378137.0  # metres
_WGS84_ECCENTRICITY_SQUARED = 6.69437999014e-3


def to_geographic(points: PointsLike, crs: str | None) -> Points:
    """Map coordinates (N, 2) to WGS 84 longitude and latitude (N, 2).

    A point the projection does not reach comes back as (nan, nan).

    Raises:
        ImageError: `crs` is None or unreadable.
    """
    lonlat = _warp(points, crs, WGS84)
    lonlat[np.abs(lonlat[:, 1]) > 90] = np.nan  # degrees pass through PROJ unchecked
    return lonlat


def from_geographic(points: PointsLike, crs: str | None) -> Points:
    """WGS 84 longitude and latitude (N, 2) to map coordinates (N, 2); the inverse of `to_geographic`."""
    return _warp(points, WGS84, crs)


def geometry_to_geographic(geometry: Geometry, crs: str | None) -> Geometry:
    """Take the vertices of a shapely geometry from map coordinates to longitude and latitude.

    Edges are not densified: within one image the difference is far below a pixel.
    """
    moved: Geometry = shapely.transform(geometry, lambda points: to_geographic(points, crs))
    return moved


def geometry_from_geographic(geometry: Geometry, crs: str | None) -> Geometry:
    """Take the vertices of a shapely geometry from longitude and latitude to map coordinates."""
    moved: Geometry = shapely.transform(geometry, lambda points: from_geographic(points, crs))
    return moved


def ground_sample_distance(image_to_map: Affine, crs: str, at: tuple[float, float]) -> float | None:
    """Metres on the ground along a pixel's side, at an image point; None where the CRS has no place on Earth.

    Measured on the WGS 84 ellipsoid, so it holds for degrees, feet and Web Mercator alike, and differs from a UTM
    image's nominal pixel by UTM's own scale (0.1 % at most within a zone). For pixels that are not square
    it is the root of their area.
    """
    column, row = at
    corners = [(column, row), (column + 1, row), (column, row + 1)]
    try:
        lonlat = to_geographic(transform_points(corners, image_to_map), crs)
    except ImageError:
        return None
    if not np.isfinite(lonlat).all():
        return None
    right, down = lonlat[1:] - lonlat[0]
    right[0], down[0] = _shortest_turn(right[0]), _shortest_turn(down[0])
    degrees_squared = abs(right[0] * down[1] - right[1] * down[0])
    east, north = _metres_per_degree(float(lonlat[0, 1]))
    return math.sqrt(degrees_squared * east * north) or None


def ground_size(corners: PointsLike, image_to_map: Affine, crs: str) -> tuple[float, float, float] | None:
    """Metres along the first and second side of a small quadrilateral, and its area in square metres.

    Measured on the plane that touches the WGS 84 ellipsoid at its centre: right to a part in ten thousand for shapes of
    a few kilometres.

    Args:
        corners: Four points (x, y) in pixels of the whole image, in order around the shape.
        image_to_map: The image's geotransform.
        crs: What the map coordinates are in.

    Returns:
        None where the CRS has no place on Earth.
    """
    try:
        lonlat = to_geographic(transform_points(corners, image_to_map), crs)
    except ImageError:
        return None
    if not np.isfinite(lonlat).all():
        return None
    offsets = lonlat - lonlat[0]
    offsets[:, 0] = [_shortest_turn(degrees) for degrees in offsets[:, 0]]
    metres = offsets * _metres_per_degree(float(lonlat[:, 1].mean()))  # (4, 2)
    along, across = np.hypot(*(metres[1] - metres[0])), np.hypot(*(metres[2] - metres[1]))
    return float(along), float(across), float(shapely.Polygon(metres).area)


def _metres_per_degree(latitude: float) -> tuple[float, float]:
    """Metres a degree along the parallel and along the meridian (WGS 84 radii of curvature)."""
    phi = math.radians(latitude)
    flat = 1 - _WGS84_ECCENTRICITY_SQUARED * math.sin(phi) ** 2
    meridian = _WGS84_SEMI_MAJOR * (1 - _WGS84_ECCENTRICITY_SQUARED) / (flat * math.sqrt(flat))
    parallel = _WGS84_SEMI_MAJOR / math.sqrt(flat) * math.cos(phi)
    return parallel * math.radians(1), meridian * math.radians(1)


def _shortest_turn(degrees: float) -> float:
    return (degrees + 180) % 360 - 180


def _warp(points: PointsLike, source: str | None, target: str | None) -> Points:
    if source is None or target is None:
        raise ImageError("the image has no CRS, so its coordinates have no longitude and latitude; assign one first")
    xy = as_points(points)
    try:
        return _warp_all(xy, source, target)
    except CRSError as error:
        unknown = source if target == WGS84 else target
        raise ImageError(f"CRS {unknown!r} cannot be read ({error}); give an EPSG code or WKT") from error
    except CPLE_BaseError:
        # PROJ refuses the whole batch for one point out of reach: find which.
        return np.concatenate([_warp_one(point, source, target) for point in xy[:, None]])


def _warp_all(xy: Points, source: str, target: str) -> Points:
    x, y = rasterio.warp.transform(source, target, xy[:, 0], xy[:, 1])
    warped = np.stack([np.asarray(x, np.float64), np.asarray(y, np.float64)], axis=1)
    warped[~np.isfinite(warped).all(axis=1)] = np.nan
    return warped


def _warp_one(xy: Points, source: str, target: str) -> Points:
    try:
        return _warp_all(xy, source, target)
    except CPLE_BaseError:
        return np.full((1, 2), np.nan)
