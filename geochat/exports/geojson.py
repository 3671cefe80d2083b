"""Grounded regions as GeoJSON.

A georeferenced answer follows RFC 7946: WGS 84 longitude and latitude, closed rings, the exterior one
counter-clockwise, shapes that cross the antimeridian cut there (3.1.9). One around a pole is a polygon as wide as the
globe that runs along the antimeridian to the pole's latitude and back: GDAL and QGIS draw that as it is meant. GeoJSON
has no other frame, so for an image without a CRS the coordinates are pixels and every feature says so in its property
`coordinates`; this project reads that back.

Geometry is cut at the image's border: it is the property `outline`, in pixels. What the model wrote stays beside it, in
`box` (its own numbers) and `pixels`. A region whose geometry is still that of `outline` is read back as `pixels`; one
that was edited since is read from its geometry. Where there is no geometry, `unlocated` says why.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import shapely
from affine import Affine
from shapely.geometry.polygon import orient

from geochat.exports.files import check_target, write_atomically
from geochat.exports.grounded import GroundedRegion
from geochat.geometry import ImagePlace, OrientedBox, outline_to_geographic

WGS84 = "WGS 84 longitude, latitude"
PIXELS = "image pixels, y down"

_DEGREE_DIGITS = 8  # a millimetre
_PIXEL_DIGITS = 3
_OUTLINE_DIGITS = 6

Ring = Sequence[Sequence[float]]
OUTSIDE = "nothing of it lies on the image"
BEYOND = "it lies beyond what the image's CRS covers"

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
    ring = [[round(x, _OUTLINE_DIGITS), round(y, _OUTLINE_DIGITS)] for x, y in region.outline]
    place = region.place if crs is not None else ImagePlace(region.place.width, region.place.height)
    shape = outline_shape(ring, place.image_to_map, place.map_crs)
    unlocated = {} if shape is not None else {"unlocated": OUTSIDE if not ring else BEYOND}
    return {
        "type": "Feature",
        "id": number,
        "geometry": None if shape is None else _geometry(shape, _DEGREE_DIGITS if place.map_crs else _PIXEL_DIGITS),
        "properties": {
            "number": number,
            **more,
            **properties(region, ("number", "box", "pixels", "outline", "unlocated", "coordinates", *more)),
            "box": None if region.box is None else box_numbers(region.box),
            "pixels": [[round(x, _PIXEL_DIGITS), round(y, _PIXEL_DIGITS)] for x, y in region.pixels],
            "outline": ring,
            **unlocated,
            "coordinates": PIXELS if crs is None else WGS84,
        },
    }


def outline_shape(
    ring: Ring, image_to_map: Affine | None, crs: str | None
) -> shapely.Polygon | shapely.MultiPolygon | None:
    """The geometry of a feature, not rounded: the outline of a region in longitude and latitude, or in pixels.

    Args:
        ring: The outline in pixels, empty where nothing of it lies on the image.
        image_to_map: The image's geotransform.
        crs: The image's CRS; None, as for the geotransform, leaves pixels.

    Returns:
        None where there is nothing, or the projection does not reach.
    """
    if len(ring) < 3:
        return None
    return (
        shapely.Polygon(ring) if image_to_map is None or crs is None else outline_to_geographic(ring, image_to_map, crs)
    )


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


def _geometry(shape: shapely.Polygon | shapely.MultiPolygon, digits: int) -> dict[str, Any]:
    if isinstance(shape, shapely.MultiPolygon):
        return {"type": "MultiPolygon", "coordinates": [[_ring(part, digits)] for part in shape.geoms]}
    return {"type": "Polygon", "coordinates": [_ring(shape, digits)]}


def _ring(polygon: shapely.Polygon, digits: int) -> list[list[float]]:
    return [[round(x, digits), round(y, digits)] for x, y in orient(polygon).exterior.coords]
