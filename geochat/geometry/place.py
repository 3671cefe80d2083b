"""Georeference of a whole image: its pixels, their map coordinates, and metres on the ground.

Metres are measured on the WGS 84 ellipsoid. Positions are converted to geocentric coordinates, in which distances have
no special cases at the poles and the antimeridian.
"""

import math
from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from geochat.errors import ImageError
from geochat.geometry.geographic import to_geographic
from geochat.geometry.points import Points, PointsLike, as_points, transform_points

_SEMI_MAJOR = 6378137.0  # metres
_ECCENTRICITY_SQUARED = 6.69437999014e-3
_CELLS = 16  # a side: short enough that chords are as long as arcs, to 5 in 100,000 for a side of 30 degrees


def geocentric(lonlat: Points) -> NDArray[np.float64]:
    """Convert longitude and latitude (..., 2) on the ellipsoid to points in space (..., 3), in metres (EPSG:4978)."""
    longitude, latitude = np.radians(lonlat[..., 0]), np.radians(lonlat[..., 1])
    radius = _SEMI_MAJOR / np.sqrt(1 - _ECCENTRICITY_SQUARED * np.sin(latitude) ** 2)
    return np.stack(
        [
            radius * np.cos(latitude) * np.cos(longitude),
            radius * np.cos(latitude) * np.sin(longitude),
            radius * (1 - _ECCENTRICITY_SQUARED) * np.sin(latitude),
        ],
        axis=-1,
    )


def ground_sample_distance(image_to_map: Affine, crs: str, at: tuple[float, float]) -> float | None:
    """Return metres along a pixel's side at an image point; None if the CRS is not tied to the Earth.

    It is valid for degrees, feet, Web Mercator and poles alike, and differs from a UTM image's nominal pixel by UTM's
    own scale (0.1 % at most within a zone). For pixels that are not square it is the root of their area.
    """
    column, row = at
    cross = [(column - 0.5, row), (column + 0.5, row), (column, row - 0.5), (column, row + 0.5)]
    places = _places(cross, image_to_map, crs)
    if places is None:
        return None
    left, right, top, bottom = places
    return math.sqrt(float(np.linalg.norm(np.cross(right - left, bottom - top)))) or None


def ground_size(corners: PointsLike, image_to_map: Affine, crs: str) -> tuple[float, float, float] | None:
    """Return metres along the first and second side of a quadrilateral, and its area in square metres.

    Lengths follow the sides as they are drawn on the image: along the parallel for an upright box in degrees.

    Args:
        corners: Four points (x, y) in pixels of the whole image, in order around the shape.
        image_to_map: The image's geotransform.
        crs: CRS of the map coordinates.

    Returns:
        None where the CRS has no place on Earth.
    """
    first, second, third, fourth = as_points(corners)
    u, v = np.meshgrid(*[np.linspace(0, 1, _CELLS + 1)] * 2)
    u, v = u[..., None], v[..., None]
    pixels = (1 - v) * ((1 - u) * first + u * second) + v * ((1 - u) * fourth + u * third)
    places = _places(pixels.reshape(-1, 2), image_to_map, crs)
    if places is None:
        return None
    grid = places.reshape(_CELLS + 1, _CELLS + 1, 3)
    along = np.linalg.norm(np.diff(grid[0], axis=0), axis=1).sum()
    across = np.linalg.norm(np.diff(grid[:, -1], axis=0), axis=1).sum()
    falling, rising = grid[1:, 1:] - grid[:-1, :-1], grid[:-1, 1:] - grid[1:, :-1]
    area = np.linalg.norm(np.cross(falling, rising), axis=-1).sum() / 2
    return float(along), float(across), float(area)


def _places(pixels: PointsLike, image_to_map: Affine, crs: str) -> NDArray[np.float64] | None:
    """Convert pixels (N, 2) to points in space (N, 3); None if one of them has no position on Earth."""
    try:
        lonlat = to_geographic(transform_points(pixels, image_to_map), crs)
    except ImageError:
        return None
    return geocentric(lonlat) if np.isfinite(lonlat).all() else None


@dataclass(frozen=True)
class ImagePlace:
    """The extent of an image at full resolution, and its georeference.

    Attributes:
        width: Pixels.
        height: Pixels.
        image_to_map: Pixels to map coordinates, None for an image that has no place on Earth.
        crs: CRS of the map coordinates; None if unknown.
    """

    width: int
    height: int
    image_to_map: Affine | None = None
    crs: str | None = None

    @property
    def map_crs(self) -> str | None:
        """The CRS of `to_map`'s coordinates; None for an image that is not georeferenced."""
        return None if self.image_to_map is None else self.crs

    def to_map(self, points: PointsLike) -> Points | None:
        """Convert pixels (N, 2) to map coordinates (N, 2); None for an image that is not georeferenced."""
        if self.image_to_map is None or self.crs is None:
            return None
        return transform_points(points, self.image_to_map)

    def ground_size(self, corners: PointsLike) -> tuple[float, float, float] | None:
        """Return metres along the first and second side of a quadrilateral in pixels, and its area in square metres.

        Returns:
            None where the image has no place on Earth.
        """
        if self.image_to_map is None or self.crs is None:
            return None
        return ground_size(corners, self.image_to_map, self.crs)

    def clip(self, polygon: BaseGeometry) -> shapely.Polygon | None:
        """Return the part of a polygon in pixels inside the image; None if there is none, and for points.

        If a non-convex polygon is cut into several parts, the result is their convex hull.
        """
        if not polygon.is_valid or polygon.area == 0:
            return None
        part = polygon.intersection(shapely.box(0, 0, self.width, self.height))
        if not isinstance(part, shapely.Polygon) and part.area > 0:
            part = part.convex_hull
        return part if isinstance(part, shapely.Polygon) and part.area > 0 else None
