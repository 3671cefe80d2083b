"""Layers and grounded regions as GeoJSON.

A georeferenced layer follows RFC 7946: WGS 84 longitude and latitude, closed rings, the exterior one
counter-clockwise, shapes that cross the antimeridian cut there (3.1.9). One around a pole is a polygon as wide as the
globe that runs along the antimeridian to the pole's latitude and back: GDAL and QGIS draw that as it is meant. GeoJSON
has no other frame, so for an image without a CRS the coordinates are pixels and every feature says so in its property
`coordinates`; this project reads that back.

Geometry is cut at the image's border: it is the property `outline`, in pixels. The corners as found are the property
`pixels`, and a model's own numbers `box`. A feature whose geometry is still that of `outline` is read back as `pixels`;
one that was edited since is read from its geometry. Where there is no geometry, `unlocated` says why.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO, TypeAlias

import shapely
from affine import Affine
from shapely.geometry.polygon import orient

from geochat.exports.files import check_target, draft_of, write_atomically
from geochat.exports.grounded import GroundedRegion, box_numbers, region_properties, renamed
from geochat.exports.layer import NOT_LOOKED_AT, Feature, Layer
from geochat.exports.tables import PIXEL_DIGITS, json_value
from geochat.geometry import ImagePlace, geometry_to_geographic, outline_to_geographic, transform_geometry

WGS84 = "WGS 84 longitude, latitude"
PIXELS = "image pixels, y down"

_DEGREE_DIGITS = 8  # a millimetre
_OUTLINE_DIGITS = 6

Ring = Sequence[Sequence[float]]
Located: TypeAlias = shapely.Polygon | shapely.MultiPolygon | shapely.Point
OUTSIDE = "nothing of it lies on the image"
BEYOND = "it lies beyond what the image's CRS covers"

_OWN = ("number", "box", "pixels", "outline", "unlocated", "coordinates")


class GeoJSON:
    """Streams a FeatureCollection, one feature per line; its member "geochat" holds the provenance."""

    suffixes = (".geojson", ".json")
    holds_second_table = True

    def write(
        self, path: Path, layer: Layer, features: Iterable[Feature], not_looked_at: Iterable[Feature] | None
    ) -> Path:
        """As `Exporter.write`; windows not looked at are the member `not_looked_at` of "geochat"."""
        with draft_of(path) as draft, draft.open("w", encoding="utf-8") as file:
            file.write('{"type": "FeatureCollection", "features": [')
            _stream(file, layer, features)
            members = json.dumps(_members(layer.map_crs, json_value(layer.provenance)), ensure_ascii=False)
            file.write(f'\n],\n"geochat": {members[:-1]}')
            if not_looked_at is not None:
                file.write(',\n"not_looked_at": [')
                _stream(file, replace(layer, columns=NOT_LOOKED_AT), not_looked_at)
                file.write("]")
            file.write("}}\n")
        return path


GEOJSON = GeoJSON()


def to_geojson(
    regions: Sequence[GroundedRegion],
    crs: str | None,
    provenance: Mapping[str, Any],
    beside: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return a FeatureCollection with one feature per region, numbered from 1; the member "geochat" is `provenance`.

    Args:
        regions: Regions to write; those of several images are each placed by their own image.
        crs: The image's CRS; None writes pixel coordinates.
        provenance: Provenance of the answer, JSON-ready.
        beside: Further properties of each region; may be empty.
    """
    features = []
    for number, (region, more) in enumerate(zip(regions, beside or [{}] * len(regions), strict=True), 1):
        said = {"number": number, **more, **region_properties(region, (*_OWN, *more))}
        said["box"] = None if region.box is None else box_numbers(region.box)
        features.append(_feature(number, Feature(region.shape, region.place), said, crs))
    return {"type": "FeatureCollection", "features": features, "geochat": _members(crs, provenance)}


def write_geojson(path: str | Path, document: Mapping[str, Any]) -> Path:
    """Write a GeoJSON document.

    Raises:
        ExportError: The file cannot be written.
    """
    target = check_target(path, GeoJSON.suffixes)
    text = json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False)
    return write_atomically(target, text.encode() + b"\n")


def outline_shape(ring: Ring, image_to_map: Affine | None, crs: str | None) -> Located | None:
    """Return the geometry of a feature, unrounded: the outline of a region in longitude and latitude, or in pixels.

    Args:
        ring: The outline in pixels, of one corner for a point, empty where nothing of it lies on the image.
        image_to_map: The image's geotransform.
        crs: The image's CRS; None, as for the geotransform, leaves pixels.

    Returns:
        None where there is nothing, or the projection does not reach.
    """
    if len(ring) in (0, 2):
        return None
    shape = shapely.Point(ring[0]) if len(ring) == 1 else shapely.Polygon(ring)
    if image_to_map is None or crs is None:
        return shape
    if isinstance(shape, shapely.Point):
        return geometry_to_geographic(transform_geometry(shape, image_to_map), crs)
    return outline_to_geographic(ring, image_to_map, crs)


def _stream(file: TextIO, layer: Layer, features: Iterable[Feature]) -> None:
    """Write features, separated by commas, one per line."""
    names = renamed(layer.columns, _OWN)
    for number, feature in enumerate(features, 1):
        own = {new: json_value(feature.properties.get(name)) for name, new in names.items()}
        row = _feature(number, feature, {"number": number, **own}, layer.map_crs)
        file.write(("\n" if number == 1 else ",\n") + json.dumps(row, ensure_ascii=False, allow_nan=False))


def _feature(number: int, feature: Feature, said: Mapping[str, Any], crs: str | None) -> dict[str, Any]:
    ring = [[round(x, _OUTLINE_DIGITS), round(y, _OUTLINE_DIGITS)] for x, y in feature.outline]
    place = feature.place if crs is not None else ImagePlace(feature.place.width, feature.place.height)
    shape = outline_shape(ring, place.image_to_map, place.map_crs)
    unlocated = {} if shape is not None else {"unlocated": OUTSIDE if not ring else BEYOND}
    return {
        "type": "Feature",
        "id": number,
        "geometry": None if shape is None else _geometry(shape, _DEGREE_DIGITS if place.map_crs else PIXEL_DIGITS),
        "properties": {
            **said,
            "pixels": [[round(x, PIXEL_DIGITS), round(y, PIXEL_DIGITS)] for x, y in feature.pixels],
            "outline": ring,
            **unlocated,
            "coordinates": PIXELS if crs is None else WGS84,
        },
    }


def _members(crs: str | None, provenance: Mapping[str, Any]) -> dict[str, Any]:
    return {"coordinates": PIXELS if crs is None else WGS84, **provenance}


def _geometry(shape: Located, digits: int) -> dict[str, Any]:
    if isinstance(shape, shapely.Point):
        return {"type": "Point", "coordinates": [round(shape.x, digits), round(shape.y, digits)]}
    if isinstance(shape, shapely.MultiPolygon):
        return {"type": "MultiPolygon", "coordinates": [[_ring(part, digits)] for part in shape.geoms]}
    return {"type": "Polygon", "coordinates": [_ring(shape, digits)]}


def _ring(polygon: shapely.Polygon, digits: int) -> list[list[float]]:
    return [[round(x, digits), round(y, digits)] for x, y in orient(polygon).exterior.coords]
