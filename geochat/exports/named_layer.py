"""A vector layer written back with columns added: the same features in the same order, with what was answered.

GeoJSON is longitude and latitude (RFC 7946), or marked pixels; a GeoPackage keeps the layer's own CRS and geometries.
A column of the layer that is called as an added one is kept under "layer_" and its name.
"""

import base64
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geochat.exports.geojson import PIXELS, WGS84, renamed
from geochat.exports.geopackage import PIXELS_UP, column, text_of, write_layer
from geochat.exports.vector_layer import VectorLayer
from geochat.geometry import geometry_to_geographic

_DIGITS = {"map": 8, "pixels": 3, "pixels up": 3}
_RESERVED = ("fid", "geom")


def named_geojson(
    layer: VectorLayer, added: Mapping[str, Sequence[Any]], provenance: Mapping[str, Any]
) -> dict[str, Any]:
    """A FeatureCollection of a layer's features with columns added, and `provenance` as the member "geochat".

    Args:
        layer: What was asked about.
        added: Columns, each with a value a feature.
        provenance: Where the answers came from, JSON-ready.
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


def write_named_geopackage(
    path: str | Path, layer: VectorLayer, added: Mapping[str, Sequence[Any]], provenance: Mapping[str, Any]
) -> Path:
    """Write a layer with columns added as a GeoPackage, under its own name.

    Args:
        path: Ends in .gpkg; an existing file is replaced.
        layer: What was asked about.
        added: Columns, each with a value a feature.
        provenance: Where the answers came from, JSON-ready; goes into the layer's metadata.

    Raises:
        ExportError: The name has another ending, a column or the CRS cannot be stored, or the file cannot be written.
    """
    marked = {} if layer.coordinates == "map" else {"coordinates": [PIXELS_UP] * len(layer)}
    added = {**added, **marked}
    names = _names(layer, added)
    columns = {names[name]: _storable(values) for name, values in layer.columns.items() if name in names}
    columns |= {name: column(values, numeric=name in ("score", "probability")) for name, values in added.items()}
    geometries = [_up(layer, geometry) for geometry in layer.geometries]
    notes = {name: text_of(value) for name, value in provenance.items()}
    return write_layer(path, geometries, columns, layer.crs, notes, name=layer.name, geometry_type=layer.geometry_type)


def _names(layer: VectorLayer, added: Mapping[str, Sequence[Any]]) -> dict[str, str]:
    """What each column of the layer is called; its mark of coordinates, which is written anew, is left out."""
    marked = layer.coordinates != "map" or "coordinates" in added
    own = [name for name in layer.columns if not (marked and name == "coordinates")]
    return renamed(own, (*added, *_RESERVED))


def _rows(layer: VectorLayer, added: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    names = _names(layer, added)
    return [
        {new: _json_value(layer.columns[name][number]) for name, new in names.items()} for number in range(len(layer))
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


def _json_value(value: Any) -> Any:  # noqa: ANN401 - of whatever type a column has
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else str(value)
    if isinstance(value, np.ndarray | list | tuple):
        return [_json_value(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _storable(values: np.ndarray) -> np.ndarray:
    """A column as GDAL takes it: typed as it was read, or of JSON values, numbers or text."""
    if values.dtype != object:
        return values
    return column([_json_value(value) for value in values])
