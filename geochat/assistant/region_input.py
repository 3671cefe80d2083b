"""Regions of a question, converted from the accepted forms to boxes in pixels of the whole image.

Bare numbers and shapes are pixels of the whole image by default. GeoJSON states its own coordinates: longitude and
latitude (RFC 7946), or pixels if it carries this project's mark, as in answers exported from an image without a CRS.
Longitudes may be of any period, and parts of a shape that was split at the antimeridian are one region.

A region of an exported answer is read as written, in pixels, if its geometry is still the exported one on this image.
An edited region, or one of another image, is read from its geometry.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import shapely
from shapely.errors import ShapelyError
from shapely.geometry.base import BaseGeometry

from geochat.errors import RegionError
from geochat.exports import PIXELS
from geochat.exports.geojson import outline_shape
from geochat.geometry import Frame, OrientedBox, pieces_to_pixels, transform_geometry
from geochat.geometry.geographic import WGS84

_SAME_DEGREES = 2e-8  # the last digit of what is written, twice
_SAME_PIXELS = 2e-3

RegionFrame = Literal["pixels", "geographic"]
"""Coordinates of bare numbers and shapes: pixels of the whole image, or WGS 84 longitude and latitude."""

RegionLike: TypeAlias = OrientedBox | BaseGeometry | Mapping[str, Any] | Sequence[float] | Sequence[Sequence[float]]
"""A box, a shape, GeoJSON, the numbers (x1, y1, x2, y2[, θ]), or the points of a polygon."""


def pixel_boxes(
    regions: RegionLike | Iterable[RegionLike], frame: Frame, region_frame: RegionFrame = "pixels"
) -> list[OrientedBox]:
    """Convert the regions of a question to boxes in pixels of the whole image.

    Args:
        regions: One region or several. Shapes become the smallest rectangle around them; a collection gives one
            region a part.
        frame: Frame of the view of the question.
        region_frame: Frame of bare numbers and shapes.

    Raises:
        RegionError: A region is malformed, has no area, lies wholly outside the view, or is given in degrees for an
            image without a CRS; the message says which.
    """
    if not _is_one(regions) and not isinstance(regions, Iterable):
        raise RegionError(f"regions are {regions!r:.60}; give x1,y1,x2,y2 and perhaps an angle, a shape or GeoJSON")
    listed = cast(Iterable[object], [regions] if _is_one(regions) else regions)
    return [box for number, region in enumerate(listed, 1) for box in _read(number, region, frame, region_frame)]


def _read(number: int, region: object, frame: Frame, region_frame: RegionFrame) -> list[OrientedBox]:
    """Convert one region to boxes; every error names the region."""
    try:
        return [
            _placed(name, box, frame)
            for shape in _shapes(f"region {number}", region, region_frame)
            for name, box in _boxes(shape, frame, region_frame)
        ]
    except (TypeError, ValueError, AttributeError, ArithmeticError, ShapelyError) as error:
        told = " ".join(str(error).split())
        raise RegionError(
            f"region {number} cannot be read ({told:.120}); give x1,y1,x2,y2, a shape or GeoJSON"
        ) from error


_FARTHEST = 1e9  # pixels


@dataclass(frozen=True, slots=True)
class _Shape:
    """A region as given; `frame` is set if it states its coordinates, `written` if it is from an exported answer."""

    name: str
    shape: OrientedBox | BaseGeometry
    frame: RegionFrame | None = None
    written: Mapping[str, Any] | None = None


def _is_one(regions: object) -> bool:
    if isinstance(regions, OrientedBox | BaseGeometry | Mapping):
        return True
    if not isinstance(regions, Sequence) or not regions:
        return False
    first = regions[0]  # a number of a box, or a point (x, y) of a polygon
    return isinstance(first, Real) or (isinstance(first, Sequence) and len(first) == 2)


def _shapes(name: str, region: object, default: RegionFrame) -> Iterator[_Shape]:
    match region:
        case OrientedBox():
            yield _Shape(name, region, "pixels")
        case BaseGeometry():
            yield _whole(name, region, None)
        case Mapping():
            yield from _geojson_shapes(name, region, None)
        case str() | bytes():
            raise RegionError(f"{name} is text ({region!r}); give numbers, a shape or GeoJSON")
        case Sequence() if region and all(isinstance(number, Real) for number in region):
            yield _Shape(name, _box(name, region, default))
        case Sequence() if len(region) >= 3:
            yield _Shape(name, _polygon(name, region))
        case _:
            raise RegionError(f"{name} is {region!r}; give x1,y1,x2,y2 and perhaps an angle, a shape or GeoJSON")


def _box(name: str, numbers: Sequence[Any], default: RegionFrame) -> OrientedBox:
    if len(numbers) not in (4, 5):
        raise RegionError(f"{name} has {len(numbers)} numbers {tuple(numbers)}; give x1,y1,x2,y2 and perhaps an angle")
    x1, y1, x2, y2, *_ = values = [float(number) for number in numbers]
    if not all(map(math.isfinite, values)):
        raise RegionError(f"{name} {tuple(numbers)} holds a number that is not finite; give pixels")
    if default == "geographic" and x1 - x2 > 180:  # from 179 to -179, as the bounding box of RFC 7946 (5.2)
        values[2] = x2 = x2 + 360
    if not (x1 < x2 and y1 < y2):
        raise RegionError(f"{name} {tuple(numbers)} has no area: x1 must be below x2 and y1 below y2")
    try:
        return OrientedBox(*values)
    except RegionError as error:
        raise RegionError(f"{name}: {error}") from error


def _polygon(name: str, points: Sequence[Any]) -> BaseGeometry:
    try:
        xy = np.asarray(points, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise RegionError(f"{name} is no list of points (x, y): {error}") from error
    if xy.ndim != 2 or not np.isfinite(xy).all():
        raise RegionError(f"{name} is no list of points (x, y) with finite numbers: {points!r}")
    return shapely.Polygon(xy)


def _geojson_shapes(
    name: str, value: Mapping[str, Any], frame: RegionFrame | None, written: Mapping[str, Any] | None = None
) -> Iterator[_Shape]:
    """Yield the parts of a GeoJSON object; `frame` and `written` are inherited from the enclosing object."""
    _check_crs(name, value)
    frame = _marked_frame(value) or frame or "geographic"
    match value.get("type"):
        case "FeatureCollection":
            for number, feature in enumerate(_members(name, value, "features"), 1):
                if not isinstance(feature, Mapping):
                    raise RegionError(f"{name}, feature {number} is {feature!r}; give a GeoJSON feature")
                yield from _geojson_shapes(f"{name}, feature {number}", feature, frame)
        case "Feature":
            geometry = value.get("geometry")
            if not isinstance(geometry, Mapping):
                said = value.get("properties")
                reason = said.get("unlocated") if isinstance(said, Mapping) else None
                raise RegionError(
                    f"{name} is a feature without geometry{f' ({reason})' if reason else ''}; leave it out"
                )
            yield from _geojson_shapes(name, geometry, frame, value.get("properties"))
        case "GeometryCollection":
            for number, part in enumerate(_members(name, value, "geometries"), 1):
                if not isinstance(part, Mapping):
                    raise RegionError(f"{name}, part {number} is {part!r:.40}; give a GeoJSON geometry")
                yield from _geojson_shapes(f"{name}, part {number}", part, frame)
        case "Polygon" | "MultiPolygon":
            try:
                geometry = shapely.geometry.shape(dict(value))
            except (ValueError, TypeError, KeyError, IndexError, AttributeError, ShapelyError) as error:
                raise RegionError(f"{name} is a malformed {value['type']}: {error}") from error
            yield _whole(name, geometry, frame, written)
        case other:
            raise RegionError(f"{name} is GeoJSON of type {other!r}; a region is a Polygon or MultiPolygon")


def _members(name: str, value: Mapping[str, Any], key: str) -> Sequence[Any]:
    """Return the features of a collection; an empty one is refused because it would mean the whole image."""
    members = value.get(key)
    if not isinstance(members, Sequence) or isinstance(members, str) or not members:
        raise RegionError(f"{name} is a {value['type']} without {key}; leave it out or give it some")
    return members


def _check_crs(name: str, value: Mapping[str, Any]) -> None:
    """Refuse the retired member "crs" unless it names longitude and latitude, because it would be misplaced."""
    crs = value.get("crs")
    if crs is None:
        return
    properties = crs.get("properties") if isinstance(crs, Mapping) else None
    named = str(properties.get("name", "")) if isinstance(properties, Mapping) else str(crs)
    if not named.endswith(("CRS84", "EPSG:4326", "EPSG::4326")):
        raise RegionError(f"{name} is GeoJSON in {named or crs}; reproject it to EPSG:4326, as RFC 7946 asks")


def _marked_frame(value: Mapping[str, Any]) -> RegionFrame | None:
    """Return the coordinates stated by a feature's properties, or by a collection's member "geochat"."""
    mark = value.get("properties") if value.get("type") == "Feature" else value.get("geochat")
    if isinstance(mark, Mapping) and "coordinates" in mark:
        return "pixels" if mark["coordinates"] == PIXELS else "geographic"
    return None


def _whole(
    name: str, geometry: BaseGeometry, frame: RegionFrame | None, written: Mapping[str, Any] | None = None
) -> _Shape:
    if geometry.is_empty:
        raise RegionError(f"{name} is empty; leave it out")
    return _Shape(name, shapely.force_2d(geometry), frame, written)


def _boxes(region: _Shape, frame: Frame, default: RegionFrame) -> Iterator[tuple[str, OrientedBox]]:
    """Convert a region to boxes in image pixels, one per part, each with its name for messages."""
    geographic = (region.frame or default) == "geographic"
    shape = region.shape
    if isinstance(shape, OrientedBox):
        if not geographic:
            yield region.name, shape
            return
        shape = shape.polygon()
    if (written := _written_box(region, frame, geographic)) is not None:
        yield region.name, written
        return
    try:
        parts = _on_image(shape, frame) if geographic else list(shapely.get_parts(shape))
        for number, part in enumerate(parts, 1):
            name = region.name if len(parts) == 1 else f"{region.name}, part {number}"
            yield name, OrientedBox.from_polygon(part)
    except RegionError as error:
        raise RegionError(f"{region.name}: {error}") from error


def _placed(name: str, box: OrientedBox, frame: Frame) -> OrientedBox:
    """Return a box in image pixels after checking that it overlaps the view."""
    if max(map(abs, (box.x1, box.y1, box.x2, box.y2))) > _FARTHEST:
        raise RegionError(
            f"{name} reaches to {max(box.x2, box.y2):.3g}, where no image has pixels; give pixels of this one"
        )
    if box.area == 0:
        raise RegionError(f"{name} has no area; give a box with width and height")
    if box.polygon().intersection(_view(frame)).area == 0:
        (left, top, right, bottom) = (round(edge, 1) for edge in box.polygon().bounds)
        seen = tuple(round(edge) for edge in _view(frame).bounds)
        raise RegionError(
            f"{name} lies outside what is asked about: it spans pixels {(left, top)} to {(right, bottom)}, "
            f"the view {seen[:2]} to {seen[2:]}"
        )
    return box


def _written_box(region: _Shape, frame: Frame, geographic: bool) -> OrientedBox | None:
    """Return the box from which a feature of an exported answer was drawn; None if its geometry differs."""
    said = region.written or {}
    pixels, outline = (_corners(said.get(name)) for name in ("pixels", "outline"))
    if pixels is None or outline is None or (geographic and frame.crs is None):
        return None
    drawn = outline_shape(outline, *((frame.image_to_map, frame.crs) if geographic else (None, None)))
    slack = _SAME_DEGREES if geographic else _SAME_PIXELS
    same = drawn is not None and shapely.hausdorff_distance(drawn, region.shape) < slack
    return OrientedBox.from_polygon(pixels) if same else None


def _corners(value: object) -> list[tuple[float, float]] | None:
    """Parse points of a property, which GDAL's drivers write as text."""
    try:
        listed = json.loads(value) if isinstance(value, str) else value
        points = np.asarray(listed, dtype=np.float64)
    except (ValueError, TypeError):
        return None
    usable = points.ndim == 2 and points.shape[1:] == (2,) and len(points) > 2 and np.isfinite(points).all()
    return [(float(x), float(y)) for x, y in points] if usable else None


def _view(frame: Frame) -> shapely.Polygon:
    width, height = frame.view_size
    return transform_geometry(shapely.box(0, 0, width, height), frame.view_to_image)


def _on_image(shape: BaseGeometry, frame: Frame) -> list[BaseGeometry]:
    """Transform parts of a shape in longitude and latitude to pixels, joined where they meet at the antimeridian."""
    if frame.crs is None or frame.image_to_map is None:
        raise RegionError(
            "longitude and latitude are given and the image has no CRS; give pixels, or mark GeoJSON features "
            f'with the property "coordinates": "{PIXELS}"'
        )
    degrees = shapely.get_coordinates(shape)
    if not (np.abs(degrees) <= (360, 90)).all():
        raise RegionError(f"{degrees[0].tolist()} is no longitude and latitude; reproject it to EPSG:4326")
    parts = pieces_to_pixels(shape, WGS84, frame)
    reached = [part for part in parts if part is not None]
    if len(reached) < len(parts):
        raise RegionError(f"it lies beyond what the image's CRS {frame.crs} covers; give a region on the image")
    return reached
