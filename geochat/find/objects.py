"""Objects on a scene and on the ground: shape, size and direction."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from geochat.exports import Feature
from geochat.find.merging import Boxes
from geochat.geometry import ImagePlace, OrientedBox, to_geographic, transform_points
from geochat.geometry.overlap import Array, box_corners
from geochat.geometry.place import geocentric
from geochat.imagery import Window

COLUMNS: Mapping[str, type] = {
    "phrase": str,
    "score": float,
    "length_m": float,
    "width_m": float,
    "area_m2": float,
    "bearing": float,
    "window": str,
    "boxes": int,
    "pieces": int,
    "prompt": str,
    "model": str,
    "model_sha256": str,
}
"""Columns of a layer of objects."""


@dataclass(frozen=True, slots=True)
class FoundObject:
    """One object of a search.

    Attributes:
        phrase: The requested phrase.
        score: Score of its box, from 0 to 1, as `GroundedRegion` has it; of joined pieces their mean by area. None
            where the engine gives no probabilities.
        box: In pixels of the whole scene, y down.
        window: Where it was seen; of joined pieces, the rectangle around their windows.
        boxes: By how many boxes it was seen.
        pieces: Of how many of these it was joined; 1 for one that a window showed whole.
        place: The scene.
        length: Metres along the longer side; None, as what follows, without a place on Earth.
        width: Metres along the shorter side.
        area: Square metres.
        bearing: Degrees from true north, clockwise, of the longer side; from 0 to 180.
    """

    phrase: str
    score: float | None
    box: OrientedBox
    window: Window
    boxes: int
    pieces: int
    place: ImagePlace
    length: float | None = None
    width: float | None = None
    area: float | None = None
    bearing: float | None = None

    @property
    def polygon(self) -> shapely.Polygon:
        """The box in pixels of the whole scene."""
        return self.box.polygon()

    @property
    def map(self) -> tuple[tuple[float, float], ...] | None:
        """Corners (x, y) in the scene's CRS; None without a CRS."""
        on_map = self.place.to_map(self.box.corners())
        return None if on_map is None else tuple((float(x), float(y)) for x, y in on_map)

    def to_dict(self) -> dict[str, Any]:
        """The object as JSON-ready values."""
        on_map = self.map
        return {
            **self._values(),
            "pixels": [list(point) for point in self.box.corners()],
            "map": None if on_map is None else [list(point) for point in on_map],
            "crs": self.place.map_crs,
        }

    def to_feature(self, more: Mapping[str, Any]) -> Feature:
        """Return a row of a layer with `COLUMNS`.

        Args:
            more: Values that are not the object's own: prompt, model and its hash.
        """
        return Feature(self.polygon, self.place, {**self._values(), **more})

    def _values(self) -> dict[str, Any]:
        return {
            "phrase": self.phrase,
            "score": self.score,
            "length_m": _rounded(self.length, 2),
            "width_m": _rounded(self.width, 2),
            "area_m2": _rounded(self.area, 2),
            "bearing": _rounded(self.bearing, 1),
            "window": list(self.window),
            "boxes": self.boxes,
            "pieces": self.pieces,
        }


def found_objects(objects: Boxes, phrases: Sequence[str], place: ImagePlace) -> Iterator[FoundObject]:
    """Convert rows of `geochat.find.merging.OBJECT`, measured on the ground.

    Args:
        objects: Shape (N,).
        phrases: Requested phrases, by number.
        place: The scene.
    """
    if not len(objects):
        return
    measures = measure(box_corners(objects["box"]), place)
    values = [column.tolist() for column in measures] if measures is not None else [[None] * len(objects)] * 4
    for row, length, width, area, bearing in zip(objects.tolist(), *values, strict=True):
        box, score, phrase, window, _, boxes, pieces = row
        left, top, right, bottom = (round(side) for side in window)
        yield FoundObject(
            phrases[phrase],
            None if np.isnan(score) else score,
            OrientedBox(*box.tolist()),
            Window(left, top, right - left, bottom - top),
            boxes,
            pieces,
            place,
            *(None if each is None or np.isnan(each) else each for each in (length, width, area, bearing)),
        )


def measure(corners: Array, place: ImagePlace) -> tuple[Array, Array, Array, Array] | None:
    """Return length and width in metres, area in square metres, and bearing of the longer side, each (N,).

    Sides are measured in a straight line from corner to corner, through the WGS 84 ellipsoid; for a side of 30 km this
    is one part in a million too short. Boxes outside the domain of the projection give NaN.

    Args:
        corners: Rectangles (N, 4, 2) in pixels, in the order of `OrientedBox.corners`.
        place: The scene.

    Returns:
        None where the scene has no place on Earth.
    """
    if place.image_to_map is None or place.crs is None:
        return None
    lonlat = to_geographic(transform_points(corners.reshape(-1, 2), place.image_to_map), place.crs).reshape(-1, 4, 2)
    lonlat = np.where(np.isfinite(lonlat).all(axis=(1, 2), keepdims=True), lonlat, np.nan)
    points = geocentric(lonlat)  # (N, 4, 3)
    first, second, third, fourth = points.transpose(1, 0, 2)
    sides = np.stack([second - first + third - fourth, fourth - first + third - second]) / 2  # (2, N, 3)
    extents = np.linalg.norm(sides, axis=2)  # (2, N): both sides
    area = np.linalg.norm(np.cross(third - first, fourth - second), axis=1) / 2
    longer = np.where((extents[0] >= extents[1])[:, None], sides[0], sides[1])
    return extents.max(axis=0), extents.min(axis=0), area, _bearing(longer, lonlat)


def _bearing(directions: Array, lonlat: Array) -> Array:
    """Return degrees from true north (N,), 0 to 180, of directions in space (N, 3) at centres of places (N, 4, 2)."""
    longitudes, latitude = np.radians(lonlat[..., 0]), np.radians(lonlat[..., 1]).mean(axis=1)
    longitude = np.arctan2(np.sin(longitudes).mean(axis=1), np.cos(longitudes).mean(axis=1))  # knows no antimeridian
    sin, cos = np.sin(longitude), np.cos(longitude)
    east = np.stack([-sin, cos, np.zeros_like(sin)], axis=1)
    north = np.stack([-np.sin(latitude) * cos, -np.sin(latitude) * sin, np.cos(latitude)], axis=1)
    return np.asarray(np.degrees(np.arctan2((directions * east).sum(1), (directions * north).sum(1))) % 180)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
