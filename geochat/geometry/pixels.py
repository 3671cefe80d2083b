"""Conversion of shapes in any CRS to image pixels.

A place has many longitudes, and an image may use any of them: 350 or -10, 190 or -170, or x beyond the border of a
world map. A shape is placed where it covers most of the view; one all around the globe is clipped to the view. Parts of
a shape that was split at the antimeridian are joined first. If a ring jumps by more than half the globe, the short way
is taken, unless the image is as wide.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
from shapely.affinity import translate

from geochat.errors import ImageError
from geochat.geometry.antimeridian import joined, polygons
from geochat.geometry.frame import Frame
from geochat.geometry.geographic import WGS84, Turn, reproject_points, turn
from geochat.geometry.outlines import geometry_to_geographic, trace
from geochat.geometry.points import Points, transform_geometry, transform_points

_PIXELS = 0.5  # how far a chord may lie from a straight edge of the shape; above what `outlines` leaves
_HALVINGS = 8
_SLIVER = 1e-9  # of the largest part: what rounding leaves along a cut
_AROUND = 1 - 1e-6  # of a turn


def geometry_to_pixels(geometry: shapely.Geometry, crs: str, frame: Frame) -> shapely.Geometry | None:
    """Convert a geometry to pixels of the whole image; polygons are joined.

    Args:
        geometry: In map coordinates.
        crs: Their CRS; "EPSG:4326" for longitude and latitude.
        frame: Frame of the view.

    Returns:
        None where the image's CRS does not reach a vertex.

    Raises:
        ImageError: The image has no CRS, or one of the two cannot be read.
    """
    pieces = pieces_to_pixels(geometry, crs, frame)
    laid = [piece for piece in pieces if piece is not None]
    if len(laid) < max(len(pieces), 1):
        return None
    parts = [part for piece in laid for part in shapely.get_parts(piece)]
    return laid[0] if len(laid) == 1 else shapely.MultiPolygon(parts)


def pieces_to_pixels(geometry: shapely.Geometry, crs: str, frame: Frame) -> list[shapely.Geometry | None]:
    """Convert as `geometry_to_pixels`, piece by piece; two parts that meet at the antimeridian become one.

    Of other geometries than polygons there is one piece.
    """
    image = _Image(frame)
    pieces = _pieces(geometry)
    if image.turn is not None and turn(crs) is None:  # a shape around a pole has a form of its own in degrees
        moved = [geometry_to_geographic(piece, crs) for piece in pieces]
        if any(piece is None for piece in moved):
            return [None if piece is None else geometry_to_pixels(piece, WGS84, frame) for piece in moved]
        pieces, crs = [part for piece in moved if piece is not None for part in _pieces(piece)], WGS84
    source = turn(crs)
    shapes = [piece for piece in pieces if isinstance(piece, shapely.Polygon)]
    if source is not None and len(shapes) == len(pieces):
        pieces = [*joined(shapes, source.length)]
    return [_laid(piece, crs, image) for piece in pieces]


def _pieces(geometry: shapely.Geometry) -> list[shapely.Geometry]:
    """Return the parts of a multipolygon, or the geometry itself."""
    return [*geometry.geoms] if isinstance(geometry, shapely.MultiPolygon) else [geometry]


@dataclass(frozen=True)
class _Image:
    """The target window."""

    frame: Frame

    def __post_init__(self) -> None:
        if self.frame.crs is None or self.frame.image_to_map is None:
            raise ImageError("the image has no CRS, so nothing in map coordinates can be laid on it; assign one first")

    @cached_property
    def crs(self) -> str:
        return str(self.frame.crs)

    @cached_property
    def turn(self) -> Turn | None:
        return turn(self.crs)

    @cached_property
    def view(self) -> shapely.Polygon:
        """The view, in pixels of the whole image."""
        width, height = self.frame.view_size
        return transform_geometry(shapely.box(0, 0, width, height), self.frame.view_to_image)

    @cached_property
    def step(self) -> Points:
        """One period of the map in pixels (2,)."""
        ends = self.pixels(np.array([(0, 0), (0 if self.turn is None else self.turn.length, 0)]))
        return np.asarray(ends[1] - ends[0])

    @cached_property
    def wide(self) -> bool:
        """Return whether the view spans more than half the globe, or a pole."""
        border = transform_points(shapely.get_coordinates(self.view), self.frame.between("image", "map"))
        if self.turn is not None:
            return bool(np.ptp(border[:, 0]) > self.turn.length / 2)
        path = trace(border, self.crs)
        return path is not None and (path.winding != 0 or bool(np.ptp(path.points[:, 0]) > 180))

    def pixels(self, on_map: Points) -> Points:
        return transform_points(on_map, self.frame.between("map", "image"))


def _laid(shape: shapely.Geometry, crs: str, image: _Image) -> shapely.Geometry | None:
    source = turn(crs)
    if source is not None:
        shape = _each_ring(shape, lambda ring: _short_way(ring, source, image))
    convert = _conversion(shapely.get_coordinates(shape), crs, image)
    if not np.isfinite(convert(shapely.get_coordinates(shape))).all():
        return None
    bends = crs != image.crs
    laid = _each_ring(shape, lambda ring: _bent(ring, convert, image) if bends else convert(ring))
    if not laid.is_valid:  # a slit to the pole
        parts = polygons(shapely.make_valid(laid))
        largest = max((part.area for part in parts), default=0.0)
        parts = [part for part in parts if part.area > _SLIVER * largest]
        laid = laid if not parts else parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)
    return laid if image.turn is None else _in_best_turn(laid, image)


def _each_ring(shape: shapely.Geometry, change: Callable[[Points], Points]) -> shapely.Geometry:
    """Apply a function to each ring, or to other vertices (N, 2), of a geometry."""
    if isinstance(shape, shapely.MultiPolygon):
        return shapely.MultiPolygon([_each_ring(part, change) for part in shape.geoms])
    if isinstance(shape, shapely.Polygon) and not shape.is_empty:
        outer, *holes = (change(shapely.get_coordinates(ring)) for ring in (shape.exterior, *shape.interiors))
        return shapely.Polygon(outer, holes)
    return shapely.transform(shape, change)


def _short_way(ring: Points, repeat: Turn, image: _Image) -> Points:
    """Return a ring from 179 to -179 degrees as one from 179 to 181; one along the antimeridian is unchanged."""
    steps = np.diff(ring[:, 0])
    jumps = np.abs(steps)
    if not (jumps > repeat.length / 2).any() or (jumps > repeat.length * _AROUND).any() or image.wide:
        return ring
    steps -= repeat.length * np.round(steps / repeat.length)
    if abs(steps.sum()) > repeat.length / 2:  # it goes around a pole
        return ring
    return np.stack([ring[0, 0] + np.concatenate([[0], np.cumsum(steps)]), ring[:, 1]], axis=1)


def _conversion(vertices: Points, crs: str, image: _Image) -> Callable[[Points], Points]:
    """Return the conversion from a shape's map coordinates to pixels, continuous where x wraps around."""
    source, target = turn(crs), image.turn
    if crs == image.crs:
        return image.pixels

    def principal(points: Points) -> Points:
        return reproject_points(points if source is None else source.principal(points), crs, image.crs)

    anchor = vertices[:1]
    anchored = principal(anchor)

    def convert(points: Points) -> Points:
        on_map = principal(points)
        if source is not None and target is not None:
            expected = anchored[0, 0] + (points[:, 0] - anchor[0, 0]) * (target.length / source.length)
            on_map[:, 0] += target.length * np.round((expected - on_map[:, 0]) / target.length)
        return image.pixels(on_map)

    return convert


