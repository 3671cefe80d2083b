"""Layers as FlatGeobuf and GeoParquet, through Arrow; needs the extra "layers" (pyarrow).

Both are in the image's own CRS, as GeoPackages are; an image without a CRS gets pixels with y negated and the column
`coordinates`. GeoParquet follows version 1.1.0 of its specification: well-known binary, the CRS as PROJJSON, and a
column `bbox` by which readers skip row groups. FlatGeobuf has a spatial index, for which GDAL holds about 100 bytes a
feature, and stores no feature without a geometry: such are written beside it.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from geochat.errors import ExportError
from geochat.exports.files import draft_of
from geochat.exports.geojson import GEOJSON
from geochat.exports.layer import Feature, Layer, batches
from geochat.exports.tables import UNDEFINED_CARTESIAN, json_value, map_shapes, notes_of, table

if TYPE_CHECKING:
    import pyarrow as pa

_CORNERS = ("xmin", "ymin", "xmax", "ymax")


class FlatGeobuf:
    """Streams features in batches through GDAL."""

    suffixes = (".fgb",)
    holds_second_table = False

    def write(
        self, path: Path, layer: Layer, features: Iterable[Feature], not_looked_at: Iterable[Feature] | None
    ) -> Path:
        """As `Exporter.write`; features without a geometry go to NAME.unlocated.geojson."""
        rows = _Rows(layer, path)
        import pyogrio  # noqa: PLC0415 - brings pandas, where that is installed, which takes half a second

        unlocated: list[Feature] = []
        failures: list[BaseException] = []

        def records() -> "Iterator[pa.RecordBatch]":
            try:
                for batch, shapes, record in rows.read(features):
                    unlocated.extend(each for each, shape in zip(batch, shapes, strict=True) if shape is None)
                    yield record.filter(record["geometry"].is_valid())
            except BaseException as error:  # which Arrow's C stream would turn into text
                failures.append(error)
                raise

        with draft_of(path) as draft:
            try:
                pyogrio.write_arrow(
                    rows.pa.RecordBatchReader.from_batches(rows.schema, records()),
                    draft,
                    layer=layer.name,
                    driver="FlatGeobuf",
                    geometry_name="geometry",
                    geometry_type="Polygon" if layer.place is not None else "Unknown",
                    crs=layer.map_crs or UNDEFINED_CARTESIAN,
                    layer_metadata=notes_of(layer),
                )
            except RuntimeError as error:  # as all of pyogrio's are
                if failures:
                    raise failures[0] from None
                raise ExportError(f"{path} cannot be made: {error}; export GeoJSON instead") from error
        beside = path.with_name(f"{path.stem}.unlocated.geojson")
        beside.unlink(missing_ok=True)  # of an earlier run
        if unlocated:
            GEOJSON.write(beside, layer, unlocated, None)
        return path


class GeoParquet:
    """Streams features in batches, one row group each."""

    suffixes = (".parquet", ".geoparquet")
    holds_second_table = False

    def write(
        self, path: Path, layer: Layer, features: Iterable[Feature], not_looked_at: Iterable[Feature] | None
    ) -> Path:
        """As `Exporter.write`."""
        rows, crs = _Rows(layer, path), _projjson(layer.map_crs, path)
        from pyarrow import parquet  # noqa: PLC0415

        bbox = rows.pa.field("bbox", rows.pa.struct([(corner, rows.pa.float64()) for corner in _CORNERS]))
        column: dict[str, Any] = {
            "encoding": "WKB",
            "geometry_types": [],
            "crs": crs,
            "edges": "planar",
            "orientation": "counterclockwise",
            "covering": {"bbox": {corner: ["bbox", corner] for corner in _CORNERS}},
        }
        begun = {"geo": _geo(column)}  # in Arrow's schema, by which readers tell a folder of files
        low, high, kinds = np.full(2, np.inf), np.full(2, -np.inf), set[str]()
        with (
            draft_of(path) as draft,
            parquet.ParquetWriter(draft, rows.schema.append(bbox).with_metadata(begun), compression="zstd") as file,
        ):
            for _, shapes, record in rows.read(features):
                corners = shapely.bounds(shapes)  # (N, 4), NaN without a geometry
                parts = [rows.pa.array(corner) for corner in corners.T]
                nulls = rows.pa.array(np.isnan(corners[:, 0]))
                boxes = rows.pa.StructArray.from_arrays(parts, fields=list(bbox.type), mask=nulls)
                file.write_batch(record.append_column(bbox, boxes))
                low, high = np.fmin(low, np.fmin.reduce(corners[:, :2])), np.fmax(high, np.fmax.reduce(corners[:, 2:]))
                kinds |= {shape.geom_type for shape in shapes if shape is not None}
            column |= {
                "geometry_types": sorted(kinds),
                **({"bbox": [*low.tolist(), *high.tolist()]} if kinds else {}),
            }
            provenance = json.dumps(json_value(layer.provenance), ensure_ascii=False)
            file.add_key_value_metadata({"geo": _geo(column), "geochat": provenance})
        return path


FLATGEOBUF = FlatGeobuf()
GEOPARQUET = GeoParquet()


class _Rows:
    """A layer as Arrow's record batches, the geometry as well-known binary in the column "geometry".

    Args:
        layer: The layer.
        path: The file to be, for messages.

    Raises:
        ExportError: pyarrow is not installed.
    """

    def __init__(self, layer: Layer, path: Path) -> None:
        try:
            import pyarrow as pa  # noqa: PLC0415 - 55 MB, an extra
        except ImportError as error:
            raise ExportError(f"{path} is written through pyarrow; install geochat[layers], or write .gpkg") from error
        self.pa = pa
        self._layer = layer
        types = {np.dtype(np.int64): pa.int64(), np.dtype(np.float64): pa.float64(), np.dtype(np.bool_): pa.bool_()}
        fields = [
            pa.field(name, types.get(column.values.dtype, pa.string())) for name, column in table([], layer, 1).items()
        ]
        wkb = pa.field("geometry", pa.binary(), metadata={"ARROW:extension:name": "geoarrow.wkb"})
        self.schema = pa.schema([*fields, wkb])

    def read(
        self, features: Iterable[Feature]
    ) -> "Iterator[tuple[list[Feature], list[shapely.Geometry | None], pa.RecordBatch]]":
        """Batches of features, their geometries in the layer's CRS, and both as Arrow."""
        first = 1
        for batch in batches(features):
            shapes = map_shapes(batch, self._layer.map_crs)
            columns = [
                self.pa.array(column.values, self.schema.field(name).type, mask=column.nulls, from_pandas=True)
                for name, column in table(batch, self._layer, first).items()
            ]
            columns.append(self.pa.array(shapely.to_wkb(shapes), self.pa.binary()))
            yield batch, shapes, self.pa.record_batch(columns, schema=self.schema)
            first += len(batch)


def _geo(column: dict[str, Any]) -> str:
    """The file's description of its geometries."""
    return json.dumps({"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}})


def _projjson(crs: str | None, path: Path) -> dict[str, Any] | None:
    """Return a CRS for GeoParquet; null for pixels, which the specification defines as undefined."""
    if crs is None:
        return None
    from rasterio.crs import CRS  # noqa: PLC0415
    from rasterio.errors import CRSError  # noqa: PLC0415

    try:
        definition: dict[str, Any] = CRS.from_user_input(crs).to_dict(projjson=True)
    except CRSError as error:
        raise ExportError(f"{path} cannot hold the CRS {crs[:60]!r}: {error}; write .gpkg") from error
    return definition
