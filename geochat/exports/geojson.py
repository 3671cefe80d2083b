"""Grounded regions as GeoJSON.

A georeferenced answer follows RFC 7946: WGS 84 longitude and latitude, closed rings, the exterior one
counter-clockwise, shapes that cross the antimeridian cut there. GeoJSON has no other frame, so for an image without a
CRS the coordinates are pixels and every feature says so in its property `coordinates`; this project reads that back.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import shapely
from shapely.affinity import translate
from shapely.geometry.polygon import orient

from geochat.exports.files import check_target, write_atomically
from geochat.exports.grounded import GroundedRegion, Quadrilateral
from geochat.frames import to_geographic

WGS84 = "WGS 84 longitude, latitude"
PIXELS = "image pixels, y down"

_DEGREE_DIGITS = 8  # a millimetre
_PIXEL_DIGITS = 3
_GLOBE = shapely.box(-180, -90, 180, 90)


def to_geojson(regions: Sequence[GroundedRegion], crs: str | None, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """A FeatureCollection with one feature a region, numbered from 1, and `provenance` as the member "geochat".

    Args:
        regions: What to write.
        crs: The image's CRS; None writes pixel coordinates.
        provenance: Where the answer came from, JSON-ready.
    """
    return {
        "type": "FeatureCollection",
        "features": [_feature(number, region, crs) for number, region in enumerate(regions, 1)],
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


def _feature(number: int, region: GroundedRegion, crs: str | None) -> dict[str, Any]:
    box = region.box
    geometry = _pixel_polygon(region.pixels) if crs is None or region.map is None else _geographic(region.map, crs)
    return {
        "type": "Feature",
        "id": number,
        "geometry": geometry,
        "properties": {
            "number": number,
            "phrase": region.phrase,
            "box": [box.x1, box.y1, box.x2, box.y2, box.angle],
            "score": region.score,
            "coordinates": PIXELS if crs is None else WGS84,
        },
    }


def _pixel_polygon(corners: Quadrilateral) -> dict[str, Any]:
    return _geometry(shapely.Polygon(corners), _PIXEL_DIGITS)


def _geographic(corners: Quadrilateral, crs: str) -> dict[str, Any] | None:
    """The polygon in longitude and latitude; None, an unlocated feature, where the projection does not reach."""
    points = [(float(x), float(y)) for x, y in to_geographic(corners, crs)]
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