def _bent(ring: Points, convert: Callable[[Points], Points], image: _Image) -> Points:
    """Return a ring in pixels, with extra vertices where its straight edges are curved in the visible image."""
    laid = convert(ring)
    low, high = np.reshape(image.view.bounds, (2, 2))
    for _ in range(_HALVINGS):
        if len(ring) < 2:
            break
        middle = (ring[:-1] + ring[1:]) / 2
        true = convert(middle)
        known = np.asarray(np.isfinite(true).all(axis=1))
        corners = np.stack([laid[:-1], laid[1:], np.where(known[:, None], true, laid[1:])])
        seen = np.asarray(((corners.min(axis=0) < high) & (corners.max(axis=0) > low)).all(axis=1))
        off = np.linalg.norm((laid[:-1] + laid[1:]) / 2 - true, axis=1)
        seen |= image.turn is not None  # in which turn is not known yet
        far = np.asarray(known & seen & (off > _PIXELS))
        if not far.any():
            break
        places = np.flatnonzero(far) + 1
        ring, laid = np.insert(ring, places, middle[far], axis=0), np.insert(laid, places, true[far], axis=0)
    return laid


def _in_best_turn(laid: shapely.Geometry, image: _Image) -> shapely.Geometry:
    step, view = image.step, image.view
    points = np.concatenate([[view.centroid.coords[0]], shapely.get_coordinates(laid)])
    along = np.sum(points * step, axis=1) / np.sum(step**2)  # in turns
    exact = float(along[0] - (along[1:].min() + along[1:].max()) / 2)
    turns = [round(exact) + offset for offset in (0, -1, 1)]
    copies = [translate(laid, *(step * number)) for number in turns]
    if np.ptp(along[1:]) > _AROUND and (band := polygons(shapely.union_all(copies).intersection(view))):
        return band[0] if len(band) == 1 else shapely.MultiPolygon(band)
    shared = [copy.intersection(view).area for copy in copies]
    return copies[next(number for number, area in enumerate(shared) if area >= max(shared) * _AROUND)]
