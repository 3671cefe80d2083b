"""A whole image as a place: its pixels, and where on Earth they lie."""

from dataclasses import dataclass

import shapely
from affine import Affine
from shapely.geometry.base import BaseGeometry

from geochat.geometry.ground import ground_size
from geochat.geometry.points import Points, PointsLike, transform_points


@dataclass(frozen=True)
class ImagePlace:
    """The extent of an image at full resolution and its place on Earth.

    Attributes:
        width: Pixels.
        height: Pixels.
        image_to_map: Pixels to map coordinates, None for an image that has no place on Earth.
        crs: What the map coordinates are in; None when unknown.
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
        """Pixels (N, 2) to map coordinates (N, 2); None for an image that is not georeferenced."""
        if self.image_to_map is None or self.crs is None:
            return None
        return transform_points(points, self.image_to_map)

    def ground_size(self, corners: PointsLike) -> tuple[float, float, float] | None:
        """Metres along the first and second side of a quadrilateral in pixels, and its area in square metres.

        Returns:
            None where the image has no place on Earth.
        """
        if self.image_to_map is None or self.crs is None:
            return None
        return ground_size(corners, self.image_to_map, self.crs)

    def clip(self, polygon: BaseGeometry) -> shapely.Polygon | None:
        """The part of a polygon in pixels that lies on the image; None where there is none, and for points.

        A polygon that is not convex may be cut into several parts: then the convex hull of these.
        """
        if not polygon.is_valid or polygon.area == 0:
            return None
        part = polygon.intersection(shapely.box(0, 0, self.width, self.height))
        if not isinstance(part, shapely.Polygon) and part.area > 0:
            part = part.convex_hull
        return part if isinstance(part, shapely.Polygon) and part.area > 0 else None
