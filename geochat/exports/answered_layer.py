"""Vector layers with answers added as columns: the same features in the same order.

GeoJSON is in longitude and latitude (RFC 7946), or in marked pixels; a GeoPackage keeps the layer's own CRS and
geometries. An existing column with the name of an added one is renamed with the prefix "layer_".
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geochat.exports.geojson import PIXELS, WGS84
from geochat.exports.geopackage import write_table
from geochat.exports.grounded import renamed
from geochat.exports.tables import PIXELS_UP, json_value, kind_of, typed
from geochat.exports.vector_layer import VectorLayer
from geochat.geometry import geometry_to_geographic

_DIGITS = {"map": 8, "pixels": 3, "pixels up": 3}
_RESERVED = ("fid", "geom")


def answered_geojson(
    layer: VectorLayer, added: Mapping[str, Sequence[Any]], provenance: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a FeatureCollection of a layer's features with added columns, and `provenance` as the member "geochat".

    Args:
        layer: The layer of the question.
        added: Columns, each with one value per feature.
        provenance: Provenance of the answers, JSON-ready.
    """
    coordinates = WGS84 if layer.coordinates == "map" else PIXELS
    added = {**added, "coordinates": [coordinates] * len(layer)}
    features = [
        {
            "type": "Feature",
            "id": number + 1,
            "geometry": _json_geometry(layer, geometry),
            "properties": {**row, **{name: values[number] for name, values in added.items()}},
        }
        for number, (geometry, row) in enumerate(zip(layer.geometries, _rows(layer, added), strict=True))
    ]
    return {"type": "FeatureCollection", "features": features, "geochat": {"coordinates": coordinates, **provenance}}


def write_answered_geopackage(
    path: str | Path, layer: VectorLayer, added: Mapping[str, Sequence[Any]], provenance: Mapping[str, Any]
) -> Path:
    """Write a layer with columns added as a GeoPackage, under its own name.

    Args:
        path: Ends in .gpkg; an existing file is replaced.
        layer: The layer of the question.
        added: Columns, each with one value per feature.
        provenance: Provenance of the answers, JSON-ready, for the layer's metadata.

    Raises:
        ExportError: The name has another ending, a column or the CRS cannot be stored, or the file cannot be written.
    """
    marked = {} if layer.coordinates == "map" else {"coordinates": [PIXELS_UP] * len(layer)}
    added = {**added, **marked}
    names = _names(layer, added)
    columns = {names[name]: _storable(values) for name, values in layer.columns.items() if name in names}
    columns |= {name: _column(values, numeric=name in ("score", "probability")) for name, values in added.items()}
    geometries = [_up(layer, geometry) for geometry in layer.geometries]
    return write_table(
        path, geometries, columns, layer.crs, provenance, name=layer.name, geometry_type=layer.geometry_type
    )


def _names(layer: VectorLayer, added: Mapping[str, Sequence[Any]]) -> dict[str, str]:
    """Return new names for the layer's columns; its coordinate mark, which is written anew, is omitted."""
    marked = layer.coordinates != "map" or "coordinates" in added
    own = [name for name in layer.columns if not (marked and name == "coordinates")]
    return renamed(own, (*added, *_RESERVED))


def _rows(layer: VectorLayer, added: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    names = _names(layer, added)
    return [
        {new: json_value(layer.columns[name][number]) for name, new in names.items()} for number in range(len(layer))
    ]


def _json_geometry(layer: VectorLayer, geometry: shapely.Geometry | None) -> dict[str, Any] | None:
    if geometry is None or geometry.is_empty:
        return None
    if layer.coordinates == "map":
        located = geometry_to_geographic(geometry, layer.crs)
        if located is None:
            return None
        geometry = located
    elif layer.coordinates == "pixels up":
        geometry = _negated(geometry)
    if not np.isfinite(shapely.get_coordinates(geometry)).all():
        return None
    rounded = shapely.transform(geometry, lambda points: points.round(_DIGITS[layer.coordinates]))
    mapping: dict[str, Any] = shapely.geometry.mapping(shapely.orient_polygons(rounded))
    return mapping


def _up(layer: VectorLayer, geometry: shapely.Geometry | None) -> shapely.Geometry | None:
    return geometry if geometry is None or layer.coordinates != "pixels" else _negated(geometry)


def _negated(geometry: shapely.Geometry) -> shapely.Geometry:
    return shapely.transform(geometry, lambda points: points * (1, -1))


def _storable(values: np.ndarray) -> np.ndarray:
    """Return a column in a form that GDAL accepts: typed as read, or as JSON values, numbers or text."""
    if values.dtype != object:
        return values
    return _column([json_value(value) for value in values])


def _column(values: Sequence[Any], *, numeric: bool = False) -> np.ndarray:
    return typed(values, kind_of(values, numeric=numeric)).values
