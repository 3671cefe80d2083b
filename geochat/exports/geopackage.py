"""Layers and grounded regions as a GeoPackage, in the image's own CRS, with a QGIS style.

An image without a CRS gets the format's undefined Cartesian reference system (srs_id -1) with y negated: y then points
up, as the format demands, and the layer lies on the picture where a GIS draws an image that is not georeferenced.
The column `coordinates` says so. Windows that were not looked at are the second layer, "not_looked_at".
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geochat.errors import ExportError
from geochat.exports.files import check_target, draft_of
from geochat.exports.geojson import BEYOND, OUTSIDE
from geochat.exports.grounded import PROPERTIES, GroundedRegion, box_numbers, region_properties
from geochat.exports.layer import NOT_LOOKED_AT, Feature, Layer, batches
from geochat.exports.qgis_style import add_styles, layer_style, window_style
from geochat.exports.tables import UNDEFINED_CARTESIAN, Column, kind_of, map_shapes, notes_of, table, texts

_REGIONS = "regions"
_BOX = ("x1", "y1", "x2", "y2", "angle")
_NUMBERS = ("score", "width_m", "height_m", "area_m2")
_STYLED_PHRASES = 100


class GeoPackage:
    """Streams features in batches; memory does not grow with their number."""

    suffixes = (".gpkg",)
    holds_second_table = True

    def write(
        self, path: Path, layer: Layer, features: Iterable[Feature], not_looked_at: Iterable[Feature] | None
    ) -> Path:
        """As `Exporter.write`."""
        with draft_of(path) as draft, _made(path):
            phrases = _write_features(draft, layer, features)
            styles = {} if layer.bare or "phrase" not in layer.columns else {layer.name: layer_style(phrases)}
            if not_looked_at is not None:
                unseen = replace(layer, name="not_looked_at", columns=NOT_LOOKED_AT, bare=True)
                _write_features(draft, unseen, not_looked_at)
                styles[unseen.name] = window_style()
            add_styles(draft, styles)
        return path


GEOPACKAGE = GeoPackage()


def write_geopackage(
    path: str | Path,
    regions: Sequence[GroundedRegion],
    crs: str | None,
    provenance: Mapping[str, Any],
    beside: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Write the layer "regions": one shape per region, with provenance in columns and in the layer's metadata.

    In the image's own CRS, shapes are polygons. For images in several CRSs they are converted to longitude and
    latitude, split at the antimeridian, and all are multipolygons. If there is no geometry, `unlocated` states why.

    Args:
        path: Ends in .gpkg; an existing file is replaced.
        regions: Regions to write; none gives an empty layer.
        crs: The images' CRS, None for pixels. EPSG:4326 takes regions of images in any.
        provenance: Provenance of the answers, JSON-ready.
        beside: Further columns of each region that differ between regions; may be empty.

    Raises:
        ExportError: The name has another ending, the CRS cannot be stored or the file cannot be written.
    """
    layer = Layer(None, {}, provenance, name=_REGIONS, bare=True, crs=crs)
    notes, more = notes_of(layer), beside or [{}] * len(regions)
    own = dict.fromkeys(name for each in beside for name in each)
    taken = ("fid", "geom", "number", "unlocated", *_BOX, *own, *notes)
    said = [region_properties(region, taken) for region in regions]
    names = dict.fromkeys((*PROPERTIES, *(name for row in said for name in row)))
    rows = [
        {**row, **_box_columns(region), **each, **{name: text for name, text in notes.items() if name not in own}}
        for region, row, each in zip(regions, said, more, strict=True)
    ]
    columns = {name: kind_of([row.get(name) for row in rows], numeric=name in _NUMBERS) for name in names}
    columns |= dict.fromkeys(_BOX, float)
    columns |= {name: kind_of([row.get(name) for row in rows]) for name in (*own, *notes)}
    features = [Feature(region.shape, region.place, row) for region, row in zip(regions, rows, strict=True)]
    shapes = map_shapes(features, crs)
    if any(shape is None for shape in shapes):
        columns["unlocated"] = str
        for region, shape, row in zip(regions, shapes, rows, strict=True):
            row["unlocated"] = None if shape is not None else BEYOND if region.outline else OUTSIDE
    return GEOPACKAGE.write(check_target(path, GeoPackage.suffixes), replace(layer, columns=columns), features, None)


