"""Grounded regions as a GeoPackage, in the image's own CRS.

An image without a CRS gets the format's undefined Cartesian reference system (srs_id -1) with y negated: y then points
up, as the format demands, and the layer lies on the picture where a GIS draws an image that is not georeferenced.
The column `coordinates` says so. The file is built in memory and written whole.
"""

import io
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geochat.errors import ExportError
from geochat.exports.files import check_target, write_atomically
from geochat.exports.geojson import BEYOND, OUTSIDE, PROPERTIES, box_numbers, outline_shape, properties
from geochat.exports.grounded import GroundedRegion

_LAYER = "regions"
UNDEFINED_CARTESIAN = 'LOCAL_CS["Undefined Cartesian SRS",UNIT["metre",1]]'
PIXELS_UP = "image pixels, y negated"


def write_geopackage(
    path: str | Path,
    regions: Sequence[GroundedRegion],
    crs: str | None,
    provenance: Mapping[str, Any],
    beside: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Write the layer "regions": one shape a region, with provenance in columns and in the layer's metadata.

    In the image's own CRS that is a polygon. Brought to longitude and latitude, where images have several CRSs, one
    across the antimeridian is cut, and all are multipolygons then. Where there is no geometry, `unlocated` says why.

    Args:
        path: Ends in .gpkg; an existing file is replaced.
        regions: What to write; none gives an empty layer.
        crs: The images' CRS, None for pixels. EPSG:4326 takes regions of images in any.
        provenance: Where the answers came from, JSON-ready.
        beside: What else each region's columns say, where it is not the same for all; empty for nothing.

    Raises:
        ExportError: The name has another ending, the CRS cannot be stored or the file cannot be written.
    """
    notes = {"coordinates": crs or PIXELS_UP, **{key: text_of(value) for key, value in provenance.items()}}
    names = dict.fromkeys(name for more in beside for name in more)
    columns = _columns(regions, (*names, *notes))
    columns |= {name: column([more.get(name) for more in beside]) for name in names}
    columns |= {name: column([text] * len(regions)) for name, text in notes.items() if name not in names}
    shapes = [_shape(region, crs) for region in regions]
    if any(shape is None for shape in shapes):
        reasons = (BEYOND if region.outline else OUTSIDE for region in regions)
        columns["unlocated"] = column([r if s is None else None for s, r in zip(shapes, reasons, strict=True)])
    if cut := any(isinstance(shape, shapely.MultiPolygon) for shape in shapes):
        shapes = [None if shape is None else shapely.MultiPolygon(shapely.get_parts(shape)) for shape in shapes]
    return write_layer(path, shapes, columns, crs, notes, geometry_type="MultiPolygon" if cut else "Polygon")


def write_layer(
    path: str | Path,
    geometries: Sequence[shapely.Geometry | None],
    columns: Mapping[str, np.ndarray],
    crs: str | None,
    notes: Mapping[str, str],
    *,
    name: str = _LAYER,
    geometry_type: str = "Polygon",
) -> Path:
    """Write a GeoPackage with one layer, whole or not at all.

    Args:
        path: Ends in .gpkg; an existing file is replaced.
        geometries: One a feature, None for an unlocated one.
        columns: Attributes, each with a value a feature.
        crs: What the geometries are in; None stores the undefined Cartesian reference system.
        notes: The layer's metadata.
        name: Of the layer.
        geometry_type: As OGR names it.

    Raises:
        ExportError: The name has another ending, the CRS or a column cannot be stored or the file cannot be written.
    """
    target = check_target(path, (".gpkg",))
    import pyogrio  # noqa: PLC0415 - brings pandas, where that is installed, which takes half a second

    content = io.BytesIO()
    try:
        pyogrio.raw.write(
            content,
            shapely.to_wkb(list(geometries)),
            list(columns.values()),
            list(columns),
            layer=name,
            driver="GPKG",
            geometry_type=geometry_type,
            crs=crs or UNDEFINED_CARTESIAN,
            layer_metadata=dict(notes),
        )
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyogrio.errors.CRSError) as error:
        raise ExportError(f"{path} cannot be made: {error}; export GeoJSON instead") from error
    return write_atomically(target, content.getvalue())


def column(values: Sequence[object], *, numeric: bool = False) -> np.ndarray:
    """A column of numbers where all values are, with NaN (written as NULL) for None; otherwise of text.

    Whole numbers stay whole, and yes and no stay so, where there is one in each row.

    Args:
        values: One a feature.
        numeric: Whether a column without any value is one of numbers.
    """
    known = [value for value in values if value is not None]
    if known and len(known) == len(values) and all(type(value) is int for value in known) and not numeric:
        return np.array(values, dtype=np.int64)
    if known and len(known) == len(values) and all(isinstance(value, bool) for value in known):
        return np.array(values, dtype=np.bool_)
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in known) and (known or numeric):
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return np.array([None if value is None else text_of(value) for value in values], dtype=object)


def _shape(region: GroundedRegion, crs: str | None) -> shapely.Polygon | shapely.MultiPolygon | None:
    """The part on the image; None, an unlocated feature, where there is none."""
    if not region.outline:
        return None
    if region.map_outline is None or crs is None:
        return shapely.Polygon([(x, -y) for x, y in region.outline])
    if region.place.map_crs == crs:
        return shapely.Polygon(region.map_outline)
    return outline_shape(region.outline, region.place.image_to_map, region.place.map_crs)


def _columns(regions: Sequence[GroundedRegion], notes: Collection[str]) -> dict[str, np.ndarray]:
    """Attribute columns, each (number of regions,)."""
    boxes = np.array([[np.nan] * 5 if r.box is None else box_numbers(r.box) for r in regions]).reshape(-1, 5)
    taken = ("fid", "geom", "number", "unlocated", *_BOX, *notes)
    rows = [properties(region, taken) for region in regions]
    names = dict.fromkeys((*PROPERTIES, *(name for row in rows for name in row)))
    return {
        "number": np.arange(1, len(regions) + 1),
        **{name: column([row.get(name) for row in rows], numeric=name in _NUMBERS) for name in names},
        **{name: boxes[:, place] for place, name in enumerate(_BOX)},
    }


_BOX = ("x1", "y1", "x2", "y2", "angle")
_NUMBERS = ("score", "width_m", "height_m", "area_m2")


def text_of(value: object) -> str:
    """A value as a column of text holds it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
