"""Coordinate reference systems: text, period along x, and conversion to and from WGS 84 degrees.

Longitudes are returned within ±180 and accepted in any period. PROJ is used only within its own range of a CRS that
repeats along x (`turn`), because its results beyond depend on the projection and the datum.
"""

import json
import math
import re
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import rasterio.warp
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError  # what PROJ's failures arrive as; rasterio has no public name for it
from rasterio.crs import CRS
from rasterio.errors import CRSError

from geochat.errors import ImageError
from geochat.geometry.points import Points, PointsLike, as_points

_SLACK = 1e-9  # of a turn
_OWN_CODE = re.compile(r',AUTHORITY\["[^"]*","[^"]*"\]\]$')  # beside which GDAL takes no notice of a datum shift


class Turn(NamedTuple):
    """The period along the x axis of a CRS in which x is proportional to longitude.

    Attributes:
        start: Start of PROJ's own range of x, exact to a degree.
        length: Length of 360 degrees of longitude, in units of the CRS.
        west: The longitude at `start`, to a few degrees.
        pole: The y of the north pole, and less that of the south pole; infinite where the map has none.
    """

    start: float
    length: float
    west: float = -180.0
    pole: float = math.inf

    def principal(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return points (N, 2) shifted by whole periods into PROJ's own range."""
        turns = np.floor((points[:, 0] - self.start) / self.length)
        return np.stack([points[:, 0] - turns * self.length, points[:, 1]], axis=1)


def crs_text(crs: CRS, at: tuple[float, float]) -> str:
    """Return a CRS as "EPSG:32614" if a code describes it completely, else as WKT.

    A datum shift of the file's own (TOWGS84) is kept, unless the code gives the same place.

    Args:
        crs: As rasterio read it, under OSR_STRIP_TOWGS84=NO.
        at: A point of the image in map coordinates.
    """
    short, full = str(crs.to_string()), _OWN_CODE.sub("]", str(crs.to_wkt()))
    if "TOWGS84" not in full:
        return short
    try:
        own, coded = (rasterio.warp.transform(text, "EPSG:4326", [at[0]], [at[1]]) for text in (full, short))
    except (CPLE_BaseError, CRSError):
        return full
    return short if np.allclose(np.ravel(own), np.ravel(coded), rtol=0, atol=1e-8) else full


@lru_cache(maxsize=256)
def turn(crs: str) -> Turn | None:
    """Return the period of a CRS along x: for degrees, and cylindrical projections such as Web Mercator and EPSG:3832.

    PROJ maps a longitude to one place in the range [start, start + length); images on a grid from 0 to 360 degrees, or
    across the border of a world map, lie beyond it.

    Returns:
        None for any other CRS, and for one that cannot be read.
    """
    try:
        own = _without_shift(CRS.from_user_input(crs).to_dict(projjson=True))
        if own.get("type") in ("GeographicCRS", "GeodeticCRS"):
            length = _full_circle(own)
            return Turn(-length / 2, length, pole=length / 4)
        return _cylindrical(own) if own.get("type") == "ProjectedCRS" else None
    except (CRSError, CPLE_BaseError, KeyError, TypeError, ValueError):
        return None


def _without_shift(definition: dict[str, Any]) -> dict[str, Any]:
    """Return the horizontal CRS of a PROJJSON object, without its own datum shift."""
    while definition.get("type") in ("BoundCRS", "CompoundCRS"):
        bound = definition["type"] == "BoundCRS"
        definition = definition["source_crs"] if bound else definition["components"][0]
    return definition


def _full_circle(geographic: dict[str, Any]) -> float:
    """Return 360 degrees in the units of a geographic CRS."""
    _, radians = CRS.from_user_input(json.dumps(geographic)).units_factor
    return round(2 * float(np.pi) / float(radians), 9)


def _cylindrical(projected: dict[str, Any]) -> Turn | None:
    """Test the projection against its own datum: x must be proportional to longitude and independent of latitude."""
    full = _full_circle(projected["base_crs"])
    degrees = np.arange(-180, 180)
    grid = np.stack(np.broadcast_arrays(degrees / 360, np.array([[-50], [0], [50]]) / 360), axis=-1) * full
    x, y = rasterio.warp.transform(
        CRS.from_user_input(json.dumps(projected["base_crs"])),
        CRS.from_user_input(json.dumps(projected)),
        *grid.reshape(-1, 2).T,
    )
    x, y = np.reshape(x, (3, 360)), np.reshape(y, (3, 360))
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    length = 6 * float(np.median(x[1, 60:] - x[1, :-60]))
    slack = abs(length) * _SLACK
    steps = np.diff(x[1]) - length / 360
    even = ((np.abs(steps) < slack) | (np.abs(steps + length) < slack)).all()
    blind = np.ptp(x, axis=0).max() < slack and np.ptp(y, axis=1).max() < slack
    return Turn(float(x.min()), length, float(degrees[x[1].argmin()])) if even and blind and length > 0 else None


WGS84 = "EPSG:4326"
_ROUNDING = 1e-10  # degrees


def to_geographic(points: PointsLike, crs: str | None) -> Points:
    """Convert map coordinates (N, 2) to WGS 84 longitude, from -180 to 180, and latitude (N, 2).

    A point the projection does not reach comes back as (nan, nan).

    Raises:
        ImageError: `crs` is None or unreadable.
    """
    return _within_180(to_running_geographic(points, crs))


def to_running_geographic(points: PointsLike, crs: str | None) -> Points:
    """As `to_geographic`, but continuous beyond ±180 if the map is, such as for an image from 0 to 360 degrees.

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
    """Convert WGS 84 longitude and latitude (N, 2) to map coordinates (N, 2); the inverse of `to_geographic`.

    In a CRS that repeats along x the place within PROJ's own range is given; `geometry_to_pixels` finds an image's.
    """
    return reproject_points(_within_180(as_points(points)), WGS84, crs)


def reproject_points(points: PointsLike, source: str | None, target: str | None) -> Points:
    """Convert map coordinates (N, 2) between CRSs; (nan, nan) outside the domain of a projection.

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
    """Return longitudes from -180 to 180; values beyond by rounding alone stay on their side."""
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
