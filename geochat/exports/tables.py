"""Features as columns: typed arrays, and geometries in map coordinates."""

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from geochat.exports.grounded import renamed
from geochat.exports.layer import Feature, Layer
from geochat.geometry import (
    ImagePlace,
    geometry_to_geographic,
    outline_to_geographic,
    transform_geometry,
    transform_points,
)

UNDEFINED_CARTESIAN = 'LOCAL_CS["Undefined Cartesian SRS",UNIT["metre",1]]'
PIXELS_UP = "image pixels, y negated"
PIXEL_DIGITS = 3
_POINT = 0  # of shapely.get_type_id
RESERVED = ("fid", "geom", "geometry", "bbox", "number", "pixels")
"""Names that the formats or every table use for something else."""


class Column(NamedTuple):
    """Values of one column.

    Attributes:
        values: (N,) int64, bool, float64 with NaN for null, or object with text and None.
        nulls: (N,) where int64 and bool have no value; None where none is missing.
    """

    values: np.ndarray
    nulls: NDArray[np.bool_] | None = None


def table(features: Sequence[Feature], layer: Layer, first: int) -> dict[str, Column]:
    """Return the columns of a batch of features: number, the layer's own, corners in pixels, mark of pixel coordinates.

    Args:
        features: The batch.
        layer: Their layer.
        first: The number of the first one.
    """
    names = renamed(layer.columns, RESERVED)
    columns = {"number": Column(np.arange(first, first + len(features)))}
    for name, kind in layer.columns.items():
        columns[names[name]] = typed([feature.properties.get(name) for feature in features], kind)
    if layer.bare:
        return columns
    corners = [[[round(x, PIXEL_DIGITS), round(y, PIXEL_DIGITS)] for x, y in feature.pixels] for feature in features]
    columns["pixels"] = typed(corners, str)
    if layer.map_crs is None:
        columns["coordinates"] = typed([PIXELS_UP] * len(features), str)
    return columns


def map_shapes(features: Sequence[Feature], crs: str | None) -> list[shapely.Geometry | None]:
    """Return the part of each feature inside its image, exterior rings counter-clockwise; None if there is none.

    Args:
        features: Features to place.
        crs: What the shapes are wanted in: the images' own, or EPSG:4326 for images in several; None gives pixels with
            y negated, as a GIS draws an image that is not georeferenced. An image without a CRS gives None for one.

    Returns:
        Polygons; multipolygons where a shape is cut at the antimeridian.
    """
    shapes = np.array([feature.polygon for feature in features], dtype=object)
    placed = np.full(len(shapes), None, dtype=object)
    by_place: dict[int, list[int]] = {}
    for number, feature in enumerate(features):
        by_place.setdefault(id(feature.place), []).append(number)
    for numbers in by_place.values():
        placed[numbers] = _placed(shapes[numbers], features[numbers[0]].place, crs)
    return list(shapely.orient_polygons(placed))


def _placed(shapes: np.ndarray, place: ImagePlace, crs: str | None) -> np.ndarray:
    parts = _clipped(shapes, place)
    affine = place.image_to_map
    if crs is None:
        return shapely.transform(parts, lambda points: points * (1, -1))  # type: ignore[no-any-return]
    placed = np.full(len(parts), None, dtype=object)
    if affine is None or place.map_crs is None:
        return placed
    if place.map_crs == crs:
        return shapely.transform(parts, lambda points: transform_points(points, affine))  # type: ignore[no-any-return]
    placed[:] = [None if part is None else _geographic(part, affine, place.map_crs) for part in parts]
    return placed


def _geographic(part: shapely.Polygon | shapely.Point, affine: Affine, crs: str) -> shapely.Geometry | None:
    if isinstance(part, shapely.Point):
        return geometry_to_geographic(transform_geometry(part, affine), crs)
    return outline_to_geographic(part.exterior.coords[:-1], affine, crs)


def _clipped(shapes: np.ndarray, place: ImagePlace) -> np.ndarray:
    left, top, right, bottom = shapely.bounds(shapes).T
    inside = (left >= 0) & (top >= 0) & (right <= place.width) & (bottom <= place.height)
    inside &= shapely.is_valid(shapes) & ((shapely.area(shapes) > 0) | (shapely.get_type_id(shapes) == _POINT))
    parts = shapes.copy()
    parts[~inside] = [place.clip(shape) for shape in shapes[~inside]]
    return parts


def kind_of(values: Iterable[object], *, numeric: bool = False) -> type:
    """Return the type of a column: int or bool if every value is one, float if all known ones are numbers, else str.

    Args:
        values: One per feature.
        numeric: Whether a column without any value is one of numbers.
    """
    values = list(values)
    known = [value for value in values if value is not None]
    if known and len(known) == len(values) and not numeric and all(type(value) is int for value in known):
        return int
    if known and len(known) == len(values) and all(isinstance(value, bool) for value in known):
        return bool
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in known) and (known or numeric):
        return float
    return str


def typed(values: Sequence[object], kind: type) -> Column:
    """Return values as a column of a type.

    Raises:
        ValueError, TypeError: A value is not of the type.
    """
    if kind is float:
        numbers: list[Any] = [np.nan if value is None else value for value in values]
        return Column(np.array(numbers, dtype=np.float64))
    if kind is str:
        texts = np.full(len(values), None, dtype=object)
        texts[:] = [None if value is None else text_of(value) for value in values]
        return Column(texts)
    nulls = np.array([value is None for value in values], dtype=np.bool_)
    known: list[Any] = [0 if value is None else value for value in values]
    return Column(np.array(known, dtype=np.int64 if kind is int else np.bool_), nulls if nulls.any() else None)


def notes_of(layer: Layer) -> dict[str, str]:
    """Return a layer's metadata: the units of its coordinates, and its provenance."""
    return {"coordinates": layer.map_crs or PIXELS_UP, **texts(layer.provenance)}


def texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Values as text."""
    return {key: text_of(value) for key, value in values.items()}


def text_of(value: object) -> str:
    """Format a value for a text column."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def json_value(value: Any) -> Any:  # noqa: ANN401 - of whatever type a column has
    """Convert a value to JSON: NumPy to Python, bytes to base64, and values that are not finite or no time to null."""
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else str(value)
    if isinstance(value, Mapping):
        return {key: json_value(each) for key, each in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [json_value(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