def write_table(
    path: str | Path,
    geometries: Sequence[shapely.Geometry | None],
    columns: Mapping[str, np.ndarray],
    crs: str | None,
    notes: Mapping[str, Any],
    *,
    name: str,
    geometry_type: str,
) -> Path:
    """Write a GeoPackage with one layer of any geometries and columns, atomically.

    Args:
        path: Ends in .gpkg; an existing file is replaced.
        geometries: One per feature, None for an unlocated one.
        columns: Attributes, each with one value per feature.
        crs: CRS of the geometries; None stores the undefined Cartesian reference system.
        notes: The layer's metadata.
        name: Name of the layer.
        geometry_type: As OGR names it.

    Raises:
        ExportError: The name has another ending, the CRS or a column cannot be stored or the file cannot be written.
    """
    path = check_target(path, GeoPackage.suffixes)
    layer = Layer(None, {}, notes, name=name, crs=crs)
    with draft_of(path) as draft, _made(path):
        held = {column: Column(values) for column, values in columns.items()}
        _append(draft, layer, geometries, held, texts(notes), geometry_type)
    return path


def _write_features(draft: Path, layer: Layer, features: Iterable[Feature]) -> list[str]:
    """Write a layer; returns its phrases, up to the number that a style distinguishes."""
    parts = batches(features) if layer.place is not None else iter([list(features)])
    phrases: dict[str, None] = {}
    notes, written, kind = notes_of(layer), 0, "Polygon"
    for batch in chain([next(parts, [])], parts):
        shapes = map_shapes(batch, layer.map_crs)
        if not written and any(isinstance(shape, shapely.MultiPolygon) for shape in shapes):
            kind = "MultiPolygon"
        if not written and any(isinstance(shape, shapely.Point) for shape in shapes):
            kind = "Unknown"
        if kind == "MultiPolygon":
            shapes = [None if shape is None else shapely.MultiPolygon(shapely.get_parts(shape)) for shape in shapes]
        _append(draft, layer, shapes, table(batch, layer, written + 1), None if written else notes, kind)
        phrases |= dict.fromkeys(feature.phrase for feature in batch if feature.phrase is not None)
        phrases = dict.fromkeys(list(phrases)[:_STYLED_PHRASES])
        written += len(batch)
    return list(phrases)


def _append(  # noqa: PLR0917
    draft: Path,
    layer: Layer,
    shapes: Sequence[shapely.Geometry | None],
    columns: Mapping[str, Column],
    notes: Mapping[str, str] | None,
    geometry_type: str,
) -> None:
    """Append rows to a layer, which is created with `notes` as its metadata, if any."""
    import pyogrio  # noqa: PLC0415 - brings pandas, where that is installed, which takes half a second

    pyogrio.raw.write(
        draft,
        shapely.to_wkb(list(shapes)),
        [column.values for column in columns.values()],
        list(columns),
        [column.nulls for column in columns.values()],
        layer=layer.name,
        driver="GPKG",
        geometry_type=geometry_type,
        crs=layer.map_crs or UNDEFINED_CARTESIAN,
        append=notes is None,
        layer_metadata=None if notes is None else dict(notes),
        **({} if notes is None else {"VERSION": "1.3"}),  # what QGIS 3.22 knows without a warning
    )


@contextmanager
def _made(path: Path) -> Iterator[None]:
    """Turn errors of GDAL and SQLite into an `ExportError`."""
    import pyogrio  # noqa: PLC0415 - as above

    try:
        yield
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyogrio.errors.CRSError) as error:
        raise ExportError(f"{path} cannot be made: {error}; export GeoJSON instead") from error
    except sqlite3.Error as error:
        raise ExportError(f"{path} cannot be written: {error}; choose another place") from error


def _box_columns(region: GroundedRegion) -> dict[str, float | None]:
    numbers: Sequence[float | None] = [None] * 5 if region.box is None else box_numbers(region.box)
    return dict(zip(_BOX, numbers, strict=True))
