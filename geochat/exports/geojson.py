"""Grounded regions as GeoJSON.

A georeferenced answer follows RFC 7946: WGS 84 longitude and latitude, closed rings, the exterior one
counter-clockwise, shapes that cross the antimeridian cut there. GeoJSON has no other frame, so for an image without a
CRS the coordinates are pixels and every feature says so in its property `coordinates`; this project reads that back.

Geometry is cut at the image's border; what the model wrote stays beside it, in `box` (its own numbers) and `pixels`.
"""

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import shapely
from shapely.affinity import translate
from shapely.geometry.polygon import orient

from geochat.exports.files import check_target, write_atomically
from geochat.exports.grounded import GroundedRegion, Point
from geochat.geometry import OrientedBox, to_geographic

WGS84 = "WGS 84 longitude, latitude"
PIXELS = "image pixels, y down"

_DEGREE_DIGITS = 8  # a millimetre
_PIXEL_DIGITS = 3
_GLOBE = shapely.box(-180, -90, 180, 90)

Ring = Sequence[Point]

PROPERTIES = ("phrase", "score", "role", "answer", "as_asked", "width_m", "height_m", "area_m2")
"""What every exported region says, in this order."""


def to_geojson(
    regions: Sequence[GroundedRegion],
    crs: str | None,
    provenance: Mapping[str, Any],
    beside: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """A FeatureCollection with one feature a region, numbered from 1, and `provenance` as the member "geochat".

    Args:
        regions: What to write; of several images, each is placed by its own.
        crs: The image's CRS; None writes pixel coordinates.
        provenance: Where the answer came from, JSON-ready.
        beside: What else each region's properties say; empty for nothing.
    """
    more = beside or [{}] * len(regions)
    features = [_feature(number, *each, crs) for number, each in enumerate(zip(regions, more, strict=True), 1)]
    return {
        "type": "FeatureCollection",
        "features": features,
        "geochat": {"coordinates": PIXELS if crs is None else WGS84, **provenance},
    }


def write_geojson(path: str | Path, document: Mapping[str, Any]) -> Path:
    """Write a GeoJSON document.

    Raises:
        ExportError: The file cannot be written.
    """
    target = check_target(path, (".geojson", ".json"))
    text = json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False)
    return write_atomically(target, text.encode() + b"\n")


def _feature(number: int, region: GroundedRegion, more: Mapping[str, Any], crs: str | None) -> dict[str, Any]:
    ring = region.outline if crs is None else region.map_outline
    own = None if crs is None else region.place.map_crs
    geometry = None if not ring else _pixel_polygon(ring) if own is None else _geographic(ring, own)
    return {
        "type": "Feature",
        "id": number,
        "geometry": geometry,
        "properties": {
            "number": number,
            **more,
            **properties(region, ("number", "box", "pixels", "coordinates", *more)),
            "box": None if region.box is None else box_numbers(region.box),
            "pixels": [[round(x, _PIXEL_DIGITS), round(y, _PIXEL_DIGITS)] for x, y in region.pixels],
            "coordinates": PIXELS if crs is None else WGS84,
        },
    }


def properties(region: GroundedRegion, taken: Collection[str] = ()) -> dict[str, Any]:
    """What a layer says of a region beside its geometry: what is known of it here, then its own layer's attributes.

    Args:
        region: The region.
        taken: Names the layer uses for something else. An attribute of one of these, or of a name used here, is
            called "layer_" and its name; capitals do not count, as in GeoPackages.
    """
    width, height, area = region.ground_size or (None, None, None)
    values = (
        *(region.phrase, region.score, region.role, region.answer, region.as_asked),
        *map(_rounded, (width, height, area)),
    )
    names = renamed(region.attributes, (*PROPERTIES, *taken))
    attributes = {names[name]: value for name, value in region.attributes.items()}
    return {**dict(zip(PROPERTIES, values, strict=True)), **attributes}


def renamed(names: Iterable[str], taken: Collection[str]) -> dict[str, str]:
    """What each attribute is called in a layer that uses some names itself."""
    used = {name.lower() for name in taken}
    return {name: f"layer_{name}" if name.lower() in used else name for name in names}


def box_numbers(box: OrientedBox) -> list[float]:
    """x1, y1, x2, y2 and the angle."""
    return [box.x1, box.y1, box.x2, box.y2, box.angle]


def _rounded(length: float | None) -> float | None:
    return None if length is None else round(length, 2)


def _pixel_polygon(ring: Ring) -> dict[str, Any]:
    return _geometry(shapely.Polygon(ring), _PIXEL_DIGITS)


def _geographic(ring: Ring, crs: str) -> dict[str, Any] | None:
    """The polygon in longitude and latitude; None, an unlocated feature, where the projection does not reach."""
    points = [(float(x), float(y)) for x, y in to_geographic(ring, crs)]
    if not all(math.isfinite(x) and math.isfinite(y) for x, y in points):
        return None
    longitudes = [x for x, _ in points]
    if max(longitudes) - min(longitudes) > 180:  # the shape lies across the antimeridian, not around the globe
        points = [(x % 360, y) for x, y in points]
    return _geometry(_cut_at_antimeridian(shapely.Polygon(points)), _DEGREE_DIGITS)


def _cut_at_antimeridian(shape: shapely.Polygon) -> shapely.Polygon | shapely.MultiPolygon:
    """A convex shape with every longitude brought within ±180, in two parts where it crosses (RFC 7946, 3.1.9)."""
    if shape.bounds[0] >= -180 and shape.bounds[2] <= 180:
        return shape
    turns = (translate(shape, xoff=turn).intersection(_GLOBE) for turn in (-360, 0, 360))
    parts = [turned for turned in turns if isinstance(turned, shapely.Polygon) and turned.area > 0]
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def _geometry(shape: shapely.Polygon | shapely.MultiPolygon, digits: int) -> dict[str, Any]:
    if isinstance(shape, shapely.MultiPolygon):
        return {"type": "MultiPolygon", "coordinates": [[_ring(part, digits)] for part in shape.geoms]}
    return {"type": "Polygon", "coordinates": [_ring(shape, digits)]}


def _ring(polygon: shapely.Polygon, digits: int) -> list[list[float]]:
    return [[round(x, digits), round(y, digits)] for x, y in orient(polygon).exterior.coords]
