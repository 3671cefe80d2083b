"""Points between map coordinates and WGS 84 longitude and latitude.

Longitudes come out within ±180 and are taken in any turn. PROJ is only asked about places within its own range of a
CRS that repeats along x (`turn`): beyond it, what it answers depends on the projection and on the datum.
"""

import numpy as np
import rasterio.warp
from rasterio._err import CPLE_BaseError  # what PROJ's failures arrive as; rasterio has no public name for it
from rasterio.errors import CRSError

from geochat.errors import ImageError
from geochat.geometry.crs import turn
from geochat.geometry.points import Points, PointsLike, as_points

WGS84 = "EPSG:4326"
_ROUNDING = 1e-10  # degrees


def to_geographic(points: PointsLike, crs: str | None) -> Points:
    """Map coordinates (N, 2) to WGS 84 longitude, from -180 to 180, and latitude (N, 2).

    A point the projection does not reach comes back as (nan, nan).

    Raises:
        ImageError: `crs` is None or unreadable.
    """
    return _within_180(to_running_geographic(points, crs))


def to_running_geographic(points: PointsLike, crs: str | None) -> Points:
    """As `to_geographic`, but on beyond ±180 where the map does so, as an image from 0 to 360 degrees.

    Projections that do not repeat along x have no longitudes beyond ±180.
    """
    xy = as_points(points)
    repeat = None if crs is None else turn(crs)
    lonlat = reproject_points(xy if repeat is None else repeat.principal(xy), crs, WGS84)
    lonlat[np.abs(lonlat[:, 1]) > 90] = np.nan  # degrees pass through PROJ unchecked
    if repeat is not None:
        expected = repeat.west + (xy[:, 0] - repeat.start) * (360 / repeat.length)
        lonlat[:, 0] += 360 * np.round((expected - lonlat[:, 0]) / 360)
    return lonlat


def from_geographic(points: PointsLike, crs: str | None) -> Points:
    """WGS 84 longitude and latitude (N, 2) to map coordinates (N, 2); the inverse of `to_geographic`.

    In a CRS that repeats along x the place within PROJ's own range is given; `geometry_to_pixels` finds an image's.
    """
    return reproject_points(_within_180(as_points(points)), WGS84, crs)


def reproject_points(points: PointsLike, source: str | None, target: str | None) -> Points:
    """Map coordinates (N, 2) of one CRS to those of another, (nan, nan) where a projection does not reach.

    Raises:
        ImageError: A CRS is None or unreadable.
    """
    if source is None or target is None:
        raise ImageError("the image has no CRS, so its coordinates have no longitude and latitude; assign one first")
    xy = as_points(points)
    if source == target:
        return xy.copy()
    try:
        return _warp_all(xy, source, target)
    except CRSError as error:
        unknown = source if target == WGS84 else target
        raise ImageError(f"CRS {unknown!r} cannot be read ({error}); give an EPSG code or WKT") from error
    except CPLE_BaseError:
        # PROJ refuses the whole batch for one point out of reach: find which.
        return np.concatenate([_warp_one(point, source, target) for point in xy[:, None]])


def _within_180(lonlat: Points) -> Points:
    """Longitudes from -180 to 180; what is beyond by rounding alone stays on its side."""
    longitude = lonlat[:, 0]
    turned = np.where(np.abs(longitude) > 180 + _ROUNDING, (longitude + 180) % 360 - 180, np.clip(longitude, -180, 180))
    return np.stack([turned, lonlat[:, 1]], axis=1)


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
